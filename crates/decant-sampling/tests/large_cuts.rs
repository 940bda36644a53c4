//! Cuts that keep thousands of tokens: found by samples, sums and bounds, and exact all the same.

mod support;

use decant_sampling::{Coins, History, SamplerSpec};
use support::Numbers;
use support::agreement::{check, check_draws};

const SPECS: &[&str] = &[
    "top_p=0.9",
    "top_p=0.5",
    "top_p=0.999",
    "temp=1.7,top_p=0.8",
    "typical=0.9",
    "typical=0.5",
    "temp=0.6,typical=0.95",
    "eta=0.0003",
    "epsilon=0.00001",
    "min_p=0.0005",
    "top_k=9000",
    "top_p=0.9:min_tokens_to_keep=30000",
    "min_p=0.01:min_tokens_to_keep=12000",
    "top_a=0.0002",
    "mirostat=2:tau=9",
    // On what a large cut left: another, a smaller one, other weights, another order, logits that change.
    "top_p=0.95,top_p=0.9",
    "top_p=0.95,top_k=20000,min_p=0.001",
    "top_p=0.9,top_h=0.4",
    "top_p=0.9,temp=0.7,top_p=0.9",
    "top_p=0.9,typical=0.9",
    "typical=0.9,top_p=0.9",
    "typical=0.9,temp=1.5,epsilon=0.00002",
    "top_p=0.95,p_less",
    "top_p=0.9,smoothing=0.1,top_p=0.8",
    "typical=0.9,top_n_sigma=1",
    "top_p=0.9,xtc=1:threshold=0.00005",
    "typical=0.9,min_k=3",
];

/// Flat rows; one of few values, whose equals only their ids tell apart; one with forbidden tokens; two far heights.
fn rows() -> Vec<(&'static str, Vec<f32>)> {
    let mut numbers = Numbers(2024);
    let zipf = numbers.zipf(40_000, 0.55);
    let coarse = zipf.iter().map(|logit| (logit * 8.0).round() / 8.0).collect();
    let mut masked = numbers.zipf(50_001, 0.4);
    for logit in &mut masked[1..] {
        if numbers.unit() < 0.4 {
            *logit = f32::NEG_INFINITY;
        }
    }
    let steps = (0..33_000).map(|token| if token % 3 == 0 { 1.0 } else { 0.5 }).collect();
    vec![("zipf", zipf), ("coarse", coarse), ("masked", masked), ("steps", steps)]
}

#[test]
fn keep_what_the_twin_keeps() {
    let (mut cases, mut ties) = (0, 0);
    for (name, row) in rows() {
        for spec in SPECS {
            cases += 1;
            ties += usize::from(check(name, &spec.parse().unwrap(), &row, History::default(), Coins::fixed(0.5)));
        }
    }
    assert!(ties * 4 < cases, "{ties} of {cases} rows are near-ties: the rows test nothing");
}

#[test]
fn draw_what_the_twin_draws() {
    for (name, row) in rows() {
        for spec in ["top_p=0.9", "typical=0.9", "top_p=0.9,temp=0.7", "typical=0.9,temp=1.5", "epsilon=0.00001"] {
            let spec: SamplerSpec = spec.parse().unwrap();
            check_draws(name, &spec, &row, History::default());
        }
    }
}
