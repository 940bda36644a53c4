//! `top_a`: a floor by the square of the largest probability.

use super::{MIN_TOKENS_TO_KEEP, at_least};
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the tokens that are not too improbable for how sure the model is.
///
/// # What it does
/// Drops every token whose probability is below a times the square of the largest one.
///
/// # Why
/// Like `min_p`, but the floor sinks faster as the top token loses weight: almost nothing is dropped from a flat row.
///
/// # Rule
/// Token i stays if p_i >= a · p_max², p renormalised over the survivors. a in 0..=1; 0 switches the stage off. The top
/// token always stays, for p_max >= a · p_max².
///
/// # Cost
/// One pass for Σe^l; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// Front-ends for story writing (BlinkDL's RWKV, then KoboldAI); no paper.
#[derive(Clone, Debug, PartialEq)]
pub struct TopA {
    /// The factor of the squared largest probability; 0 for none.
    pub a: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for TopA {
    const INFO: StageInfo = StageInfo {
        name: "top_a",
        aliases: &[],
        summary: "keeps the tokens with at least a times the square of the largest probability",
        fields: &[
            Field::value("the factor a", Kind::required(Range::numbers(0.0, 1.0), &[0.0])).usual(0.2, 0.0..=1.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 110,
        source: "front-ends, after BlinkDL's RWKV",
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopA { a: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.a), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopA {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let (a, p_max) = (ranked.value(&self.a), ranked.max_prob());
        at_least(ranked, a * p_max * p_max)
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_floor_sinks_with_the_square() {
        // p = 0.5, 0.25, 0.25 and a floor of a/4; then 0.9, 0.05, 0.05 and one of 0.81 a.
        assert_eq!(kept("top_a=0.9", &[2_f32.ln(), 0.0, 0.0]), [0, 1, 2]);
        assert_eq!(kept("top_a=0.1", &[18_f32.ln(), 0.0, 0.0]), [0]);
        assert_eq!(kept("top_a=1", &[f32::NEG_INFINITY, 0.0]), [1]);
    }
}
