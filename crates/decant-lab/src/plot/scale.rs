//! From values to places on an axis, and the values that get a tick.

/// Room beyond the outermost values of an axis, as a share of it.
const MARGIN: f64 = 0.04;

/// One direction of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub title: String,
    /// How values lie along it.
    pub scale: Scale,
    /// Its ends; `None` lets the points decide.
    pub range: Option<[f64; 2]>,
}

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; only positive values have a place.
    Log,
}

impl Axis {
    /// A linear axis whose ends the points decide.
    pub fn linear(title: impl Into<String>) -> Self {
        Axis { title: title.into(), scale: Scale::Linear, range: None }
    }

    /// A logarithmic axis whose ends the points decide.
    pub fn log(title: impl Into<String>) -> Self {
        Axis { title: title.into(), scale: Scale::Log, range: None }
    }

    /// The axis from `low` to `high`. What lies outside is cut off; ends that are no range let the points decide.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some([low, high]);
        self
    }

    /// The axis laid over these values: with the ends that it was given, else with theirs and some room.
    pub(super) fn fit(&self, values: impl Iterator<Item = f64>) -> Fit {
        let scale = self.scale;
        let [mut low, mut high] = [f64::INFINITY, f64::NEG_INFINITY];
        for place in values.filter_map(|value| scale.place(value)) {
            (low, high) = (low.min(place), high.max(place));
        }
        let asked = self.range.and_then(|[low, high]| Some([scale.place(low)?, scale.place(high)?]));
        let [low, high] = match asked.filter(|[low, high]| low < high) {
            Some(ends) => ends,
            None if low > high => [0.0, 1.0],
            // A single value stands in the middle.
            None if low == high => [low - spread(low), high + spread(high)],
            None => [low - MARGIN * (high - low), high + MARGIN * (high - low)],
        };
        Fit { scale, low, high }
    }
}

/// How far around a lone value an axis reaches.
fn spread(value: f64) -> f64 {
    if value == 0.0 { 1.0 } else { value.abs() / 2.0 }
}

impl Scale {
    /// Where a value lies, in the scale's own measure (the value or its decimal logarithm), if it lies anywhere.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        match self {
            Scale::Linear => Some(value).filter(|value| value.abs() <= f64::MAX / 4.0),
            Scale::Log => (value > 0.0 && value.is_finite()).then(|| libm::log10(value)),
        }
    }
}

/// An axis laid over its values: the ends in the scale's own measure, `low < high`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Fit {
    /// Where a value lies between the ends: 0 at the lower, 1 at the upper one; `None` if it has no place.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        Some((self.scale.place(value)? - self.low) / (self.high - self.low))
    }

    /// At most about so many values that get a tick, with their labels.
    pub(super) fn ticks(&self, parts: f64) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => self.linear_ticks(parts),
            Scale::Log => self.log_ticks(parts),
        }
    }

    fn linear_ticks(&self, parts: f64) -> Vec<(f64, String)> {
        let (step, power) = tick_step(self.high - self.low, parts);
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        let far = self.low.abs().max(self.high.abs()) >= 1e6 || power < -5;
        let label = |value: f64| match far {
            true => format!("{value:e}"),
            false => format!("{value:.*}", (-power).max(0) as usize),
        };
        // Counted, not added up: ticks are the multiples themselves. Where the ends differ in their last bits alone, rounding
        // could make them many, or one and the same.
        let count = (last - first).clamp(-1.0, 2.0 * parts) as i32;
        let multiples = (0..=count).map(|i| (first + f64::from(i)) * step);
        let mut ticks: Vec<f64> = multiples.map(|value| decimal(value, power) + 0.0).collect();
        ticks.dedup();
        ticks.into_iter().map(|value| (value, label(value))).collect()
    }

    fn log_ticks(&self, parts: f64) -> Vec<(f64, String)> {
        let ticks = self.powers(parts);
        // Between two round values there may be none: then the axis is short enough for equal distances.
        let values = Fit { scale: Scale::Linear, low: libm::exp10(self.low), high: libm::exp10(self.high) };
        if ticks.len() < 2 && values.high.is_finite() { values.linear_ticks(parts) } else { ticks }
    }

    /// The powers of ten, and their 2 and 5 fold where there is room.
    fn powers(&self, parts: f64) -> Vec<(f64, String)> {
        let decades = self.high - self.low;
        // Few decades have room for 2 and 5; many have ticks only at every other power.
        let (stride, digits): (i32, &[i32]) = match decades {
            d if d * 3.0 <= parts => (1, &[1, 2, 5]),
            d => (((d / parts).ceil() as i32).max(1), &[1]),
        };
        let powers = (self.low.floor() as i32)..=(self.high.ceil() as i32);
        let ticks = powers.filter(|power| power.rem_euclid(stride) == 0).flat_map(|power| {
            digits.iter().map(move |digit| {
                let exact = format!("{digit}e{power}");
                let value: f64 = exact.parse().unwrap_or(f64::NAN);
                (value, if (-3..=4).contains(&power) { value.to_string() } else { exact })
            })
        });
        ticks.filter(|(value, _)| self.at(*value).is_some_and(|at| (-1e-9..=1.0 + 1e-9).contains(&at))).collect()
    }
}

