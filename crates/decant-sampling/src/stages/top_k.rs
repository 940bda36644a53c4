//! `top_k`: the k most probable tokens.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo, Stricter};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the k most probable tokens.
///
/// # What it does
/// Drops every token but the k most probable ones.
///
/// # Why
/// The tail of a language model's distribution is long and unreliable: thousands of tokens, each improbable, together
/// often enough drawn to derail a text.
///
/// # Rule
/// The first k of the survivors in falling probability; among equals the lower id comes first, so exactly k stay (all of
/// them if there are fewer). k is a whole number >= -1; 0 and -1 switch the stage off. A schedule's value is rounded to
/// the nearest whole number.
///
/// # Cost
/// One threshold search; the k tokens are never sorted among themselves.
///
/// # Precision
/// Exact: it compares logits and computes nothing.
///
/// # Source
/// Fan, Lewis and Dauphin 2018, arXiv 1805.04833, section 5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// How many tokens stay; 0 or -1 for all.
    pub k: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for TopK {
    const INFO: StageInfo = StageInfo {
        name: "top_k",
        aliases: &[],
        summary: "keeps the k most probable tokens",
        fields: &[
            Field::value("how many tokens stay", Kind::required(Range::integers_from(-1.0), &[0.0, -1.0]))
                .usual(40.0, 0.0..=100.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 30,
        source: "Fan et al. 2018, arXiv 1805.04833",
        keeps_argmax: true,
        temperature_invariant: true,
        order_sensitive: true,
        stricter: Some(Stricter::Lower),
        greedy: &[1.0],
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopK { k: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.k), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopK {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        match ranked.count(&self.k) {
            0 => ranked.len(),
            k => k,
        }
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}
