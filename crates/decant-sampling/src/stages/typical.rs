//! `typical`: locally typical sampling.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};
use decant_kernels::rows::Want;

/// Keeps the tokens whose information is nearest to the entropy.
///
/// # What it does
/// Ranks the tokens by how far their information content is from the expected one, and keeps the nearest ones until
/// together they hold a share tau of the probability.
///
/// # Why
/// People's words carry about as much information as could be expected at that place: seldom far more, and seldom far
/// less. The most probable token may say too little, and go.
///
/// # Rule
/// With the survivors' probabilities, renormalised, and H their entropy in nats: ranked by |-ln p_i - H|, nearest first
/// (lower id first among equals), the shortest list with mass >= tau. Not a prefix of falling probability: the most
/// probable token may be dropped. tau in 0..=1; 1 switches the stage off, 0 keeps the most typical token alone. Where all
/// are equally probable they are equally typical, and the lower ids stay.
///
/// # Cost
/// One pass for H, then a threshold search outwards from the logit that stands for H; nothing is sorted as a whole.
///
/// # Precision
/// H and masses in f64, in one fixed order; a distance is rounded to f32 before it ranks.
///
/// # Source
/// Meister, Pimentel, Wiher and Cotterell 2022, arXiv 2202.00666, section 4. transformers keeps all tokens that are as
/// far off as the last one kept; here the list ends where tau is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Typical {
    /// The mass to reach; 1 for all.
    pub tau: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for Typical {
    const INFO: StageInfo = StageInfo {
        name: "typical",
        aliases: &["typical_p", "typ_p"],
        summary: "keeps the tokens whose information is nearest to the entropy, up to mass tau",
        fields: &[
            Field::value("the mass tau", Kind::required(Range::numbers(0.0, 1.0), &[1.0])).usual(0.95, 0.0..=1.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 60,
        source: "Meister et al. 2022, arXiv 2202.00666",
        keeps_argmax: false,
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Typical { tau: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.tau), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for Typical {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let tau = ranked.value(&self.tau);
        if tau >= 1.0 {
            return ranked.len();
        }
        ranked.by_typicality();
        ranked.shortest(|prefix| prefix.mass() >= tau)
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_most_probable_token_may_go() {
        // -ln p is 0.92 and twelve times 3.00: H = 2.16 lies nearer to the twelve.
        let mut row = [0.05_f32.ln(); 13];
        row[4] = 0.4_f32.ln();
        assert_eq!(kept("typical=0.28", &row), [0, 1, 2, 3, 5, 6]);
        assert_eq!(kept("typical=0.62", &row).len(), 13);
    }

    #[test]
    fn the_ends() {
        assert_eq!(kept("typical=0", &[1.0, 1.0, 1.0]), [0]);
        assert_eq!(kept("typical=0.2", &[f32::NEG_INFINITY, 1.0]), [1]);
        assert_eq!(kept("typical=1", &[3.0, 0.0, -9.0]), [0, 1, 2]);
    }
}
