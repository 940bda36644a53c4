//! Entropy-constrained mass maximisation against its definition.

use decant_lab::ecmm::{BRUTE_LIMIT, Budget, EcmmError, Row, Subset, instances, jsd_of_mass};
use decant_sampling::{Coins, Logits, Memory, Sampler, Scratch};
use proptest::prelude::*;

/// -Σ q ln q of some tokens renormalised.
fn entropy(p: &[f64], set: &[u32]) -> f64 {
    let mass: f64 = set.iter().map(|&token| p[token as usize]).sum();
    let term = |&token: &u32| p[token as usize] / mass;
    set.iter().map(term).filter(|q| *q > 0.0).map(|q| -q * q.ln()).sum()
}

fn mass(p: &[f64], set: &[u32]) -> f64 {
    set.iter().map(|&token| p[token as usize]).sum()
}

fn all(p: &[f64]) -> Vec<u32> {
    (0..p.len() as u32).filter(|&token| p[token as usize] > 0.0).collect()
}

/// The optimum straight from the definition, with the tolerance of the module's doc.
fn definition(p: &[f64], alpha: f64) -> f64 {
    let limit = alpha * entropy(p, &all(p)) * (1.0 + 1e-12);
    let subsets = (1u32..1 << p.len())
        .map(|mask| -> Vec<u32> { all(p).into_iter().filter(|token| mask >> token & 1 == 1).collect() });
    let feasible = subsets.filter(|set| set.len() == 1 || (!set.is_empty() && entropy(p, set) <= limit));
    feasible.map(|set| mass(p, &set)).fold(0.0, f64::max)
}

/// A row from exponential weights to a power: Dirichlet-like from flat to one-hot; rounded ones have ties, some are 0.
fn rows(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    let weight = (0.0f64..1.0).prop_map(|u| -(1.0 - u).ln());
    let shape = prop_oneof![Just(0.0), Just(0.3), Just(1.0), Just(3.0), Just(8.0)];
    let grid = prop_oneof![Just(None), Just(None), Just(Some(4.0)), Just(Some(20.0))];
    (prop::collection::vec(weight, sizes), shape, grid, 0.0..0.5f64).prop_map(|(weights, shape, grid, zeros)| {
        let mut weights: Vec<f64> = weights.into_iter().map(|w| w.powf(shape)).collect();
        let top = weights.iter().copied().fold(0.0, f64::max);
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight /= top;
            if let Some(grid) = grid {
                *weight = (*weight * grid).round() / grid;
            }
            if (i as f64 * 0.618_034).fract() < zeros && *weight < 1.0 {
                *weight = 0.0;
            }
        }
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / sum).collect()
    })
}

fn alphas() -> impl Strategy<Value = f64> {
    prop_oneof![0.05..0.99, Just(0.4), Just(0.5), Just(0.25), Just(0.75)]
}

