//! `top_b`: a share of the largest probability that sinks where the model is unsure.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};
use decant_kernels::rows::Want;

/// Keeps the tokens within a band below the most probable one that widens with the entropy.
///
/// # What it does
/// Drops every token whose probability is below a share of the largest one; the flatter the distribution, the lower the
/// share.
///
/// # Why
/// A fixed share (`min_p`) does not see how unsure the model is as a whole; the band opens up where it is.
///
/// # Rule
/// Token i stays if p_i >= p_max · (1 - b · (1 + H / ln V)), H the survivors' entropy in nats, V their number. b in
/// 0..=1; 1 switches the stage off (the band then reaches down to 0), 0 keeps the top token and its equals. Where one
/// token is possible it stays.
///
/// # Cost
/// One pass for H; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// arXiv 2603.14567; usual are 0.1 to 0.5.
#[derive(Clone, Debug, PartialEq)]
pub struct TopB {
    /// The width b of the band in a sure row; 1 for all.
    pub b: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for TopB {
    const INFO: StageInfo = StageInfo {
        name: "top_b",
        aliases: &[],
        summary: "keeps the tokens within a band below the largest probability that widens with the entropy",
        fields: &[
            Field::value("the width b of the band", Kind::required(Range::numbers(0.0, 1.0), &[1.0]))
                .usual(0.5, 0.0..=1.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 100,
        source: "arXiv 2603.14567",
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopB { b: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.b), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopB {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let b = ranked.value(&self.b);
        let flatness = match ranked.len() {
            1 => 0.0,
            v => ranked.entropy() / libm::log(v as f64),
        };
        let share = 1.0 - b * (1.0 + flatness);
        ranked.within(-libm::log(share.max(0.0)))
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_band_widens_with_the_entropy() {
        // The second token has 0.6 of the first one's probability in both rows.
        let second = 0.6_f32.ln();
        assert_eq!(kept("top_b=0.25", &[0.0, second, -9.0, -9.0]), [0]);
        assert_eq!(kept("top_b=0.25", &[0.0, second, 0.0, 0.0]), [0, 1, 2, 3]);
    }

    #[test]
    fn the_ends() {
        assert_eq!(kept("top_b=0", &[1.0, 0.5, 1.0]), [0, 2]);
        assert_eq!(kept("top_b=0.5", &[f32::NEG_INFINITY, 0.0]), [1]);
        assert_eq!(kept("top_b=0.5", &[0.0; 5]).len(), 5);
    }
}
