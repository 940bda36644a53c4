//! Schedules as text.

use super::{Schedule, Shape, Signal};
use crate::spec::{At, SpecError, excerpt};
use std::fmt;
use std::str::FromStr;

/// What is wrong with the text or the parameters of a schedule.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    problem: &'static str,
    given: String,
}

impl Fault {
    fn new(problem: &'static str, given: &str) -> Self {
        Fault { problem, given: excerpt(given) }
    }

    /// A fault unless `fits`.
    pub(super) fn unless(fits: bool, problem: &'static str, given: impl FnOnce() -> String) -> Result<(), Fault> {
        if fits { Ok(()) } else { Err(Fault::new(problem, &given())) }
    }

    /// The fault as an error of the parameter that the schedule was meant for.
    pub(crate) fn at(self, at: At) -> SpecError {
        SpecError::Schedule { at, problem: self.problem, given: self.given }
    }
}

const NAMES: [(Signal, &str); 4] = [
    (Signal::Entropy, "entropy"),
    (Signal::Varentropy, "varentropy"),
    (Signal::MaxProb, "max_prob"),
    (Signal::EntropyNorm, "entropy_norm"),
];

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(signal, _)| signal == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Schedule {
    type Err = SpecError;

    /// Parses a number or `by_entropy(..)`. The range of the values is the business of the parameter it is used for.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let at = At { stage: "schedule", field: At::VALUE };
        let schedule = Schedule::parse(text).map_err(|fault| fault.at(at))?;
        schedule.check().map_err(|fault| fault.at(at))?;
        Ok(schedule)
    }
}

impl Schedule {
    /// The syntax alone; [`Schedule::check`] judges the numbers.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        match text.strip_prefix("by_entropy(").map(|rest| rest.strip_suffix(')')) {
            None => number(text).map(Schedule::Constant),
            Some(None) => Err(Fault::new("by_entropy( has no closing parenthesis at its end", text)),
            Some(Some(inner)) => parse_curve(inner),
        }
    }
}

fn parse_curve(inner: &str) -> Result<Schedule, Fault> {
    let (head, rest) = match inner.split_once(':') {
        Some((head, rest)) => (head.trim(), Some(rest)),
        None => (inner.trim(), None),
    };
    let mut options = Options::parse(rest)?;
    let schedule = match head {
        "table" => Schedule::Table { by: options.signal()?, points: options.points()? },
        "dynatemp" => Schedule::Dynatemp {
            low: options.required("low", "dynatemp needs low=")?,
            high: options.required("high", "dynatemp needs high=")?,
            exponent: options.number("exponent")?.unwrap_or(1.0),
        },
        "edt" => Schedule::Edt {
            t0: options.required("t0", "edt needs t0=")?,
            base: options.number("base")?.unwrap_or(0.8),
            theta: options.required("theta", "edt needs theta=")?,
        },
        _ => {
            let (x, y) = ramp(head)
                .ok_or_else(|| Fault::new("by_entropy takes x0..x1->y0..y1, table:.., dynatemp:.. or edt:..", head))?;
            Schedule::Ramp { by: options.signal()?, x, y, shape: options.shape()?, cap: options.number("cap")? }
        }
    };
    options.finish()?;
    Ok(schedule)
}

fn ramp(text: &str) -> Option<([f64; 2], [f64; 2])> {
    let ends = |text: &str| {
        let (from, to) = text.split_once("..")?;
        Some([number(from).ok()?, number(to).ok()?])
    };
    let (x, y) = text.split_once("->")?;
    Some((ends(x)?, ends(y)?))
}

/// A decimal number as text; whether NaN or inf will do is for the range to say.
fn number(text: &str) -> Result<f64, Fault> {
    text.trim().parse().map_err(|_| Fault::new("not a number", text.trim()))
}