/// A round distance (1, 2 or 5 times a power of ten) that cuts `width` into at most about `parts`, and its power of ten.
pub fn tick_step(width: f64, parts: f64) -> (f64, i32) {
    let power = libm::floor(libm::log10(width / parts)) as i32;
    let unit = libm::exp10(f64::from(power));
    match [1.0, 2.0, 5.0].into_iter().find(|factor| width / (factor * unit) <= parts * 1.0001) {
        Some(factor) => (factor * unit, power),
        None => (10.0 * unit, power + 1),
    }
}

/// The value with no digits below a power of ten, which rounding put there.
fn decimal(value: f64, power: i32) -> f64 {
    format!("{value:.*}", (-power).clamp(0, 300) as usize).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: Axis, values: &[f64]) -> Vec<String> {
        axis.fit(values.iter().copied()).ticks(6.0).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Axis::linear(""), &[0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Axis::linear("").range(-2.0, 3.0), &[]), ["-2", "-1", "0", "1", "2", "3"]);
        assert_eq!(labels(Axis::linear(""), &[7.0]), ["4", "6", "8", "10"]);
        assert_eq!(labels(Axis::log("").range(0.1, 1000.0), &[]), ["0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels(Axis::log("").range(1.0, 50.0), &[]), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(Axis::log("").range(2.9, 4.2), &[]), ["3.0", "3.5", "4.0"]);
        assert_eq!(labels(Axis::log("").range(1e-9, 1.0), &[]), ["1e-8", "1e-6", "1e-4", "0.01", "1"]);
    }

    #[test]
    fn what_has_no_place() {
        let fit = Axis::log("").fit([0.0, -1.0, f64::NAN, f64::INFINITY, 1.0, 100.0].into_iter());
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fit.at(value), None);
        }
        assert!((fit.at(10.0).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(Axis::linear("").fit([].into_iter()).at(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn any_values_have_a_place_and_few_ticks(values in prop::collection::vec(any::<f64>(), 0..5), log: bool) {
            let axis = if log { Axis::log("") } else { Axis::linear("") };
            let fit = axis.fit(values.iter().copied());
            for at in values.iter().filter_map(|&value| fit.at(value)) {
                prop_assert!((0.0..=1.0).contains(&at), "{at} of {fit:?}");
            }
            let ticks = fit.ticks(6.0);
            prop_assert!(ticks.len() <= 13, "{ticks:?}");
            prop_assert!(ticks.is_sorted_by(|a, b| a.0 < b.0), "{ticks:?}");
        }
    }
}
