//! `top_p`: the nucleus.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the nucleus: the shortest prefix that holds mass p.
///
/// # What it does
/// Keeps the most probable tokens until together they hold a share p of the probability.
///
/// # Why
/// A fixed number of tokens is too many where the model is sure and too few where it is not; a fixed mass adapts.
///
/// # Rule
/// With the survivors' probabilities, renormalised, in falling order (lower id first among equals): the smallest k >= 1
/// with p_1 + .. + p_k >= p. p in 0..=1; 1 switches the stage off, 0 keeps the top token alone.
///
/// # Cost
/// One threshold search over partial sums of mass; nothing is sorted as a whole.
///
/// # Precision
/// Masses are summed in f64 in one fixed order.
///
/// # Source
/// Holtzman, Buys, Du, Forbes and Choi 2019, arXiv 1904.09751, section 3.1.
#[derive(Clone, Debug, PartialEq)]
pub struct TopP {
    /// The mass to reach; 1 for all.
    pub p: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for TopP {
    const INFO: StageInfo = StageInfo {
        name: "top_p",
        aliases: &[],
        summary: "keeps the nucleus: the shortest prefix that holds mass p",
        fields: &[
            Field::value("the mass p", Kind::required(Range::numbers(0.0, 1.0), &[1.0])).usual(0.95, 0.0..=1.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 40,
        source: "Holtzman et al. 2019, arXiv 1904.09751",
        keeps_argmax: true,
        temperature_invariant: false,
        order_sensitive: true,
        greedy: &[0.0],
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopP { p: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.p), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopP {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        match ranked.value(&self.p) {
            1.0 => ranked.len(),
            p => ranked.shortest(|prefix| prefix.mass() >= p),
        }
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}
