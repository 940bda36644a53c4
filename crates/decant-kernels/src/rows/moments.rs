//! The second pass: exponential sums.

use super::exp::{LOWEST, exp_lanes, exp_of_normal};
use super::{BLOCK, Blocks, block};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Sums over a row's tokens, with x = beta (l - l\[top\]), over every token but the top one (whose terms are 1, 0, 0, 1).
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

/// Takes [`Moments`] of a scanned row about its largest logit, which stands at `top`, and writes each block's share of
/// the mass, again without the top, to `block_sums` (cleared first).
///
/// # Panics
/// If `top` is not an index of the row, or `blocks` are not the row's.
pub fn moments(
    isa: Isa,
    row: &[f32],
    blocks: &Blocks,
    top: usize,
    beta: f32,
    want: Want,
    block_sums: &mut Vec<f64>,
) -> Moments {
    assert!(top < row.len(), "the top token {top} is outside a row of {}", row.len());
    assert_eq!(blocks.min.len(), row.len().div_ceil(BLOCK), "the blocks are the row's");
    block_sums.clear();
    block_sums.reserve(blocks.min.len());
    let row = Row { row, blocks, top, beta };
    macro_rules! take {
        ($sums:ident) => {
            dispatch!(isa => $sums(row: Row<'_>, block_sums: &mut Vec<f64>) -> Moments)
        };
    }
    match want {
        Want { first: false, second: false, squares: false } => take!(mass),
        Want { first: true, second: false, squares: false } => take!(to_first),
        Want { squares: false, .. } => take!(to_second),
        Want { squares: true, .. } => take!(all),
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    row: &'a [f32],
    blocks: &'a Blocks,
    top: usize,
    beta: f32,
}

/// Which sums a loop takes, known when it is compiled.
macro_rules! sums {
    ($($name:ident: $first:literal $second:literal $squares:literal;)*) => {$(
        #[inline(always)]
        fn $name<L: Lanes>(row: Row<'_>, block_sums: &mut Vec<f64>) -> Moments {
            sums::<L, $first, $second, $squares>(row, block_sums)
        }
    )*};
}
sums! {
    mass: false false false;
    to_first: true false false;
    to_second: true true false;
    all: true true true;
}

#[inline(always)]
fn sums<L: Lanes, const FIRST: bool, const SECOND: bool, const SQUARES: bool>(
    Row { row, blocks, top, beta }: Row<'_>,
    block_sums: &mut Vec<f64>,
) -> Moments {
    // x · 1 is x: where the temperature is 1 the product is left out, for the same bits.
    match beta == 1.0 {
        true => sums_at::<L, true, FIRST, SECOND, SQUARES>(Row { row, blocks, top, beta }, block_sums),
        false => sums_at::<L, false, FIRST, SECOND, SQUARES>(Row { row, blocks, top, beta }, block_sums),
    }
}

#[inline(always)]
fn sums_at<L: Lanes, const ONE: bool, const FIRST: bool, const SECOND: bool, const SQUARES: bool>(
    Row { row, blocks, top, beta }: Row<'_>,
    block_sums: &mut Vec<f64>,
) -> Moments {
    let (top_block, largest) = (top / BLOCK, row[top]);
    let (mut total, mut copy) = ([0.0; 4], [0.0; BLOCK]);
    for (index, least) in blocks.min.iter().enumerate() {
        let sums = if index == top_block {
            // The top's block is summed from a copy in which the top is forbidden: the loop over it then has no case.
            let mut without_top = [f32::NEG_INFINITY; BLOCK];
            without_top.as_chunks_mut().0.copy_from_slice(block(row, index, &mut copy));
            without_top[top % BLOCK] = f32::NEG_INFINITY;
            block_sums_of::<L, ONE, false, FIRST, SECOND, SQUARES>(without_top.as_chunks().0, largest, beta)
        } else if (least - largest) * beta >= LOWEST {
            block_sums_of::<L, ONE, true, FIRST, SECOND, SQUARES>(block(row, index, &mut copy), largest, beta)
        } else {
            block_sums_of::<L, ONE, false, FIRST, SECOND, SQUARES>(block(row, index, &mut copy), largest, beta)
        };
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
        block_sums.push(sums[0]);
    }
    let [mass, first, second, squares] = total;
    Moments { mass, first, second, squares }
}

/// The sums of one block. `NORMAL` says that no exponential in it is 0 or subnormal.
#[inline(always)]
fn block_sums_of<
    L: Lanes,
    const ONE: bool,
    const NORMAL: bool,
    const FIRST: bool,
    const SECOND: bool,
    const SQUARES: bool,
>(
    block: &[[f32; LANES]],
    largest: f32,
    beta: f32,
) -> [f64; 4] {
    let (largest, beta) = (L::splat(largest), L::splat(beta));
    let [mut mass, mut first, mut second, mut squares] = [L::splat(0.0); 4];
    for sixteen in block {
        let mut x = L::load(sixteen).sub(largest);
        if !ONE {
            x = x.mul(beta);
        }
        let e = if NORMAL {
            exp_of_normal(x)
        } else {
            // Finite where the logit is -inf, so that 0 * x is 0; below every x whose exponential counts.
            x = x.max(L::splat(LOWEST - 1.0));
            exp_lanes(x)
        };
        mass = mass.add(e);
        // Rounded in one way, whatever else is asked for: who only draws must see the entropy that an observer sees.
        if FIRST {
            first = x.mul_add(e, first);
        }
        if SECOND {
            second = x.mul_add(x.mul(e), second);
        }
        if SQUARES {
            squares = e.mul_add(e, squares);
        }
    }
    [f64::from(mass.sum()), f64::from(first.sum()), f64::from(second.sum()), f64::from(squares.sum())]
}
