//! What is odd in a chain of stages: from the catalog's facts, so that a new stage is judged without a word here.

use super::SamplerSpec;
use crate::Schedule;
use crate::catalog::{Role, StageInfo, Stricter};
use crate::spec::At;
use crate::spec::build::{Param, Params};
use crate::stages::Stage;
use std::fmt;

/// Something in a spec that does what it says, but hardly what was meant. Stages go by their canonical text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A rule that is meant for logits no temperature has touched stands after a temperature.
    AfterTemperature {
        /// The rule.
        stage: String,
        /// The temperature.
        temperature: String,
    },
    /// Tokens are dropped before a stage that would change single tokens' logits.
    BeforeAdjustment {
        /// What drops them.
        truncation: String,
        /// What comes too late for them.
        adjustment: String,
    },
    /// A stage finds one token left, whatever the row.
    OneLeft {
        /// The stage.
        stage: String,
        /// What leaves one token.
        greedy: String,
    },
    /// A stage drops nothing that another one of its kind has left, or would not drop.
    Dead {
        /// The stage.
        stage: String,
        /// The stricter one.
        stricter: String,
    },
    /// A stage stands after one that steers by what is drawn.
    AfterFeedback {
        /// The stage.
        stage: String,
        /// The one that means to be last.
        feedback: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::AfterTemperature { stage, temperature } => {
                write!(f, "{stage} is meant for logits before any temperature, but {temperature} stands before it")
            }
            Warning::BeforeAdjustment { truncation, adjustment } => {
                write!(f, "{adjustment} stands after {truncation}, so it does not reach the tokens dropped there")
            }
            Warning::OneLeft { stage, greedy } => {
                write!(f, "{stage} changes nothing, for {greedy} leaves it one token")
            }
            Warning::Dead { stage, stricter } => write!(f, "{stage} changes nothing beside {stricter}"),
            Warning::AfterFeedback { stage, feedback } => {
                write!(f, "{feedback} steers by what is drawn and is meant to stand last, but {stage} stands after it")
            }
        }
    }
}

