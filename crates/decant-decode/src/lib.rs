//! Language models as values, decoding over them, and traces that replay.
//!
//! A [`Decoder`] never changes: a model, a sampler, limits. All that changes is in a [`State`], which is `Clone`: a fork
//! is a clone, a replay is calling [`Decoder::step`] again. Text is made of token bytes by [`TextStream`], and a
//! [`Trace`] holds enough of a run to draw it, and to prove that it comes out again bit for bit.

mod alternatives;
mod decoder;
mod model;
mod replay;
mod strategy;
#[cfg(test)]
mod testing;
mod text;
mod trace;
mod trace_file;

pub use alternatives::{Alternative, alternatives};
pub use decant_sampling::TokenId;
pub use decoder::{DecodeError, Decoder, Finish, Limits, State};
pub use model::{Feed, LanguageModel, ModelError, Rows, Want};
pub use replay::{Difference, replay};
pub use strategy::{
    Beam, By, Candidate, Cost, DecodeSpec, DecodeSpecError, Last, Loss, Outcome, Rerank, UnknownLoss, Watch,
};
pub use text::{TextStream, Utf8Stream};
pub use trace::{FORMAT, Generated, Header, ModelId, Piece, TopToken, Trace, TraceLine, TraceStep};
pub use trace_file::{TraceError, TraceWriter, Traces};
