//! The stages, one file each: the type, its doc, its definition for the catalog, its rule, its tests.

mod adaptive_p;
mod dry;
mod dynatemp;
mod edt;
mod epsilon;
mod eta;
mod frequency_penalty;
mod logit_bias;
mod min_k;
mod min_p;
mod mirostat;
mod no_repeat_ngram;
mod p_less;
mod presence_penalty;
mod repetition_penalty;
mod smoothing;
mod temp;
mod tfs;
mod top_a;
mod top_b;
mod top_h;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typical;
mod window;
mod xtc;

pub use top_h::TopHRule;
pub use window::Window;

use crate::Ranked;
use crate::catalog::{Field, Kind, Range};

crate::catalog::stages! {
    logit_bias::LogitBias,
    repetition_penalty::RepetitionPenalty,
    frequency_penalty::FrequencyPenalty,
    presence_penalty::PresencePenalty,
    dry::Dry,
    no_repeat_ngram::NoRepeatNgram,
    top_n_sigma::TopNSigma,
    min_k::MinK,
    temp::Temp,
    dynatemp::Dynatemp,
    edt::Edt,
    smoothing::Smoothing,
    top_h::TopH,
    top_k::TopK,
    top_p::TopP,
    min_p::MinP,
    typical::Typical,
    epsilon::Epsilon,
    eta::Eta,
    p_less::PLess,
    top_b::TopB,
    top_a::TopA,
    tfs::Tfs,
    xtc::Xtc,
    mirostat::Mirostat,
    adaptive_p::AdaptiveP,
}

/// A parameter of every truncation stage: however hard the rule cuts, this many of the tokens it saw stay.
const MIN_TOKENS_TO_KEEP: Field = Field::new(
    "min_tokens_to_keep",
    "how many tokens stay at least; the first always does",
    Kind::optional(Range::integers_from(0.0), 0.0),
)
.aliases(&["min_keep"])
.flat(&["min_keep", "min_tokens_to_keep"]);

/// How many survivors have at least this probability; where none has, the top token and its equals.
fn at_least(ranked: &mut Ranked<'_>, prob: f64) -> usize {
    let p_max = ranked.max_prob();
    ranked.within(libm::log(p_max / prob))
}

#[cfg(test)]
mod tests {
    use crate::{Coins, EntropyStats, Logits, Memory, Sampler, Scratch, TokenId};

    /// The tokens that a spec keeps of a row, ascending, with coins that show 0.5.
    pub(super) fn kept(spec: &str, row: &[f32]) -> Vec<TokenId> {
        let sampler = Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
        let mut scratch = Scratch::default();
        sampler.pick(row, &[], Coins::fixed(0.5), &mut Memory::default(), &mut scratch).unwrap();
        scratch.kept(row).collect()
    }

    /// Checks, to six digits, which probabilities a spec makes of others after a text.
    #[track_caller]
    pub(super) fn assert_law(spec: &str, p: &[f64], text: &[TokenId], expected: &[f64]) {
        let law = law(spec, p, text);
        let near = law.iter().zip(expected).all(|(p, expected)| (p - expected).abs() < 1e-6);
        assert!(near && law.len() == expected.len(), "`{spec}` after {text:?} gives {law:?}, not {expected:?}");
    }

    /// The probabilities that a spec makes of others after a text.
    pub(super) fn law(spec: &str, p: &[f64], text: &[TokenId]) -> Vec<f64> {
        let sampler = Sampler::new(&spec.parse().unwrap(), p.len()).unwrap();
        let mut row: Vec<f32> = p.iter().map(|p| p.ln() as f32).collect();
        let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
        sampler.mask(&mut row, text.into(), Coins::fixed(0.5), &mut memory, &mut scratch).unwrap();
        let stats = EntropyStats::of(&Logits::new(&row).unwrap());
        row.iter().map(|logit| stats.logprob(*logit).exp()).collect()
    }
}
