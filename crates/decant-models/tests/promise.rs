//! One feed among up to 63 others gives the bits that it gives alone: for every architecture and format, on every tier, with
//! any number of threads, however the prompt is cut, forked and rewound.

mod common;

use common::random_model::{RandomModel, small};
use common::tiers::{engines, plain};
use decant_decode::{Feed, LanguageModel, TokenId, Want};
use decant_kernels::attention::KvFormat;
use decant_models::native::{EngineOptions, KvCache, NativeModel};
use decant_models::weights::{Architecture, Format};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// What happens to a sequence while its prompt is fed.
#[derive(Clone, Debug)]
struct Case {
    engine: Index,
    kv: Index,
    /// How long each part of the prompt is, and among whom it is fed.
    parts: Vec<(usize, Neighbours)>,
    /// After which part it goes on as its own clone, while the original is fed something else.
    fork: Index,
    /// After which part it is fed something else and rewound, and how much.
    rewind: (Index, usize),
    seed: u32,
}

/// Others in the batch: tokens that each has in its cache and that each is fed; and how many of them come first.
#[derive(Clone, Debug)]
struct Neighbours {
    all: Vec<(usize, usize)>,
    before: Index,
}

fn neighbours() -> impl Strategy<Value = Neighbours> {
    // Often few, sometimes as many as there may be.
    let count = prop_oneof![0..4usize, 0..64usize, Just(63)];
    let all = count.prop_flat_map(|count| proptest::collection::vec((0..3usize, 1..3usize), count));
    (all, any::<Index>()).prop_map(|(all, before)| Neighbours { all, before })
}

fn case() -> impl Strategy<Value = Case> {
    let parts = proptest::collection::vec((1..30usize, neighbours()), 1..4);
    let rewind = (any::<Index>(), 1..40usize);
    (any::<Index>(), any::<Index>(), parts, any::<Index>(), rewind, any::<u32>())
        .prop_map(|(engine, kv, parts, fork, rewind, seed)| Case { engine, kv, parts, fork, rewind, seed })
}

/// Tokens without end, the same for the same seed.
struct Tokens(u32, u32);

impl Tokens {
    fn take(&mut self, count: usize) -> Vec<TokenId> {
        let Tokens(next, vocab) = self;
        let token = |_| {
            *next = next.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (*next >> 16) % *vocab
        };
        (0..count).map(token).collect()
    }
}

fn bits<'a>(rows: impl IntoIterator<Item = &'a [f32]>) -> Vec<u32> {
    rows.into_iter().flatten().map(|logit| logit.to_bits()).collect()
}

/// Feeds each cache its tokens.
fn batch<'a>(caches: &'a mut [KvCache], tokens: &'a [Vec<TokenId>]) -> Vec<Feed<'a, KvCache>> {
    caches.iter_mut().zip(tokens).map(|(cache, tokens)| Feed { cache, tokens, want: Want::Last }).collect()
}

/// Feeds a part of the prompt to `cache` in a batch with others: the bits of its rows.
fn feed_among(
    engine: &NativeModel,
    cache: &mut KvCache,
    part: &[TokenId],
    Neighbours { all, before }: &Neighbours,
    others: &mut Tokens,
) -> Vec<u32> {
    let mut caches = vec![engine.empty(); all.len()];
    let known: Vec<Vec<TokenId>> = all.iter().map(|(known, _)| others.take(*known)).collect();
    engine.feed_all(&mut batch(&mut caches, &known)).unwrap();
    let fed: Vec<Vec<TokenId>> = all.iter().map(|(_, fed)| others.take(*fed)).collect();
    let mut batch = batch(&mut caches, &fed);
    let place = before.index(batch.len() + 1);
    batch.insert(place, Feed { cache, tokens: part, want: Want::All });
    bits(engine.feed_all(&mut batch).unwrap()[place].iter())
}

/// The bits of all rows of the prompt, fed as the case says.
fn rows(engine: &NativeModel, case: &Case, prompt: &[TokenId]) -> Vec<u32> {
    let mut others = Tokens(!case.seed, engine.vocab() as u32);
    let (mut cache, mut fed, mut rows) = (engine.empty(), 0, Vec::new());
    let (fork, rewind) = (case.fork.index(case.parts.len()), case.rewind.0.index(case.parts.len()));
    for (index, (len, neighbours)) in case.parts.iter().enumerate() {
        let part = &prompt[fed..][..*len];
        rows.extend(feed_among(engine, &mut cache, part, neighbours, &mut others));
        fed += len;
        if index == fork {
            let clone = cache.clone();
            engine.feed(&mut cache, &others.take(20), Want::None).unwrap();
            cache = clone;
        }
        if index == rewind {
            let mut clone = cache.clone();
            engine.feed(&mut clone, &others.take(case.rewind.1.min(engine.context() - fed)), Want::None).unwrap();
            engine.rewind(&mut clone, fed);
            cache = clone;
        }
    }
    rows
}

/// One architecture in one format: what a case gives, against the prompt alone, at once, by the plainest engine.
fn keeps_the_promise(model: &RandomModel, case: &Case) -> Result<(), TestCaseError> {
    let kv = *case.kv.get(&KvFormat::ALL);
    let len = case.parts.iter().map(|(len, _)| len).sum();
    let prompt = Tokens(case.seed, model.config.vocab as u32).take(len);
    let alone = model.load(EngineOptions { kv, ..plain() });
    let expected = bits(alone.feed(&mut alone.empty(), &prompt, Want::All).unwrap().iter());
    let options = EngineOptions { kv, ..*case.engine.get(&engines(1..=4)) };
    prop_assert_eq!(rows(&model.load(options), case, &prompt), expected, "{:?}", options);
    Ok(())
}

#[test]
fn a_feed_among_others_is_a_feed_alone() {
    for architecture in Architecture::ALL {
        for format in Format::ALL {
            let model = RandomModel::new(small(architecture), format, 3);
            let mut runner =
                TestRunner::new(ProptestConfig { cases: 1, failure_persistence: None, ..Default::default() });
            if let Err(error) = runner.run(&case(), |case| keeps_the_promise(&model, &case)) {
                panic!("{architecture:?} {}: {error}", format.name());
            }
        }
    }
}
