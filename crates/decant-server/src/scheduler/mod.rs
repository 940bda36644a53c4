//! Continuous batching: one thread owns the model and feeds all live texts in one ragged batch a step.
//!
//! What a text says does not depend on what else is in the batch: the model's logits do not, and coins are keyed by seed,
//! stream and position. So joining, leaving, waiting and being computed anew change nothing but time.

mod job;

pub use job::{Ended, Handle, Job, Listener, Refused, Stats};
