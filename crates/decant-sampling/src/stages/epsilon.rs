//! `epsilon`: an absolute floor.

use super::{MIN_TOKENS_TO_KEEP, at_least};
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo, Stricter};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the tokens with at least a given probability.
///
/// # What it does
/// Drops every token whose probability is below eps.
///
/// # Why
/// A model is smoothed: it leaves a little probability on everything, and what has no more than that little was never
/// meant.
///
/// # Rule
/// Token i stays if p_i >= eps, p renormalised over the survivors. Where none reaches eps the top token stays, and its
/// equals. eps in 0..=1 (not in units of 1e-4, as some front-ends have it); 0 switches the stage off.
///
/// # Cost
/// One pass for Σe^l; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// Hewitt, Manning and Liang 2022, arXiv 2210.15191, section 4; usual are 3e-4 to 9e-4. The equals of the top token stay
/// as in transformers.
#[derive(Clone, Debug, PartialEq)]
pub struct Epsilon {
    /// The probability that a token must reach; 0 for none.
    pub eps: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for Epsilon {
    const INFO: StageInfo = StageInfo {
        name: "epsilon",
        aliases: &["epsilon_cutoff"],
        summary: "keeps the tokens with at least probability eps",
        fields: &[
            Field::value("the probability eps", Kind::required(Range::numbers(0.0, 1.0), &[0.0]))
                .usual(0.0009, 0.0..=0.01),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 70,
        source: "Hewitt et al. 2022, arXiv 2210.15191",
        stricter: Some(Stricter::Higher),
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Epsilon { eps: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.eps), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for Epsilon {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let eps = ranked.value(&self.eps);
        at_least(ranked, eps)
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_bound_is_part_of_what_stays() {
        assert_eq!(kept("epsilon=0.25", &[0.0; 4]), [0, 1, 2, 3]);
        assert_eq!(kept("epsilon=0.1", &[2.0, 0.0, 2.0]), [0, 2]);
    }

    #[test]
    fn where_none_reaches_it_the_top_and_its_equals_stay() {
        assert_eq!(kept("epsilon=0.9", &[1.0, 0.5, 1.0]), [0, 2]);
        assert_eq!(kept("epsilon=1", &[f32::NEG_INFINITY, 0.0]), [1]);
    }
}
