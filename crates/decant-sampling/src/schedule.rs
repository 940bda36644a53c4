//! Numbers that may follow the model's uncertainty.

mod text;

pub(crate) use text::{Fault, Number};

/// What a [`Schedule`] may follow: facts of the model's own row at T = 1, before any stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// Entropy of the row, in nats.
    pub entropy: f64,
    /// Varentropy of the row, the variance of -ln p under p, in nats².
    pub varentropy: f64,
    /// The largest probability.
    pub max_prob: f64,
    /// How many tokens are allowed at all.
    pub support: u32,
}

impl Signals {
    /// Where no number follows a signal.
    pub(crate) const UNKNOWN: Self =
        Signals { entropy: f64::NAN, varentropy: f64::NAN, max_prob: f64::NAN, support: 0 };

    /// Entropy as a share of its maximum, H / ln support, in 0..=1; 0 where only one token is allowed.
    pub fn entropy_norm(&self) -> f64 {
        entropy_norm(self.entropy, self.support as usize)
    }

    fn get(&self, signal: Signal) -> f64 {
        match signal {
            Signal::Entropy => self.entropy,
            Signal::Varentropy => self.varentropy,
            Signal::MaxProb => self.max_prob,
            Signal::EntropyNorm => self.entropy_norm(),
        }
    }
}

/// The name of one of the [`Signals`]: what stands after `by=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// `entropy`, in nats; the default.
    #[default]
    Entropy,
    /// `varentropy`, in nats².
    Varentropy,
    /// `max_prob`.
    MaxProb,
    /// `entropy_norm`: see [`Signals::entropy_norm`].
    EntropyNorm,
}

/// How a ramp climbs. With u in 0..=1 the place between its thresholds, every shape is 0 at u = 0 and 1 at u = 1, exactly,
/// and never falls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Shape {
    /// u.
    #[default]
    Linear,
    /// A logistic curve of slope 8 around the middle, stretched to reach both ends: ½ + tanh(4u - 2) / (2 tanh 2).
    Sigmoid,
    /// u to a power > 0 (2 unless `exponent=` says otherwise).
    Power(f64),
}

impl Shape {
    /// What `shape=power` means by itself.
    pub(crate) const SQUARE: Shape = Shape::Power(2.0);

    fn of(self, u: f64) -> f64 {
        match self {
            Shape::Linear => u,
            Shape::Sigmoid => 0.5 + libm::tanh(4.0 * u - 2.0) / (2.0 * libm::tanh(2.0)),
            Shape::Power(exponent) => libm::pow(u, exponent),
        }
    }
}

/// A numeric parameter: a constant, or a function of the model's uncertainty at this step.
///
/// ```
/// use decant_sampling::{Schedule, Signals};
/// let temperature: Schedule = "by_entropy(0.5..4->0.3..1.8)".parse()?;
/// let row = Signals { entropy: 2.25, varentropy: 1.0, max_prob: 0.4, support: 32_000 };
/// assert!((temperature.at(&row) - 1.05).abs() < 1e-12);
/// # Ok::<(), decant_sampling::SpecError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// The same at every step.
    Constant(f64),
    /// `x0..x1->y0..y1`: from `y[0]` where the signal is at most `x[0]` to `y[1]` where it is at least `x[1]`.
    /// `y` may fall (cooler when unsure).
    Ramp {
        /// The signal followed.
        by: Signal,
        /// Its thresholds, rising, each >= 0.
        x: [f64; 2],
        /// The values at and beyond them.
        y: [f64; 2],
        /// The way between them.
        shape: Shape,
        /// The signal counts as no more than this. Above `x[0]`.
        cap: Option<f64>,
    },
    /// `table:x=y:..`: linear between the points (x, y), flat outside them. At least two points, x >= 0 and rising.
    Table {
        /// The signal followed.
        by: Signal,
        /// (signal, value).
        points: Vec<(f64, f64)>,
    },
    /// `dynatemp:low=:high=:exponent=`: low + (high - low) (H / ln support)^exponent, llama.cpp's `temp_ext`.
    Dynatemp {
        /// The value where the model is certain.
        low: f64,
        /// The value where all tokens are equally likely.
        high: f64,
        /// >= 0; 1 unless given.
        exponent: f64,
    },
    /// `edt:t0=:base=:theta=`: t0 · base^(theta / H), entropy-based dynamic temperature, arXiv 2403.14541.
    /// Towards H = 0 it falls to 0.
    Edt {
        /// The value for large H.
        t0: f64,
        /// 0 < base <= 1; 0.8 unless given.
        base: f64,
        /// >= 0, in nats.
        theta: f64,
    },
}

