//! The first pass: is this a row of logits, and how high does each block reach?

use super::{BLOCK, block};
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

/// What [`scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The first index that holds the largest logit; none in a row that is empty or forbids everything.
    pub top: Option<usize>,
    /// How many logits are not -inf.
    pub support: usize,
}

/// Checks that every entry is finite or -inf, and writes the largest logit of each block of [`BLOCK`] to `block_max`
/// (cleared first).
pub fn scan(isa: Isa, row: &[f32], block_max: &mut Vec<f32>) -> Result<Scan, NotALogit> {
    block_max.clear();
    block_max.reserve(row.len().div_ceil(BLOCK));
    let (suspicious, support) = dispatch!(isa => maxima(row: &[f32], block_max: &mut Vec<f32>) -> (bool, usize));
    if suspicious && let Some(index) = row.iter().position(|l| l.is_nan() || *l == f32::INFINITY) {
        return Err(NotALogit { index, value: row[index] });
    }
    let largest = block_max.iter().fold(f32::NEG_INFINITY, |a, &b| if a > b { a } else { b });
    let top = (support > 0)
        .then(|| {
            let block = block_max.iter().position(|max| *max == largest)?;
            let within = row[block * BLOCK..].iter().position(|logit| *logit == largest)?;
            Some(block * BLOCK + within)
        })
        .flatten();
    Ok(Scan { top, support })
}

/// Fills `block_max` and counts the logits above -inf; true if something in the row is NaN or +inf (the maxima then mean
/// nothing).
#[inline(always)]
fn maxima<L: Lanes>(row: &[f32], block_max: &mut Vec<f32>) -> (bool, usize) {
    let (mut bad, mut support, mut padded) = (0, 0, [0.0; BLOCK]);
    for index in 0..row.len().div_ceil(BLOCK) {
        // Two chains, so that one's latency hides behind the other's.
        let mut largest = [L::splat(f32::NEG_INFINITY); 2];
        for pair in block(row, index, &mut padded).as_chunks::<2>().0 {
            for (largest, sixteen) in largest.iter_mut().zip(pair) {
                let logits = L::load(sixteen);
                bad |= logits.not_below(L::splat(f32::INFINITY));
                support += logits.at_least(L::splat(f32::MIN)).count_ones() as usize;
                *largest = largest.max(logits);
            }
        }
        block_max.push(largest[0].max(largest[1]).largest());
    }
    (bad != 0, support)
}

const _: () = assert!(BLOCK.is_multiple_of(2 * LANES));
