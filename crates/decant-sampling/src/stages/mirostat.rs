//! `mirostat`: perplexity by feedback.

use super::MIN_TOKENS_TO_KEEP;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Learn};
use crate::spec::build::Params;
use crate::{Ranked, Schedule, Signals, Truncate};
use std::f64::consts::LN_2;

/// Keeps what is less surprising than a bound that learns from the text.
///
/// # What it does
/// Steers the surprise of the drawn tokens towards a target: after a dull token the next cut is looser, after a surprising
/// one tighter.
///
/// # Why
/// Under a fixed cut a long text drifts into repetition (too little surprise) or incoherence (too much).
///
/// # Rule
/// mu begins at 2 tau. After each token mu becomes mu - eta (surprise - tau), surprise = -log2 p in bits, p the token's
/// probability among the survivors as this stage found them, before its own cut.
///
/// | `mirostat=` | keeps |
/// |---|---|
/// | 2 | the tokens with -log2 p <= mu |
/// | 1 | the first k: with t_i = ln((i+1)/i) and b_i = ln(p_i / p_(i+1)) over the top 100, s = Σ t b / Σ t², N survivors and e = s - 1, k = (e 2^mu / (1 - N^-e))^(1/s), rounded down |
///
/// The most probable token always stays. 0 switches the stage off. tau in 0..=100 bits, eta in 0..=100. Where s = 1 k takes
/// its limit, 2^mu / ln N. mu belongs to the text: a fork has its own.
///
/// # Cost
/// Version 2: one pass for Σe^l, then the survivors above a bound. Version 1: the top 100 in order, then a threshold search.
///
/// # Precision
/// In f64; the cut of version 2 compares logits.
///
/// # Source
/// Basu, Ramachandran, Keskar and Varshney 2020, arXiv 2007.14966, algorithm 1, and version 2 of the authors' code. As there,
/// the surprise is that of the whole distribution; llama.cpp takes it after the cut, renormalised, which is less. The
/// authors' code rounds k to the nearest and adds 1, llama.cpp rounds down as this does.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirostat {
    /// 1 or 2; 0 for off.
    pub version: Schedule,
    /// The surprise aimed at, in bits.
    pub tau: Schedule,
    /// How fast mu learns.
    pub eta: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

/// How many of the most probable tokens version 1 takes its estimate from.
const ESTIMATED_FROM: usize = 100;

impl StageDef for Mirostat {
    const INFO: StageInfo = StageInfo {
        name: "mirostat",
        aliases: &["mirostat_mode"],
        summary: "keeps what is less surprising than a bound that learns from the text",
        fields: &[
            Field::value(
                "the version, 1 or 2",
                Kind::required(Range { max: 2.0, ..Range::integers_from(0.0) }, &[0.0]),
            )
            .usual(2.0, 0.0..=2.0),
            Field::new("tau", "the surprise aimed at, in bits", Kind::optional(Range::numbers(0.0, 100.0), 5.0))
                .usual(5.0, 0.0..=10.0)
                .flat(&["mirostat_tau"]),
            Field::new("eta", "how fast the bound learns", Kind::optional(Range::numbers(0.0, 100.0), 0.1))
                .usual(0.1, 0.0..=1.0)
                .flat(&["mirostat_eta"]),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 900,
        source: "Basu et al. 2020, arXiv 2007.14966",
        last: true,
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Mirostat {
            version: params.number("value"),
            tau: params.number("tau"),
            eta: params.number("eta"),
            min_tokens_to_keep: params.number("min_tokens_to_keep"),
        }
    }

    fn write(&self) -> Params {
        let Mirostat { version, tau, eta, min_tokens_to_keep } = self;
        Params::numbers([("value", version), ("tau", tau), ("eta", eta), ("min_tokens_to_keep", min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }

    fn learner(&self) -> Option<&dyn Learn> {
        Some(self)
    }
}

impl Learn for Mirostat {
    fn start(&self, ranked: &mut Ranked<'_>) -> f64 {
        2.0 * ranked.value(&self.tau)
    }

    fn learn(&self, signals: &Signals, mu: f64, p: f64) -> f64 {
        // Whoever draws by himself may draw what nobody would: that must not make mu infinite for good.
        let surprise = -libm::log2(p.max(f64::MIN_POSITIVE));
        mu - self.eta.at(signals) * (surprise - self.tau.at(signals))
    }
}

impl Truncate for Mirostat {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let mu = ranked.context.memory;
        match ranked.count(&self.version) {
            0 => ranked.len(),
            1 => zipf_k(mu, zipf_exponent(ranked), ranked.len()),
            // -log2 p <= mu, in nats and counted from the most probable token, which stays even if it surprises.
            _ => match mu * LN_2 + libm::log(ranked.max_prob()) {
                depth if depth >= 0.0 => ranked.within(depth),
                _ => 1,
            },
        }
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

/// The exponent s of a Zipf law p_i ~ i^-s through the most probable tokens, by least squares on ratios of neighbours.
fn zipf_exponent(ranked: &mut Ranked<'_>) -> f64 {
    let (mut products, mut squares, mut before) = (0.0, 0.0, None);
    for (rank, logit) in ranked.falling(ESTIMATED_FROM).enumerate() {
        if let Some(before) = before.replace(logit) {
            let t = libm::log1p(1.0 / rank as f64);
            products += t * (before - logit);
            squares += t * t;
        }
    }
    products / squares
}

/// How many tokens of a Zipf law of exponent `s` over `n` tokens have a surprise of `mu` bits on average.
fn zipf_k(mu: f64, s: f64, n: usize) -> usize {
    if n == 1 {
        return 1;
    }
    let (excess, log_n) = (s - 1.0, libm::log(n as f64));
    let share = if excess == 0.0 { 1.0 / log_n } else { excess / -libm::expm1(-excess * log_n) };
    let k = libm::pow(share * libm::exp2(mu), 1.0 / s);
    (k as usize).clamp(1, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_has_its_limits() {
        let near = |s: f64| (share_of(s) - share_of(1.0)).abs() < 1e-5;
        fn share_of(s: f64) -> f64 {
            let excess = s - 1.0;
            if excess == 0.0 { 1.0 / 1000f64.ln() } else { excess / (1.0 - 1000f64.powf(-excess)) }
        }
        assert!(near(1.0 + 1e-6) && near(1.0 - 1e-6));
        assert_eq!(zipf_k(10.0, 1.0, 1000), (1024.0 / 1000f64.ln()) as usize);
        assert_eq!(zipf_k(10.0, 1.0 + 1e-12, 1000), zipf_k(10.0, 1.0, 1000));
        // Equal tokens: all of them where the bound allows all, else one.
        assert_eq!((zipf_k(10.0, 0.0, 1000), zipf_k(9.0, 0.0, 1000)), (1000, 1));
        for mu in [f64::NEG_INFINITY, -2000.0, 0.0, 2000.0] {
            for s in [0.0, 1e-9, 0.5, 1.0, 3.0, 1e30] {
                assert!((1..=50).contains(&zipf_k(mu, s, 50)), "{mu} {s}");
            }
        }
        assert_eq!(zipf_k(3.0, f64::NAN, 1), 1);
    }
}
