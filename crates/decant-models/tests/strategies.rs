//! Strategies against the enumeration of every text, on models small enough for it.

use decant_decode::{
    Candidate, DecodeSpec, Decoder, Feed, Finish, LanguageModel, Limits, Loss, ModelError, Outcome, Rows, TokenId,
    Want, Watch,
};
use decant_models::toy::ToyModel;
use decant_sampling::{EntropyStats, Logits, Sampler, Seed, Step};
use std::cell::Cell;
use std::ops::ControlFlow;

const VOCAB: usize = 4;
const PROMPT: [TokenId; 2] = [1, 3];

/// A text, its ln P and the mean entropy along it.
struct Text(Vec<TokenId>, f64, f64);

/// A toy model that counts what it is asked.
struct Counting {
    toy: ToyModel,
    rows: Cell<u64>,
    batches: Cell<u64>,
}

impl Counting {
    fn new(toy: ToyModel) -> Self {
        Counting { toy, rows: Cell::new(0), batches: Cell::new(0) }
    }

    /// Every text of at most `length` tokens that ends at one of `ends` or there, with ln P and mean entropy.
    fn texts(&self, length: usize, ends: &[TokenId]) -> Vec<Text> {
        let mut whole = Vec::new();
        let mut open = vec![(Vec::new(), 0.0, 0.0)];
        while let Some((text, logprob, entropy)) = open.pop() {
            if text.len() == length || text.last().is_some_and(|token| ends.contains(token)) {
                let mean = entropy / text.len() as f64;
                whole.push(Text(text, logprob, mean));
                continue;
            }
            let context: Vec<TokenId> = PROMPT.iter().chain(&text).copied().collect();
            let row = self.toy.feed(&mut self.toy.empty(), &context, Want::Last).unwrap().into_inner();
            let stats = EntropyStats::of(&Logits::new(&row).unwrap());
            for token in 0..VOCAB as TokenId {
                let longer = text.iter().copied().chain([token]).collect();
                open.push((longer, logprob + stats.logprob(row[token as usize]), entropy + stats.entropy()));
            }
        }
        whole
    }
}

impl LanguageModel for Counting {
    type Cache = Vec<TokenId>;

    fn vocab(&self) -> usize {
        self.toy.vocab()
    }

    fn context(&self) -> usize {
        self.toy.context()
    }

    fn empty(&self) -> Self::Cache {
        self.toy.empty()
    }

    fn len(&self, cache: &Self::Cache) -> usize {
        self.toy.len(cache)
    }

    fn rewind(&self, cache: &mut Self::Cache, len: usize) {
        self.toy.rewind(cache, len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, Self::Cache>]) -> Result<Vec<Rows>, ModelError> {
        self.rows.set(self.rows.get() + batch.iter().map(|feed| feed.tokens.len() as u64).sum::<u64>());
        self.batches.set(self.batches.get() + 1);
        self.toy.feed_all(batch)
    }
}

/// What a watcher was told.
#[derive(Default)]
struct Told {
    steps: Vec<Step>,
    stop: Option<TokenId>,
}

impl Watch for Told {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        let stats = EntropyStats::of(&Logits::new(row).unwrap());
        assert_eq!((step.logprob, step.entropy), (stats.logprob(row[step.token as usize]), stats.entropy()));
        self.steps.push(*step);
        if self.stop == Some(step.token) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        self.stop.is_some_and(|stop| generated.contains(&stop))
    }
}

struct Run {
    text: Vec<TokenId>,
    told: Told,
    outcome: Outcome,
}

fn run_with(model: &Counting, strategy: &str, sampler: &str, limits: Limits, seed: u64, stop: Option<TokenId>) -> Run {
    let sampler = Sampler::new(&sampler.parse().unwrap(), VOCAB).unwrap();
    let decoder = Decoder::new(model, sampler, limits).unwrap();
    let mut state = decoder.start(&PROMPT, Seed(seed), 0).unwrap();
    decoder.prefill(&mut state, |_, _| ()).unwrap();
    let mut told = Told { stop, ..Told::default() };
    let outcome = decoder.decode(&strategy.parse().unwrap(), &mut state, &mut told).unwrap();
    let text = state.generated().to_vec();
    assert_eq!(told.steps.iter().map(|step| step.token).collect::<Vec<_>>(), text, "{strategy}");
    Run { text, told, outcome }
}

