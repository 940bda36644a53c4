//! One token of the survivors.

use super::order::EVERYTHING;
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
            self.sums();
            let (top, top_logit, beta) = (self.top as usize, self.top_of_row(), self.beta as f32);
            let row = self.row();
            let weight = |token: usize| f64::from(rows::exp((row[token] - top_logit) * beta));
            return walk(uniform, &self.buffers.block_sums, top, row.len(), weight) as TokenId;
        }
        let pool = &mut self.buffers.pool;
        pool.sums(EVERYTHING);
        let top = pool.place_of_top().unwrap_or(usize::MAX);
        pool.tokens[walk(uniform, &pool.block_sums, top, pool.len(), |place| f64::from(pool.weights[place]))]
    }
}

/// Walks along blocks of weights, then inside one, to the first of `len` places at which the running sum exceeds the
/// share `uniform` of the whole. `block_sums` are without the weight at `top`, which is 1.
fn walk(uniform: f64, block_sums: &[f64], top: usize, len: usize, weight: impl Fn(usize) -> f64) -> usize {
    let one_at = |place: usize, at: usize| if place == at { 1.0 } else { 0.0 };
    let sums = block_sums.iter().enumerate().map(|(block, sum)| sum + one_at(block, top / rows::BLOCK));
    let (block, left) = first_beyond(sums.clone(), uniform * sums.sum::<f64>());
    let start = block * rows::BLOCK;
    let inside = start..len.min(start + rows::BLOCK);
    let weights = inside.map(|place| if place == top { 1.0 } else { weight(place) });
    start + first_beyond(weights, left).0
}

/// The first index at which the running sum of the weights exceeds `target`, and what of the target was left there; the
/// last positive weight if rounding let the target slip past all.
fn first_beyond(weights: impl Iterator<Item = f64>, target: f64) -> (usize, f64) {
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
