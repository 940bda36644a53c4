//! One token of the survivors.

use super::{Ranked, Reach};
use crate::TokenId;
use decant_kernels::rows;

impl Ranked<'_> {
    /// Draws by inverse CDF in token order: the first token at which the running sum exceeds `uniform` of the whole.
    pub(crate) fn draw(&mut self, uniform: f64) -> TokenId {
        if self.len == 1 {
            return self.top;
        }
        if self.buffers.reach != Reach::Whole {
            return self.draw_from_row(uniform);
        }
        let pool = &self.buffers.pool;
        let weights = || pool.weights.iter().map(|weight| f64::from(*weight));
        let (place, _) = walk(weights(), uniform * weights().sum::<f64>());
        pool.tokens[place]
    }

    /// The draw over a whole row: along the blocks' sums to the block, then inside it.
    fn draw_from_row(&mut self, uniform: f64) -> TokenId {
        self.sums();
        let top = self.top as usize;
        let block_sum = |(block, sum): (usize, &f64)| sum + if block == top / rows::BLOCK { 1.0 } else { 0.0 };
        let sums = || self.buffers.block_sums.iter().enumerate().map(block_sum);
        let (block, left) = walk(sums(), uniform * sums().sum::<f64>());
        let start = block * rows::BLOCK;
        let tokens = &self.row()[start..self.row().len().min(start + rows::BLOCK)];
        let (top, beta) = (self.top_of_row(), self.beta as f32);
        let weights = tokens.iter().map(|logit| f64::from(rows::exp((logit - top) * beta)));
        (start + walk(weights, left).0) as TokenId
    }
}

/// Walks along weights to the first at which the running sum exceeds `target`, and returns its index and what of the
/// target was left there; the last positive weight if rounding let the target slip past all.
fn walk(weights: impl Iterator<Item = f64>, target: f64) -> (usize, f64) {
    let (mut sum, mut last) = (0.0, (0, 0.0));
    for (index, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = (index, target - sum);
        }
        sum += weight;
        if sum > target {
            return (index, last.1);
        }
    }
    last
}