fn run(model: &Counting, strategy: &str, length: usize) -> Run {
    run_with(model, strategy, "temp=1", limits(length, &[]), 7, None)
}

fn limits(max_tokens: usize, ends: &[TokenId]) -> Limits {
    Limits { max_tokens, ends: ends.to_vec(), ignore_eos: false }
}

fn models() -> impl Iterator<Item = Counting> {
    (0..40).map(|seed| Counting::new(ToyModel::hashed(VOCAB, 2 + seed as usize % 2, seed)))
}

/// The best text by a score, the lexicographically smallest of equals (to rounding).
fn best(texts: &[Text], score: impl Fn(&Text) -> f64) -> (Vec<TokenId>, f64) {
    let most = texts.iter().map(&score).fold(f64::NEG_INFINITY, f64::max);
    let ties = texts.iter().filter(|text| score(text) >= most - 1e-12);
    (ties.map(|text| text.0.clone()).min().unwrap(), most)
}

#[test]
fn one_token_of_lookahead_is_greedy_and_so_is_temperature_zero() {
    for model in models() {
        let greedy = run(&model, "greedy", 9);
        assert_eq!(run(&model, "lookahead(1)", 9).text, greedy.text);
        assert_eq!(run_with(&model, "sample", "temp=0", limits(9, &[]), 3, None).text, greedy.text);
        assert_eq!(greedy.outcome.proven, Some(true));
    }
}

#[test]
fn lookahead_takes_the_first_token_of_the_most_probable_block() {
    let (mut other, mut cases) = (0, 0);
    for model in models() {
        let greedy = run(&model, "greedy", 1).text;
        for k in 2..=4 {
            let first = best(&model.texts(k, &[]), |text| text.1).0[0];
            let found = run(&model, &format!("lookahead({k},budget=100000)"), 5);
            assert_eq!(found.text[0], first);
            assert_eq!(found.outcome.proven, Some(true));
            (other, cases) = (other + usize::from(first != greedy[0]), cases + 1);
        }
    }
    assert!(other > cases / 20, "in {other} of {cases} cases looking ahead made a difference");
}

#[test]
fn map_is_the_most_probable_of_all_texts() {
    for model in models() {
        for ends in [&[][..], &[2]] {
            let (text, logprob) = best(&model.texts(5, ends), |text| text.1);
            let found = run_with(&model, "map(5,budget=100000)", "temp=1", limits(9, ends), 0, None);
            assert!((found.outcome.candidates[0].logprob - logprob).abs() < 1e-9, "{text:?} {:?}", found.text);
            assert_eq!(
                (found.outcome.proven, found.outcome.bound),
                (Some(true), Some(found.outcome.candidates[0].logprob))
            );
        }
    }
}

/// A search cut short says so, still finds no worse than greedy, and its bound holds.
#[test]
fn a_budget_that_runs_out_is_told() {
    let mut unproven = 0;
    for model in models() {
        let greedy: f64 = run(&model, "greedy", 6).told.steps.iter().map(|step| step.logprob).sum();
        let most = best(&model.texts(6, &[]), |text| text.1).1;
        for budget in [1, 6, 8, 12] {
            let Outcome { proven, bound, candidates, cost, .. } =
                run(&model, &format!("map(6,budget={budget})"), 6).outcome;
            assert!(candidates[0].logprob >= greedy - 1e-9 && bound.unwrap() >= most - 1e-9);
            assert!(cost.calls <= budget.max(5), "{cost:?}");
            assert!(proven == Some(false) || candidates[0].logprob >= most - 1e-9);
            unproven += usize::from(proven == Some(false));
        }
    }
    assert!(unproven > 10, "{unproven}");
}

#[test]
fn beams_that_are_wide_enough_find_what_enumeration_finds() {
    for model in models().take(12) {
        let texts = model.texts(4, &[2]);
        let found = |arguments: &str| {
            let strategy = format!("beam(256{arguments})");
            run_with(&model, &strategy, "temp=1", limits(4, &[2]), 0, None).outcome.candidates[0].clone()
        };
        let check = |found: Candidate, score: &dyn Fn(&Text) -> f64| {
            let most = best(&texts, score).1;
            let own = texts.iter().find(|text| text.0 == found.tokens).map(score).unwrap();
            assert!((own - most).abs() < 1e-9 && (found.score - most).abs() < 1e-9, "{found:?} {most}");
        };
        check(found(""), &|text| text.1);
        for penalty in [-0.5, 0.6, 1.0, 2.0] {
            let score = move |text: &Text| text.1 / (text.0.len() as f64).powf(penalty);
            check(found(&format!(",length_penalty={penalty}")), &score);
        }
        // Forbidden texts are no beams.
        let score = |text: &Text| if text.1.is_finite() { -text.2 } else { f64::NEG_INFINITY };
        check(found(",rerank=entropy"), &score);
        check(found(",rerank=penalised,weight=2"), &|text| text.1 - 2.0 * text.2);
    }
}

