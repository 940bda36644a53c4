//! `eta`: a floor that sinks where the model is unsure.

use super::{MIN_TOKENS_TO_KEEP, at_least};
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};
use decant_kernels::rows::Want;

/// Keeps the tokens with at least a probability that depends on the entropy.
///
/// # What it does
/// Drops every token whose probability is below eps, or below a lower floor where the distribution is flat.
///
/// # Why
/// Where many words would do, each has little probability, and an absolute floor would drop good ones.
///
/// # Rule
/// Token i stays if p_i >= min(eps, sqrt(eps) · e^-H), p renormalised over the survivors, H its entropy in nats. Where
/// none reaches the floor the top token stays, and its equals. eps in 0..=1; 0 switches the stage off.
///
/// # Cost
/// One pass for Σe^l and H; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// Hewitt, Manning and Liang 2022, arXiv 2210.15191, section 4, with alpha = sqrt(eps) as in their experiments and in
/// transformers; usual are 2e-4 to 4e-3. The equals of the top token stay as in transformers.
#[derive(Clone, Debug, PartialEq)]
pub struct Eta {
    /// The probability eps; 0 for none.
    pub eps: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for Eta {
    const INFO: StageInfo = StageInfo {
        name: "eta",
        aliases: &["eta_cutoff"],
        summary: "keeps the tokens with at least probability min(eps, sqrt(eps) e^-H)",
        fields: &[
            Field::value("the probability eps", Kind::required(Range::numbers(0.0, 1.0), &[0.0]))
                .usual(0.0009, 0.0..=0.01),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 80,
        source: "Hewitt et al. 2022, arXiv 2210.15191",
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Eta { eps: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.eps), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for Eta {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let eps = ranked.value(&self.eps);
        let floor = eps.min(eps.sqrt() * libm::exp(-ranked.entropy()));
        at_least(ranked, floor)
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn a_flat_row_sinks_the_floor() {
        // p = 1/8 each: eps alone would keep the top's equals, which is all; a little below them only the sunken floor keeps.
        let row = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(kept("epsilon=0.25", &row), [0]);
        assert_eq!(kept("eta=0.25", &row).len(), 8);
    }

    #[test]
    fn a_sure_row_has_the_absolute_floor() {
        assert_eq!(kept("eta=0.01", &[9.0, 0.0, 5.0]), [0, 2]);
        assert_eq!(kept("eta=1", &[0.0]), [0]);
    }
}
