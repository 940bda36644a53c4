//! The first pass: is this a row of logits, and how high does each block reach?

use super::{BLOCK, for_each_block};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// An entry of a row that is NaN or +inf.
#[derive(Clone, Copy, Debug)]
pub struct NotALogit {
    /// The first such index.
    pub index: usize,
    /// What stands there.
    pub value: f32,
}

/// Checks that every entry is finite or -inf, and writes the largest logit of each block of [`BLOCK`] to `block_max`
/// (cleared first). Returns the largest of all: -inf for an empty row or one that forbids everything.
pub fn scan(isa: Isa, row: &[f32], block_max: &mut Vec<f32>) -> Result<f32, NotALogit> {
    block_max.clear();
    block_max.reserve(row.len().div_ceil(BLOCK));
    let suspicious = dispatch!(isa => maxima(row: &[f32], block_max: &mut Vec<f32>) -> bool);
    if suspicious && let Some(index) = row.iter().position(|l| l.is_nan() || *l == f32::INFINITY) {
        return Err(NotALogit { index, value: row[index] });
    }
    Ok(block_max.iter().fold(f32::NEG_INFINITY, |a, &b| if a > b { a } else { b }))
}

/// Fills `block_max`; true if something in the row is NaN or +inf (the maxima then mean nothing).
#[inline(always)]
fn maxima<L: Lanes>(row: &[f32], block_max: &mut Vec<f32>) -> bool {
    let mut bad = 0;
    for_each_block(row, f32::NEG_INFINITY, |_, block| {
        // Two chains, so that one's latency hides behind the other's.
        let mut largest = [L::splat(f32::NEG_INFINITY); 2];
        for [even, odd] in block.as_chunks::<2>().0 {
            for (largest, sixteen) in largest.iter_mut().zip([even, odd]) {
                let logits = L::load(sixteen);
                bad |= logits.not_below(L::splat(f32::INFINITY));
                *largest = largest.max(logits);
            }
        }
        block_max.push(largest[0].max(largest[1]).largest());
    });
    bad != 0
}

const _: () = assert!(BLOCK.is_multiple_of(2 * LANES));