#[test]
fn a_beam_of_one_is_greedy_and_wider_ones_find_more() {
    let mut better = 0;
    for model in models() {
        let logprob =
            |strategy: &str| -> f64 { run(&model, strategy, 7).told.steps.iter().map(|step| step.logprob).sum() };
        assert_eq!(run(&model, "beam(1)", 7).text, run(&model, "greedy", 7).text);
        better += usize::from(logprob("beam(8)") > logprob("greedy") + 1e-9);
    }
    assert!(better > 5, "{better}");
}

/// The sampler draws one of the beams from the row of their scores: cold it takes the best, hot it does not always.
#[test]
fn the_last_beam_may_be_drawn() {
    let model = Counting::new(ToyModel::hashed(VOCAB, 2, 5));
    let taken = |sampler: &str, seed| {
        run_with(&model, "beam(6,final=sample)", sampler, limits(5, &[]), seed, None).outcome.chosen.unwrap()
    };
    assert!((0..20).all(|seed| taken("temp=0", seed) == 0));
    assert!((0..40).map(|seed| taken("temp=3", seed)).collect::<std::collections::BTreeSet<_>>().len() > 3);
}

/// Biases and penalties act in a search; temperature and truncation do not.
#[test]
fn adjustments_act_in_searches() {
    for model in models().take(10) {
        for strategy in ["greedy", "lookahead(2)", "map(5)", "beam(4)", "stochastic_beam(3)"] {
            let text = |sampler: &str| run_with(&model, strategy, sampler, limits(5, &[]), 1, None).text;
            assert_eq!(text("temp=3,top_h=0.2"), text("temp=1"), "{strategy}");
            assert!(!text("temp=3,logit_bias=(0=-inf)").contains(&0), "{strategy}");
        }
    }
}

#[test]
fn stochastic_beams_that_are_wide_enough_are_all_texts() {
    for model in models().take(10) {
        let texts = model.texts(3, &[1]);
        let possible = texts.iter().filter(|text| text.1.is_finite());
        let found = run_with(&model, "stochastic_beam(100)", "temp=1", limits(3, &[1]), 11, None).outcome;
        let mut all: Vec<_> = found.candidates.iter().map(|found| (found.tokens.clone(), found.logprob)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected: Vec<_> = possible.map(|text| (text.0.clone(), text.1)).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(all.len(), expected.len());
        for (found, expected) in all.iter().zip(&expected) {
            assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-9);
        }
        assert!(found.candidates.iter().all(|text| text.inclusion == Some(1.0)));
        assert!(found.candidates.is_sorted_by(|a, b| a.score >= b.score));
    }
}

/// Two texts drawn without replacement: how often each pair comes, beside its probability P(a) P(b) / (1 - P(a)); and the
/// inverse inclusion probabilities weigh a sum over the drawn ones to that over all texts.
#[test]
fn stochastic_beams_draw_without_replacement() {
    let model = Counting::new(ToyModel::hashed(VOCAB, 2, 2));
    let texts = model.texts(2, &[]);
    let draws = 6000;
    let mut pairs = std::collections::BTreeMap::new();
    let mut total = 0.0;
    for seed in 0..draws {
        let found = run_with(&model, "stochastic_beam(2)", "temp=1", limits(2, &[]), seed, None).outcome;
        let [a, b] = &found.candidates[..] else { panic!("{found:?}") };
        *pairs.entry((a.tokens.clone(), b.tokens.clone())).or_insert(0u32) += 1;
        total += [a, b].iter().map(|text| text.logprob.exp() / text.inclusion.unwrap()).sum::<f64>();
    }
    assert!((total / draws as f64 - 1.0).abs() < 0.02, "{total}");
    for Text(a, log_a, _) in &texts {
        for Text(b, log_b, _) in texts.iter().filter(|b| b.0 != *a) {
            let p = (log_a + log_b).exp() / (1.0 - log_a.exp());
            let seen = f64::from(pairs.get(&(a.clone(), b.clone())).copied().unwrap_or(0)) / draws as f64;
            assert!((seen - p).abs() < 4.5 * (p / draws as f64).sqrt() + 1e-3, "{a:?} {b:?}: {seen} {p}");
        }
    }
}

