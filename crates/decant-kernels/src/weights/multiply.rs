//! The matrix product: one loop for every format, cut into tiles that share what they load.

use std::ops::Range;

use super::activations::Activations;
use super::blocks::{InPairs, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::columns::ColumnsMut;
use super::floats::{BF16, F16, F32};
use super::format::{Format, Weights};
use super::lanes::WeightLanes;
use super::superblocks::{InSuperblocks, Q2K, Q3K, Q4K, Q5K, Q6K};
use crate::Team;
use crate::lanes::dispatch;

/// How many bytes ahead weights are called into the cache: a quarter less time on a model that the cache just misses.
const AHEAD: usize = 3 << 10;

/// How many rows of weights meet a tile of activations before the next tile comes: few enough to stay in the first cache.
const BAND: usize = 8;

/// Multiply-adds below which a piece of work is not shared: some microseconds.
const GRAIN: usize = 1 << 16;

/// How many pieces a thread has on average: enough to wait little for the slowest, few enough to read on and on.
const PIECES: usize = 8;

/// One format's step along a row of weights, `B` bytes wide: the only code that differs between formats.
pub(super) trait Step<L: WeightLanes, const B: usize> {
    /// The activations that meet a step's weights.
    type Input;

    /// Adds a step's products with each of `x` to the lanes of its sum.
    fn add<const M: usize>(bytes: &[u8; B], x: [&Self::Input; M], sums: &mut [L; M]);
}

/// One matrix of weights, and where its products go: [rows of the activations, rows of the weights].
pub type Product<'a> = (Weights<'a>, ColumnsMut<'a>);

/// For each product: out\[m\]\[r\] = the dot product of row r of its weights with row m of `x`.
///
/// One output's bits depend on these two rows alone: not on the tier, nor on the other rows of either, nor on the team.
///
/// # Panics
/// If the shapes do not fit, or `x` was not made for the format.
pub fn multiply(team: &Team, x: &Activations, products: &mut [Product<'_>]) {
    let products = &*products;
    for (weights, out) in products {
        assert_eq!(weights.cols(), x.cols(), "weights and activations have rows of one length");
        assert_eq!((x.rows(), weights.rows()), (out.rows(), out.cols()), "the output has room for every product");
    }
    let rows: usize = products.iter().map(|(weights, _)| weights.rows()).sum();
    let pieces = (rows * x.cols() * x.rows() / GRAIN).clamp(1, PIECES * team.threads());
    let rows = rows.div_ceil(pieces).next_multiple_of(BAND);
    let pieces = products.iter().map(|(weights, _)| weights.rows().div_ceil(rows)).sum();
    team.share(pieces, &|piece, _| {
        let mut first = piece * rows;
        for (weights, out) in products {
            if first < weights.rows() {
                let some = first..(first + rows).min(weights.rows());
                // SAFETY: pieces are disjoint, each is done once, and `products` is borrowed for us alone until all are.
                let out = unsafe { out.part(some.clone()) };
                return part_of_product(weights.part(some), x, out);
            }
            first -= weights.rows().next_multiple_of(rows);
        }
    });
}

/// Every format has a function of its own, in every tier: one for all would take the compiler minutes.
fn part_of_product(weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>) {
    macro_rules! by {
        ($step:ty, $bytes:literal, $items:ident) => {{
            #[inline(always)]
            fn product<L: WeightLanes>(weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>) {
                bands::<L, $step, $bytes>(weights, x.$items(), out);
            }
            dispatch!(x.isa() => product(weights: Weights<'_>, x: &Activations, out: ColumnsMut<'_>))
        }};
    }
    match weights.format {
        Format::F32 => by!(F32, 64, floats),
        Format::F16 => by!(F16, 32, floats),
        Format::BF16 => by!(BF16, 32, floats),
        Format::Q8_0 => by!(InPairs<Q8_0, 34>, 68, pairs),
        Format::Q4_0 => by!(InPairs<Q4_0, 18>, 36, pairs),
        Format::Q4_1 => by!(InPairs<Q4_1, 20>, 40, pairs),
        Format::Q5_0 => by!(InPairs<Q5_0, 22>, 44, pairs),
        Format::Q5_1 => by!(InPairs<Q5_1, 24>, 48, pairs),
        Format::Q2_K => by!(InSuperblocks<Q2K>, 84, supers),
        Format::Q3_K => by!(InSuperblocks<Q3K>, 110, supers),
        Format::Q4_K => by!(InSuperblocks<Q4K>, 144, supers),
        Format::Q5_K => by!(InSuperblocks<Q5K>, 176, supers),
        Format::Q6_K => by!(InSuperblocks<Q6K>, 210, supers),
    }
}

/// Goes over the weights once, band by band, and for each band over all rows of `x`.
#[inline(always)]
fn bands<L: WeightLanes, F: Step<L, B>, const B: usize>(weights: Weights<'_>, x: &[F::Input], mut out: ColumnsMut<'_>) {
    for first_row in (0..weights.rows()).step_by(BAND) {
        let rows = first_row..(first_row + BAND).min(weights.rows());
        let mut first = 0;
        while first < out.rows() {
            let left = out.rows() - first;
            let mut band = Band { weights, rows: rows.clone(), x, first, out: &mut out };
            first += match left {
                1 => band.tiles::<L, F, B, 4, 1>(),
                2 => band.tiles::<L, F, B, 2, 2>(),
                _ => band.large_tiles::<L, F, B>(left),
            };
        }
    }
}

/// Some rows of the weights, and the tile of activations that they meet.
struct Band<'a, 'o, I> {
    weights: Weights<'a>,
    rows: Range<usize>,
    x: &'a [I],
    /// The tile's first row.
    first: usize,
    out: &'a mut ColumnsMut<'o>,
}

impl<I> Band<'_, '_, I> {
    /// [`Self::tiles`] as large as the tier's registers allow. A plain condition, so that a tier does not compile the others'.
    #[inline(always)]
    fn large_tiles<L: WeightLanes, F: Step<L, B, Input = I>, const B: usize>(&mut self, left: usize) -> usize {
        if L::WIDE {
            match left {
                ..=4 => self.tiles::<L, F, B, 2, 4>(),
                _ => self.tiles::<L, F, B, 2, 8>(),
            }
        } else {
            self.tiles::<L, F, B, 1, 4>()
        }
    }

    /// The products of all rows of the band with up to `M` rows of activations, `R` by `M` (a multiple of 4) at a time. Where fewer are left,
    /// the last one stands in for those that lack. Returns `M`.
    #[inline(always)]
    fn tiles<L: WeightLanes, F: Step<L, B, Input = I>, const B: usize, const R: usize, const M: usize>(
        &mut self,
    ) -> usize {
        let steps = self.weights.row_bytes.div_ceil(B);
        let mut x = [self.x; M];
        for m in 0..M {
            let row = (self.first + m).min(self.out.rows() - 1);
            x[m] = &self.x[row * steps..][..steps];
        }
        for row in self.rows.clone().step_by(R) {
            let mut w = [self.weights.row(row); R];
            for r in 1..R {
                w[r] = self.weights.row((row + r).min(self.rows.end - 1));
            }
            let tile = tile::<L, F, B, R, M>(w, x);
            for (four, lanes) in tile.as_flattened().as_chunks::<4>().0.iter().enumerate() {
                for (i, sum) in L::sums(*lanes).into_iter().enumerate() {
                    let (r, m) = ((4 * four + i) / M, (4 * four + i) % M);
                    if row + r < self.rows.end && self.first + m < self.out.rows() {
                        self.out.set(self.first + m, row + r, sum);
                    }
                }
            }
        }
        M
    }
}

/// The sums, by lane, of the products of `R` rows of weights with `M` of activations.
#[inline(always)]
fn tile<L: WeightLanes, F: Step<L, B>, const B: usize, const R: usize, const M: usize>(
    w: [&[u8]; R],
    x: [&[F::Input]; M],
) -> [[L; M]; R] {
    let mut sums = [[L::splat(0.0); M]; R];
    let whole = w[0].len() / B;
    // Cut to one length that the compiler sees: so it checks no index in the loop.
    let mut w_whole = [&w[0].as_chunks::<B>().0[..whole]; R];
    for r in 0..R {
        w_whole[r] = &w[r].as_chunks::<B>().0[..whole];
    }
    let mut x_whole = [&x[0][..whole]; M];
    for m in 0..M {
        x_whole[m] = &x[m][..whole];
    }
    for step in 0..whole {
        let mut inputs = [&x_whole[0][step]; M];
        for m in 1..M {
            inputs[m] = &x_whole[m][step];
        }
        for r in 0..R {
            let bytes = &w_whole[r][step];
            L::prefetch(bytes.as_ptr().wrapping_add(AHEAD));
            F::add(bytes, inputs, &mut sums[r]);
        }
    }
    if whole * B < w[0].len() {
        // The last step, filled up with zeros: adding +0 changes no sum, for a sum that starts at +0 is never -0.
        let mut inputs = [&x[0][whole]; M];
        for m in 1..M {
            inputs[m] = &x[m][whole];
        }
        for r in 0..R {
            let mut last = [0; B];
            last[..w[r].len() - whole * B].copy_from_slice(&w[r][whole * B..]);
            F::add(&last, inputs, &mut sums[r]);
        }
    }
    sums
}
