//! Stages at random: long chains of them against the twin, and what the catalog says of each put to the test.

mod support;

use decant_sampling::{Coins, History, Memory, Role, Sampler, SamplerSpec, Scratch, Seed, StageInfo, TokenId, catalog};
use support::agreement::check;
use support::{MARGIN, Numbers, Twin, history, rows};

/// Rows of all shapes, short enough to be sorted often.
fn short_rows(seed: u64) -> impl Iterator<Item = (&'static str, Vec<f32>)> {
    rows(seed).into_iter().filter(|(_, row)| row.len() < 1000)
}

#[test]
fn twenty_stages_at_random() {
    let mut numbers = Numbers(2026);
    let (mut cases, mut ties, mut wide) = (0, 0, 0);
    for seed in 0..40 {
        for (name, row) in short_rows(seed).filter(|(_, row)| row.len() > 2) {
            let spec = chain(&mut numbers, 20);
            let text = history::text(&mut numbers, row.len(), 60);
            let (text, coins) = (History::new(&text, 20), Seed(seed).coins(0, cases));
            cases += 1;
            ties += u64::from(check(name, &spec, &row, text, coins));
            wide += u64::from(Twin::run_with(&spec, &row, text, coins).tokens.len() > 1);
        }
    }
    assert!(ties * 20 < cases, "{ties} of {cases} chains are near-ties");
    assert!(wide * 5 > cases, "only {wide} of {cases} chains leave a choice");
}

fn chain(numbers: &mut Numbers, len: usize) -> SamplerSpec {
    let stages: Vec<String> = (0..len)
        .map(|_| {
            let info = numbers.one_of(catalog());
            numbers.stage(&info)
        })
        .collect();
    stages.join(",").parse().unwrap()
}

/// What a spec keeps of a row, ascending; nothing if some decision was a near-tie.
fn kept(spec: &str, row: &[f32], coins: Coins) -> Option<Vec<TokenId>> {
    let spec: SamplerSpec = spec.parse().unwrap();
    if Twin::run_with(&spec, row, History::default(), coins).margin < MARGIN {
        return None;
    }
    let sampler = Sampler::new(&spec, row.len()).unwrap();
    let mut scratch = Scratch::default();
    sampler.draw(row, &[], coins, &mut Memory::default(), &mut scratch).unwrap();
    Some(scratch.kept(row).collect())
}

/// Runs a stage of every kind of a role, with random values, on random rows. `holds` says whether a property holds there, if
/// that can be told; `claimed` whether the catalog says that it always does. Holds the catalog to it, both ways: what it
/// does not claim must fail somewhere.
fn put_to_the_test(
    property: &str,
    role: impl Fn(Role) -> bool,
    claimed: impl Fn(&StageInfo) -> bool,
    holds: impl Fn(&mut Numbers, &str, &[f32], Coins) -> Option<bool>,
) {
    for info in catalog().iter().filter(|info| role(info.role)) {
        let mut numbers = Numbers(7);
        let (mut told, mut failed) = (0, 0);
        for seed in 0..20 {
            for (name, row) in short_rows(seed) {
                let stage = numbers.stage(info);
                let Some(holds) = holds(&mut numbers, &stage, &row, Seed(seed).coins(0, 0)) else { continue };
                assert!(holds || !claimed(info), "`{stage}` on {name}, seed {seed}: {property} fails");
                told += 1;
                failed += usize::from(!holds);
            }
        }
        assert!(told > 200, "{}: {property} was seen {told} times", info.name);
        assert!(claimed(info) || failed > 0, "{}: {property} holds, and the catalog does not know", info.name);
    }
}

#[test]
fn the_catalog_knows_what_keeps_the_argmax() {
    let drops = |role| matches!(role, Role::Temperature | Role::Truncation);
    put_to_the_test(
        "keeps_argmax",
        drops,
        |info| info.keeps_argmax,
        |_, stage, row, coins| Some(kept(stage, row, coins)?.contains(&Twin::of(row).tokens[0].0)),
    );
}

#[test]
fn the_catalog_knows_what_temperature_does_not_change() {
    let truncates = |role| role == Role::Truncation;
    put_to_the_test(
        "temperature_invariant",
        truncates,
        |info| info.temperature_invariant,
        |numbers, stage, row, coins| {
            let hot = format!("temp={},{stage}", numbers.magnitude(0.1, 10.0));
            Some(kept(stage, row, coins)? == kept(&hot, row, coins)?)
        },
    );
}

#[test]
fn the_catalog_knows_what_depends_on_order() {
    // What does not depend on it keeps of a shorter list what it keeps of the whole one, as long as the top token is there.
    let truncates = |role| role == Role::Truncation;
    put_to_the_test(
        "order-insensitive",
        truncates,
        |info| !info.order_sensitive,
        |numbers, stage, row, coins| {
            let mut before = vec![format!("top_k={}", numbers.magnitude(1.0, 30.0).floor())];
            before.extend(stage.starts_with("top_k").then(|| format!("typical={}", numbers.unit())));
            let before = before.join(",");
            let (mut expected, left) = (kept(&before, row, coins)?, kept(stage, row, coins)?);
            expected.retain(|token| left.contains(token));
            Some(kept(&format!("{before},{stage}"), row, coins)? == expected)
        },
    );
}
