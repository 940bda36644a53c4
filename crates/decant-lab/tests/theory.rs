//! The theorems of `docs/theory.md`, by its numbers, each as a check that could fail.

use decant_decode::{DecodeSpec, Decoder as Engine, Limits};
use decant_lab::chain::{Answer, Chain, Decoder, Law, Loss, cross_entropy, entropy, optimum, risk};
use decant_lab::random::Draws;
use decant_sampling::{Sampler, SamplerSpec, Seed};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn random(seed: u64, stream: u32, vocab: usize, length: usize, alpha: f64) -> Chain {
    Chain::random(vocab, length, alpha, &mut Draws::new(Seed(seed), stream, 0)).unwrap()
}

/// A chain whose rows are uniform on supports of any size.
fn flat(seed: u64, vocab: usize, length: usize) -> Chain {
    let mut draws = Draws::new(Seed(seed), 9, 0);
    let mut row = || {
        let mut row = vec![0.0; vocab];
        (0..vocab).for_each(|_| row[draws.below(vocab)] = 1.0);
        let support: f64 = row.iter().sum();
        row.iter().map(|p| p / support).collect()
    };
    let start = row();
    Chain::new(start, (0..vocab).map(|_| row()).collect(), length).unwrap()
}

fn decoder(text: &str) -> Decoder {
    text.parse().unwrap()
}

fn risk_of(law: &Law, text: &str, loss: Loss) -> f64 {
    risk(law, &decoder(text).answer(law, loss).unwrap(), loss).unwrap()
}

const DETERMINISTIC: [&str; 5] = ["greedy", "lookahead:3", "map", "modes", "beam:3"];
const LOSSES: [Loss; 4] = [Loss::Exact, Loss::Hamming, Loss::Ngram(2), Loss::Ngram(3)];

/// The states in which something is said.
fn speaking(law: &Law) -> BTreeSet<usize> {
    let after =
        |states: &BTreeSet<usize>| states.iter().flat_map(|state| law.row(*state)).map(|edge| edge.to).collect();
    let layers = std::iter::successors(Some(BTreeSet::from([0])), |states| Some(after(states)));
    layers.take(law.length()).flatten().collect()
}

/// Whether every row that can be met is uniform on its support.
fn is_flat(law: &Law) -> bool {
    speaking(law)
        .into_iter()
        .map(|state| law.row(state))
        .all(|row| row.iter().all(|edge| (edge.p - row[0].p).abs() < 1e-12))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Theorem 1: H(P, Q) > H(P) for every other law Q, and sampling from P itself reaches it.
    #[test]
    fn only_the_law_itself_sounds_like_it(seed: u64, vocab in 2usize..6, length in 1usize..8) {
        let truth = random(seed, 0, vocab, length, 1.0);
        let law = truth.law().unwrap();
        let least = optimum(&law, Loss::CrossEntropy).unwrap();
        prop_assert!((least.risk - entropy(&law).unwrap()).abs() < 1e-12);
        prop_assert_eq!(risk_of(&law, "sample", Loss::CrossEntropy), least.risk);
        let other = random(seed, 1, vocab, length, 1.0);
        for share in [1.0, 0.1] {
            let other = truth.blended(&other, share).unwrap().law().unwrap();
            prop_assert!(cross_entropy(&law, &other).unwrap() > least.risk);
        }
    }

    /// Theorem 2: a temperature other than 1 is as good only where every row is flat on its support.
    #[test]
    fn temperature_changes_whatever_is_not_flat(seed: u64, vocab in 1usize..5, length in 1usize..5) {
        for law in [random(seed, 0, vocab, length, 1.0).law().unwrap(), flat(seed, vocab, length).law().unwrap()] {
            for t in ["temp:0.5", "temp:2"] {
                let same = risk_of(&law, t, Loss::CrossEntropy) - entropy(&law).unwrap() < 1e-12;
                prop_assert_eq!(same, is_flat(&law), "{}", t);
            }
        }
    }

    /// Theorem 3: a truncation keeps the law as it is, or its cross-entropy is infinite.
    #[test]
    fn truncation_is_nothing_or_infinite(seed: u64, alpha in 0.05f64..3.0) {
        let law = random(seed, 0, 4, 4, alpha).law().unwrap();
        for spec in ["top_k=3", "top_p=0.95", "min_p=0.02", "top_h=0.9", "top_p=0.999999"] {
            let Answer::Law(cut) = decoder(&format!("sampler:{spec}")).answer(&law, Loss::CrossEntropy).unwrap() else {
                unreachable!("samplers draw")
            };
            let risk = cross_entropy(&law, &cut).unwrap();
            let kept = speaking(&law).into_iter().all(|state| cut.row(state).len() == law.row(state).len());
            match kept {
                true => prop_assert!((risk - entropy(&law).unwrap()).abs() < 1e-12, "{spec}"),
                false => prop_assert_eq!(risk, f64::INFINITY, "{}", spec),
            }
        }
    }

    /// Theorem 4: under 0-1, sampling loses to MAP unless all possible sequences are equally probable.
    #[test]
    fn sampling_retrieves_only_from_flat_laws(seed: u64, vocab in 1usize..5, length in 1usize..5) {
        for law in [random(seed, 0, vocab, length, 1.0).law().unwrap(), flat(seed, vocab, length).law().unwrap()] {
            let (map, sample) = (optimum(&law, Loss::Exact).unwrap().risk, risk_of(&law, "sample", Loss::Exact));
            prop_assert!(sample > map - 1e-12);
            // All sequences as probable as the best one: their number is e^H, and each has 1 - risk.
            let flat = ((1.0 - map) * entropy(&law).unwrap().exp() - 1.0).abs() < 1e-9;
            prop_assert_eq!(sample - map < 1e-12, flat);
        }
    }

    /// Theorem 4: under any loss between texts no draw beats the best text, and nothing beats the optimum.
    #[test]
    fn a_best_text_is_the_best_answer(seed: u64, vocab in 2usize..5, length in 3usize..7, alpha in 0.05f64..3.0) {
        let law = random(seed, 0, vocab, length, alpha).law().unwrap();
        for loss in LOSSES {
            let least = optimum(&law, loss).unwrap().risk;
            for text in DETERMINISTIC.iter().chain(&["sample", "temp:0.3", "temp:3", "sampler:top_h=0.4"]) {
                prop_assert!(risk_of(&law, text, loss) > least - 1e-12, "{loss} {text}");
            }
            prop_assert!((risk_of(&law, "mbr", loss) - least).abs() < 1e-12, "{loss}");
        }
    }

    /// Theorem 6: whoever minimises a loss for a predictor whose rows are within e of the truth's (in total variation) has at
    /// most 2Te of regret: the minimiser is consistent.
    #[test]
    fn the_minimiser_is_consistent(seed: u64, alpha in 0.1f64..2.0, share in 1e-6f64..0.3) {
        let (truth, noise) = (random(seed, 0, 4, 5, alpha), random(seed, 1, 4, 5, 1.0));
        let law = truth.law().unwrap();
        let near = truth.blended(&noise, share).unwrap().law().unwrap();
        for loss in LOSSES {
            let answer = Decoder::Mbr.answer(&near, loss).unwrap();
            let regret = risk(&law, &answer, loss).unwrap() - optimum(&law, loss).unwrap().risk;
            prop_assert!(regret <= 2.0 * 5.0 * share + 1e-12, "{loss}: {regret}");
        }
    }
}

