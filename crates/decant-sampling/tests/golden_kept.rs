//! `golden/kept.json`: what every stage keeps of a set of rows, computed by something that is not Decant.

use decant_sampling::{Coins, Memory, Role, Sampler, SamplerSpec, Scratch, Step, TokenId, catalog};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    entropy: f64,
    #[serde(flatten)]
    logits: Recipe,
    kept: BTreeMap<String, Kept>,
}

/// How a row is made; `golden/oracle.py` tells.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recipe {
    Listed { logits: Vec<Option<f32>> },
    Filled { len: usize, fill: f32, set: Vec<(usize, f32)> },
    Zipf { len: usize, stride: usize, seed: u32, scale: i64, noise: i64 },
}

#[derive(Deserialize)]
struct Kept {
    entropy: f64,
    #[serde(flatten)]
    tokens: Tokens,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Tokens {
    Listed { ids: Vec<TokenId> },
    Counted { count: u64, sum: u64, squares: u64 },
}

impl Recipe {
    fn build(&self) -> Vec<f32> {
        match self {
            Recipe::Listed { logits } => logits.iter().map(|logit| logit.unwrap_or(f32::NEG_INFINITY)).collect(),
            Recipe::Filled { len, fill, set } => {
                let mut row = vec![*fill; *len];
                set.iter().for_each(|(token, logit)| row[*token] = *logit);
                row
            }
            Recipe::Zipf { len, stride, seed, scale, noise } => {
                let (mut row, mut x) = (vec![0.0; *len], *seed);
                for i in 0..*len {
                    let (rank, b) = (i as i64 + 1, (i + 1).ilog2());
                    let log = 1024 * i64::from(b) + ((1024 * (rank - (1 << b))) >> b);
                    let logit = (noise * i64::from(x >> 24) - scale * log) as f32 / 16384.0;
                    row[(i * stride + *seed as usize) % len] = logit;
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                }
                row
            }
        }
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../golden/kept.json")).unwrap()
}

/// One step of a spec, and which tokens it kept, told as `like` tells them.
fn pick(spec: &str, row: &[f32], like: &Tokens) -> (Step, Tokens) {
    let sampler = Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
    let mut scratch = Scratch::default();
    let step = sampler.pick(row, &[], Coins::fixed(0.0), &mut Memory::default(), &mut scratch).unwrap();
    let kept = scratch.kept(row);
    let tokens = match like {
        Tokens::Listed { .. } => Tokens::Listed { ids: kept.collect() },
        Tokens::Counted { .. } => kept.map(u64::from).fold(Tokens::NONE, Tokens::count),
    };
    (step, tokens)
}

impl Tokens {
    const NONE: Self = Tokens::Counted { count: 0, sum: 0, squares: 0 };

    fn count(self, token: u64) -> Self {
        match self {
            Tokens::Counted { count, sum, squares } => {
                Tokens::Counted { count: count + 1, sum: sum + token, squares: squares + token * token }
            }
            listed => listed,
        }
    }
}

fn close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-6 * expected.max(1.0), "{what}: {got}, not {expected}");
}

#[test]
fn every_stage_keeps_what_it_should() {
    let mut cases = 0;
    for Row { name, entropy, logits, kept } in golden().rows {
        let row = logits.build();
        for (spec, expected) in &kept {
            let (step, tokens) = pick(spec, &row, &expected.tokens);
            assert_eq!(tokens, expected.tokens, "`{spec}` on {name}");
            close(&format!("{name}, entropy"), step.entropy, entropy);
            close(&format!("{name}, `{spec}`, kept entropy"), step.kept_entropy, expected.entropy);
            cases += 1;
        }
    }
    assert!(cases > 1500, "{cases} cases are not the file");
}

#[test]
fn every_stage_that_needs_no_history_is_among_them() {
    let specs: Vec<SamplerSpec> =
        golden().rows.iter().flat_map(|row| row.kept.keys()).map(|spec| spec.parse().unwrap()).collect();
    let stages: Vec<&str> = specs.iter().flat_map(|spec| &spec.0).map(|stage| stage.info().name).collect();
    for info in catalog().iter().filter(|info| info.role != Role::Adjustment && !info.last) {
        assert!(stages.contains(&info.name), "golden/oracle.py does not know {}", info.name);
    }
}
