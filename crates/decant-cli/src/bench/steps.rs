//! How long the engine takes for a step, and for a prompt.

use anyhow::Result;
use decant_decode::{Feed, LanguageModel, Want};
use decant_models::native::NativeModel;
use decant_sampling::TokenId;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Steps after which sequences are cut back to where they began.
pub const STEPS: usize = 32;
/// The least number of steps whose times are taken.
const LEAST: usize = 7;

/// Times of steps that take one token of each of `batch` sequences, of `context` tokens before the first, to a row of logits.
/// The first step is not timed.
pub fn steps(model: &NativeModel, batch: usize, context: usize, budget: Duration) -> Result<Vec<Duration>> {
    let mut caches = vec![model.empty(); batch];
    for (sequence, cache) in caches.iter_mut().enumerate() {
        let prompt: Vec<TokenId> = (0..context).map(|at| token(sequence, at, model.vocab())).collect();
        model.feed(cache, &prompt, Want::None)?;
    }
    let mut times = Vec::new();
    for step in 0.. {
        let position = context + step % STEPS;
        caches.iter_mut().for_each(|cache| model.rewind(cache, position));
        let tokens: Vec<TokenId> = (0..batch).map(|sequence| token(sequence, position, model.vocab())).collect();
        let start = Instant::now();
        let feeds = caches.iter_mut().zip(tokens.chunks(1));
        let mut feeds: Vec<_> = feeds.map(|(cache, tokens)| Feed { cache, tokens, want: Want::Last }).collect();
        black_box(model.feed_all(&mut feeds)?);
        if step > 0 {
            times.push(start.elapsed());
        }
        if times.len() >= LEAST && times.iter().sum::<Duration>() >= budget {
            break;
        }
    }
    Ok(times)
}

/// Times of feeding a prompt of `len` tokens to an empty cache, for the row after its last.
pub fn prefills(model: &NativeModel, len: usize, budget: Duration) -> Result<Vec<Duration>> {
    let prompt: Vec<TokenId> = (0..len).map(|at| token(0, at, model.vocab())).collect();
    let mut times = Vec::new();
    while times.is_empty() || times.iter().sum::<Duration>() < budget {
        let start = Instant::now();
        black_box(model.feed(&mut model.empty(), &prompt, Want::Last)?);
        times.push(start.elapsed());
    }
    Ok(times)
}

/// Some token: the engine takes as long for any.
fn token(sequence: usize, position: usize, vocab: usize) -> TokenId {
    ((sequence * 97 + position * 7919) % vocab) as TokenId
}