/// What must hold of every answer to an instance.
fn check(p: &[f64], alpha: f64, subset: &Subset) -> Result<(), TestCaseError> {
    let limit = alpha * entropy(p, &all(p));
    prop_assert!(subset.tokens.is_sorted() && !subset.tokens.is_empty());
    prop_assert!(subset.tokens.iter().all(|&token| p[token as usize] > 0.0));
    prop_assert!((subset.mass - mass(p, &subset.tokens)).abs() < 1e-14);
    let entropy = if subset.tokens.len() == 1 { 0.0 } else { entropy(p, &subset.tokens) };
    prop_assert!(entropy <= limit * (1.0 + 1e-9) + 1e-15, "{} > {}", entropy, limit);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_search_equals_brute_force(p in rows(1..15), alpha in alphas()) {
        let row = Row::new(&p, alpha).unwrap();
        let oracle = row.brute_force().unwrap();
        let solution = row.solve(Budget::default());
        prop_assert!(solution.proved());
        prop_assert!((solution.best.mass - oracle.mass).abs() < 1e-9, "{} {}", solution.best.mass, oracle.mass);
        for subset in [&oracle, &solution.best, &row.greedy(), &row.skip()] {
            check(&p, alpha, subset)?;
        }
        let (greedy, skip, optimum) = (row.greedy().mass, row.skip().mass, solution.best.mass);
        prop_assert!(greedy <= skip && skip <= optimum + 1e-12 && optimum <= row.bound() + 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn brute_force_equals_the_definition(p in rows(1..10), alpha in alphas()) {
        let oracle = Row::new(&p, alpha).unwrap().brute_force().unwrap();
        prop_assert!((oracle.mass - definition(&p, alpha)).abs() < 1e-9);
    }

    /// Whatever the budget, what is claimed is true.
    #[test]
    fn a_search_that_is_cut_off_is_honest(p in rows(8..15), alpha in alphas(), nodes in 0usize..6, gap in 0.0..0.05f64) {
        let row = Row::new(&p, alpha).unwrap();
        let optimum = row.brute_force().unwrap().mass;
        let solution = row.solve(Budget { nodes, gap });
        prop_assert!(solution.best.mass <= optimum + 1e-12 && optimum <= solution.bound + 1e-12);
        prop_assert!(solution.nodes <= nodes);
        prop_assert!(!solution.proved() || (solution.best.mass - optimum).abs() < 1e-9);
        check(&p, alpha, &solution.best)?;
    }

    /// The relaxation's optimum is a fractional prefix: no mixture of fractions that meets the constraint has more mass.
    #[test]
    fn no_fractional_choice_beats_the_bound(
        p in rows(2..12), alpha in alphas(), fractions in prop::collection::vec(0.0..1.0f64, 12), whole in 0u32..4096,
    ) {
        let row = Row::new(&p, alpha).unwrap();
        let x: Vec<f64> = (0..p.len()).map(|i| if whole >> i & 1 == 1 { 1.0 } else { fractions[i] }).collect();
        let terms = || p.iter().zip(&x).filter(|(p, _)| **p > 0.0);
        let s: f64 = terms().map(|(p, x)| p * x).sum();
        let e: f64 = terms().map(|(p, x)| -p * x * p.ln()).sum();
        let tau = alpha * entropy(&p, &all(&p));
        if e + s * s.ln() - tau * s <= 0.0 {
            prop_assert!(s <= row.bound() + 1e-9, "{} > {}", s, row.bound());
        }
    }

    /// What decisions in falling probability rest on: a newcomer that is no more probable than any member brings entropy.
    #[test]
    fn entropy_rises_with_each_less_probable_token(p in rows(2..15), chosen in 1u32..32768) {
        let mut ranked = all(&p);
        ranked.sort_by(|&a, &b| p[b as usize].total_cmp(&p[a as usize]));
        // Beside much more probable ones, this entropy's terms would be lost to rounding.
        ranked.retain(|token| chosen >> token & 1 == 1 && p[*token as usize] > 1e-9);
        for k in 1..ranked.len() {
            prop_assert!(entropy(&p, &ranked[..k + 1]) > entropy(&p, &ranked[..k]));
        }
    }

    #[test]
    fn both_forms_of_the_divergence_agree(p in rows(1..15), alpha in alphas()) {
        let row = Row::new(&p, alpha).unwrap();
        for subset in [row.greedy(), row.skip(), row.solve(Budget::default()).best] {
            let (direct, closed) = (row.jsd(&subset), jsd_of_mass(subset.mass));
            prop_assert!((direct - closed).abs() < 1e-12, "{} {}", direct, closed);
        }
    }

    /// Greedy and what it misses at most are those of the stage `top_h`, unless a decision is closer than the stage's f32 exponentials.
    #[test]
    fn greedy_is_top_h(logits in prop::collection::vec(-12f32..6.0, 1..200), alpha in alphas()) {
        let row = Row::of_logits(&Logits::new(&logits).unwrap(), 0, alpha).unwrap();
        let sampler = Sampler::new(&format!("top_h={alpha}:certify=true").parse().unwrap(), logits.len()).unwrap();
        let mut scratch = Scratch::default();
        let step = sampler.pick(&logits, &[], Coins::fixed(0.5), &mut Memory::default(), &mut scratch).unwrap();
        let kept: Vec<u32> = scratch.kept(&logits).collect();
        let greedy = row.greedy();
        if kept == greedy.tokens {
            let gap = step.gap.unwrap();
            prop_assert!((gap - (row.bound() - greedy.mass)).abs() < 1e-5, "{} {:?}", gap, greedy);
            let best = row.solve(Budget { nodes: 100, gap: 0.0 }).best;
            prop_assert!(gap > best.mass - greedy.mass - 1e-5);
        }
        if kept != greedy.tokens {
            let p: Vec<f64> = logits.iter().map(|l| f64::from(*l).exp()).collect();
            let longer = if kept.len() > greedy.tokens.len() { &kept } else { &greedy.tokens };
            let (edge, limit) = (entropy(&p, longer), alpha * entropy(&p, &all(&p)));
            prop_assert!((edge / limit - 1.0).abs() < 1e-5, "{:?} {:?}", kept, greedy);
        }
    }
}

fn solved(p: &[f64], alpha: f64) -> Vec<u32> {
    let row = Row::new(p, alpha).unwrap();
    let solution = row.solve(Budget::default());
    assert!(solution.proved());
    assert!((solution.best.mass - row.brute_force().unwrap().mass).abs() < 1e-9);
    solution.best.tokens
}

#[test]
fn ends_of_the_range() {
    let p = [0.1, 0.6, 0.0, 0.3];
    assert_eq!(solved(&p, 0.0), [1], "alone");
    assert_eq!(solved(&p, 1.0), [0, 1, 3], "the whole support");
    assert_eq!(solved(&[0.0, 1.0, 0.0], 0.4), [1]);
    assert_eq!(solved(&[1.0], 0.0), [0]);
    assert_eq!(solved(&[0.5, 0.5], 0.0), [0], "of equals the lower id");
}

/// ln k = alpha ln n exactly: whether k tokens fit must not depend on how it rounds.
#[test]
fn sets_that_meet_the_constraint_exactly_count() {
    assert_eq!(solved(&[0.25; 4], 0.5), [0, 1]);
    for (n, alpha, k) in [(4, 0.5, 2), (8, 1.0 / 3.0, 2), (8, 2.0 / 3.0, 4), (16, 0.25, 2), (16, 0.75, 8), (9, 0.5, 3)]
    {
        let row = Row::new(&vec![1.0 / f64::from(n); n as usize], alpha).unwrap();
        for subset in [row.greedy(), row.skip(), row.solve(Budget::default()).best, row.brute_force().unwrap()] {
            assert_eq!(subset.tokens, (0..k).collect::<Vec<u32>>(), "{n} {alpha}");
        }
        assert!((row.bound() - f64::from(k) / f64::from(n)).abs() < 1e-11, "{n} {alpha}");
    }
}

/// Beside a token of p near 1 the others are the entropy, and their digits must last.
#[test]
fn a_peaked_row_is_decided_by_its_tail() {
    let tail = [4.1e-10, 3e-10, 1.7e-10, 1.2e-10];
    let p: Vec<f64> = std::iter::once(1.0 - 1e-9).chain(tail).collect();
    // Beside so sure a token entropies add up: q - q ln q each.
    let part = |i: usize| tail[i] - tail[i] * tail[i].ln();
    let sum = |of: &dyn Fn(usize) -> f64, mask: usize| (0..4).filter(|i| mask >> i & 1 == 1).map(of).sum::<f64>();
    for alpha in [0.1, 0.3, 0.5, 0.7, 0.75, 0.85, 0.95] {
        let fits = |&mask: &usize| sum(&part, mask) <= alpha * sum(&part, 15);
        let mass = |mask: usize| sum(&|i| tail[i], mask);
        let best = (0..16).filter(fits).max_by(|&a, &b| mass(a).total_cmp(&mass(b))).unwrap();
        let expected: Vec<u32> = (0..5).filter(|i| *i == 0 || best >> (i - 1) & 1 == 1).collect();
        assert_eq!(solved(&p, alpha), expected, "{alpha}");
    }
}

/// Listed by hand: the second token alone is too much, the third and the last are not.
#[test]
fn greedy_is_not_optimal() {
    let p = [0.5, 0.2, 0.12, 0.08, 0.06, 0.03, 0.01];
    let row = Row::new(&p, 0.4).unwrap();
    assert_eq!((row.greedy().tokens, row.skip().tokens), (vec![0], vec![0, 2, 6]));
    assert_eq!(solved(&p, 0.4), [0, 2, 6]);
    // The worked example of the three rules.
    let row = Row::new(&[0.40, 0.20, 0.15, 0.10, 0.06, 0.04, 0.03, 0.02], 0.4).unwrap();
    assert_eq!(row.greedy().tokens, [0, 1]);
    assert!((row.entropy() - 1.6842).abs() < 1e-4);
}

/// A child that leaves out a token with all its equals may be hopeless where a later child is not.
#[test]
fn equal_tokens_do_not_end_a_search() {
    let p: Vec<f64> = [20.0, 17.0, 17.0, 14.0, 14.0, 10.0, 4.0].map(|count| count / 96.0).into();
    assert_eq!(solved(&p, 0.847_618_189), [0, 1, 3, 4, 5]);
}

#[test]
fn bad_input_is_named() {
    let error = |p: &[f64], alpha: f64| Row::new(p, alpha).unwrap_err().to_string();
    assert_eq!(error(&[], 0.4), "p: is empty, expected at least one probability");
    assert_eq!(error(&[0.5, -0.5, 1.0], 0.4), "p[1]: -0.5 is no probability (0 to 1)");
    assert_eq!(error(&[0.5, 0.5, f64::NAN], 0.4), "p[2]: NaN is no probability (0 to 1)");
    assert_eq!(error(&[f64::INFINITY], 0.4), "p[0]: inf is no probability (0 to 1)");
    assert_eq!(error(&[0.5, 0.4], 0.4), "p: sums to 0.9, expected 1 within 0.000001");
    for alpha in [-0.1, 1.1, f64::NAN] {
        assert_eq!(error(&[1.0], alpha), format!("alpha: {alpha} is outside 0..=1"));
    }
    let many = vec![1.0 / 23.0; BRUTE_LIMIT + 1];
    assert_eq!(Row::new(&many, 0.4).unwrap().brute_force(), Err(EcmmError::TooLarge { support: 23 }));
}

#[test]
fn instances_as_json() {
    let rows = instances(r#"[{"p":[0.25,0.75],"alpha":0.4},{"alpha":1,"p":[1]}]"#).unwrap();
    assert_eq!(rows.iter().map(Row::len).collect::<Vec<_>>(), [2, 1]);
    let error = |json: &str| instances(json).unwrap_err().to_string();
    assert!(error("[{").starts_with("no JSON: "));
    assert_eq!(error("{}"), r#"expected a list: [{"p":[..],"alpha":0.4}, ..]"#);
    assert_eq!(error("[3]"), r#"entry 0: the entry: expected {"p":[..],"alpha":0.4}"#);
    assert_eq!(error(r#"[{"p":[1],"alpha":0},{"p":[1]}]"#), "entry 1: alpha: expected a number from 0 to 1");
    assert_eq!(error(r#"[{"p":1,"alpha":0}]"#), "entry 0: p: expected a list of probabilities");
    assert_eq!(error(r#"[{"p":[1,"x"],"alpha":0}]"#), "entry 0: p[1]: expected a number");
    assert_eq!(error(r#"[{"p":[1],"alpha":0,"beta":1}]"#), "entry 0: beta: unknown field, expected p and alpha");
    assert_eq!(error(r#"[{"p":[0.5,0.6],"alpha":0}]"#), "entry 0: p: sums to 1.1, expected 1 within 0.000001");
}