/// The `key=value` parts after the head, taken one by one.
struct Options<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Options<'t> {
    fn parse(text: Option<&'t str>) -> Result<Self, Fault> {
        let pair = |part: &'t str| match part.split_once('=') {
            Some((key, value)) => Ok((key.trim(), value.trim())),
            None => Err(Fault::new("parts after a colon read name=value", part)),
        };
        Ok(Options(text.into_iter().flat_map(|text| text.split(':')).map(pair).collect::<Result<_, _>>()?))
    }

    fn take(&mut self, name: &str) -> Option<&'t str> {
        let index = self.0.iter().position(|(key, _)| *key == name)?;
        Some(self.0.remove(index).1)
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        self.take(name).map(number).transpose()
    }

    fn required(&mut self, name: &str, problem: &'static str) -> Result<f64, Fault> {
        self.number(name)?.ok_or_else(|| Fault::new(problem, ""))
    }

    fn signal(&mut self) -> Result<Signal, Fault> {
        let Some(given) = self.take("by") else { return Ok(Signal::default()) };
        let found = NAMES.iter().find(|(_, name)| *name == given).map(|(signal, _)| *signal);
        found.ok_or_else(|| Fault::new("by= is one of entropy, varentropy, max_prob, entropy_norm", given))
    }

    fn shape(&mut self) -> Result<Shape, Fault> {
        match self.take("shape") {
            None | Some("linear") => Ok(Shape::Linear),
            Some("sigmoid") => Ok(Shape::Sigmoid),
            Some("power") => Ok(self.number("exponent")?.map_or(Shape::SQUARE, Shape::Power)),
            Some(given) => Err(Fault::new("shape= is one of linear, sigmoid, power", given)),
        }
    }

    /// All that is left, as points of a table.
    fn points(&mut self) -> Result<Vec<(f64, f64)>, Fault> {
        self.0.drain(..).map(|(x, y)| Ok((number(x)?, number(y)?))).collect()
    }

    /// Nothing may be left: an unknown or repeated name is a mistake.
    fn finish(self) -> Result<(), Fault> {
        match self.0.first() {
            None => Ok(()),
            Some((key, value)) => Err(Fault::new("unknown or repeated here", &format!("{key}={value}"))),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant(value) => write!(f, "{}", Number(*value)),
            Schedule::Ramp { by, x, y, shape, cap } => {
                let [x0, x1, y0, y1] = [x[0], x[1], y[0], y[1]].map(Number);
                write!(f, "by_entropy({x0}..{x1}->{y0}..{y1}")?;
                match *shape {
                    Shape::Linear => {}
                    Shape::Sigmoid => f.write_str(":shape=sigmoid")?,
                    Shape::SQUARE => f.write_str(":shape=power")?,
                    Shape::Power(exponent) => write!(f, ":shape=power:exponent={}", Number(exponent))?,
                }
                if let Some(cap) = cap {
                    write!(f, ":cap={}", Number(*cap))?;
                }
                close(f, *by)
            }
            Schedule::Table { by, points } => {
                f.write_str("by_entropy(table")?;
                for &(x, y) in points {
                    write!(f, ":{}={}", Number(x), Number(y))?;
                }
                close(f, *by)
            }
            Schedule::Dynatemp { low, high, exponent } => {
                let [low, high, exponent] = [*low, *high, *exponent].map(Number);
                write!(f, "by_entropy(dynatemp:low={low}:high={high}:exponent={exponent})")
            }
            Schedule::Edt { t0, base, theta } => {
                let [t0, base, theta] = [*t0, *base, *theta].map(Number);
                write!(f, "by_entropy(edt:t0={t0}:base={base}:theta={theta})")
            }
        }
    }
}

fn close(f: &mut fmt::Formatter<'_>, by: Signal) -> fmt::Result {
    if by == Signal::default() { f.write_str(")") } else { write!(f, ":by={by})") }
}

/// A number in the shortest text that reads back as the same bits (-0 as 0), in exponent form only where it is tiny or
/// huge.
pub(crate) struct Number(pub f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0 + 0.0;
        if value.fract() == 0.0 && value.abs() < 1e16 { write!(f, "{value}") } else { write!(f, "{value:?}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_short() {
        for (value, text) in [(1.0, "1"), (-0.0, "0"), (0.05, "0.05"), (1e-7, "1e-7"), (1e300, "1e300"), (-1.0, "-1")] {
            assert_eq!(Number(value).to_string(), text);
        }
    }

    #[test]
    fn negative_and_exponent_ends_are_read() {
        assert_eq!(ramp("0..1->-1..-0.5"), Some(([0.0, 1.0], [-1.0, -0.5])));
        assert_eq!(ramp("1e-3..1e+1->.5..2."), Some(([1e-3, 10.0], [0.5, 2.0])));
        assert_eq!(ramp("0..1"), None);
    }
}
