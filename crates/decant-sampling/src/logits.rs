//! A row of logits, checked once.

use crate::{EntropyStats, Isa};
use decant_kernels::rows::{self, Blocks, Want};

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
#[derive(Clone, Debug)]
pub struct Logits<'a> {
    row: &'a [f32],
    blocks: Blocks,
    bounds: Bounds,
}

/// What the check of a row found beside faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// The most probable token; of equals the lowest id.
    pub(crate) top: TokenId,
    /// How many tokens are allowed.
    pub(crate) support: u32,
}

impl Bounds {
    /// Checks a row and leaves the bounds of each block of [`rows::BLOCK`] tokens in `blocks`.
    pub(crate) fn of(row: &[f32], isa: Isa, blocks: &mut Blocks) -> Result<Self, RowError> {
        if row.is_empty() {
            return Err(RowError::Empty);
        }
        let scan = rows::scan(isa, row, blocks)
            .map_err(|bad| RowError::NotALogit { token: bad.index as TokenId, value: bad.value })?;
        match scan.top {
            Some(top) => Ok(Bounds { top: top as TokenId, support: scan.support as u32 }),
            None => Err(RowError::AllForbidden { vocab: row.len() }),
        }
    }
}

impl<'a> Logits<'a> {
    /// Checks a row: not empty, no NaN, no +inf, at least one token allowed.
    pub fn new(row: &'a [f32]) -> Result<Self, RowError> {
        let mut blocks = Blocks::default();
        let bounds = Bounds::of(row, Isa::best(), &mut blocks)?;
        Ok(Logits { row, blocks, bounds })
    }

    /// The row itself.
    pub fn row(&self) -> &'a [f32] {
        self.row
    }

    /// The most probable token; of equals the lowest id.
    pub fn top(&self) -> TokenId {
        self.bounds.top
    }

    /// The statistics of the row at T = 1.
    pub(crate) fn stats(&self) -> EntropyStats {
        let (all, top) = (Want { first: true, second: true, squares: false }, self.bounds.top as usize);
        let row = rows::Row { logits: self.row, blocks: &self.blocks, top, beta: 1.0 };
        let moments = rows::moments(Isa::best(), row, all, &mut Vec::new());
        EntropyStats::from_moments(self.row[top], self.bounds.support, moments)
    }
}
