//! Why something is not a spec.

use crate::TokenId;
use crate::catalog::Range;
use crate::schedule::Number;
use crate::stages::catalog;
use std::fmt;

/// Why a text, list or object is not a spec: names the parameter, what is allowed and what was given (shortened, so that a
/// message stays a sentence whatever was sent).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The text or value does not have the form of a spec.
    #[error("{expected}; given {given}")]
    Syntax {
        /// The form expected here.
        expected: &'static str,
        /// What stood there.
        given: String,
    },
    /// No stage has this name.
    #[error("{given} is not a stage; {}", hint(*.nearest, stage_names()))]
    UnknownStage {
        /// The name given.
        given: String,
        /// A known name that is nearly the same.
        nearest: Option<&'static str>,
    },
    /// The stage has no such parameter.
    #[error("{given} is not a parameter of {stage}; {}", hint(*.nearest, field_names(.stage)))]
    UnknownField {
        /// The stage.
        stage: &'static str,
        /// The name given.
        given: String,
        /// A known name that is nearly the same.
        nearest: Option<&'static str>,
    },
    /// A parameter stands beside the stages under a flat name, but its own stage is not among them.
    #[error("{given} is a parameter of {}, which is not given", stages.join(" or "))]
    Alone {
        /// The name given.
        given: String,
        /// The stages that have such a parameter.
        stages: Vec<&'static str>,
    },
    /// A parameter without default is missing.
    #[error("{at} needs a value: {expected}")]
    Missing {
        /// The parameter.
        at: At,
        /// What it may be.
        expected: String,
    },
    /// A number is outside the range of its parameter, or a schedule reaches a number that is.
    #[error("{at} must be {range}; given {}", Number(*.given))]
    Range {
        /// The parameter.
        at: At,
        /// What is allowed.
        range: Range,
        /// The number.
        given: f64,
    },
    /// The value is of the wrong kind: no number or schedule where one is needed, or none of the choices.
    #[error("{at} must be {expected}; given {given}")]
    Value {
        /// The parameter.
        at: At,
        /// What it may be.
        expected: String,
        /// What was given.
        given: String,
    },
    /// A token id is outside of the vocabulary that a sampler is to be made for.
    #[error("{at}: token {token} is not in the vocabulary of {vocab}")]
    Vocabulary {
        /// The parameter.
        at: At,
        /// The token id.
        token: TokenId,
        /// How many tokens there are.
        vocab: usize,
    },
    /// A schedule that is no schedule.
    #[error("{at}: {problem}; given {given}")]
    Schedule {
        /// The parameter.
        at: At,
        /// What is wrong.
        problem: &'static str,
        /// The offending part.
        given: String,
    },
    /// A parameter stands twice in one stage, perhaps once by an alias; or a stage twice where there is no order.
    #[error("{at} is given twice")]
    Twice {
        /// The parameter.
        at: At,
    },
    /// One stage goes by two of its names, so one of them is probably a mistake.
    #[error("{first} and {second} are the same stage; use one name")]
    TwoNames {
        /// The name used first.
        first: String,
        /// The other name.
        second: String,
    },
}

/// A parameter of a stage. Shows as `top_h` (its value) or `top_h:n` (a further parameter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The stage's name.
    pub stage: &'static str,
    /// The parameter's name; [`At::VALUE`] for the one after the equals sign.
    pub field: &'static str,
}

impl At {
    /// The name of a stage's main parameter, as JSON objects spell it.
    pub const VALUE: &'static str = "value";
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field == At::VALUE { f.write_str(self.stage) } else { write!(f, "{}:{}", self.stage, self.field) }
    }
}

/// The beginning of what was given, quoted, without control characters.
pub(crate) fn excerpt(given: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = given.chars().map(|c| c.escape_debug().to_string());
    let mut start = String::new();
    while start.chars().count() < LONGEST
        && let Some(next) = shown.next()
    {
        start += &next;
    }
    if shown.next().is_some() {
        start.push('…');
    }
    format!("`{start}`")
}

fn stage_names() -> impl Iterator<Item = &'static str> {
    catalog().iter().map(|info| info.name)
}

fn field_names(stage: &str) -> impl Iterator<Item = &'static str> {
    let fields = catalog().iter().find(|info| info.name == stage).map_or(&[][..], |info| info.fields);
    fields.iter().map(|field| field.name)
}

fn hint(nearest: Option<&'static str>, known: impl Iterator<Item = &'static str>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// The name that `given` is probably a slip of: at most a third of its letters differ.
pub(crate) fn nearest(given: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let given: Vec<char> = given.chars().take(40).flat_map(char::to_lowercase).collect();
    let (distance, name) =
        known.map(|name| (edit_distance(&given, name), name)).min_by_key(|&(distance, _)| distance)?;
    (distance <= given.len().min(name.len()).div_ceil(3)).then_some(name)
}

/// Levenshtein's distance, one row of the table at a time.
fn edit_distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (j, cb) in b.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], j + 1);
        for (i, &ca) in a.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[i + 1];
            row[i + 1] = replaced.min(row[i] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let distance = |a: &str, b| edit_distance(&a.chars().collect::<Vec<_>>(), b);
        for (a, b, d) in
            [("", "", 0), ("top_p", "top_p", 0), ("top_p", "tpo_p", 2), ("kitten", "sitting", 3), ("", "ab", 2)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = || ["temp", "top_p", "top_h"].into_iter();
        assert_eq!(nearest("top-p", names()), Some("top_p"));
        assert_eq!(nearest("Temp", names()), Some("temp"));
        assert_eq!(nearest("mirostat", names()), None);
        assert_eq!(nearest("", names()), None);
    }
}
