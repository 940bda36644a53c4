//! Every rule at full speed against its naive f64 twin.

mod support;

use decant_sampling::{Coins, History, Memory, Sampler, SamplerSpec, Scratch, Seed, TokenId};
use support::agreement::{self, check_draws, close};
use support::{Learning, MARGIN, Numbers, Twin, rows};

const SPECS: &[&str] = &[
    "",
    "temp=0",
    "temp=0.7",
    "temp=1.8",
    "top_k=1",
    "top_k=5",
    "top_k=40",
    "top_p=0",
    "top_p=0.5",
    "top_p=0.9",
    "top_p=0.999",
    "min_p=0.05",
    "min_p=0.5",
    "min_p=1",
    "top_h=0.1",
    "top_h=0.4",
    "top_h=0.9",
    "top_h=0.4:certify=true",
    "top_h=0:certify=true",
    "top_k=60,temp=2,top_h=0.7:certify=true,top_h=0.9:certify=true",
    "top_h=0.4:rule=hf:certify=true",
    "top_h=0.4:rule=hf",
    "top_h=0.4:rule=ref",
    "top_h=0.9:rule=hf:n=20",
    "top_h=1:rule=ref:n=7",
    "top_p=0.3:min_tokens_to_keep=4",
    "top_h=0.05:min_tokens_to_keep=3",
    "temp=0.8,top_h=0.4",
    "temp=1.5,top_h=0.4:rule=hf,top_p=0.9",
    "top_k=40,top_p=0.95,min_p=0.05,temp=0.8",
    "min_p=0.02,temp=2,top_h=0.6,temp=0.5,top_k=9",
    "dynatemp=0.3:high=1.8",
    "top_k=50,dynatemp=1.5:high=0.2:exponent=0.5,top_p=0.9",
    "edt=1.2",
    "top_p=0.8,edt=1.5:base=0.5:theta=0.4,top_k=7",
    "smoothing=0.3",
    "temp=1.5,smoothing=0.2:curve=2.5,top_k=20",
    "top_k=30,smoothing=0.1:curve=6,temp=0.7",
    "mirostat=1",
    "mirostat=1:tau=2",
    "mirostat=2",
    "temp=1.3,mirostat=2:tau=1.5:min_tokens_to_keep=3",
    "mirostat=2:tau=by_entropy(0..6->0.1..4)",
    "adaptive_p=0.4",
    "min_p=0.02,temp=1.2,adaptive_p=0.1",
    "top_k=20,adaptive_p=by_entropy(0..4->-0.5..0.5)",
    "temp=by_entropy(0.5..4.0->0.3..1.8),top_p=by_entropy(0.5..4.0->0.80..0.97)",
    "temp=by_entropy(table:0.5=0.3:2=1.0:4=1.8),top_h=by_entropy(0..5->0.2..0.6:shape=sigmoid)",
];

/// A certificate is a look at the row: nothing else changes by it.
#[test]
fn certificates_change_nothing_else() {
    for (name, row) in rows(5) {
        for alpha in ["0.05", "0.4", "0.95", "by_entropy(0..5->0.2..1)"] {
            let [plain, certified] = ["", ":certify=true"].map(|certify| {
                let spec = format!("temp=1.3,top_h={alpha}{certify}").parse().unwrap();
                let sampler = Sampler::new(&spec, row.len()).unwrap();
                let mut scratch = Scratch::default();
                let step = sampler.pick(&row, &[], Coins::fixed(0.7), &mut Memory::default(), &mut scratch).unwrap();
                (step, scratch.kept(&row).collect::<Vec<TokenId>>())
            });
            assert_eq!((plain.0.gap, &plain.1), (None, &certified.1), "{name}, {alpha}");
            assert!(certified.0.gap.is_none_or(|gap| (0.0..1.0).contains(&gap)), "{name}, {alpha}");
            assert_eq!(plain.0, decant_sampling::Step { gap: None, ..certified.0 }, "{name}, {alpha}");
        }
    }
}

fn check(name: &str, spec: &SamplerSpec, row: &[f32]) -> bool {
    agreement::check(name, spec, row, History::default(), Coins::fixed(0.5))
}

