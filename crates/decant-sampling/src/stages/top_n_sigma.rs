//! `top_n_sigma`: standard deviations below the largest logit.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the tokens whose logits are within n standard deviations of the largest.
///
/// # What it does
/// Drops every token whose logit lies more than n standard deviations, of all logits, below the largest one.
///
/// # Why
/// The mass of a vocabulary's logits is noise around a mean; the few that mean something stand out above it. How far, a
/// temperature does not change: however hot, the same tokens stay.
///
/// # Rule
/// Token i stays if l_i >= l_max - n · std(l), std the population's standard deviation over the survivors. n >= -1; 0
/// and less switch the stage off. Where all logits are equal all stay. Temperatures scale both sides alike, so they
/// change nothing, before it or after.
///
/// # Cost
/// One pass over the logits for mean and variance; no exponential at all.
///
/// # Precision
/// Sums in f64 about the largest logit, in token order.
///
/// # Source
/// Tang, Liu, Luo and Li 2024, arXiv 2411.07641. -1 is llama.cpp's off.
#[derive(Clone, Debug, PartialEq)]
pub struct TopNSigma {
    /// How many standard deviations; 0 or less for all.
    pub n: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for TopNSigma {
    const INFO: StageInfo = StageInfo {
        name: "top_n_sigma",
        aliases: &["nsigma"],
        summary: "keeps the tokens within n standard deviations of the largest logit",
        fields: &[
            Field::value(
                "how many standard deviations",
                Kind::required(Range::numbers(-1.0, f64::INFINITY), &[0.0, -1.0]),
            )
            .usual(1.0, 0.0..=4.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 8,
        source: "Tang et al. 2024, arXiv 2411.07641",
        temperature_invariant: true,
        before_temperature: true,
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopNSigma { n: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.n), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopNSigma {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let n = ranked.value(&self.n);
        if n <= 0.0 {
            return ranked.len();
        }
        let depth = n * ranked.std();
        ranked.within(depth)
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
        // mean 1, std 1: the bound of n = 2 is 0.
        assert_eq!(kept("top_n_sigma=2", &[2.0, 0.0]), [0, 1]);
        assert_eq!(kept("top_n_sigma=1.9", &[2.0, 0.0]), [0]);
    }

    #[test]
    fn forbidden_tokens_do_not_count() {
        let none = f32::NEG_INFINITY;
        assert_eq!(kept("top_n_sigma=2", &[none, 2.0, none, 0.0]), [1, 3]);
        assert_eq!(kept("top_n_sigma=0.1", &[5.0; 3]), [0, 1, 2]);
        assert_eq!(kept("top_n_sigma=1", &[none, 5.0]), [1]);
    }

    #[test]
    fn whatever_is_not_positive_is_off() {
        assert_eq!(kept("top_n_sigma=-0.5", &[9.0, 0.0, 0.0]).len(), 3);
    }
}
