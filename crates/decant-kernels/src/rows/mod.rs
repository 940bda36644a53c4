//! Loops over one row of logits, shape `[vocab]`.
//!
//! A row is cut into blocks of [`BLOCK`] tokens. [`scan`] checks it and takes each block's largest and least logit;
//! [`moments`] takes the exponential sums block by block, [`bounded`] those of some tokens; [`gather`] lists the tokens of
//! a window and visits only blocks that reach into it. Lists have sums of their own ([`list_sums`]), over blocks alike.

mod bound;
mod exp;
mod gather;
mod list;
mod moments;
mod scan;
#[cfg(test)]
mod tests;
mod widen;

pub use bound::Bound;
pub use exp::exp;
pub(crate) use exp::exp_lanes;
pub use gather::gather;
pub use list::{List, ListSums, list_sums, places, retain, weights};
pub use moments::{Moments, Row, Want, bounded, moments};
pub use scan::{Blocks, NotALogit, Scan, scan, spread};
pub(crate) use widen::from_f16;
pub use widen::{widen_bf16, widen_f16};

use crate::lanes::LANES;

/// Tokens in a block. Inside a block sums run in f32 lanes, sixteen terms a lane; across blocks in f64.
pub const BLOCK: usize = 256;

/// The row's block of this index as slices of sixteen; the last block is filled up with -inf, in `padded`.
#[inline(always)]
fn block<'a>(row: &'a [f32], index: usize, padded: &'a mut [f32; BLOCK]) -> &'a [[f32; LANES]] {
    block_filled(row, index, f32::NEG_INFINITY, padded)
}

/// The same, filled up with `filler`.
///
/// Loops call it block by block: a closure handed to a loop here would be compiled without the tier's instructions.
#[inline(always)]
fn block_filled<'a>(row: &'a [f32], index: usize, filler: f32, padded: &'a mut [f32; BLOCK]) -> &'a [[f32; LANES]] {
    let rest = &row[index * BLOCK..];
    if let Some(whole) = rest.first_chunk::<BLOCK>() {
        return whole.as_chunks().0;
    }
    padded.fill(filler);
    padded[..rest.len()].copy_from_slice(rest);
    padded.as_chunks().0
}
