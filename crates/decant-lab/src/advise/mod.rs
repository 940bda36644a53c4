//! Which decoder serves a goal on a real model: risks estimated on references that the model itself draws.
//!
//! Random sampling is the one decoder that is consistent with the model's own law, so what it draws stands for the truth
//! (Trauger and Tewari 2025, arXiv 2505.11183). A goal is a loss; a decoder's risk is its mean loss against such references
//! ([`Risks`]), and which decoder is best is said only as far as resampling bears it out ([`Advice`]). Creation has no such
//! loss: there quality is weighed against diversity ([`Frontier`], [`Outlook`]).

mod bootstrap;
mod contender;
mod frontier;
mod goal;
mod outlook;
mod ranking;
mod risks;

pub use contender::{Contender, ContenderError};
pub use frontier::{Family, Frontier};
pub use goal::{Goal, UnknownGoal};
pub use outlook::{FamilyScore, Outlook, Setting};
pub use ranking::{Advice, Ranked};
pub use risks::Risks;

use serde::Serialize;

/// How much is drawn and spent for an advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// How many tokens a text has, at most; at least 1.
    pub len: usize,
    /// How many references are drawn for each prompt (for `creative`: texts of each sampler); at least 2.
    pub references: usize,
    /// How many texts of each decoder that draws are averaged.
    pub draws: usize,
    /// How many model calls a decoder may spend on one text, at least as many as the text has tokens.
    pub budget: usize,
}
