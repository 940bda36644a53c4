//! Language models as values, decoding over them, and traces that replay.

mod model;
#[cfg(test)]
mod tests {}

pub use decant_sampling::TokenId;
pub use model::{Feed, LanguageModel, ModelError, Rows, Want};
