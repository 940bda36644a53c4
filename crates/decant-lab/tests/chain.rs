//! Risks, optima and outputs against the list of all sequences.

#[path = "support/brute.rs"]
mod brute;

use brute::{Brute, Said};
use decant_lab::chain::{Chain, ChainError, Decoder, Entry, Joint, Law, Loss, Verdict, judge};
use decant_lab::random::Draws;
use decant_sampling::Seed;
use proptest::prelude::*;

const DECODERS: [&str; 31] = [
    "greedy",
    "lookahead:1",
    "lookahead:2",
    "lookahead:3",
    "lookahead:9",
    "map",
    "modes",
    "beam:1",
    "beam:2",
    "beam:3",
    "beam:100",
    "mbr",
    "sample",
    "temp:0",
    "temp:0.05",
    "temp:0.5",
    "temp:1",
    "temp:1.7",
    "temp:100",
    "sampler:top_k=2",
    "sampler:top_k=-1",
    "sampler:top_p=0.75",
    "sampler:top_p=0.5:min_tokens_to_keep=2",
    "sampler:min_p=0.5",
    "sampler:top_h=0.5",
    "sampler:top_h=0.7:rule=ref:n=2",
    "sampler:top_h=0.7:rule=hf:n=3",
    "sampler:temp=1.5,top_h=0.6",
    "sampler:top_p=0.8,temp=0.5,min_p=0.2",
    "sampler:top_k=1",
    "sampler:temp=by_entropy(0..1.4->2..0.5),top_p=by_entropy(0..1->0.9..0.4:by=max_prob)",
];

fn decoders() -> Vec<Decoder> {
    DECODERS.iter().map(|text| decoder(text)).collect()
}

fn losses(length: usize) -> Vec<Loss> {
    let ngrams = (1..=length).map(Loss::Ngram);
    [Loss::Exact, Loss::Hamming, Loss::CrossEntropy].into_iter().chain(ngrams).collect()
}

/// A row of one of many kinds: peaked and flat, with zeros, with ties.
fn row(draws: &mut Draws, n: usize) -> Vec<f64> {
    let quarters = |draws: &mut Draws| {
        let mut row = vec![0.0; n];
        (0..4).for_each(|_| row[draws.below(n)] += 0.25);
        row
    };
    let mut row = match draws.below(8) {
        0 => draws.dirichlet(0.01, n),
        1 => draws.dirichlet(0.1, n),
        2 | 3 => draws.dirichlet(1.0, n),
        4 => draws.dirichlet(20.0, n),
        5 => vec![1.0 / n as f64; n],
        _ => quarters(draws),
    };
    // Ties that are broken by about 1e-12, the bound of what counts as a tie, could be told either way; and a table holds no
    // sequence of a probability below the least f64, which a temperature of 100 might bring back.
    row.iter_mut().filter(|p| !(1e-50..1e-30).contains(*p) && **p < 1e-3).for_each(|p| *p = 0.0);
    let sum: f64 = row.iter().sum();
    row.iter().map(|p| p / sum).collect()
}

