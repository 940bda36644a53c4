//! Which strategy, as data.

use super::Loss;
use super::args::Args;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// How a text is decided on, given what the model says of each next token. Its canonical text (`Display`) is part of a
/// run's identity; what is at its default is not told.
///
/// ```
/// use decant_decode::DecodeSpec;
/// let spec: DecodeSpec = "beam(8, length_penalty=1)".parse()?;
/// assert_eq!(spec, "beam(width=8,length_penalty=1,rerank=none)".parse()?);
/// assert_eq!(spec.to_string(), "beam(8,length_penalty=1)");
/// # Ok::<(), decant_decode::DecodeSpecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum DecodeSpec {
    /// `sample`: each token is drawn by the sampler.
    #[default]
    Sample,
    /// `greedy`: each token is the most probable one.
    Greedy,
    /// `lookahead(k)`: each token is the first of the most probable block of the next k tokens. k = 1 is greedy. (Trauger
    /// and Tewari 2025, arXiv 2505.11183.)
    Lookahead {
        /// How many tokens a block has, at least 1.
        k: usize,
        /// How many model calls the search for one block may take.
        budget: usize,
    },
    /// `map(len)`: the most probable text of so many tokens, or of fewer where it ends by itself.
    Map {
        /// How many tokens, at least 1.
        len: usize,
        /// How many model calls the search may take.
        budget: usize,
    },
    /// `beam(width)`: beam search by the model's own probabilities.
    Beam(Beam),
    /// `stochastic_beam(k)`: k different texts, drawn without replacement (Kool, van Hoof and Welling 2019, arXiv 1903.06059).
    StochasticBeam {
        /// How many texts, at least 1.
        k: usize,
    },
    /// `best_of(n, by=..)`: the best of n texts that the sampler draws.
    BestOf {
        /// How many texts, at least 1.
        n: usize,
        /// What the best one has most of.
        by: By,
    },
    /// `mbr(n, loss=..)`: of n texts that the sampler draws the one that is nearest to the others: minimum Bayes risk.
    Mbr {
        /// How many texts, at least 2.
        n: usize,
        /// How far two texts are apart.
        loss: Loss,
    },
}

/// The parameters of `beam`.
#[derive(Clone, Debug, PartialEq)]
pub struct Beam {
    /// How many texts are kept at each length, at least 1.
    pub width: usize,
    /// A finished beam's score is its log-probability divided by its length to this power (as transformers has it; there the
    /// default is 1). 0, the default here, ranks by probability.
    pub length_penalty: f64,
    /// How finished beams are ranked again, once all are there.
    pub rerank: Rerank,
    /// The price of a nat of mean entropy, for `rerank=penalised`.
    pub weight: f64,
    /// How one is taken of them.
    pub last: Last,
}

impl Beam {
    /// A beam of some width, ranked by probability, of which the first is taken.
    pub fn of(width: usize) -> Self {
        Beam { width, length_penalty: 0.0, rerank: Rerank::None, weight: 1.0, last: Last::Best }
    }
}

/// How finished beams are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rerank {
    /// By their scores.
    #[default]
    None,
    /// By the mean entropy of the model's rows along them, least first.
    Entropy,
    /// By score less a price for mean entropy.
    Penalised,
}

/// How one of the ranked beams is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Last {
    /// The first.
    #[default]
    Best,
    /// The sampler draws one from the row of their scores, so a temperature that follows entropy follows how sure the search
    /// is of its result. (Stages that name tokens have no meaning there and are left out.)
    Sample,
}

/// What the best of several texts has most of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Mean log-probability of a token, in the model's own rows (OpenAI's `best_of`).
    #[default]
    Logprob,
    /// Certainty: the least mean entropy of the model's rows.
    Entropy,
    /// The mean divergence of the model's rows from the uniform one (Kang, Zhao and Song 2025, arXiv 2502.18581).
    SelfCertainty,
}

/// Why a text is not a strategy: names the field, what is allowed, what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeSpecError {
    /// Not of the form `name` or `name(value, field=value, ..)`.
    #[error("a strategy reads `name` or `name(value, field=value)`; given `{given}`")]
    Syntax {
        /// What stood there.
        given: String,
    },
    /// No strategy has this name.
    #[error("`{given}` is not a strategy; known are {}", NAMES.join(", "))]
    Unknown {
        /// The name given.
        given: String,
    },
    /// The strategy has no such field, or not so many.
    #[error("`{given}` is not a field of {strategy}; it has {known}")]
    UnknownField {
        /// The strategy.
        strategy: &'static str,
        /// What was given.
        given: String,
        /// Its fields.
        known: String,
    },
    /// A field stands twice.
    #[error("{strategy}: {field} is given twice")]
    Twice {
        /// The strategy.
        strategy: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field that must be given is not.
    #[error("{strategy} needs {field}, {allowed}")]
    Missing {
        /// The strategy.
        strategy: &'static str,
        /// The field.
        field: &'static str,
        /// What it may be.
        allowed: String,
    },
    /// A field's value is not allowed.
    #[error("{strategy}: {field} must be {allowed}; given `{given}`")]
    Value {
        /// The strategy.
        strategy: &'static str,
        /// The field.
        field: &'static str,
        /// What it may be.
        allowed: String,
        /// What was given.
        given: String,
    },
}