#[test]
fn candidates_are_the_texts_of_their_streams() {
    for model in models().take(6) {
        let sampler = Sampler::new(&"temp=1.5,top_p=0.95".parse().unwrap(), VOCAB).unwrap();
        let decoder = Decoder::new(&model, sampler, limits(6, &[2])).unwrap();
        let alone = |stream| {
            let mut state = decoder.start(&PROMPT, Seed(5), stream).unwrap();
            decoder.decode(&DecodeSpec::Sample, &mut state, &mut ()).unwrap();
            state.generated().to_vec()
        };
        let mut expected: Vec<Vec<TokenId>> = (0..5).map(alone).collect();
        expected.sort();
        for strategy in
            ["best_of(5)", "best_of(5,by=entropy)", "best_of(5,by=self_certainty)", "mbr(5)", "mbr(5,loss=bleu)"]
        {
            let outcome = run_with(&model, strategy, "temp=1.5,top_p=0.95", limits(6, &[2]), 5, None).outcome;
            let mut texts: Vec<_> = outcome.candidates.iter().map(|text| text.tokens.clone()).collect();
            texts.sort();
            assert_eq!(texts, expected, "{strategy}");
            assert!(outcome.candidates.is_sorted_by(|a, b| a.score >= b.score));
        }
        let outcome = run_with(&model, "mbr(5,loss=ngram:2)", "temp=1.5,top_p=0.95", limits(6, &[2]), 5, None).outcome;
        for (place, text) in outcome.candidates.iter().enumerate() {
            let others = outcome.candidates.iter().enumerate().filter(|(other, _)| *other != place);
            let risk = others.map(|(_, other)| Loss::Ngram(2).between(&other.tokens, &text.tokens)).sum::<f64>() / 4.0;
            assert!((text.risk.unwrap() - risk).abs() < 1e-12);
        }
    }
}

#[test]
fn the_cost_told_is_the_cost() {
    for model in models().take(6) {
        for strategy in
            ["sample", "greedy", "lookahead(3)", "map(5)", "beam(3)", "stochastic_beam(3)", "best_of(4)", "mbr(4)"]
        {
            model.rows.set(0);
            model.batches.set(0);
            let Run { outcome, text, .. } = run(&model, strategy, 6);
            // The prompt is one batch; a text found as a whole is fed once more to be told.
            let told = if strategy.parse::<DecodeSpec>().unwrap().streams() { 0 } else { text.len() as u64 - 1 };
            let (rows, batches) = (model.rows.get() - PROMPT.len() as u64, model.batches.get() - 1);
            let expected = (rows - told, batches - told.min(1));
            assert_eq!((outcome.cost.calls, outcome.cost.batches), expected, "{strategy}");
        }
    }
}

/// Whatever ends a text for the caller ends it in every strategy.
#[test]
fn a_stop_of_the_callers_ends_every_text() {
    for model in models().take(10) {
        for strategy in
            ["sample", "greedy", "lookahead(2)", "map(6)", "beam(4)", "stochastic_beam(4)", "best_of(4)", "mbr(4)"]
        {
            let Run { text, outcome, .. } = run_with(&model, strategy, "temp=1", limits(6, &[]), 3, Some(2));
            let ends_in_stop = text.iter().position(|token| *token == 2).map(|at| at + 1 == text.len());
            let expected = if ends_in_stop.is_some() { Finish::Stop } else { Finish::Length };
            assert_eq!((ends_in_stop.unwrap_or(true), outcome.finish), (true, expected), "{strategy}");
        }
    }
}

#[test]
fn a_text_that_is_over_stays_as_it_is() {
    let model = Counting::new(ToyModel::hashed(VOCAB, 2, 1));
    for strategy in
        ["sample", "greedy", "lookahead(2)", "map(6)", "beam(4)", "stochastic_beam(4)", "best_of(4)", "mbr(4)"]
    {
        let Run { text, outcome, .. } = run(&model, strategy, 0);
        assert_eq!((text.len(), outcome.finish), (0, Finish::Length), "{strategy}");
    }
}