impl Schedule {
    /// The value at a step. Pure and portable: equal bits in, equal bits out, on every platform.
    pub fn at(&self, signals: &Signals) -> f64 {
        match self {
            Schedule::Constant(value) => *value,
            Schedule::Ramp { by, x, y, shape, cap } => {
                let signal = signals.get(*by).min(cap.unwrap_or(f64::INFINITY));
                lerp(y[0], y[1], shape.of(place(signal, x[0], x[1])))
            }
            Schedule::Table { by, points } => interpolate(points, signals.get(*by)),
            Schedule::Dynatemp { low, high, exponent } => dynatemp([*low, *high], *exponent, signals.entropy_norm()),
            Schedule::Edt { t0, base, theta } => edt(*t0, *base, *theta, signals.entropy),
        }
    }

    /// The value at a step as a count: rounded to the nearest whole number (halves up), never below 0.
    pub fn count_at(&self, signals: &Signals) -> usize {
        self.at(signals).round() as usize
    }

    /// Whether it is the same at every step, so that no signal need be known.
    pub fn is_constant(&self) -> bool {
        matches!(self, Schedule::Constant(_))
    }

    /// Values between which (ends included) every output lies.
    pub(crate) fn extremes(&self) -> Vec<f64> {
        match self {
            Schedule::Constant(value) => vec![*value],
            Schedule::Ramp { y, .. } => y.to_vec(),
            Schedule::Table { points, .. } => points.iter().map(|&(_, y)| y).collect(),
            Schedule::Dynatemp { low, high, .. } => vec![*low, *high],
            Schedule::Edt { t0, .. } => vec![0.0, *t0],
        }
    }

    /// Whether its own parameters make sense, whatever it is used for; else what is wrong.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for value in self.extremes() {
            Fault::unless(value.is_finite(), "not a finite number", || Number(value).to_string())?;
        }
        let rising = |x0: f64, x1: f64| {
            let fits = 0.0 <= x0 && x0 < x1 && x1 < f64::INFINITY;
            Fault::unless(fits, "thresholds are finite numbers >= 0 that rise strictly", || {
                format!("{} then {}", Number(x0), Number(x1))
            })
        };
        let within = |value: f64, fits: bool, problem| {
            Fault::unless(fits && value.is_finite(), problem, || Number(value).to_string())
        };
        match self {
            Schedule::Constant(_) => Ok(()),
            Schedule::Ramp { x, shape, cap, .. } => {
                rising(x[0], x[1])?;
                if let Shape::Power(exponent) = *shape {
                    within(exponent, exponent > 0.0, "the exponent of a power is a number > 0")?;
                }
                cap.map_or(Ok(()), |cap| within(cap, cap > x[0], "the cap is a number above the lower threshold"))
            }
            Schedule::Table { points, .. } => {
                Fault::unless(points.len() >= 2, "a table has at least two points", || points.len().to_string())?;
                points.windows(2).try_for_each(|pair| rising(pair[0].0, pair[1].0))
            }
            Schedule::Dynatemp { exponent, .. } => {
                within(*exponent, *exponent >= 0.0, "the exponent of dynatemp is a number >= 0")
            }
            Schedule::Edt { base, theta, .. } => {
                within(*base, 0.0 < *base && *base <= 1.0, "the base of edt is a number > 0 and <= 1")?;
                within(*theta, *theta >= 0.0, "the theta of edt is a number >= 0")
            }
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Schedule::Constant(value)
    }
}

/// Entropy of `support` tokens as a share of its maximum, H / ln support, in 0..=1; 0 for a single token.
pub(crate) fn entropy_norm(entropy: f64, support: usize) -> f64 {
    if support <= 1 { 0.0 } else { (entropy / libm::log(support as f64)).clamp(0.0, 1.0) }
}

/// low + (high - low) · norm^exponent.
pub(crate) fn dynatemp([low, high]: [f64; 2], exponent: f64, norm: f64) -> f64 {
    lerp(low, high, libm::pow(norm, exponent))
}

/// t0 · base^(theta / H).
pub(crate) fn edt(t0: f64, base: f64, theta: f64, entropy: f64) -> f64 {
    if theta == 0.0 { t0 } else { t0 * libm::pow(base, theta / entropy) }
}

/// Where x stands between x0 and x1: 0 at or below the one, 1 at or above the other.
fn place(x: f64, x0: f64, x1: f64) -> f64 {
    ((x - x0) / (x1 - x0)).clamp(0.0, 1.0)
}

/// y0 at s = 0, y1 at s = 1, exactly, and never outside them: rounding must not carry a value out of its range.
fn lerp(y0: f64, y1: f64, s: f64) -> f64 {
    (y0 * (1.0 - s) + y1 * s).max(y0.min(y1)).min(y0.max(y1))
}

