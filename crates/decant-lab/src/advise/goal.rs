//! What a text is wanted for.

use decant_decode::Loss;
use std::fmt;
use std::str::FromStr;

/// What a text is wanted for, and with it the loss that its decoder is to keep small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Goal {
    /// `exact`: the whole answer right (0-1 loss).
    Exact,
    /// `tokens`: as many tokens right as possible (Hamming loss).
    Tokens,
    /// `phrases:N`: runs of N tokens right (N-gram Hamming loss).
    Phrases(usize),
    /// `mimic`: sound like the source (cross-entropy of the decoder's own law).
    Mimic,
    /// `creative`: good texts that differ: likelihood against diversity, a frontier rather than a loss.
    Creative,
}

/// Not the name of a goal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a goal is exact, tokens, phrases:N with N >= 1, mimic or creative; given `{given}`")]
pub struct UnknownGoal {
    /// What was given.
    pub given: String,
}

impl Goal {
    /// The loss between two texts that the goal stands for, where it is one.
    pub fn loss(self) -> Option<Loss> {
        match self {
            Goal::Exact => Some(Loss::Exact),
            Goal::Tokens => Some(Loss::Hamming),
            Goal::Phrases(n) => Some(Loss::Ngram(n)),
            Goal::Mimic | Goal::Creative => None,
        }
    }

    /// The unit of its risk, in words.
    pub fn unit(self) -> &'static str {
        match self {
            Goal::Exact => "probability that the text is not the one wanted",
            Goal::Tokens => "share of wrong tokens",
            Goal::Phrases(_) => "share of wrong phrases",
            Goal::Mimic => "cross-entropy, nats a text",
            Goal::Creative => "mean log-probability of a token, nats",
        }
    }
}

impl FromStr for Goal {
    type Err = UnknownGoal;

    fn from_str(text: &str) -> Result<Self, UnknownGoal> {
        let n = || text.strip_prefix("phrases:")?.parse().ok().filter(|n| *n > 0);
        match text {
            "exact" => Ok(Goal::Exact),
            "tokens" => Ok(Goal::Tokens),
            "mimic" => Ok(Goal::Mimic),
            "creative" => Ok(Goal::Creative),
            _ => n().map(Goal::Phrases).ok_or_else(|| UnknownGoal { given: text.chars().take(60).collect() }),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Exact => f.write_str("exact"),
            Goal::Tokens => f.write_str("tokens"),
            Goal::Phrases(n) => write!(f, "phrases:{n}"),
            Goal::Mimic => f.write_str("mimic"),
            Goal::Creative => f.write_str("creative"),
        }
    }
}
