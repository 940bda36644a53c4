//! The second pass: exponential sums.

use super::exp::{LOWEST, exp_lanes, exp_of_normal};
use super::{BLOCK, Blocks, Bound, block};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Sums over tokens of a row, with x = beta (l - l\[top\]), over every token but the top one (whose terms are 1, 0, 0, 1).
///
/// The top is left out so that nothing small is ever added to 1 in f32: in a peaked row the others *are* the entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Σe^x.
    pub mass: f64,
    /// Σx·e^x, if it was asked for.
    pub first: f64,
    /// Σx²·e^x, if it was asked for.
    pub second: f64,
    /// Σe^2x, if it was asked for.
    pub squares: f64,
}

/// Which sums to take beside the mass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// [`Moments::first`]: entropy needs it.
    pub first: bool,
    /// [`Moments::second`]: varentropy needs it.
    pub second: bool,
    /// [`Moments::squares`]: Σp² needs it.
    pub squares: bool,
}

impl Want {
    /// Everything that either wants.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Want {
            first: self.first || other.first,
            second: self.second || other.second,
            squares: self.squares || other.squares,
        }
    }
}

/// A scanned row, seen from its largest logit, which stands at `top`.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Shape `[vocab]`.
    pub logits: &'a [f32],
    /// Of this row.
    pub blocks: &'a Blocks,
    /// An index of the row.
    pub top: usize,
    /// Inverse temperature.
    pub beta: f32,
}

/// Takes the [`Moments`] of a whole row and writes each block's share of the mass, again without the top, to
/// `block_sums` (cleared first).
///
/// # Panics
/// If `top` is not an index of the row, or `blocks` are not the row's.
pub fn moments(isa: Isa, row: Row<'_>, want: Want, block_sums: &mut Vec<f64>) -> Moments {
    let (_, moments) = match want {
        Want { first: false, second: false, squares: false } => take::<0>(isa, row, &Bound::NONE, block_sums),
        Want { first: true, second: false, squares: false } => take::<FIRST>(isa, row, &Bound::NONE, block_sums),
        Want { squares: false, .. } => take::<{ FIRST | SECOND }>(isa, row, &Bound::NONE, block_sums),
        Want { squares: true, .. } => take::<{ FIRST | SECOND | SQUARES }>(isa, row, &Bound::NONE, block_sums),
    };
    moments
}

/// The same over the tokens inside a bound alone (mass, first and, if asked for, squares), and how many they are, the top
/// included if it is among them.
pub fn bounded(isa: Isa, row: Row<'_>, bound: &Bound, squares: bool, block_sums: &mut Vec<f64>) -> (usize, Moments) {
    match squares {
        false => take::<{ FIRST | BOUNDED }>(isa, row, bound, block_sums),
        true => take::<{ FIRST | SQUARES | BOUNDED }>(isa, row, bound, block_sums),
    }
}

// What a loop does, known when it is compiled: the sum of some of these.
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const SQUARES: u8 = 4;
/// Only tokens inside a bound count.
const BOUNDED: u8 = 8;
/// beta is 1: x · 1 is x, so the product is left out, for the same bits.
const PLAIN: u8 = 16;
/// No exponential is 0 or subnormal.
const NORMAL: u8 = 32;