/// Every strategy's name.
const NAMES: [&str; 8] = ["sample", "greedy", "lookahead", "map", "beam", "stochastic_beam", "best_of", "mbr"];

/// How many model calls a search may take unless told otherwise.
const BUDGET: usize = 1000;

const RERANK: [(&str, Rerank); 3] =
    [("none", Rerank::None), ("entropy", Rerank::Entropy), ("penalised", Rerank::Penalised)];
const LAST: [(&str, Last); 2] = [("best", Last::Best), ("sample", Last::Sample)];
const BY: [(&str, By); 3] = [("logprob", By::Logprob), ("entropy", By::Entropy), ("self_certainty", By::SelfCertainty)];

impl DecodeSpec {
    /// Whether each token is certain as soon as it is decided, so that a text can be shown as it is made.
    pub fn streams(&self) -> bool {
        matches!(self, DecodeSpec::Sample | DecodeSpec::Greedy | DecodeSpec::Lookahead { .. })
    }

    /// Whether it is `sample`.
    pub fn is_sample(&self) -> bool {
        *self == DecodeSpec::Sample
    }

    /// Whether the text depends on the seed.
    pub fn is_random(&self) -> bool {
        match self {
            DecodeSpec::Greedy | DecodeSpec::Lookahead { .. } | DecodeSpec::Map { .. } => false,
            DecodeSpec::Beam(beam) => beam.last == Last::Sample,
            _ => true,
        }
    }
}

impl FromStr for DecodeSpec {
    type Err = DecodeSpecError;

    fn from_str(text: &str) -> Result<Self, DecodeSpecError> {
        let syntax = || DecodeSpecError::Syntax { given: text.chars().take(60).collect() };
        let (name, inside) = match text.trim().split_once('(') {
            Some((name, rest)) => (name.trim_end(), rest.strip_suffix(')').ok_or_else(syntax)?),
            None => (text.trim(), ""),
        };
        let Some(strategy) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(DecodeSpecError::Unknown { given: name.chars().take(60).collect() });
        };
        let args = |fields| Args::read(strategy, inside, fields);
        Ok(match strategy {
            "greedy" => args(&[]).map(|_| DecodeSpec::Greedy)?,
            "lookahead" => {
                let args = args(&["k", "budget"])?;
                DecodeSpec::Lookahead { k: args.count("k", 1, None)?, budget: args.count("budget", 1, Some(BUDGET))? }
            }
            "map" => {
                let args = args(&["len", "budget"])?;
                DecodeSpec::Map { len: args.count("len", 1, None)?, budget: args.count("budget", 1, Some(BUDGET))? }
            }
            "beam" => {
                let args = args(&["width", "length_penalty", "rerank", "weight", "final"])?;
                DecodeSpec::Beam(Beam {
                    width: args.count("width", 1, None)?,
                    length_penalty: args.number("length_penalty", -10.0..=10.0, 0.0)?,
                    rerank: args.choice("rerank", &RERANK)?,
                    weight: args.number("weight", 0.0..=1000.0, 1.0)?,
                    last: args.choice("final", &LAST)?,
                })
            }
            "stochastic_beam" => DecodeSpec::StochasticBeam { k: args(&["k"])?.count("k", 1, None)? },
            "best_of" => {
                let args = args(&["n", "by"])?;
                DecodeSpec::BestOf { n: args.count("n", 1, None)?, by: args.choice("by", &BY)? }
            }
            "mbr" => {
                let args = args(&["n", "loss"])?;
                DecodeSpec::Mbr {
                    n: args.count("n", 2, None)?,
                    loss: args.parsed("loss", Loss::ALLOWED, Loss::Hamming)?,
                }
            }
            _ => args(&[]).map(|_| DecodeSpec::Sample)?,
        })
    }
}

