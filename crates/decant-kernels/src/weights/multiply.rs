//! The matrix product: one loop for every format, cut into tiles that share what they load.

use super::activations::Activations;
use super::columns::ColumnsMut;
use super::format::{Format, Weights};
use super::lanes::WeightLanes;
use super::steps::{BF16, F16, F32, Q8_0, Step};
use crate::Isa;
use crate::lanes::dispatch;

/// How many bytes ahead weights are called into the cache: a quarter less time on a model that the cache just misses.
const AHEAD: usize = 3 << 10;

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

/// Goes over the weights once, and for each row of them over all rows of `x`, up to four together.
#[inline(always)]
fn tiles<L: WeightLanes, F: Step<L, B>, const B: usize>(weights: Weights<'_>, x: &[F::Input], mut out: ColumnsMut<'_>) {
    for row in 0..weights.rows() {
        let mut first = 0;
        while first < out.rows() {
            first += match out.rows() - first {
                1 => tile::<L, F, B, 1>(weights, row, x, first, &mut out),
                2 | 3 => tile::<L, F, B, 2>(weights, row, x, first, &mut out),
                _ => tile::<L, F, B, 4>(weights, row, x, first, &mut out),
            };
        }
    }
}

/// The products of one row of the weights with `M` rows of activations from `first` on. Returns `M`.
#[inline(always)]
fn tile<L: WeightLanes, F: Step<L, B>, const B: usize, const M: usize>(
    weights: Weights<'_>,
    row: usize,
    x: &[F::Input],
    first: usize,
    out: &mut ColumnsMut<'_>,
) -> usize {
    let (whole, rest) = weights.row(row).as_chunks::<B>();
    let steps = weights.row_bytes.div_ceil(B);
    let x: [&[F::Input]; M] = std::array::from_fn(|m| &x[(first + m) * steps..][..steps]);
    let x_whole = x.map(|x| &x[..whole.len()]);
    let mut sums = [L::splat(0.0); M];
    for (step, bytes) in whole.iter().enumerate() {
        L::prefetch(bytes.as_ptr().wrapping_add(AHEAD));
        let weights = F::weights(bytes);
        for m in 0..M {
            sums[m] = F::accumulate(weights, &x_whole[m][step], sums[m]);
        }
    }
    if !rest.is_empty() {
        // The last step, filled up with zeros: adding +0 changes no sum, for a sum that starts at +0 is never -0.
        let mut last = [0; B];
        last[..rest.len()].copy_from_slice(rest);
        let weights = F::weights(&last);
        for m in 0..M {
            sums[m] = F::accumulate(weights, &x[m][whole.len()], sums[m]);
        }
    }
    for (m, sum) in sums.into_iter().enumerate() {
        out.set(first + m, row, sum.sum());
    }
    M
}
