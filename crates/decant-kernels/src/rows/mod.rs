//! Loops over one row of logits, shape [vocab].
//!
//! A row is cut into blocks of [`BLOCK`] tokens. [`scan`] checks it and takes each block's largest logit; [`moments`]
//! takes the exponential sums block by block; [`gather`] visits only blocks whose largest logit reaches a bound.

mod exp;
mod gather;
mod moments;
mod scan;
#[cfg(test)]
mod tests;

pub use exp::exp;
pub use gather::gather;
pub use moments::{Moments, moments};
pub use scan::{NotALogit, Scan, scan};

use crate::lanes::LANES;

/// Tokens in a block. Inside a block sums run in f32 lanes, sixteen terms a lane; across blocks in f64.
pub const BLOCK: usize = 256;

/// Runs `f` over the row's blocks as slices of sixteen; the last block is filled up with `pad`.
#[inline(always)]
fn for_each_block(row: &[f32], pad: f32, mut f: impl FnMut(usize, &[[f32; LANES]])) {
    let (blocks, rest) = row.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        f(index, block.as_chunks().0);
    }
    if !rest.is_empty() {
        let mut last = [pad; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        f(blocks.len(), last.as_chunks().0);
    }
}
