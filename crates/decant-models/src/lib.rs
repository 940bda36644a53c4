//! Model files, tokenizers, chat templates and the native engine.

pub mod checkpoint;
mod error;
pub mod gguf;
pub mod hub;
mod identity;
mod model;
pub mod native;
mod quantise;
pub mod random;
pub mod template;
pub mod tokenizer;
pub mod toy;
pub mod weights;

pub use error::LoadError;
pub use model::{FileFormat, LoadOptions, Model, ModelInfo, ModelSource};
pub use quantise::{Quantisation, Quantised};
