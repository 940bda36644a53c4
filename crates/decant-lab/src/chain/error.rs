//! What can be wrong with a law, a loss or a decoder.

use decant_sampling::SpecError;

/// Why a risk could not be worked out. Where a field of a chain or a table is at fault it is named as in its JSON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A number that is no probability.
    #[error("{field}: {value} is not a probability from 0 to 1")]
    Probability {
        /// Which number, such as `transition[2][0]`.
        field: String,
        /// The number.
        value: f64,
    },
    /// Probabilities that do not sum to 1.
    #[error("{field}: the probabilities sum to {sum}, not to 1 (within 1e-6)")]
    Sum {
        /// Which numbers, such as `start` or `transition[2]`.
        field: String,
        /// Their sum.
        sum: f64,
    },
    /// A list that is too short or too long.
    #[error("{field}: has {given} entries where there must be {expected}")]
    Length {
        /// Which list.
        field: String,
        /// How many entries there should be.
        expected: usize,
        /// How many there are.
        given: usize,
    },
    /// Something of which there must be at least one.
    #[error("{field}: must not be {what}")]
    Empty {
        /// Which field.
        field: &'static str,
        /// What it is: empty, or 0.
        what: &'static str,
    },
    /// A token outside the vocabulary.
    #[error("{field}: token {token} is not in the vocabulary of {vocab}")]
    Token {
        /// Which sequence.
        field: String,
        /// The id.
        token: u32,
        /// How many ids there are.
        vocab: usize,
    },
    /// A sequence that a table lists twice.
    #[error("joint[{second}].sequence: is listed before, as joint[{first}]")]
    Twice {
        /// Index of the first.
        first: usize,
        /// Index of the second.
        second: usize,
    },
    /// More work or memory than exactness may cost.
    #[error("{what} is too large to be worked out exactly: it needs {size} {of}, and at most {limit} are allowed")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// How much it would need. `usize::MAX` stands for anything beyond.
        size: usize,
        /// Of what.
        of: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A window longer than the text.
    #[error("loss ngram:{n}: windows of {n} tokens do not fit a length of {length}")]
    Window {
        /// Tokens of a window.
        n: usize,
        /// Tokens of a sequence.
        length: usize,
    },
    /// A loss that nobody knows.
    #[error("loss: `{0}` is none of exact, hamming, ngram:N (N from 1), cross_entropy")]
    Loss(String),
    /// A decoder that nobody knows.
    #[error(
        "decoder: `{0}` is none of greedy, lookahead:K, map, modes, beam:W (K, W from 1), mbr, sample, temp:T, \
         sampler:SPEC"
    )]
    Decoder(String),
    /// A sampler that is wrong.
    #[error("decoder {decoder}: {source}")]
    Spec {
        /// The decoder as it was written.
        decoder: String,
        /// What is wrong.
        source: SpecError,
    },
    /// A stage whose law is not worked out here.
    #[error("decoder sampler: stage {0} is not worked out exactly; temp, top_k, top_p, min_p and top_h are")]
    Stage(&'static str),
}