/// Chains small enough that pairs of sequences can be listed.
fn chain(seed: u64) -> Chain {
    let mut draws = Draws::new(Seed(seed), 0, 0);
    let sizes =
        [(1, 1), (1, 3), (2, 1), (2, 2), (2, 4), (2, 6), (3, 1), (3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (5, 2)];
    let (vocab, length) = sizes[draws.below(sizes.len())];
    let start = row(&mut draws, vocab);
    Chain::new(start, (0..vocab).map(|_| row(&mut draws, vocab)).collect(), length).unwrap()
}

fn joint(seed: u64) -> (Joint, usize, usize) {
    let mut draws = Draws::new(Seed(seed), 1, 0);
    let sizes = [(2, 1), (2, 3), (2, 5), (3, 2), (3, 3), (4, 2)];
    let (vocab, length) = sizes[draws.below(sizes.len())];
    let lines = 1 + draws.below(10);
    let mut sequences: Vec<Vec<u32>> =
        (0..lines).map(|_| (0..length).map(|_| draws.below(vocab) as u32).collect()).collect();
    sequences.sort();
    sequences.dedup();
    let ps = row(&mut draws, sequences.len());
    let entries = sequences.into_iter().zip(ps).map(|(sequence, p)| Entry { sequence, p }).collect();
    (Joint::new(entries, vocab).unwrap(), vocab, length)
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() < 1e-9
}

/// All losses and decoders of a law beside their twins.
fn compare(law: &Law, brute: &Brute) -> Result<(), TestCaseError> {
    let decoders = decoders();
    for loss in losses(law.length()) {
        let Verdict { optimal_risk, optimal, outcomes } = judge(law, loss, &decoders).unwrap();
        let (least, best) = brute.optimum(loss);
        prop_assert!(near(optimal_risk, least), "{loss}: {optimal_risk} {least}");
        prop_assert_eq!(&optimal, &best, "{}", loss);
        for (decoder, outcome) in decoders.iter().zip(outcomes) {
            let said = brute.say(decoder, loss);
            let risk = brute.risk(&said, loss);
            prop_assert!(near(outcome.risk, risk), "{loss} {decoder}: {} {risk}", outcome.risk);
            prop_assert!(near(outcome.regret, risk - least), "{loss} {decoder}: {} {risk}", outcome.regret);
            let text = if let Said::Text(text) = said { Some(text) } else { None };
            prop_assert_eq!(outcome.output, text, "{} {}", loss, decoder);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn chains_equal_enumeration(seed: u64) {
        let chain = chain(seed);
        compare(&chain.law().unwrap(), &Brute::of_chain(&chain))?;
    }

    #[test]
    fn tables_equal_enumeration(seed: u64) {
        let (joint, vocab, length) = joint(seed);
        compare(&joint.law().unwrap(), &Brute::of_joint(&joint, vocab, length))?;
    }

    /// A chain written out as a table is the same law.
    #[test]
    fn a_chain_is_its_table(seed: u64) {
        let chain = chain(seed);
        let law = chain.law().unwrap();
        let brute = Brute::of_chain(&chain);
        let entries = brute.texts().iter().map(|text| Entry { sequence: text.clone(), p: law.probability(text) });
        let table = Joint::new(entries.collect(), chain.vocab()).unwrap().law().unwrap();
        for loss in losses(chain.length()) {
            let (a, b) = (judge(&law, loss, &decoders()).unwrap(), judge(&table, loss, &decoders()).unwrap());
            prop_assert!(near(a.optimal_risk, b.optimal_risk));
            prop_assert_eq!(&a.optimal, &b.optimal);
            for (a, b) in a.outcomes.iter().zip(&b.outcomes) {
                prop_assert!(near(a.risk, b.risk) && a.output == b.output, "{:?} {:?}", a, b);
            }
        }
    }
}

fn decoder(text: &str) -> Decoder {
    text.parse().unwrap()
}

/// Start (.51, .49); state 0 goes uniformly to ten states, state 1 surely to 2: greedy wins .051, MAP .49.
#[test]
fn the_two_step_example() {
    let mut start = vec![0.0; 12];
    (start[0], start[1]) = (0.51, 0.49);
    let mut transition = vec![vec![0.0; 12]; 12];
    transition[0][2..].fill(0.1);
    transition[1][2] = 1.0;
    transition[2..].iter_mut().for_each(|row| row[0] = 1.0);
    let law = Chain::new(start, transition, 2).unwrap().law().unwrap();
    let verdict = judge(&law, Loss::Exact, &[decoder("greedy"), decoder("map"), decoder("sample")]).unwrap();
    let [greedy, map, sample] = &verdict.outcomes[..] else { panic!() };
    assert!(near(1.0 - greedy.risk, 0.051) && greedy.output == Some(vec![0, 2]));
    assert!(near(1.0 - map.risk, 0.49) && map.output == Some(vec![1, 2]) && map.regret == 0.0);
    // 1 - Σ P²: ten sequences of .051 and one of .49.
    assert!(near(sample.risk, 1.0 - 10.0 * 0.051 * 0.051 - 0.49 * 0.49) && sample.output.is_none());
}

/// Products of a thousand probabilities are 0 in f64; ties between them, and what is larger, are not lost.
#[test]
fn long_chains_with_probabilities_of_1e_44() {
    let tiny = 1e-44;
    // From 0 the way is uniform over 1 and 2 and back; 3 is likely everywhere else, and never reached.
    let transition = vec![
        vec![tiny, 0.5, 0.5 - tiny, 0.0],
        vec![1.0 - tiny, tiny, 0.0, 0.0],
        vec![1.0, tiny, tiny, 0.0],
        vec![0.0, 0.0, 0.0, 1.0],
    ];
    let law = Chain::new(vec![1.0, 0.0, 0.0, 0.0], transition, 3001).unwrap().law().unwrap();
    let map = judge(&law, Loss::Exact, &[decoder("map"), decoder("beam:2")]).unwrap();
    let expected: Vec<u32> = (0..3001).map(|t| t % 2).collect();
    assert_eq!(map.optimal, Some(expected.clone()));
    assert_eq!(map.outcomes[1].output, Some(expected));
    // Temperature .02 puts 1e-2200 where 1e-44 was: nothing that f64 holds, but not nothing.
    let cold = judge(&law, Loss::CrossEntropy, &[decoder("temp:0.02"), decoder("sampler:min_p=1e-40")]).unwrap();
    assert!(cold.outcomes[0].risk.is_finite() && cold.outcomes[1].risk == f64::INFINITY);
}

/// A token of 1e-44 that everything else shuns decides whether the support is missed, however improbable the way to it.
#[test]
fn support_is_support_however_improbable() {
    let tiny = 1e-44;
    let transition = vec![vec![1.0, tiny, 0.0], vec![0.0, 1.0, tiny], vec![0.6, 0.4, 0.0]];
    let law = Chain::new(vec![1.0, 0.0, 0.0], transition, 4).unwrap().law().unwrap();
    // Every row but that of 2 has two tokens that both stay; it is reached after 1e-88, and left only at the end.
    let stays = decoder("sampler:min_p=1e-50");
    let cut = decoder("sampler:top_p=by_entropy(0.1..0.2->1..0.5)");
    let verdict = judge(&law, Loss::CrossEntropy, &[stays, cut.clone()]).unwrap();
    assert!(verdict.outcomes[0].risk.is_finite() && verdict.outcomes[1].risk == f64::INFINITY);
    let shorter =
        Chain::new(vec![1.0, 0.0, 0.0], vec![vec![1.0, tiny, 0.0], vec![0.0, 1.0, tiny], vec![0.6, 0.4, 0.0]], 3);
    let verdict = judge(&shorter.unwrap().law().unwrap(), Loss::CrossEntropy, &[cut]).unwrap();
    assert!(verdict.outcomes[0].risk.is_finite(), "2 is said, but nothing after it");
}

#[test]
fn what_is_wrong_is_named() {
    let half = vec![0.5, 0.5];
    let wrong = |start: &[f64], transition: &[Vec<f64>], length| {
        Chain::new(start.to_vec(), transition.to_vec(), length).and_then(|chain| chain.law()).unwrap_err().to_string()
    };
    let rows = [half.clone(), half.clone()];
    for (told, error) in [
        ("start: the probabilities sum to 0.9", wrong(&[0.5, 0.4], &rows, 2)),
        ("start[0]: 1.5", wrong(&[1.5, -0.5], &rows, 2)),
        ("start[1]: -0.5", wrong(&[0.5, -0.5], &rows, 2)),
        ("transition[1]: the probabilities sum to 1.5", wrong(&half, &[half.clone(), vec![1.0, 0.5]], 2)),
        ("transition[0][1]: NaN", wrong(&half, &[vec![0.5, f64::NAN], half.clone()], 2)),
        ("transition[1]: has 3 entries where there must be 2", wrong(&half, &[half.clone(), vec![1.0, 0.0, 0.0]], 2)),
        ("transition: has 1 entries where there must be 2", wrong(&half, &rows[..1], 2)),
        ("length: must not be 0", wrong(&half, &rows, 0)),
        ("start: must not be empty", wrong(&[], &[], 2)),
        ("a length of 1000000000000 is too large", wrong(&half, &rows, 1_000_000_000_000)),
    ] {
        assert!(error.starts_with(told), "{error}");
    }
    let entry = |sequence: &[u32], p| Entry { sequence: sequence.to_vec(), p };
    let wrong = |entries: &[Entry]| Joint::new(entries.to_vec(), 2).unwrap_err().to_string();
    for (told, error) in [
        ("joint: must not be empty", wrong(&[])),
        ("joint[0].sequence: must not be empty", wrong(&[entry(&[], 1.0)])),
        ("joint[1].sequence: has 1 entries", wrong(&[entry(&[0, 1], 0.5), entry(&[0], 0.5)])),
        ("joint[0].sequence: token 2 is not in the vocabulary of 2", wrong(&[entry(&[2], 1.0)])),
        ("joint[1].sequence: is listed before, as joint[0]", wrong(&[entry(&[0], 0.5), entry(&[0], 0.5)])),
        ("joint.p: the probabilities sum to 0.5", wrong(&[entry(&[0], 0.5)])),
        ("joint.p[1]: -0.1", wrong(&[entry(&[0], 0.5), entry(&[1], -0.1)])),
    ] {
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn decoders_and_losses_by_name() {
    for text in DECODERS {
        assert_eq!(decoder(&decoder(text).to_string()), decoder(text));
    }
    for text in ["", "lookahead", "lookahead:0", "beam:x", "greedy:2", "temp", "temp:hot", "viterbi", "sample:1"] {
        assert_eq!(text.parse::<Decoder>(), Err(ChainError::Decoder(text.to_owned())));
    }
    for (text, named) in [
        ("temp:-1", "temp"),
        ("temp:101", "temp"),
        ("temp:NaN", "temp"),
        ("sampler:top_p=2", "top_p"),
        ("sampler:nonsense=2", "nonsense"),
        ("sampler:temp=1.2,typical=0.9", "typical"),
        ("sampler:dry=0.8", "dry"),
    ] {
        let error = text.parse::<Decoder>().unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
    let law = Chain::new(vec![1.0], vec![vec![1.0]], 3).unwrap().law().unwrap();
    let error = judge(&law, Loss::Ngram(4), &[]).unwrap_err();
    assert_eq!(error, ChainError::Window { n: 4, length: 3 });
}

#[test]
fn too_large_for_exactness() {
    let mut draws = Draws::new(Seed(1), 0, 0);
    let law = Chain::random(30, 12, 1.0, &mut draws).unwrap().law().unwrap();
    let error = judge(&law, Loss::Ngram(8), &[]).unwrap_err().to_string();
    assert!(error.contains("ngram:8") && error.contains("windows"), "{error}");
    // The risk of a given answer needs no list of windows, nor do the ends of the scale.
    for loss in [Loss::Ngram(12), Loss::Ngram(1), Loss::Ngram(3)] {
        judge(&law, loss, &decoders()).unwrap();
    }
    // Long windows are few where little can be chosen, and too many elsewhere; neither overflows anything.
    let one = |length| Chain::new(vec![1.0], vec![vec![1.0]], length).unwrap().law().unwrap();
    let long = judge(&one(1_000_000), Loss::Ngram(999_900), &[decoder("mbr"), decoder("sample")]).unwrap();
    assert!(long.optimal_risk == 0.0 && long.outcomes.iter().all(|outcome| outcome.risk == 0.0));
    let error = judge(&one(1_000_000), Loss::Ngram(500_000), &[]).unwrap_err().to_string();
    assert!(error.contains("ngram:500000") && error.contains("tokens in its windows"), "{error}");
    let error = judge(&law, Loss::Exact, &[decoder("beam:1000000000")]).unwrap_err().to_string();
    assert!(error.contains("beam:1000000000"), "{error}");
}