impl SamplerSpec {
    /// What is odd in the chain, in its order, each oddity once: no error, for it may be meant. Stages at a neutral value
    /// count as absent.
    ///
    /// ```
    /// use decant_sampling::SamplerSpec;
    /// let spec: SamplerSpec = "top_k=50,top_k=100".parse()?;
    /// assert_eq!(spec.warnings()[0].to_string(), "top_k=100 changes nothing beside top_k=50");
    /// # Ok::<(), decant_sampling::SpecError>(())
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        let stages: Vec<&Stage> = self.0.iter().filter(|stage| !stage.is_neutral()).collect();
        let mut warnings = Vec::new();
        for (place, stage) in stages.iter().enumerate() {
            for warning in about(stage, &stages[..place]) {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        warnings
    }
}

/// What is odd about a stage after those before it. Where one token is left nothing else matters.
fn about(stage: &Stage, before: &[&Stage]) -> Vec<Warning> {
    let (info, text) = (stage.info(), || stage.to_string());
    if let Some(greedy) = before.iter().find(|other| leaves_one(other)) {
        return vec![Warning::OneLeft { stage: text(), greedy: greedy.to_string() }];
    }
    let first =
        |odd: fn(&StageInfo) -> bool| before.iter().find(|other| odd(other.info())).map(|other| other.to_string());
    let mut warnings = Vec::new();
    if info.before_temperature {
        let temperature = first(|other| other.role == Role::Temperature);
        warnings.extend(temperature.map(|temperature| Warning::AfterTemperature { stage: text(), temperature }));
    }
    if info.role == Role::Adjustment {
        let truncation = first(|other| other.role == Role::Truncation && !other.last);
        warnings.extend(truncation.map(|truncation| Warning::BeforeAdjustment { truncation, adjustment: text() }));
    }
    let feedback = first(|other| other.last);
    warnings.extend(feedback.map(|feedback| Warning::AfterFeedback { stage: text(), feedback }));
    warnings.extend(dead_pair(stage, before));
    warnings
}

/// Whether a stage leaves one token of any row.
fn leaves_one(stage: &Stage) -> bool {
    let params = stage.write();
    let keeps_more = matches!(params.get("min_tokens_to_keep"), Some(Param::Number(least)) if !at_most_one(least));
    constant(&params).is_some_and(|value| stage.info().greedy.contains(&value)) && !keeps_more
}

fn at_most_one(least: &Schedule) -> bool {
    matches!(least, Schedule::Constant(least) if *least <= 1.0)
}

/// The looser of two stages of one kind, where it drops nothing that the stricter one leaves.
fn dead_pair(stage: &Stage, before: &[&Stage]) -> Option<Warning> {
    let info = stage.info();
    let params = stage.write();
    let (stricter, value) = (info.stricter?, constant(&params)?);
    // From where on nothing stands between that might matter.
    let harmless = |other: &Stage| match other.info().role {
        Role::Truncation => true,
        Role::Temperature => info.temperature_invariant,
        Role::Adjustment | Role::Shaping => false,
    };
    for (distance, other) in before.iter().rev().enumerate() {
        if other.info().name == info.name && differ_in_value_alone(&params, &other.write()) {
            let before = constant(&other.write())?;
            let looser = match stricter {
                Stricter::Lower => before <= value,
                Stricter::Higher => before >= value,
            };
            // The looser of two neighbours may as well be the first, if its cut is nothing that the second's depends on.
            return match looser {
                true => Some(Warning::Dead { stage: stage.to_string(), stricter: other.to_string() }),
                false if distance == 0 && !info.order_sensitive => {
                    Some(Warning::Dead { stage: other.to_string(), stricter: stage.to_string() })
                }
                false => None,
            };
        }
        if !harmless(other) {
            return None;
        }
    }
    None
}

/// The main value of a stage, if it is always the same number.
fn constant(params: &Params) -> Option<f64> {
    match params.get(At::VALUE)? {
        Param::Number(Schedule::Constant(value)) => Some(*value),
        _ => None,
    }
}

fn differ_in_value_alone(a: &Params, b: &Params) -> bool {
    let others = |params: &Params| params.0.iter().filter(|(name, _)| *name != At::VALUE).cloned().collect::<Vec<_>>();
    others(a) == others(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(spec: &str) -> Vec<String> {
        spec.parse::<SamplerSpec>().unwrap().warnings().iter().map(Warning::to_string).collect()
    }

    #[test]
    fn sensible_chains_give_none() {
        for spec in [
            "",
            "temp=0",
            "temp=0.8,top_h=0.4",
            "temp=0.8,top_h=0.4,top_k=50,top_p=0.9,min_p=0.05,typical=0.95,epsilon=3e-4,eta=3e-4",
            "repetition_penalty=1.1,frequency_penalty=0.1,dry=0.8,top_n_sigma=1,top_k=40,typical=0.9,top_p=0.95,min_p=0.05,\
             xtc=0.5,temp=0.8",
            "top_k=40,top_p=0.95,min_p=0.05,temp=0.8",
            "min_p=0.02,temp=1.2,adaptive_p=0.4",
            "temp=0.9,mirostat=2",
            "top_p=0.9,top_p=0.8",
            "top_p=0.8,top_p=0.9",
            "min_p=0.1,temp=0.5,min_p=0.05",
            "top_k=100,top_k=50",
            "min_k=3,temp=0.7",
            // Neutral stages are not there.
            "top_k=0,repetition_penalty=1,temp=1,top_n_sigma=1,mirostat=0,adaptive_p=-1,top_p=0.9",
            "temp=1,top_k=50,top_k=0",
            "top_p=0,top_k=50".replace("top_p=0,", "top_p=0:min_tokens_to_keep=3,").as_str(),
        ] {
            assert_eq!(warnings(spec), [""; 0], "{spec}");
        }
    }

    #[test]
    fn every_oddity_is_told_once() {
        for (spec, told) in [
            (
                "temp=0.7,top_n_sigma=1",
                &["top_n_sigma=1 is meant for logits before any temperature, but temp=0.7 stands before it"][..],
            ),
            (
                "dynatemp=0.5:high=1.5,min_k=3",
                &["min_k=3 is meant for logits before any temperature, but dynatemp=0.5:high=1.5 stands before it"],
            ),
            (
                "top_k=40,top_p=0.9,presence_penalty=0.5",
                &["presence_penalty=0.5 stands after top_k=40, so it does not reach the tokens dropped there"],
            ),
            ("top_k=50,temp=0.5,top_k=100", &["top_k=100 changes nothing beside top_k=50"]),
            ("top_k=50,top_k=50", &["top_k=50 changes nothing beside top_k=50"]),
            ("min_p=0.1,top_p=0.9,min_p=0.05", &["min_p=0.05 changes nothing beside min_p=0.1"]),
            ("min_p=0.05,min_p=0.1", &["min_p=0.05 changes nothing beside min_p=0.1"]),
            ("epsilon=0.01,epsilon=0.001", &["epsilon=0.001 changes nothing beside epsilon=0.01"]),
            (
                "temp=0,top_p=0.9,min_p=0.1",
                &[
                    "top_p=0.9 changes nothing, for temp=0 leaves it one token",
                    "min_p=0.1 changes nothing, for temp=0 leaves it one token",
                ],
            ),
            ("top_k=1,temp=0.5,temp=0.5", &["temp=0.5 changes nothing, for top_k=1 leaves it one token"]),
            (
                "adaptive_p=0.4,temp=0.8",
                &["adaptive_p=0.4 steers by what is drawn and is meant to stand last, but temp=0.8 stands after it"],
            ),
            (
                "mirostat=2,top_k=40",
                &["mirostat=2 steers by what is drawn and is meant to stand last, but top_k=40 stands after it"],
            ),
        ] {
            assert_eq!(warnings(spec), told, "{spec}");
        }
    }
}
