//! `min_p`: a floor relative to the most probable token.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo, Stricter};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the tokens that are not too improbable beside the most probable one.
///
/// # What it does
/// Drops every token whose probability is below a share of the largest probability.
///
/// # Why
/// What counts as improbable depends on the best alternative: where one token stands out the floor rises, where many are
/// alike it falls.
///
/// # Rule
/// Token i stays if p_i >= ratio · p_max. ratio in 0..=1; 0 switches the stage off, 1 keeps the top token and its equals.
///
/// # Cost
/// Compares logits with one bound, l_max + ln ratio; no exponential at all.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// Nguyen et al. 2024, arXiv 2407.01082, section 3. Its claims are disputed in arXiv 2506.13681.
#[derive(Clone, Debug, PartialEq)]
pub struct MinP {
    /// The share of the largest probability that a token must reach; 0 for none.
    pub ratio: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for MinP {
    const INFO: StageInfo = StageInfo {
        name: "min_p",
        aliases: &[],
        summary: "keeps the tokens with at least a share of the largest probability",
        fields: &[
            Field::value("the share of the largest probability", Kind::required(Range::numbers(0.0, 1.0), &[0.0]))
                .usual(0.05, 0.0..=0.5),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 50,
        source: "Nguyen et al. 2024, arXiv 2407.01082; critique: arXiv 2506.13681",
        keeps_argmax: true,
        temperature_invariant: false,
        order_sensitive: false,
        stricter: Some(Stricter::Higher),
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        MinP { ratio: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.ratio), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for MinP {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let ratio = ranked.value(&self.ratio);
        ranked.within(-libm::log(ratio))
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}