fn take<const PLAN: u8>(isa: Isa, row: Row<'_>, bound: &Bound, block_sums: &mut Vec<f64>) -> (usize, Moments) {
    assert!(row.top < row.logits.len(), "the top token {} is outside a row of {}", row.top, row.logits.len());
    assert_eq!(row.blocks.min.len(), row.logits.len().div_ceil(BLOCK), "the blocks are the row's");
    block_sums.clear();
    block_sums.reserve(row.blocks.min.len());
    dispatch!(isa => sums[PLAN](row: Row<'_>, bound: &Bound, block_sums: &mut Vec<f64>) -> (usize, Moments))
}

#[inline(always)]
fn sums<L: Lanes, const PLAN: u8>(row: Row<'_>, bound: &Bound, block_sums: &mut Vec<f64>) -> (usize, Moments) {
    // `PLAN | PLAIN` cannot be said of a parameter.
    match row.beta == 1.0 {
        true => sums_at::<L, PLAN, PLAIN>(row, bound, block_sums),
        false => sums_at::<L, PLAN, 0>(row, bound, block_sums),
    }
}

#[inline(always)]
fn sums_at<L: Lanes, const PLAN: u8, const AT: u8>(
    row: Row<'_>,
    bound: &Bound,
    block_sums: &mut Vec<f64>,
) -> (usize, Moments) {
    let Row { logits, blocks, top, beta } = row;
    let largest = logits[top];
    let (mut total, mut padded) = ([0.0; 5], [0.0; BLOCK]);
    for (index, (min, max)) in blocks.min.iter().zip(&blocks.max).enumerate() {
        let window = bound.window(index);
        let sums = if index == top / BLOCK || window.is_none() {
            let (copy, count) = counting(row, bound, index);
            let mut sums = block_sums_of::<L, PLAN, AT, 0>(copy.as_chunks().0, [f32::MIN, f32::MAX], largest, beta);
            sums[4] = count;
            sums
        } else if PLAN & BOUNDED != 0 && window.is_some_and(|[least, largest]| *max < least || *min > largest) {
            [0.0; 5]
        } else {
            let (block, window) = (block(logits, index, &mut padded), window.unwrap_or_default());
            let full = (index + 1) * BLOCK <= logits.len();
            match full && (min - largest) * beta >= LOWEST {
                true => block_sums_of::<L, PLAN, AT, NORMAL>(block, window, largest, beta),
                false => block_sums_of::<L, PLAN, AT, 0>(block, window, largest, beta),
            }
        };
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
        block_sums.push(sums[0]);
    }
    let [mass, first, second, squares, count] = total;
    (count as usize, Moments { mass, first, second, squares })
}

/// A copy of a block with everything forbidden that is not to be summed, so that the loop over it has no case: the top
/// token, and what lies outside the bound. And how many tokens inside the bound there are, the top among them.
fn counting(Row { logits, top, .. }: Row<'_>, bound: &Bound, index: usize) -> ([f32; BLOCK], f64) {
    let (mut copy, mut count) = ([f32::NEG_INFINITY; BLOCK], 0.0);
    for (copy, token) in copy.iter_mut().zip(index * BLOCK..logits.len()) {
        if bound.keeps(token as u32, logits[token]) {
            count += 1.0;
            if token != top {
                *copy = logits[token];
            }
        }
    }
    (copy, count)
}

/// The sums of one block: mass, first, second, squares, count.
#[inline(always)]
fn block_sums_of<L: Lanes, const PLAN: u8, const AT: u8, const HOW: u8>(
    block: &[[f32; LANES]],
    [low, high]: [f32; 2],
    largest: f32,
    beta: f32,
) -> [f64; 5] {
    let (low, high, largest, beta) = (L::splat(low), L::splat(high), L::splat(largest), L::splat(beta));
    let [mut mass, mut first, mut second, mut squares, mut count] = [L::splat(0.0); 5];
    for sixteen in block {
        let logits = L::load(sixteen);
        let mut x = logits.sub(largest);
        if AT & PLAIN == 0 {
            x = x.mul(beta);
        }
        let mut e = if HOW & NORMAL != 0 {
            exp_of_normal(x)
        } else {
            // Finite where the logit is -inf, so that 0 * x is 0; below every x whose exponential counts.
            x = x.max(L::splat(LOWEST - 1.0));
            exp_lanes(x)
        };
        if PLAN & BOUNDED != 0 {
            // 1 inside and 0 outside: a product is cheaper than a second choice, and its bits are those of e.
            let inside = L::splat(1.0).zero_unless_at_least(logits, low).zero_unless_at_least(high, logits);
            count = count.add(inside);
            e = e.mul(inside);
        }
        mass = mass.add(e);
        // Rounded in one way, whatever else is asked for: who only draws must see the entropy that an observer sees.
        if PLAN & FIRST != 0 {
            first = x.mul_add(e, first);
        }
        if PLAN & SECOND != 0 {
            second = x.mul_add(x.mul(e), second);
        }
        if PLAN & SQUARES != 0 {
            squares = e.mul_add(e, squares);
        }
    }
    // Written out: a closure would be compiled without the tier's instructions.
    let [mass, first, second] = [mass.sum(), first.sum(), second.sum()];
    [mass.into(), first.into(), second.into(), squares.sum().into(), count.sum().into()]
}
