//! A model and a trace small enough to be read, for the tests of this crate.

use crate::{
    Decoder, FORMAT, Feed, Generated, Header, LanguageModel, Limits, ModelError, ModelId, Rows, Trace, TraceStep, Watch,
};
use decant_sampling::{Sampler, Seed, Step, TokenId};
use std::ops::ControlFlow;

/// A model whose row is a hash of the whole context, in a cache that is the context itself.
#[derive(Debug)]
pub struct Hashed {
    /// Rows after so many tokens hold a NaN.
    pub sound: usize,
}

/// One without a fault.
pub const HASHED: Hashed = Hashed { sound: usize::MAX };

impl Hashed {
    pub const VOCAB: usize = 20;
    pub const CONTEXT: usize = 300;

    pub fn row(context: &[TokenId]) -> Vec<f32> {
        let mix = |hash: u64, token: u64| (hash ^ token).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let hash = context.iter().fold(1, |hash, &token| mix(hash, u64::from(token)));
        (0..Self::VOCAB as u64).map(|token| (mix(hash, token) % 97) as f32 / 16.0).collect()
    }
}

impl LanguageModel for Hashed {
    type Cache = Vec<TokenId>;

    fn vocab(&self) -> usize {
        Self::VOCAB
    }

    fn context(&self) -> usize {
        Self::CONTEXT
    }

    fn empty(&self) -> Self::Cache {
        Vec::new()
    }

    fn len(&self, cache: &Self::Cache) -> usize {
        cache.len()
    }

    fn rewind(&self, cache: &mut Self::Cache, len: usize) {
        cache.truncate(len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, Self::Cache>]) -> Result<Vec<Rows>, ModelError> {
        for feed in &*batch {
            let needed = feed.cache.len() + feed.tokens.len();
            if needed > Self::CONTEXT {
                return Err(ModelError::Context { needed, context: Self::CONTEXT });
            }
        }
        let feed_one = |feed: &mut Feed<'_, Self::Cache>| {
            let mut rows = Vec::new();
            for &token in feed.tokens {
                feed.cache.push(token);
                let mut row = Self::row(feed.cache);
                if feed.cache.len() > self.sound {
                    row[3] = f32::NAN;
                }
                rows.extend(row);
            }
            rows.drain(..rows.len() - feed.want.rows(feed.tokens.len()) * Self::VOCAB);
            Rows::new(rows, Self::VOCAB)
        };
        Ok(batch.iter_mut().map(feed_one).collect())
    }
}

/// A trace of eight tokens, spelt a, b, c, ..
pub fn recorded(seed: u64) -> Trace {
    recorded_by("temp=1.5,top_p=0.9", "sample", seed)
}

/// Takes down every step.
struct Recorder(Vec<TraceStep>);

impl Watch for Recorder {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        let spell = |token: TokenId| &b"abcdefghijklmnopqrstuvwxyz"[token as usize..][..1];
        self.0.push(TraceStep::new(self.0.len(), *step, spell(step.token), row, spell));
        ControlFlow::Continue(())
    }
}

/// The same by another sampler and strategy.
pub fn recorded_by(sampler: &str, decode: &str, seed: u64) -> Trace {
    let limits = Limits { max_tokens: 8, ends: vec![], ignore_eos: false };
    let header = Header {
        format: FORMAT,
        version: "0.0.0".to_owned(),
        model: ModelId { source: "hashed".to_owned(), hash: "none".to_owned(), quantise: None, kv: None },
        sampler: sampler.parse().unwrap(),
        decode: decode.parse().unwrap(),
        seed,
        stream: 3,
        prompt: "bc".to_owned(),
        prompt_ids: vec![1, 2],
        generated: Generated::default(),
        limits: limits.clone(),
        stop: vec![],
    };
    let decoder = Decoder::new(&HASHED, Sampler::new(&header.sampler, Hashed::VOCAB).unwrap(), limits).unwrap();
    let mut state = decoder.start(&header.prompt_ids, Seed(seed), header.stream).unwrap();
    let mut recorder = Recorder(Vec::new());
    let outcome = decoder.decode(&header.decode, &mut state, &mut recorder).unwrap();
    let finish = Some(outcome.finish);
    let outcome = (!header.decode.is_sample()).then_some(outcome);
    Trace { header, steps: recorder.0, outcome, finish }
}
