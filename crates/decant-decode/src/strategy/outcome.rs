//! What a strategy found, and what it took.

use crate::Finish;
use decant_sampling::TokenId;
use serde::{Deserialize, Serialize};

/// What was spent on a text, beyond feeding its prompt and telling its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Rows that the model was asked for: its calls, if nothing ran in batches.
    pub calls: u64,
    /// Batches that they came in.
    pub batches: u64,
    /// Tokens fed for them.
    pub tokens: u64,
}

impl Cost {
    /// A batch that fed a token to each of so many sequences, and so asked for as many rows.
    pub(super) fn count(&mut self, batches: u64, rows: usize) {
        self.batches += batches;
        self.calls += rows as u64;
        self.tokens += rows as u64;
    }
}

/// One of the texts that a strategy had to choose from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The generated tokens, an end token included.
    pub tokens: Vec<TokenId>,
    /// Why it ended.
    pub finish: Finish,
    /// ln P of the tokens in the law that was searched or, where they were drawn, in the model's own rows.
    pub logprob: f64,
    /// Mean entropy of the model's rows along it, in nats.
    pub entropy: f64,
    /// What the strategy ranks by, greater first.
    pub score: f64,
    /// The estimated risk, for `mbr`: its mean loss against the other candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<f64>,
    /// The probability that it is among the texts drawn, given the threshold, for `stochastic_beam`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion: Option<f64>,
}

/// What came of a strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why the text ended.
    pub finish: Finish,
    /// For searches: whether the result is proven to be what was searched for, rather than the best that the budget found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<bool>,
    /// For `map`: the ln P that no text exceeds, so the result's own where that is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// What it took.
    pub cost: Cost,
    /// The texts that it had to choose from, best first; none where each token was final at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// Which of them was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<usize>,
}

impl Outcome {
    /// One text without rivals.
    pub fn of_one(finish: Finish, cost: Cost) -> Self {
        Outcome { finish, proven: None, bound: None, cost, candidates: Vec::new(), chosen: None }
    }

    /// Texts, best first (at least one), of which the first is taken.
    pub(super) fn of(candidates: Vec<Candidate>, cost: Cost) -> Self {
        Outcome { chosen: Some(0), finish: candidates[0].finish, proven: None, bound: None, cost, candidates }
    }

    /// The same candidates, of which another is taken.
    pub(super) fn choosing(self, chosen: usize) -> Self {
        Outcome { finish: self.candidates[chosen].finish, chosen: Some(chosen), ..self }
    }

    /// The candidate that was taken.
    ///
    /// # Panics
    /// If there are no candidates.
    pub(super) fn chosen(&self) -> &Candidate {
        &self.candidates[self.chosen.unwrap_or(0)]
    }
}