impl fmt::Display for DecodeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeSpec::Sample => f.write_str("sample"),
            DecodeSpec::Greedy => f.write_str("greedy"),
            DecodeSpec::Lookahead { k: n, budget } | DecodeSpec::Map { len: n, budget } => {
                let name = if matches!(self, DecodeSpec::Map { .. }) { "map" } else { "lookahead" };
                write!(f, "{name}({n}{})", told("budget", budget, &BUDGET))
            }
            DecodeSpec::Beam(beam) => {
                let rerank = told("rerank", name_of(&RERANK, beam.rerank), "none");
                let last = told("final", name_of(&LAST, beam.last), "best");
                let (penalty, weight) =
                    (told("length_penalty", &beam.length_penalty, &0.0), told("weight", &beam.weight, &1.0));
                write!(f, "beam({}{penalty}{rerank}{weight}{last})", beam.width)
            }
            DecodeSpec::StochasticBeam { k } => write!(f, "stochastic_beam({k})"),
            DecodeSpec::BestOf { n, by } => write!(f, "best_of({n}{})", told("by", name_of(&BY, *by), "logprob")),
            DecodeSpec::Mbr { n, loss } => write!(f, "mbr({n}{})", told("loss", loss, &Loss::Hamming)),
        }
    }
}

/// `,field=value`, unless that is the default.
fn told<T: fmt::Display + PartialEq + ?Sized>(field: &str, value: &T, default: &T) -> String {
    if value == default { String::new() } else { format!(",{field}={value}") }
}

fn name_of<T: PartialEq>(choices: &'static [(&'static str, T)], value: T) -> &'static str {
    choices.iter().find(|(_, choice)| *choice == value).map_or("", |(name, _)| name)
}

impl Serialize for DecodeSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DecodeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_comes_back(
            text in "(beam|map|mbr|best_of|lookahead|stochastic_beam|greedy|é)?[( ]?[a-z0-9=,.:_ é-]{0,24}[)]?"
        ) {
            if let Ok(spec) = text.parse::<DecodeSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }

    #[test]
    fn canonical_text_comes_back() {
        for (given, canonical) in [
            ("sample", "sample"),
            (" greedy() ", "greedy"),
            ("lookahead(3)", "lookahead(3)"),
            ("lookahead( budget = 50 , k = 3 )", "lookahead(3,budget=50)"),
            ("map(8,1000)", "map(8)"),
            ("beam(4)", "beam(4)"),
            (
                "beam(4,0.6,rerank=penalised,weight=2,final=sample)",
                "beam(4,length_penalty=0.6,rerank=penalised,weight=2,final=sample)",
            ),
            ("stochastic_beam(5)", "stochastic_beam(5)"),
            ("best_of(4)", "best_of(4)"),
            ("best_of(4,self_certainty)", "best_of(4,by=self_certainty)"),
            ("mbr(16)", "mbr(16)"),
            ("mbr(16, loss=ngram:3)", "mbr(16,loss=ngram:3)"),
            ("mbr(16,rouge_l)", "mbr(16,loss=rouge_l)"),
        ] {
            let spec: DecodeSpec = given.parse().unwrap();
            assert_eq!(spec.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(spec));
        }
    }

    #[test]
    fn errors_name_the_field_and_what_is_allowed() {
        for (given, message) in [
            ("beam(4", "a strategy reads `name` or `name(value, field=value)`; given `beam(4`"),
            (
                "Beam(4)",
                "`Beam` is not a strategy; known are sample, greedy, lookahead, map, beam, stochastic_beam, best_of, mbr",
            ),
            ("lookahead", "lookahead needs k, an integer >= 1"),
            ("map(0)", "map: len must be an integer >= 1; given `0`"),
            ("map(2.5)", "map: len must be an integer >= 1; given `2.5`"),
            ("mbr(1)", "mbr: n must be an integer >= 2; given `1`"),
            ("mbr(4,loss=mse)", "mbr: loss must be exact, hamming, ngram:N with N >= 1, bleu or rouge_l; given `mse`"),
            (
                "mbr(4,loss=ngram:0)",
                "mbr: loss must be exact, hamming, ngram:N with N >= 1, bleu or rouge_l; given `ngram:0`",
            ),
            ("beam(4,width=3)", "beam: width is given twice"),
            (
                "beam(4,1,none,1,best,6)",
                "`6` is not a field of beam; it has width, length_penalty, rerank, weight, final",
            ),
            ("beam(4,depth=3)", "`depth` is not a field of beam; it has width, length_penalty, rerank, weight, final"),
            ("beam(4,length_penalty=nan)", "beam: length_penalty must be a number in -10..=10; given `nan`"),
            ("beam(4,rerank=up)", "beam: rerank must be none, entropy or penalised; given `up`"),
            ("greedy(1)", "`1` is not a field of greedy; it has none"),
            ("best_of(99999999999999999999)", "best_of: n must be an integer >= 1; given `99999999999999999999`"),
        ] {
            assert_eq!(given.parse::<DecodeSpec>().unwrap_err().to_string(), message);
        }
    }
}
