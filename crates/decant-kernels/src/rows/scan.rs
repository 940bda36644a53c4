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
    /// -inf where something is forbidden.
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

/// Fills `blocks` and counts the logits above -inf; true if something in the row may be NaN or +inf (the bounds then mean
/// nothing).
#[inline(always)]
fn bounds<L: Lanes>(row: &[f32], blocks: &mut Blocks) -> (bool, usize) {
    let (mut support, mut padded) = (0, [0.0; BLOCK]);
    // Two chains, so that one's latency hides behind the other's. Only logits can make a sum that is finite or -inf.
    let (mut even_sum, mut odd_sum) = (L::splat(0.0), L::splat(0.0));
    for index in 0..row.len().div_ceil(BLOCK) {
        let block = block(row, index, &mut padded);
        let (mut even_max, mut odd_max) = (L::splat(f32::NEG_INFINITY), L::splat(f32::NEG_INFINITY));
        let (mut even_min, mut odd_min) = (L::splat(f32::INFINITY), L::splat(f32::INFINITY));
        for [even, odd] in block.as_chunks::<2>().0 {
            let (even, odd) = (L::load(even), L::load(odd));
            (even_max, odd_max) = (even_max.max(even), odd_max.max(odd));
            (even_min, odd_min) = (even_min.min(even), odd_min.min(odd));
            (even_sum, odd_sum) = (even_sum.add(even), odd_sum.add(odd));
        }
        let (max, min) = (even_max.max(odd_max).largest(), even_min.min(odd_min).least());
        blocks.max.push(max);
        blocks.min.push(min);
        support += if min > f32::NEG_INFINITY { BLOCK } else { allowed::<L>(block) };
    }
    // A last block that is not full was filled up with -inf.
    let rest = row.as_chunks::<BLOCK>().1;
    if let Some(min) = blocks.min.last_mut().filter(|_| !rest.is_empty()) {
        *min = rest.iter().fold(f32::INFINITY, |a, &b| if a < b { a } else { b });
    }
    let sum = even_sum.add(odd_sum).sum();
    (!(sum.is_finite() || sum == f32::NEG_INFINITY), support)
}

#[inline(always)]
fn allowed<L: Lanes>(block: &[[f32; LANES]]) -> usize {
    let mut allowed = 0;
    for sixteen in block {
        allowed += L::load(sixteen).at_least(L::splat(f32::MIN)).count_ones() as usize;
    }
    allowed
}

/// Σd and Σd² over the logits above -inf, d = l - center.
pub fn spread(isa: Isa, row: &[f32], center: f32) -> [f64; 2] {
    dispatch!(isa => deviations(row: &[f32], center: f32) -> [f64; 2])
}

#[inline(always)]
fn deviations<L: Lanes>(row: &[f32], center: f32) -> [f64; 2] {
    let (mut total, mut padded) = ([0.0; 2], [0.0; BLOCK]);
    let (center, least) = (L::splat(center), L::splat(f32::MIN));
    for index in 0..row.len().div_ceil(BLOCK) {
        let mut sums = [L::splat(0.0); 2];
        for sixteen in block(row, index, &mut padded) {
            let logits = L::load(sixteen);
            let d = logits.sub(center).zero_unless_at_least(logits, least);
            sums[0] = sums[0].add(d);
            sums[1] = d.mul_add(d, sums[1]);
        }
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += f64::from(sum.sum());
        }
    }
    total
}

const _: () = assert!(BLOCK.is_multiple_of(2 * LANES));
