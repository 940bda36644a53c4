//! Why a tokenizer cannot be made, or cannot split a text.

use decant_sampling::TokenId;

/// Why a tokenizer cannot be made, or cannot split a text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// What a file says makes no tokenizer.
    #[error("no tokenizer can be made of it: {reason}")]
    Invalid {
        /// Why not.
        reason: String,
    },
    /// A kind of vocabulary in a GGUF file that is not read.
    #[error("`tokenizer.ggml.model` is `{found}`; known are gpt2 and llama")]
    Kind {
        /// What the file says.
        found: String,
    },
    /// A way of cutting text into words that is not known, so that its ids would be wrong.
    #[error("`tokenizer.ggml.pre` is `{found}`; known are {}", known.join(", "))]
    Pre {
        /// What the file says.
        found: String,
        /// What it may say.
        known: Vec<&'static str>,
    },
    /// An empty prompt, and no token to start from instead.
    #[error("the prompt is empty, and the model has no BOS token to start from")]
    Empty,
    /// A merge that is not two tokens whose joint is a token too.
    #[error("merge {index}, `{merge}`, does not join two tokens of the vocabulary into a third")]
    Merge {
        /// Its rank.
        index: usize,
        /// How it is written.
        merge: String,
    },
    /// A list that must have an entry for every token has another length.
    #[error("`{key}` has {found} entries for a vocabulary of {vocab}")]
    Length {
        /// Which list.
        key: &'static str,
        /// How long it is.
        found: usize,
        /// How many tokens there are.
        vocab: usize,
    },
    /// A special token outside the vocabulary.
    #[error("`{key}` is {id}, which is not in the vocabulary of {vocab}")]
    SpecialId {
        /// Which.
        key: String,
        /// What the file says.
        id: u64,
        /// How many tokens there are.
        vocab: usize,
    },
    /// A special token that must be known is not.
    #[error("the tokenizer adds `{key}`, but does not say which token that is")]
    NoSpecialId {
        /// Which.
        key: String,
    },
    /// A vocabulary without a token for what it cannot spell.
    #[error("the unknown token is {id}, which is not in the vocabulary of {vocab}")]
    NoUnknown {
        /// Its id.
        id: TokenId,
        /// How many tokens there are.
        vocab: usize,
    },
    /// The tokenizer's own rules failed on a text.
    #[error("the text cannot be split into tokens: {reason}")]
    Encode {
        /// Why not.
        reason: String,
    },
}