#[test]
fn every_rule_equals_its_twin() {
    let specs: Vec<SamplerSpec> = SPECS.iter().map(|text| text.parse().unwrap()).collect();
    let (mut cases, mut ties) = (0, 0);
    for seed in 0..3 {
        for (name, row) in rows(seed) {
            for spec in &specs {
                cases += 1;
                ties += usize::from(check(name, spec, &row));
            }
        }
    }
    assert!(ties * 20 < cases, "{ties} of {cases} rows are near-ties: the rows test nothing");
}

#[test]
fn huge_rows() {
    let mut numbers = Numbers(99);
    let mut tied = vec![1.0; 262_144];
    tied[200_000] = 2.0;
    for (name, row) in [("zipf", numbers.zipf(262_144, 1.0)), ("flat", numbers.zipf(262_144, 0.3)), ("tied", tied)] {
        for spec in ["temp=1,top_h=0.4", "top_p=0.9", "min_p=0.05", "top_k=50,temp=0.7", "top_h=0.4:rule=hf", ""] {
            check(name, &spec.parse().unwrap(), &row);
        }
    }
}

#[test]
fn the_three_rules_of_top_h_differ_where_they_should() {
    // The table of numbers that the authors' rule, the public code and transformers' warper give at alpha 0.4.
    let zipf = |s: f64, n: usize| -> Vec<f32> { (1..=n).map(|i| (-s * (i as f64).ln()) as f32).collect() };
    let mut peak = vec![(0.1_f64 / 1000.0).ln() as f32; 1001];
    peak[0] = 0.9_f64.ln() as f32;
    let table: [(Vec<f32>, [u32; 3]); 6] = [
        (vec![0.0; 10], [2, 4, 4]),
        (vec![0.0; 100], [6, 40, 40]),
        (vec![0.0; 128_256], [110, 40, 40]),
        (zipf(1.05, 32_000), [28, 8, 9]),
        (zipf(1.5, 32_000), [5, 3, 4]),
        (peak, [377, 1, 34]),
    ];
    for (row, expected) in table {
        let kept = ["paper", "ref", "hf"].map(|rule| {
            let spec = format!("top_h=0.4:rule={rule}").parse().unwrap();
            let sampler = Sampler::new(&spec, row.len()).unwrap();
            sampler.pick(&row, &[], Coins::fixed(0.0), &mut Memory::default(), &mut Scratch::default()).unwrap().kept
        });
        assert_eq!(kept, expected, "a row of {}", row.len());
    }
}

#[test]
fn transformers_own_unit_test_passes_under_all_three() {
    for (p, alpha, kept) in [
        ([0.97, 0.01, 0.01, 0.01], 0.3, 1),
        ([0.4, 0.3, 0.2, 0.1], 0.7, 2),
        ([0.25; 4], 1.0, 4),
        ([0.75, 0.25, 0.0, 0.0], 0.4, 1),
    ] {
        let row = p.map(|p: f64| p.ln() as f32);
        for rule in ["paper", "ref", "hf"] {
            let spec = format!("top_h={alpha}:rule={rule}").parse().unwrap();
            let sampler = Sampler::new(&spec, 4).unwrap();
            let step =
                sampler.pick(&row, &[], Coins::fixed(0.0), &mut Memory::default(), &mut Scratch::default()).unwrap();
            assert_eq!(step.kept, kept, "{rule}, {p:?}");
        }
    }
}

#[test]
fn every_coin_draws_the_token_that_it_should() {
    let plain = ["", "temp=0.6", "temp=0.8,top_h=0.4", "top_p=0.9", "top_k=7,temp=1.4", "temp=0"];
    let shaping =
        ["smoothing=0.2", "mirostat=1:tau=3", "mirostat=2:tau=3", "adaptive_p=0.3", "edt=1,dynatemp=0.5:high=2"];
    for (name, row) in rows(3) {
        for spec in plain.into_iter().chain(shaping) {
            check_draws(name, &spec.parse().unwrap(), &row, History::default());
        }
    }
}

