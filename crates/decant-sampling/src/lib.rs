//! From a row of logits to a token.
//!
//! A [`SamplerSpec`] says what to do, as data. [`Sampler::new`] makes it ready for a vocabulary; the sampler is immutable
//! and pure: equal row bits, spec, seed, stream and position give the equal token on every machine.

mod batch;
mod catalog;
mod context;
mod effect;
mod entropy;
mod logits;
mod ranked;
mod row;
mod sampler;
mod schedule;
mod schema;
mod seed;
mod spec;
pub mod stages;
pub mod yardstick;

pub use batch::{BatchScratch, Pick};
pub use catalog::{Field, Kind, Range, Role, StageInfo, Stricter, Usual, find_stage};
pub use context::{History, Memory};
pub use decant_kernels::{Isa, IsaName};
pub use effect::Truncate;
pub use entropy::{EntropyStats, Sums};
pub use half::{bf16, f16};
pub use logits::{Logits, RowError, TokenId};
pub use ranked::{Prefix, Ranked};
pub use row::{Row, RowMut};
pub use sampler::{Kept, Sampler, Scratch, Step};
pub use schedule::{Schedule, Shape, Signal, Signals};
pub use seed::{Coins, Seed};
pub use spec::{At, Lexicon, Phrase, Phrases, SamplerSpec, SpecError, SpecValue, Warning};
pub use stages::{Stage, TopHRule, catalog};