/// Theorem 9: best-first search over a model's rows finds what dynamic programming finds on the law. (Seeds are fixed: the
/// model's logits are f32, and a near tie could be told either way.)
#[test]
fn search_on_a_model_equals_dynamic_programming() {
    for seed in 0..60 {
        let (vocab, length) = (2 + seed as usize % 4, 1 + seed as usize % 5);
        let chain = random(seed, 0, vocab, length, 1.0);
        let law = chain.law().unwrap();
        let limits = Limits { max_tokens: length, ends: vec![], ignore_eos: true };
        let sampler = Sampler::new(&SamplerSpec::default(), vocab).unwrap();
        let engine = Engine::new(&chain, sampler, limits).unwrap();
        for (strategy, text) in [
            ("greedy", "greedy"),
            ("lookahead(1)", "greedy"),
            ("lookahead(2)", "lookahead:2"),
            ("lookahead(3)", "lookahead:3"),
            (&format!("map({length})"), "map"),
            ("beam(2)", "beam:2"),
            ("beam(5)", "beam:5"),
        ] {
            let strategy: DecodeSpec = strategy.parse().unwrap();
            let mut state = engine.start(&[0], Seed(0), 0).unwrap();
            engine.decode(&strategy, &mut state, &mut ()).unwrap();
            let expected = decoder(text).answer(&law, Loss::Exact).unwrap();
            assert_eq!(Some(state.generated()), expected.text(), "{strategy} of seed {seed}");
        }
    }
}

/// Theorem 5: 0 (.51) goes on in n ways, 1 (.49) in one, but only after a detour of k - 1 tokens: k-lookahead takes 0, and is
/// right with .51/n, while MAP stays at .49.
#[test]
fn lookahead_is_as_bad_as_one_likes() {
    for (k, n) in [(1, 2), (1, 100), (2, 10), (5, 100)] {
        // States 2i and 2i + 1 stand i tokens after 0 and 1; the last n are where the ways part to.
        let ends = 2 * k;
        let vocab = ends + n;
        let mut start = vec![0.0; vocab];
        (start[0], start[1]) = (0.51, 0.49);
        let mut transition = vec![vec![0.0; vocab]; vocab];
        (0..ends - 2).for_each(|state| transition[state][state + 2] = 1.0);
        transition[ends - 2][ends..].fill(1.0 / n as f64);
        transition[ends - 1..].iter_mut().for_each(|row| row[ends] = 1.0);
        let law = Chain::new(start, transition, k + 1).unwrap().law().unwrap();
        let lookahead = format!("lookahead:{k}");
        assert!((risk_of(&law, &lookahead, Loss::Exact) - (1.0 - 0.51 / n as f64)).abs() < 1e-12, "{k} {n}");
        assert!((risk_of(&law, "map", Loss::Exact) - 0.51).abs() < 1e-12, "{k} {n}");
    }
}