/// Along the line through points of rising x; flat before the first and after the last.
fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let (before, after) = points.split_at(points.partition_point(|point| point.0 < x));
    match (before.last(), after.first()) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => lerp(y0, y1, place(x, x0, x1)),
        (Some(&(_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(entropy: f64) -> Signals {
        Signals { entropy, varentropy: 2.0, max_prob: 0.25, support: 1000 }
    }

    fn at(text: &str, signals: &Signals) -> f64 {
        text.parse::<Schedule>().unwrap().at(signals)
    }

    #[test]
    fn a_ramp_is_clamped_at_both_ends_and_exact_there() {
        for shape in ["", ":shape=linear", ":shape=sigmoid", ":shape=power", ":shape=power:exponent=0.3"] {
            let text = format!("by_entropy(0.5..4->0.3..1.8{shape})");
            for (h, t) in [(0.0, 0.3), (0.5, 0.3), (4.0, 1.8), (11.0, 1.8)] {
                assert_eq!(at(&text, &row(h)), t, "{text} at {h}");
            }
        }
        assert_eq!(at("by_entropy(0..4->1..3)", &row(1.0)), 1.5);
        assert_eq!(at("by_entropy(0..4->1..3:shape=power)", &row(2.0)), 1.5);
        assert_eq!(at("by_entropy(0..4->1..3:shape=sigmoid)", &row(2.0)), 2.0);
        assert_eq!(at("by_entropy(0..4->3..1)", &row(1.0)), 2.5);
    }

    #[test]
    fn the_sigmoid_is_the_logistic_stretched_to_its_ends() {
        let logistic = |u: f64| 1.0 / (1.0 + (-8.0 * (u - 0.5)).exp());
        for i in 0..=16 {
            let u = f64::from(i) / 16.0;
            let stretched = (logistic(u) - logistic(0.0)) / (logistic(1.0) - logistic(0.0));
            assert!((Shape::Sigmoid.of(u) - stretched).abs() < 1e-14, "at {u}");
        }
    }

    #[test]
    fn a_cap_limits_the_signal() {
        assert_eq!(at("by_entropy(0..4->1..3:cap=2)", &row(9.0)), 2.0);
        assert_eq!(at("by_entropy(0..4->1..3:cap=6)", &row(9.0)), 3.0);
    }

    #[test]
    fn other_signals() {
        let row = row(1.0);
        assert_eq!(at("by_entropy(0..4->1..3:by=varentropy)", &row), 2.0);
        assert_eq!(at("by_entropy(0..1->1..3:by=max_prob)", &row), 1.5);
        let norm = 1.0 / 1000f64.ln();
        assert!((at("by_entropy(0..1->1..3:by=entropy_norm)", &row) - (1.0 + 2.0 * norm)).abs() < 1e-15);
        assert_eq!(Signals { support: 1, entropy: 0.0, ..row }.entropy_norm(), 0.0);
    }

    #[test]
    fn a_table_is_linear_between_its_points_and_flat_outside() {
        let table = "by_entropy(table:0.5=0.3:2=1.0:4=2)";
        for (h, t) in [(0.0, 0.3), (0.5, 0.3), (1.25, 0.65), (2.0, 1.0), (3.0, 1.5), (4.0, 2.0), (9.0, 2.0)] {
            assert!((at(table, &row(h)) - t).abs() < 1e-15, "at {h}");
        }
    }

    #[test]
    fn dynatemp_follows_the_normalised_entropy() {
        let full = 1000f64.ln();
        for (h, t) in [(0.0, 0.5), (full, 1.5), (full / 2.0, 0.75)] {
            assert!((at("by_entropy(dynatemp:low=0.5:high=1.5:exponent=2)", &row(h)) - t).abs() < 1e-12, "at {h}");
        }
        assert_eq!(at("by_entropy(dynatemp:low=0.5:high=1.5:exponent=0)", &row(0.0)), 1.5);
    }

    #[test]
    fn edt_falls_to_zero_with_the_entropy() {
        let edt = "by_entropy(edt:t0=1.5:base=0.8:theta=0.1)";
        assert_eq!(at(edt, &row(0.0)), 0.0);
        assert!((at(edt, &row(0.1)) - 1.2).abs() < 1e-15);
        assert_eq!(at("by_entropy(edt:t0=1.5:base=0.8:theta=0)", &row(0.0)), 1.5);
        assert_eq!(at("by_entropy(edt:t0=1.5:base=1:theta=3)", &row(0.0)), 1.5);
    }

    #[test]
    fn counts_round_to_the_nearest() {
        let signals = row(1.0);
        for (value, count) in [(40.0, 40), (2.5, 3), (2.4, 2), (0.0, 0), (-1.0, 0)] {
            assert_eq!(Schedule::Constant(value).count_at(&signals), count);
        }
    }

    /// A draw depends on these bits.
    #[test]
    fn value_stability() {
        let row = Signals { entropy: 1.7, varentropy: 2.3, max_prob: 0.3, support: 32_000 };
        for (text, value) in [
            ("by_entropy(0.5..4->0.3..1.8:shape=sigmoid)", 0.6166090676931104),
            ("by_entropy(0.5..4->0.3..1.8:shape=power:exponent=1.5)", 0.6011348796526903),
            ("by_entropy(dynatemp:low=0.5:high=1.5:exponent=0.7)", 0.7819465504691822),
            ("by_entropy(edt:t0=1:base=0.8:theta=0.1)", 0.9869596801906171),
        ] {
            assert_eq!(at(text, &row), value, "{text}");
        }
    }
}
