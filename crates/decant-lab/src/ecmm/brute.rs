//! The oracle: every subset.

use super::{EQUAL, EcmmError, Row, Subset};

/// The most tokens of p > 0 that brute force takes: four million subsets.
pub const BRUTE_LIMIT: usize = 22;

/// Ranks in or out, as bits.
type Mask = u32;

/// All subsets of a row, one after another.
struct Listing<'r> {
    row: &'r Row,
    limit: f64,
    best: (f64, Mask),
}

impl Row {
    /// The optimum by listing all subsets, each by the formula H(q) = ln s + e/s.
    ///
    /// # Errors
    /// [`EcmmError::TooLarge`] beyond [`BRUTE_LIMIT`] tokens of p > 0.
    pub fn brute_force(&self) -> Result<Subset, EcmmError> {
        if self.len() > BRUTE_LIMIT {
            return Err(EcmmError::TooLarge { support: self.len() });
        }
        let mut listing = Listing { row: self, limit: self.limit(), best: (0.0, 0) };
        listing.list(0, 0.0, 0.0, 0);
        let mask = listing.best.1;
        Ok(self.subset((0..self.len()).filter(|rank| mask >> rank & 1 == 1)))
    }
}

impl Listing<'_> {
    /// Lists the ways to go on from a set of mass `s` and cost `e`, tokens from `rank` on undecided.
    fn list(&mut self, rank: usize, s: f64, e: f64, set: Mask) {
        if let Some(&p) = self.row.falling().get(rank) {
            self.list(rank + 1, s + p, e - p * libm::log(p), set | 1 << rank);
            self.list(rank + 1, s, e, set);
        } else if s > self.best.0 + EQUAL && (set.count_ones() == 1 || libm::log(s) + e / s <= self.limit) {
            self.best = (s, set);
        }
    }
}
