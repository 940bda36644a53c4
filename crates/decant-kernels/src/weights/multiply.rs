//! The matrix product: one loop for every format, cut into tiles that share what they load.

use super::activations::Activations;
use super::columns::ColumnsMut;
use super::format::{Format, Weights};
use super::lanes::WeightLanes;
use super::steps::{BF16, F16, F32, Q8_0, Step};
use crate::Isa;
use crate::lanes::dispatch;

/// out\[m\]\[r\] = the dot product of row r of `weights` with row m of `x`.
///
/// One output's bits depend on these two rows alone: not on the tier, nor on the other rows of either.
///
/// # Panics
/// If the shapes do not fit, or `x` was not quantised for a format that wants it.
pub fn multiply(isa: Isa, weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>) {
    assert_eq!(weights.cols(), x.cols(), "weights and activations have rows of one length");
    assert_eq!((x.rows(), weights.rows()), (out.rows(), out.cols()), "the output has room for every product");
    dispatch!(isa => by_format(weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>));
}

#[inline(always)]
fn by_format<L: WeightLanes>(weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>) {
    match weights.format {
        Format::F32 => tiles::<L, F32, 64>(weights, x.floats(), out),
        Format::F16 => tiles::<L, F16, 32>(weights, x.floats(), out),
        Format::BF16 => tiles::<L, BF16, 32>(weights, x.floats(), out),
        Format::Q8_0 => tiles::<L, Q8_0, 68>(weights, x.pairs(), out),
    }
}

/// Goes over the weights once, and for each few rows of them over all rows of `x`, in tiles of about four outputs.
#[inline(always)]
fn tiles<L: WeightLanes, F: Step<L, B>, const B: usize>(weights: Weights<'_>, x: &[F::Input], mut out: ColumnsMut<'_>) {
    let steps = weights.row_bytes.div_ceil(B);
    let (rows, m) = (weights.rows(), out.rows());
    let mut row = 0;
    while row + 4 <= rows {
        let mut first = 0;
        while first + 4 <= m {
            for r in row..row + 4 {
                tile::<L, F, B, 1, 4>(weights, r, &x[first * steps..], first, &mut out);
            }
            first += 4;
        }
        while first + 2 <= m {
            for r in [row, row + 2] {
                tile::<L, F, B, 2, 2>(weights, r, &x[first * steps..], first, &mut out);
            }
            first += 2;
        }
        if first < m {
            tile::<L, F, B, 4, 1>(weights, row, &x[first * steps..], first, &mut out);
        }
        row += 4;
    }
    for row in row..rows {
        for first in 0..m {
            tile::<L, F, B, 1, 1>(weights, row, &x[first * steps..], first, &mut out);
        }
    }
}

/// The products of rows `row..row + R` of the weights with `M` rows of activations, which are rows `first..` of all.
#[inline(always)]
fn tile<L: WeightLanes, F: Step<L, B>, const B: usize, const R: usize, const M: usize>(
    weights: Weights<'_>,
    row: usize,
    x: &[F::Input],
    first: usize,
    out: &mut ColumnsMut<'_>,
) {
    let steps = weights.row_bytes.div_ceil(B);
    let w: [(&[[u8; B]], &[u8]); R] = std::array::from_fn(|r| weights.row(row + r).as_chunks());
    let x: [&[F::Input]; M] = std::array::from_fn(|m| &x[m * steps..][..steps]);
    let mut sums = [[L::splat(0.0); M]; R];
    let whole = w[0].0.len();
    let w_whole = w.map(|(chunks, _)| &chunks[..whole]);
    let x_whole = x.map(|x| &x[..whole]);
    for step in 0..whole {
        for r in 0..R {
            let weights = F::weights(&w_whole[r][step]);
            for m in 0..M {
                sums[r][m] = F::accumulate(weights, &x_whole[m][step], sums[r][m]);
            }
        }
    }
    if whole < steps {
        // The last step, filled up with zeros: adding +0 changes no sum, for a sum that starts at +0 is never -0.
        for r in 0..R {
            let mut last = [0; B];
            last[..w[r].1.len()].copy_from_slice(w[r].1);
            let weights = F::weights(&last);
            for m in 0..M {
                sums[r][m] = F::accumulate(weights, &x[m][whole], sums[r][m]);
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (m, sum) in sums.into_iter().enumerate() {
            out.set(first + m, row + r, sum.sum());
        }
    }
}
