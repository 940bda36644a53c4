//! A sampler against its twin.

use super::{MARGIN, Twin};
use decant_sampling::{Coins, History, Isa, Memory, RowError, Sampler, SamplerSpec, Scratch, Step, TokenId};

pub fn close(what: &str, got: f64, expected: f64) {
    within(3e-6, what, got, expected);
}

fn within(relative: f64, what: &str, got: f64, expected: f64) {
    let error = (got - expected).abs();
    assert!(error <= relative * expected.abs() + 1e-9, "{what}: {got}, the twin has {expected}");
}

/// Runs one spec on the row that stands after a text, on every tier, and compares with the twin. Returns whether the
/// decision was a near-tie.
pub fn check(name: &str, spec: &SamplerSpec, row: &[f32], text: History<'_>, coins: Coins) -> bool {
    let twin = Twin::run_with(spec, row, text, coins);
    let mut first: Option<(Step, Vec<TokenId>)> = None;
    for isa in Isa::available() {
        let sampler = Sampler::new(spec, row.len()).unwrap().with_isa(isa);
        let mut scratch = Scratch::default();
        let step = sampler.pick(row, text, coins, &mut Memory::default(), &mut scratch);
        if twin.tokens.is_empty() {
            assert!(matches!(step, Err(RowError::AllForbidden { .. })), "{name}, `{spec}`: {step:?}");
            return false;
        }
        let step = step.unwrap();
        let kept: Vec<TokenId> = scratch.kept(row).collect();
        if let Some(first) = &first {
            assert_eq!(first, &(step, kept.clone()), "{name}, `{spec}`: {} differs", isa.name());
        } else {
            first = Some((step, kept));
        }
    }
    let (step, kept) = first.unwrap();
    if twin.margin < MARGIN {
        return true;
    }
    let mut expected: Vec<TokenId> = twin.tokens.iter().map(|(token, _)| *token).collect();
    expected.sort_unstable();
    assert_eq!(kept, expected, "{name}, `{spec}`");
    assert_eq!(step.kept as usize, kept.len());
    let close = |what: &str, got, expected| close(&format!("{name}, `{spec}`, {what}"), got, expected);
    let raw = Twin::of(row);
    close("entropy", step.entropy, raw.entropy());
    // A steep exponent magnifies an entropy's error.
    within(3e-5, &format!("{name}, `{spec}`, temperature"), step.temperature, twin.temperature);
    close("kept mass", step.kept_mass, twin.kept_mass);
    close("kept entropy", step.kept_entropy, twin.entropy());
    assert_eq!(step.gap.is_some(), twin.gap.is_some(), "{name}, `{spec}`, gap");
    let missed = (step.gap.unwrap_or_default(), twin.gap.unwrap_or_default());
    // An entropy's error of 1e-6 is one of mass.
    assert!((missed.0 - missed.1).abs() < 1e-5, "{name}, `{spec}`, gap: {missed:?}");
    let place = raw.tokens.iter().position(|(token, _)| *token == step.token).unwrap();
    close("logprob", step.logprob, raw.log_probabilities()[place]);
    let place = twin.tokens.iter().position(|(token, _)| *token == step.token).unwrap();
    // A temperature's rounding counts as often as the token lies nats below the top.
    within(3e-5, &format!("{name}, `{spec}`, sampled logprob"), step.sampled_logprob, twin.log_probabilities()[place]);
    false
}

/// Sweeps a grid of coins and compares each draw with the twin's inverse CDF in token order.
pub fn check_draws(name: &str, spec: &SamplerSpec, row: &[f32], text: History<'_>) {
    let twin = Twin::run_with(spec, row, text, Coins::fixed(0.5));
    if twin.margin < MARGIN {
        return;
    }
    let mut law: Vec<(TokenId, f64)> =
        twin.tokens.iter().zip(twin.probabilities()).map(|((token, _), p)| (*token, p)).collect();
    law.sort_unstable_by_key(|(token, _)| *token);
    let sampler = Sampler::new(spec, row.len()).unwrap();
    let mut scratch = Scratch::default();
    let coins = if row.len() > 1000 { 128 } else { 2048 };
    let (mut place, mut below) = (0, 0.0);
    for i in 0..coins {
        let coin = (f64::from(i) + 0.5) / f64::from(coins);
        while place + 1 < law.len() && below + law[place].1 <= coin {
            below += law[place].1;
            place += 1;
        }
        let near_edge = (coin - below).abs().min((coin - below - law[place].1).abs()) < MARGIN;
        let token = sampler.draw(row, text, Coins::fixed(coin), &mut Memory::default(), &mut scratch).unwrap();
        assert!(near_edge || token == law[place].0, "{name}, `{spec}`, coin {coin}");
    }
}
