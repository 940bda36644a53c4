//! The first pass: is this a row of logits, and between which bounds does each block lie?

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

/// The largest and the least logit of every block of [`BLOCK`] tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    /// -inf where everything is forbidden.
    pub max: Vec<f32>,
    /// -inf where something is forbidden, and for a last block that is not full.
    pub min: Vec<f32>,
}

/// What [`scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The first index that holds the largest logit; none in a row that is empty or forbids everything.
    pub top: Option<usize>,
    /// How many logits are not -inf.
    pub support: usize,
}

/// Checks that every entry is finite or -inf, and takes the bounds of each block (`blocks` is cleared first).
pub fn scan(isa: Isa, row: &[f32], blocks: &mut Blocks) -> Result<Scan, NotALogit> {
    let count = row.len().div_ceil(BLOCK);
    for bounds in [&mut blocks.max, &mut blocks.min] {
        bounds.clear();
        bounds.reserve(count);
    }
    let (suspicious, support) = dispatch!(isa => bounds(row: &[f32], blocks: &mut Blocks) -> (bool, usize));
    if suspicious && let Some(index) = row.iter().position(|l| l.is_nan() || *l == f32::INFINITY) {
        return Err(NotALogit { index, value: row[index] });
    }
    let largest = blocks.max.iter().fold(f32::NEG_INFINITY, |a, &b| if a > b { a } else { b });
    let top = (support > 0)
        .then(|| {
            let block = blocks.max.iter().position(|max| *max == largest)?;
            let within = row[block * BLOCK..].iter().position(|logit| *logit == largest)?;
            Some(block * BLOCK + within)
        })
        .flatten();
    Ok(Scan { top, support })
}

/// Fills `blocks` and counts the logits above -inf; true if something in the row is NaN or +inf (the bounds then mean
/// nothing).
#[inline(always)]
fn bounds<L: Lanes>(row: &[f32], blocks: &mut Blocks) -> (bool, usize) {
    let (mut suspicious, mut support, mut padded) = (false, 0, [0.0; BLOCK]);
    for index in 0..row.len().div_ceil(BLOCK) {
        let block = block(row, index, &mut padded);
        // Two chains, so that one's latency hides behind the other's.
        let mut largest = [L::splat(f32::NEG_INFINITY); 2];
        let mut least = [L::splat(f32::INFINITY); 2];
        let mut sum = [L::splat(0.0); 2];
        for pair in block.as_chunks::<2>().0 {
            for (i, sixteen) in pair.iter().enumerate() {
                let logits = L::load(sixteen);
                largest[i] = largest[i].max(logits);
                least[i] = least[i].min(logits);
                sum[i] = sum[i].add(logits);
            }
        }
        blocks.max.push(largest[0].max(largest[1]).largest());
        blocks.min.push(least[0].min(least[1]).least());
        // A finite sum has only finite terms. Any other says nothing yet: then look at every term.
        if sum[0].add(sum[1]).sum().is_finite() {
            support += BLOCK;
        } else {
            for sixteen in block {
                let logits = L::load(sixteen);
                suspicious |= logits.not_below(L::splat(f32::INFINITY)) != 0;
                support += logits.at_least(L::splat(f32::MIN)).count_ones() as usize;
            }
        }
    }
    (suspicious, support)
}

const _: () = assert!(BLOCK.is_multiple_of(2 * LANES));
