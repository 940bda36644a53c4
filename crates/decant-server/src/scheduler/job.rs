//! What the scheduler is asked for, and what it tells.

use decant_decode::{DecodeError, DecodeSpec, Limits, Outcome, TokenId};
use decant_sampling::{Sampler, Seed, Step};
use std::ops::ControlFlow;
use std::time::Instant;

/// A prompt to go on from.
pub struct Job {
    /// Its tokens, at least one.
    pub prompt: Vec<TokenId>,
    /// What was generated of its texts before: they go on after it as if they had been begun here.
    pub generated: Vec<TokenId>,
    /// Made for the model's vocabulary, its texts resolved.
    pub sampler: Sampler,
    /// The strategy.
    pub decode: DecodeSpec,
    /// Where a text ends at the latest, what was generated before included. With `max_tokens` 0 only the prompt's rows are told.
    pub limits: Limits,
    /// Choice i draws by seed + i, as `generate -n` does.
    pub seed: Seed,
    /// How many texts go on from the prompt, at least 1. They share its pages.
    pub choices: u32,
    /// Whether the listener is told the rows of the prompt.
    pub prompt_rows: bool,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Who is told.
    pub listener: Box<dyn Listener>,
}

/// Who is told what a job says. Called on threads of the scheduler: quick, and never waiting.
pub trait Listener: Send {
    /// The model's row after the prompt's token at a position: what was expected next. In order, if asked for.
    fn prompt_row(&mut self, position: usize, row: &[f32]);

    /// A token of a choice that stays, and the model's own row that it was taken from. `Break` ends the choice after it.
    fn token(&mut self, choice: u32, step: &Step, row: &[f32]) -> ControlFlow<()>;

    /// Whether these generated tokens end a choice for a reason of the listener's own, such as a stop string. Asked of texts
    /// that may yet be dropped, by strategies that do not stream.
    fn stops(&self, generated: &[TokenId]) -> bool;

    /// Whether the listener takes another token now; a choice waits while it does not.
    fn is_ready(&self) -> bool;

    /// Whether nobody listens any more: then the job is dropped at the next step.
    fn is_gone(&self) -> bool;

    /// A choice is over.
    fn end(&mut self, choice: u32, ended: Ended);
}

/// How a choice ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself, or as its limits say.
    Done(Outcome),
    /// The model or a row was at fault; what was told before stands.
    Failed(DecodeError),
    /// Its deadline passed.
    Late,
    /// The server stops.
    Stopped,
}

/// Why a job is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The queue is full.
    #[error("{waiting} requests are waiting already")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// The prompt is longer than the model's context, or than all the memory that caches may take.
    #[error("the prompt has {prompt} tokens; there is room for {room}")]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Most tokens of a sequence.
        room: usize,
    },
    /// No token to start from.
    #[error("the prompt has no tokens")]
    Empty,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closing,
}

/// How busy a scheduler is, and what it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Jobs that wait.
    pub waiting: usize,
    /// Texts that are live.
    pub live: usize,
    /// Positions that live texts and kept prefixes hold in caches.
    pub cached: usize,
    /// Jobs taken so far.
    pub jobs: u64,
    /// Prompts and texts that nobody listened to any more.
    pub cancelled: u64,
    /// Tokens of prompts fed, and those of them that were found in kept caches.
    pub prompt_tokens: u64,
    /// See above.
    pub prompt_tokens_found: u64,
    /// Tokens drawn or decided.
    pub generated_tokens: u64,
    /// Batches fed.
    pub steps: u64,
    /// Sequences in them, summed.
    pub batched: u64,
    /// Seconds spent in batches, and in sampling.
    pub step_seconds: f64,
    /// See above.
    pub sampling_seconds: f64,
}
