//! The one interface to a model: weights that never change, and a cache that is a value.

use decant_sampling::TokenId;

/// Which rows of logits a call to `feed` wants back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// None: only fill the cache.
    None,
    /// The row after the last token fed.
    Last,
    /// One row after every token fed.
    All,
}

impl Want {
    /// How many rows come back when `tokens` are fed.
    pub fn rows(self, tokens: usize) -> usize {
        match self {
            Want::None => 0,
            Want::Last => tokens.min(1),
            Want::All => tokens,
        }
    }
}

/// Rows of logits, shape `[n, vocab]`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    data: Vec<f32>,
    vocab: usize,
}

impl Rows {
    /// Wraps `data`, whose length must be a multiple of `vocab`.
    ///
    /// # Panics
    /// If it is not: a mistake of the model, never of its input.
    pub fn new(data: Vec<f32>, vocab: usize) -> Self {
        assert!(vocab > 0 && data.len().is_multiple_of(vocab), "{} logits are not rows of {vocab}", data.len());
        Rows { data, vocab }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.vocab
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The width of a row.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The last row, if any.
    pub fn last(&self) -> Option<&[f32]> {
        self.data.rchunks_exact(self.vocab).next()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.vocab)
    }

    /// The numbers themselves, shape `[n, vocab]`.
    pub fn into_inner(self) -> Vec<f32> {
        self.data
    }
}

/// One sequence's part of a batch.
#[derive(Debug)]
pub struct Feed<'a, C> {
    /// The sequence so far; grows by `tokens`.
    pub cache: &'a mut C,
    /// What to feed.
    pub tokens: &'a [TokenId],
    /// Which rows to return.
    pub want: Want,
}

impl<C> Feed<'_, C> {
    /// Whether a model of this `vocab` and `context` can take the tokens after the `len` that the cache holds.
    ///
    /// # Errors
    /// [`ModelError::Context`], or [`ModelError::Token`] for the first token that the model does not have.
    pub fn check(&self, len: usize, vocab: usize, context: usize) -> Result<(), ModelError> {
        let needed = len + self.tokens.len();
        if needed > context {
            return Err(ModelError::Context { needed, context });
        }
        match self.tokens.iter().position(|&token| token as usize >= vocab) {
            Some(i) => Err(ModelError::Token { token: self.tokens[i], position: len + i, vocab }),
            None => Ok(()),
        }
    }
}

/// Why a model could not take tokens. The cache is then as it was before the call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A token id outside the vocabulary.
    #[error("token {token} at position {position} is not in the model's vocabulary of {vocab}")]
    Token {
        /// The id.
        token: TokenId,
        /// Where in the sequence.
        position: usize,
        /// How many ids there are.
        vocab: usize,
    },
    /// The engine has stopped, or nobody waits for the rows any more.
    #[error("the engine has stopped")]
    Stopped,
    /// More tokens than the model has positions.
    #[error("{needed} tokens do not fit the model's context of {context}")]
    Context {
        /// Sequence length that was asked for.
        needed: usize,
        /// What the model was made for.
        context: usize,
    },
}

/// Weights. All that changes is in the cache; clone forks it (pages in `Arc`), rewind cuts it.
///
/// Logits are a pure function of the tokens in the cache: however they were chunked, whatever else was in the batch,
/// whatever thread count or instruction set.
pub trait LanguageModel {
    /// Everything a sequence carries from token to token.
    type Cache: Clone;

    /// The width of a row of logits.
    fn vocab(&self) -> usize;

    /// How many positions a sequence may have.
    fn context(&self) -> usize;

    /// A sequence of no tokens.
    fn empty(&self) -> Self::Cache;

    /// How many tokens a cache holds.
    fn len(&self, cache: &Self::Cache) -> usize;

    /// Feeds tokens to one sequence and returns the rows wanted, [n, vocab].
    fn feed(&self, cache: &mut Self::Cache, tokens: &[TokenId], want: Want) -> Result<Rows, ModelError> {
        let mut rows = self.feed_all(&mut [Feed { cache, tokens, want }])?;
        Ok(rows.swap_remove(0))
    }

    /// Cuts a sequence to its first `len` tokens; no effect if it is not longer.
    fn rewind(&self, cache: &mut Self::Cache, len: usize);

    /// Feeds a ragged batch; the same bits as one by one. On an error no cache has changed.
    fn feed_all(&self, batch: &mut [Feed<'_, Self::Cache>]) -> Result<Vec<Rows>, ModelError>;
}
