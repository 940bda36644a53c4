//! One token of the survivors.

use super::order::EVERYTHING;
use super::{Buffers, Ranked, Reach};
use crate::TokenId;
use decant_kernels::rows;

impl Ranked<'_> {
    /// Draws by inverse CDF in token order: the first token at which the running sum exceeds `uniform` of the whole.
    pub(crate) fn draw(&mut self, uniform: f64) -> TokenId {
        if self.len == 1 {
            return self.top;
        }
        if self.buffers.reach != Reach::Whole {
            let top = if self.sums().top { self.top as usize } else { usize::MAX };
            let (isa, top_logit, beta) = (self.isa, self.top_of_row(), self.beta as f32);
            let Buffers { row, rewritten, within, block_sums, weights, .. } = &mut *self.buffers;
            let row = if *rewritten { row } else { self.given };
            return walk(uniform, block_sums, top, |block| {
                let tokens = &row[block..row.len().min(block + rows::BLOCK)];
                rows::weights(isa, tokens, top_logit, beta, weights);
                for ((token, logit), weight) in (block as TokenId..).zip(tokens).zip(&mut *weights) {
                    *weight = if within.bound.keeps(token, *logit) { *weight } else { 0.0 };
                }
                weights
            }) as TokenId;
        }
        let pool = &mut self.buffers.pool;
        pool.sums(EVERYTHING);
        let top = pool.place_of_top().unwrap_or(usize::MAX);
        let place = walk(uniform, &pool.block_sums, top, |block| {
            &pool.weights[block..pool.weights.len().min(block + rows::BLOCK)]
        });
        pool.tokens[place]
    }
}

/// Walks along blocks of weights, then inside one, to the first place at which the running sum exceeds the share
/// `uniform` of the whole. `block_sums` are without the weight at `top`, which is 1; `weights` gives a block's, by its
/// first place.
fn walk<'a>(uniform: f64, block_sums: &[f64], top: usize, weights: impl FnOnce(usize) -> &'a [f32]) -> usize {
    let one_at = |place: usize, at: usize| if place == at { 1.0 } else { 0.0 };
    let sums = block_sums.iter().enumerate().map(|(block, sum)| sum + one_at(block, top / rows::BLOCK));
    let (block, left) = first_beyond(sums.clone(), uniform * sums.sum::<f64>());
    let start = block * rows::BLOCK;
    let weights = (start..).zip(weights(start));
    let inside = weights.map(|(place, weight)| if place == top { 1.0 } else { f64::from(*weight) });
    start + first_beyond(inside, left).0
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
