//! Continuous batching: one thread owns the model and feeds all live texts in one ragged batch a step.
//!
//! What a text says does not depend on what else is in the batch: the model's logits do not, and coins are keyed by seed,
//! stream and position. So joining, leaving, waiting and being computed anew change nothing but time.
//!
//! Texts that sample live on the scheduler's own thread. A strategy that searches runs on a thread of its own, on a
//! model whose feeds join the same batches.

mod door;
mod job;
mod kept;
mod proxy;
mod run;
mod text;

pub use door::Handle;
pub use job::{Ended, Job, Listener, Refused, Stats};

use crate::sync::{Arc, spawn};
use decant_decode::LanguageModel;

/// How much a scheduler takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many jobs may wait; more are refused.
    pub waiting: usize,
    /// How many texts are live at once; the last job that is let in may bring a few more, for its choices stay together.
    pub live: usize,
    /// How many positions all caches may hold together, shared ones counted for each.
    pub positions: usize,
    /// How many of them may be kept of texts that are over, for prompts that begin in the same way.
    pub kept: usize,
    /// How many tokens of prompts are fed in one step, so that a long prompt does not hold up the other texts.
    pub chunk: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { waiting: 256, live: 64, positions: 1 << 17, kept: 1 << 15, chunk: 64 }
    }
}

/// Starts a scheduler on a thread of its own. It ends when it is told to [stop](Handle::stop), when it is
/// [drained](Handle::drain) or when no handle is left, its jobs done.
pub fn start<M>(model: Arc<M>, options: Options) -> Handle
where
    M: LanguageModel + Send + Sync + 'static,
    M::Cache: Send,
{
    let room = model.context().min(options.positions);
    let (handle, door) = door::open(options.waiting, room);
    spawn("decant-scheduler", move || run::run(model, options, door));
    handle
}
