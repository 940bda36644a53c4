//! The ways in which a stage acts on a row.

use crate::{Ranked, Schedule, Signals};

/// The ways in which a stage acts.
pub(crate) enum Effect<'a> {
    /// Divides the logits by a number.
    Temperature(&'a dyn Temper),
    /// Keeps the first of the ranked survivors.
    Truncation(&'a dyn Truncate),
    /// Changes logits one by one.
    Rewriting(&'a dyn Rewrite),
}

/// A rule that says how hot.
pub(crate) trait Temper {
    /// T >= 0; 0 is greedy.
    fn temperature(&self, ranked: &mut Ranked<'_>) -> f64;
}

/// A prefix rule says how many of the ranked survivors to keep: 1..=len.
pub trait Truncate {
    /// How many to keep. Prefix rules stop in one of two ways: [`Ranked::longest`] or [`Ranked::shortest`].
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize;

    /// The least number to keep, whatever the rule says.
    fn min_tokens_to_keep(&self) -> &Schedule;
}

/// A rule that changes logits, each by itself: [`Ranked::change`], [`Ranked::reshape`], [`Ranked::drop_first`].
pub(crate) trait Rewrite {
    fn rewrite(&self, ranked: &mut Ranked<'_>);
}

/// A stage that learns from what was drawn. What it knows is one number, kept in the text's [`Memory`](crate::Memory).
pub(crate) trait Learn {
    /// What it knows before the first token.
    fn start(&self, ranked: &mut Ranked<'_>) -> f64;

    /// What it knows after a token whose probability, as this stage found it, was `p`. The signals are those of the row
    /// that the token was drawn from.
    fn learn(&self, signals: &Signals, memory: f64, p: f64) -> f64;
}
