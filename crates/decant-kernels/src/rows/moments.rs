//! The second pass: exponential sums.

use super::exp::exp_lanes;
use super::{BLOCK, block};
use crate::Isa;
use crate::lanes::{Lanes, dispatch};

/// Σe^x, Σx·e^x and Σx²·e^x with x = beta (l - l\[top\]), over every token but the top one (whose terms are 1, 0, 0).
///
/// The top is left out so that nothing small is ever added to 1 in f32: in a peaked row the others *are* the entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments(pub [f64; 3]);

/// Takes the [`Moments`] of a checked row about its largest logit, which stands at `top`, and writes each block's share
/// of Σe^x, again without the top, to `block_sums` (cleared first).
///
/// # Panics
/// If `top` is not an index of the row.
pub fn moments(isa: Isa, row: &[f32], top: usize, beta: f32, block_sums: &mut Vec<f64>) -> Moments {
    assert!(top < row.len(), "the top token {top} is outside a row of {}", row.len());
    block_sums.clear();
    block_sums.reserve(row.len().div_ceil(BLOCK));
    dispatch!(isa => sums(row: &[f32], top: usize, beta: f32, block_sums: &mut Vec<f64>) -> Moments)
}

#[inline(always)]
fn sums<L: Lanes>(row: &[f32], top: usize, beta: f32, block_sums: &mut Vec<f64>) -> Moments {
    // The top's block is summed from a copy in which the top is forbidden: the loop over it then has no case.
    let (top_block, largest) = (top / BLOCK, row[top]);
    let (mut total, mut copy) = ([0.0; 3], [0.0; BLOCK]);
    for index in 0..row.len().div_ceil(BLOCK) {
        let sums = if index == top_block {
            let mut without_top = [f32::NEG_INFINITY; BLOCK];
            without_top.as_chunks_mut().0.copy_from_slice(block(row, index, &mut copy));
            without_top[top % BLOCK] = f32::NEG_INFINITY;
            block_sums_of::<L>(without_top.as_chunks().0, largest, beta)
        } else {
            block_sums_of::<L>(block(row, index, &mut copy), largest, beta)
        };
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
        block_sums.push(sums[0]);
    }
    Moments(total)
}

#[inline(always)]
fn block_sums_of<L: Lanes>(block: &[[f32; crate::lanes::LANES]], largest: f32, beta: f32) -> [f64; 3] {
    let (largest, beta) = (L::splat(largest), L::splat(beta));
    // Finite where the logit is -inf, so that 0 * x is 0; below every x whose exponential counts.
    let floor = L::splat(-88.0);
    let [mut s0, mut s1, mut s2] = [L::splat(0.0); 3];
    for sixteen in block {
        let x = L::load(sixteen).sub(largest).mul(beta).max(floor);
        let e = exp_lanes(x);
        let xe = x.mul(e);
        s0 = s0.add(e);
        s1 = s1.add(xe);
        s2 = x.mul_add(xe, s2);
    }
    [f64::from(s0.sum()), f64::from(s1.sum()), f64::from(s2.sum())]
}
