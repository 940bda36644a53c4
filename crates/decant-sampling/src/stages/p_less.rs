//! `p_less`: a floor at the probability that two draws agree.

use super::{MIN_TOKENS_TO_KEEP, at_least};
use crate::Schedule;
use crate::catalog::{Field, Kind, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};
use decant_kernels::rows::Want;

/// Keeps the tokens that are at least as probable as it is to draw the same token twice.
///
/// # What it does
/// Drops every token whose probability is below the distribution's own mean probability, Σp².
///
/// # Why
/// There is nothing to tune: the floor follows from the whole distribution, high where it is peaked and low where it is
/// flat, at every temperature.
///
/// # Rule
/// Token i stays if p_i >= Σp², p renormalised over the V survivors; with `norm=true` if p_i >= (V Σp² - 1) / (V - 1),
/// which is lower and 0 for a uniform distribution. The top token always stays, for p_max >= Σp². Where one token is
/// possible it stays. `p_less` alone and `p_less=true` are the same; `p_less=false` switches the stage off.
///
/// # Cost
/// One pass for Σe^l and Σe^2l; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// arXiv 2509.23234.
#[derive(Clone, Debug, PartialEq)]
pub struct PLess {
    /// Whether the stage acts at all.
    pub on: bool,
    /// Whether the floor is normalised, 0 for a uniform distribution.
    pub norm: bool,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for PLess {
    const INFO: StageInfo = StageInfo {
        name: "p_less",
        aliases: &[],
        summary: "keeps the tokens that are at least as probable as two draws that agree",
        fields: &[
            Field::value("whether the stage acts", Kind::Switch { default: true }),
            Field::new("norm", "whether the floor is 0 for a uniform distribution", Kind::Switch { default: false }),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 90,
        source: "arXiv 2509.23234",
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        PLess {
            on: params.is_on("value"),
            norm: params.is_on("norm"),
            min_tokens_to_keep: params.number("min_tokens_to_keep"),
        }
    }

    fn write(&self) -> Params {
        Params::numbers([("min_tokens_to_keep", &self.min_tokens_to_keep)])
            .switch("value", self.on)
            .switch("norm", self.norm)
    }

    fn want(&self) -> Want {
        Want { squares: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for PLess {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let (v, agree) = (ranked.len() as f64, ranked.collision());
        match (self.on, self.norm) {
            (false, _) => ranked.len(),
            (true, false) => at_least(ranked, agree),
            // 1 where v is 1; never below 0, where rounding would lead in a flat row.
            (true, true) => at_least(ranked, ((v * agree - 1.0) / (v - 1.0).max(1.0)).max(0.0)),
        }
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_normalised_floor_is_lower() {
        // p = 0.5, 0.3, 0.2: Σp² = 0.38, normalised 0.07.
        let row = [0.5_f32, 0.3, 0.2].map(f32::ln);
        assert_eq!(kept("p_less", &row), [0]);
        assert_eq!(kept("p_less:norm=true", &row), [0, 1, 2]);
        assert_eq!(kept("p_less=false", &row), [0, 1, 2]);
    }

    #[test]
    fn all_of_a_uniform_row_stay() {
        for spec in ["p_less", "p_less:norm=true"] {
            for len in [1, 2, 3, 10, 1000] {
                assert_eq!(kept(spec, &vec![0.7; len]).len(), len, "{spec}");
            }
            assert_eq!(kept(spec, &[f32::NEG_INFINITY, 0.0]), [1]);
        }
    }
}