#[test]
fn what_a_text_teaches_is_what_it_teaches_the_twin() {
    for text in [
        "mirostat=1",
        "mirostat=1:tau=2:eta=0.5",
        "mirostat=2:tau=3",
        "temp=1.4,mirostat=2:tau=by_entropy(0..5->2..6):eta=by_entropy(0..5->1..0.1)",
        "adaptive_p=0.4",
        "top_k=40,adaptive_p=0.2:decay=by_entropy(0..5->0.5..0.9)",
        "mirostat=2:tau=4,mirostat=1:tau=3,adaptive_p=0.5,top_k=8",
    ] {
        let spec: SamplerSpec = text.parse().unwrap();
        let sampler = Sampler::new(&spec, 300).unwrap();
        let (mut numbers, mut memory, mut scratch) = (Numbers(77), Memory::default(), Scratch::default());
        let mut learning = Learning::default();
        let mut taught = 0;
        for position in 0..50 {
            let scale = 0.3 + 2.0 * numbers.unit();
            let row = numbers.zipf(300, scale);
            let coins = Seed(9).coins(0, position);
            let fresh = sampler.pick(&row, &[], coins, &mut Memory::default(), &mut scratch).unwrap();
            let step = sampler.pick(&row, &[], coins, &mut memory, &mut scratch).unwrap();
            taught += u32::from(fresh != step);
            let twin = Twin::run_after(&spec, &row, learning);
            assert!(twin.margin > MARGIN, "`{text}` at {position}: a near-tie, choose another seed");
            let mut expected: Vec<TokenId> = twin.tokens.iter().map(|(token, _)| *token).collect();
            expected.sort_unstable();
            assert_eq!(scratch.kept(&row).collect::<Vec<_>>(), expected, "`{text}` at {position}");
            close("kept entropy", step.kept_entropy, twin.entropy());
            learning = twin.learn(&spec, &row, step.token);
        }
        assert!(taught > 10, "`{text}` hardly learned anything");
    }
}

/// Who draws by himself after `mask`, and tells the token, teaches as `pick` does.
#[test]
fn learning_by_hand_is_learning() {
    let sampler = Sampler::new(&"top_p=0.99,mirostat=2:tau=3,adaptive_p=0.4".parse().unwrap(), 300).unwrap();
    let mut numbers = Numbers(78);
    let [mut memory, mut by_hand] = [Memory::default(), Memory::default()];
    let mut scratch = Scratch::default();
    for position in 0..20 {
        let (row, coins) = (numbers.zipf(300, 1.0), Seed(9).coins(0, position));
        let token = sampler.pick(&row, &[], coins, &mut memory, &mut scratch).unwrap().token;
        let mut masked = row.clone();
        sampler.mask(&mut masked, (&[]).into(), coins, &mut by_hand, &mut scratch).unwrap();
        sampler.learn(&row, token, &mut by_hand, &scratch);
        assert_eq!(memory, by_hand, "at {position}");
    }
}

#[test]
fn masking_and_drawing_see_the_same_tokens() {
    for (name, row) in rows(5) {
        for spec in SPECS {
            let spec: SamplerSpec = spec.parse().unwrap();
            let sampler = Sampler::new(&spec, row.len()).unwrap();
            let mut scratch = Scratch::default();
            let step = sampler.pick(&row, &[], Seed(1).coins(0, 0), &mut Memory::default(), &mut scratch).unwrap();
            let kept: Vec<TokenId> = scratch.kept(&row).collect();
            let mut masked = row.clone();
            let (history, coins) = ((&[]).into(), Seed(1).coins(0, 0));
            let left = sampler.mask(&mut masked, history, coins, &mut Memory::default(), &mut scratch).unwrap();
            let finite: Vec<TokenId> = (0..).zip(&masked).filter(|(_, l)| l.is_finite()).map(|(t, _)| t).collect();
            assert_eq!(finite, kept, "{name}, `{spec}`");
            assert_eq!((left.kept, left.temperature), (step.kept, step.temperature), "{name}, `{spec}`");
            // Drawing from the masked row at T = 1 is drawing from the distribution meant.
            let law = Twin::of(&masked);
            close("kept entropy", step.kept_entropy, law.entropy());
        }
    }
}

#[test]
fn a_used_scratch_changes_nothing() {
    let specs = ["temp=1,top_h=0.4", "top_p=0.9", "temp=1.3", "top_k=3"];
    let rows: Vec<Vec<f32>> = rows(8).into_iter().map(|(_, row)| row).collect();
    let mut used = Scratch::default();
    for row in &rows {
        for spec in specs {
            let sampler = Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
            let coins = Seed(5).coins(0, 3);
            let fresh = sampler.pick(row, &[], coins, &mut Memory::default(), &mut Scratch::default()).unwrap();
            assert_eq!(sampler.pick(row, &[], coins, &mut Memory::default(), &mut used).unwrap(), fresh);
        }
    }
}
