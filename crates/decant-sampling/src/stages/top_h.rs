//! `top_h`: bounded entropy.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};
use decant_kernels::rows::Want;

/// Keeps the longest prefix whose entropy stays within a share of the whole distribution's.
///
/// # What it does
/// Adds tokens in falling probability as long as the entropy of what would be sampled from is at most alpha times the
/// entropy of the distribution it came from.
///
/// # Why
/// Truncation by mass or ratio does not know how uncertain its result is: on a flat row it lets in hundreds of tokens,
/// and high temperatures make text fall apart. Bounding the entropy bounds the randomness of every step, in proportion to
/// the model's own.
///
/// # Rule
/// With p the survivors' probabilities, renormalised, in falling order (lower id first among equals), H in nats,
/// Γ_k = p_1 + .. + p_k, h_k = -Σ_{i<=k} p_i ln p_i, and N = `n`: the longest prefix for which
///
/// | `rule=` | holds | entropy seen over |
/// |---|---|---|
/// | `paper` | ln Γ_k + h_k / Γ_k <= alpha · H(p) | all survivors |
/// | `ref` | h_k <= alpha · h_N | the top N |
/// | `hf` | h_k + Γ_k ln Γ_N <= alpha · (h_N + Γ_N ln Γ_N) | the top N, renormalised |
///
/// The left side of `paper` is H(q_k), the entropy of the renormalised prefix; it rises strictly with k, so the cut is
/// unique. The first token always stays. alpha in 0..=1; 1 switches the stage off under every rule, 0 keeps the top token
/// alone. Where only one token is possible it stays. `n` matters to `ref` and `hf` only.
///
/// `paper` is the greedy answer to a problem: the tokens of most probability with H(q) <= alpha · H(p) (ECMM, which is
/// NP-hard). With `certify=true` the step tells how much probability the best answer may have beyond the greedy one, at
/// most (`gap`): the mass of as much of the next token as would still fit, for no set has more than that fractional prefix.
/// It is 0 where nothing is cut. `min_tokens_to_keep` comes after it. `ref` and `hf` answer other questions and have no
/// gap, nor has a stage that is switched off.
///
/// # Cost
/// One pass for H(p), then a threshold search over partial sums of mass and p ln p; nothing is sorted as a whole. A
/// certificate is a few logarithms more, and seldom a pass over the row to find the next token.
///
/// # Precision
/// Entropies and partial sums in f64, in one fixed order.
///
/// # Source
/// Baghaei Potraghloo, Azizi, Kundu and Pedram, "Top-H Decoding", NeurIPS 2025, arXiv 2509.02510: `paper` is its greedy
/// algorithm for ECMM. `ref` is the authors' code and `hf` is transformers' `TopHLogitsWarper`: neither enforces
/// H(q) <= alpha · H(p), though both are described so.
#[derive(Clone, Debug, PartialEq)]
pub struct TopH {
    /// The share of the entropy that may stay; 1 for all.
    pub alpha: Schedule,
    /// Which of the three rules that carry the name.
    pub rule: TopHRule,
    /// How many tokens `ref` and `hf` look at.
    pub n: Schedule,
    /// Whether the step tells how far the greedy answer may be from the best.
    pub certify: bool,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

/// The three rules that are called Top-H; formulas at [`TopH`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopHRule {
    /// The paper's.
    #[default]
    Paper,
    /// The authors' code.
    Ref,
    /// transformers'.
    Hf,
}

impl TopHRule {
    /// In the order of their names in the catalog.
    const ALL: [TopHRule; 3] = [TopHRule::Paper, TopHRule::Ref, TopHRule::Hf];
}

impl StageDef for TopH {
    const INFO: StageInfo = StageInfo {
        name: "top_h",
        aliases: &[],
        summary: "keeps the longest prefix with entropy within alpha times the whole entropy",
        fields: &[
            Field::value("alpha, the share of the entropy", Kind::required(Range::numbers(0.0, 1.0), &[1.0]))
                .usual(0.4, 0.0..=1.0),
            Field::new(
                "rule",
                "whose rule: the paper's, the authors' code's, transformers'",
                Kind::Choice { values: &["paper", "ref", "hf"] },
            ),
            Field::new("n", "how many tokens ref and hf look at", Kind::optional(Range::integers_from(1.0), 100.0)),
            Field::new(
                "certify",
                "whether each step carries the proved bound on how far paper's greedy choice is from the optimum",
                Kind::Switch { default: false },
            ),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 20,
        source: "Baghaei Potraghloo et al. 2025, arXiv 2509.02510",
        keeps_argmax: true,
        temperature_invariant: false,
        order_sensitive: true,
        greedy: &[0.0],
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        TopH {
            alpha: params.number("value"),
            rule: TopHRule::ALL[params.index("rule")],
            n: params.number("n"),
            certify: params.is_on("certify"),
            min_tokens_to_keep: params.number("min_tokens_to_keep"),
        }
    }

    fn write(&self) -> Params {
        let numbers = [("value", &self.alpha), ("n", &self.n), ("min_tokens_to_keep", &self.min_tokens_to_keep)];
        Params::numbers(numbers).choice("rule", self.rule as usize).switch("certify", self.certify)
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for TopH {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let alpha = ranked.value(&self.alpha);
        if alpha >= 1.0 {
            return ranked.len();
        }
        if self.rule == TopHRule::Paper {
            let bound = alpha * ranked.entropy();
            return match self.certify {
                true => ranked.longest_certified(bound),
                false => ranked.longest(|prefix| prefix.entropy() <= bound),
            };
        }
        let n = ranked.count(&self.n);
        let top = ranked.prefix(n);
        // h_k as a share of what `hf` renormalises by, the top n, or of what `ref` does not, everything.
        let whole = if self.rule == TopHRule::Hf { top.mass() } else { 1.0 };
        let bound = alpha * top.partial_entropy(whole);
        ranked.longest(|prefix| prefix.len() <= top.len() && prefix.partial_entropy(whole) <= bound)
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}
