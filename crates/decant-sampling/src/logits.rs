//! A row of logits, checked once.

/// The id of a token: its index in the vocabulary.
pub type TokenId = u32;

/// Why a row of numbers is not a row of logits, or does not fit the sampler.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has no entries.
    #[error("the row of logits is empty")]
    Empty,
    /// An entry is NaN or +inf. (-inf forbids a token and is fine.)
    #[error("the logit of token {token} is {value}; a logit is a finite number, or -inf for a forbidden token")]
    NotALogit {
        /// The first such token.
        token: TokenId,
        /// What stood there.
        value: f32,
    },
    /// Every token is forbidden.
    #[error("all {vocab} tokens of the row are forbidden (-inf)")]
    AllForbidden {
        /// The row's length.
        vocab: usize,
    },
    /// The row's length is not the vocabulary that the sampler was made for.
    #[error("the row has {given} logits, the sampler was made for a vocabulary of {vocab}")]
    Length {
        /// The sampler's vocabulary.
        vocab: usize,
        /// The row's length.
        given: usize,
    },
}

/// One row of next-token logits, shape [vocab]; -inf forbids a token. Checked once, trusted after.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    row: &'a [f32],
}

impl<'a> Logits<'a> {
    /// Checks a row: not empty, no NaN, no +inf, at least one token allowed.
    pub fn new(row: &'a [f32]) -> Result<Self, RowError> {
        let _ = row;
        todo!()
    }

    /// The row itself.
    pub fn row(&self) -> &'a [f32] {
        self.row
    }
}
