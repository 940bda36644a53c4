//! The stages that look back at the text so far, and `logit_bias`, against their twins.

mod support;

use decant_sampling::{Coins, History, Memory, Sampler, SamplerSpec, Scratch, Seed, SpecError, TokenId};
use support::agreement::{check, check_draws, close};
use support::{Numbers, Twin, history, rows};

const SPECS: &[&str] = &[
    "repetition_penalty=1.3",
    "repetition_penalty=0.7:last_n=5",
    "repetition_penalty=2:last_n=0",
    "frequency_penalty=0.4",
    "frequency_penalty=-0.4:prompt=false",
    "presence_penalty=1.5:last_n=20:prompt=false",
    "no_repeat_ngram=1:prompt=false",
    "no_repeat_ngram=2",
    "no_repeat_ngram=4",
    "no_repeat_ngram=1000",
    "dry=0.8",
    "dry=0.5:base=1.2:allowed=1:last_n=60:prompt=false",
    "dry=2:allowed=0:breakers=(3)",
    "dry=1:base=1.1:breakers=(1,2 3,2 3 4)",
    "dry=100:base=100:allowed=1:breakers=(0 1)",
    "dry=by_entropy(0..4->0..1):base=by_entropy(0..4->1..2):allowed=by_entropy(0..4->0..3):last_n=by_entropy(0..4->9..90)",
    "logit_bias=(0=1.5)",
    "temp=0.3,logit_bias=(0=-inf),top_p=0.9",
    "repetition_penalty=by_entropy(0..4->1..2):last_n=by_entropy(0..4->-1..30)",
    "repetition_penalty=1.2,frequency_penalty=0.1,presence_penalty=0.2,no_repeat_ngram=3,temp=0.8,top_h=0.4",
    "temp=0.5,frequency_penalty=0.3,top_p=0.9,repetition_penalty=1.1,temp=3,top_k=9",
    "top_k=30,presence_penalty=3,min_p=0.02,no_repeat_ngram=2,temp=0",
];

/// Every spec on every row, after a text of some length of which a part is the prompt. Where a spec names a token that the
/// row does not have, there is nothing to see.
fn each(seed: u64, mut see: impl FnMut(&str, &SamplerSpec, &[f32], History<'_>)) {
    let mut numbers = Numbers(seed);
    for (name, row) in rows(seed) {
        for (i, spec) in SPECS.iter().enumerate() {
            let text = history::text(&mut numbers, row.len(), i * 13);
            let spec = spec.parse().unwrap();
            match Sampler::new(&spec, row.len()) {
                Ok(_) => see(name, &spec, &row, History::new(&text, i * 4)),
                Err(SpecError::Vocabulary { token, .. }) => assert!(token as usize >= row.len()),
                Err(error) => panic!("`{spec}`: {error}"),
            }
        }
    }
}

#[test]
fn every_rule_equals_its_twin() {
    let (mut cases, mut ties) = (0, 0);
    each(17, |name, spec, row, text| {
        cases += 1;
        ties += usize::from(check(name, spec, row, text, Coins::fixed(0.5)));
    });
    assert!(cases > 600 && ties * 20 < cases, "{ties} of {cases} rows are near-ties: the rows test nothing");
}

#[test]
fn every_coin_draws_the_token_that_it_should() {
    each(23, |name, spec, row, text| {
        if row.len() < 1000 && !Twin::run_with(spec, row, text, Coins::fixed(0.5)).tokens.is_empty() {
            check_draws(name, spec, row, text);
        }
    });
}

#[test]
fn masking_and_drawing_see_the_same_tokens() {
    each(29, |name, spec, row, text| {
        let sampler = Sampler::new(spec, row.len()).unwrap();
        let (coins, mut scratch) = (Seed(1).coins(0, 0), Scratch::default());
        let step = sampler.pick(row, text, coins, &mut Memory::default(), &mut scratch);
        let kept: Vec<TokenId> = step.iter().flat_map(|_| scratch.kept(row)).collect();
        let mut masked = row.to_vec();
        match (step, sampler.mask(&mut masked, text, coins, &mut Memory::default(), &mut scratch)) {
            (Ok(step), Ok(left)) => {
                let finite = (0..).zip(&masked).filter(|(_, logit)| logit.is_finite()).map(|(token, _)| token);
                assert_eq!(finite.collect::<Vec<TokenId>>(), kept, "{name}, `{spec}`");
                assert_eq!((left.kept, left.temperature), (step.kept, step.temperature), "{name}, `{spec}`");
                close("kept entropy", step.kept_entropy, Twin::of(&masked).entropy());
            }
            (step, left) => assert_eq!((step.map(drop), &masked[..]), (left.map(drop), row), "{name}, `{spec}`"),
        }
    });
}
