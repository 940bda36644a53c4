//! A row of logits, checked once.

use crate::{EntropyStats, Isa};
use decant_kernels::rows;

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

/// One row of next-token logits, shape `[vocab]`; -inf forbids a token. Checked once, trusted after.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    row: &'a [f32],
    isa: Isa,
    top: TokenId,
    support: u32,
}

impl<'a> Logits<'a> {
    /// Checks a row: not empty, no NaN, no +inf, at least one token allowed.
    pub fn new(row: &'a [f32]) -> Result<Self, RowError> {
        Self::scan(row, Isa::best(), &mut Vec::new())
    }

    /// Checks a row and leaves the largest logit of each block of [`rows::BLOCK`] tokens in `block_max`.
    pub(crate) fn scan(row: &'a [f32], isa: Isa, block_max: &mut Vec<f32>) -> Result<Self, RowError> {
        if row.is_empty() {
            return Err(RowError::Empty);
        }
        let scan = rows::scan(isa, row, block_max)
            .map_err(|bad| RowError::NotALogit { token: bad.index as TokenId, value: bad.value })?;
        match scan.top {
            Some(top) => Ok(Logits { row, isa, top: top as TokenId, support: scan.support as u32 }),
            None => Err(RowError::AllForbidden { vocab: row.len() }),
        }
    }

    /// The row itself.
    pub fn row(&self) -> &'a [f32] {
        self.row
    }

    /// The most probable token; of equals the lowest id.
    pub fn top(&self) -> TokenId {
        self.top
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn top_logit(&self) -> f32 {
        self.row[self.top as usize]
    }

    /// The statistics of softmax(beta · l); the blocks' shares of Σe^x, without the top token's 1, go to `block_sums`.
    pub(crate) fn survey(&self, beta: f64, block_sums: &mut Vec<f64>) -> EntropyStats {
        let rounded = beta as f32;
        let rows::Moments([s0, s1, s2]) = rows::moments(self.isa, self.row, self.top as usize, rounded, block_sums);
        // The kernel's beta is an f32. Rounding scaled every x alike, so the errors do not cancel; to first order they are
        // the next moments: d/dβ Σe^x = Σx e^x / β, and so on.
        let missing = beta / f64::from(rounded) - 1.0;
        let sums = [s0 + missing * s1, s1 + missing * (s1 + s2), s2 * (1.0 + 2.0 * missing)];
        EntropyStats::new(f64::from(self.top_logit()) * beta, self.support, sums)
    }
}
