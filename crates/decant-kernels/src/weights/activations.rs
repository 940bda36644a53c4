//! What weights are multiplied with: rows of activations, in the forms that the formats of the weights ask for.

use super::format::Format;
use super::lanes::WeightLanes;
use crate::Isa;
use crate::lanes::{LANES, dispatch};

/// Sixteen activations, aligned.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Sixteen(pub [f32; LANES]);

/// Two blocks of 32 activations, quantised: what meets two blocks of 32 weights.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Pair {
    /// Signed bytes in -127..=127, two's complement, xored with the tier's bias.
    pub values: [u8; 64],
    /// The scale of its block, for every lane.
    pub scales: [f32; LANES],
}

/// 256 activations, quantised: what meets a block of 256 weights.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Super {
    /// Signed bytes in -127..=127, two's complement.
    pub values: [[u8; 64]; 4],
    /// The sum of every sixteen of them.
    pub sums: [i16; 16],
    pub scale: f32,
}

/// Rows of activations [rows, cols], the input of linear layers. Its memory is used again by the next [`Self::set`].
#[derive(Debug, Default)]
pub struct Activations {
    isa: Isa,
    rows: usize,
    cols: usize,
    // Rows, each filled up with zeros to whole items; empty unless asked for.
    floats: Vec<Sixteen>,
    pairs: Vec<Pair>,
    supers: Vec<Super>,
}

impl Activations {
    /// Takes `matrix`, rows of `cols`, to be multiplied with weights of these formats by the instructions of `isa`.
    ///
    /// Formats of blocks want them quantised, by as many as their own blocks have ([`Format::quantises`]): x ≈ q·d with
    /// d = max |x| / 127 in f32 and q = x · (127 / max |x|) rounded to the nearest integer, ties to even. A block that
    /// holds a NaN or an infinity gets the scale NaN, so that it shows in every product; one of numbers below 1e-30 counts
    /// as zeros.
    ///
    /// # Panics
    /// If `matrix` is not rows of `cols`.
    pub fn set(&mut self, isa: Isa, matrix: &[f32], cols: usize, formats: impl IntoIterator<Item = Format>) {
        assert!(cols > 0 && matrix.len().is_multiple_of(cols), "{} numbers are not rows of {cols}", matrix.len());
        (self.isa, self.rows, self.cols) = (isa, matrix.len() / cols, cols);
        self.floats.clear();
        self.pairs.clear();
        self.supers.clear();
        for format in formats {
            let (floats, pairs, supers) = (&mut self.floats, &mut self.pairs, &mut self.supers);
            match format.quantises() {
                None if floats.is_empty() => copy(matrix, cols, floats),
                Some(32) if pairs.is_empty() => {
                    dispatch!(isa => in_pairs(matrix: &[f32], cols: usize, pairs: &mut Vec<Pair>));
                }
                Some(256) if supers.is_empty() => {
                    dispatch!(isa => in_supers(matrix: &[f32], cols: usize, supers: &mut Vec<Super>));
                }
                _ => {}
            }
        }
    }

    /// Whose instructions they were made for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All rows as f32, each of `cols / 16` (rounded up) items.
    pub(super) fn floats(&self) -> &[Sixteen] {
        self.made(&self.floats)
    }

    /// All rows, each of `cols / 64` (rounded up) items.
    pub(super) fn pairs(&self) -> &[Pair] {
        self.made(&self.pairs)
    }

    /// All rows, each of `cols / 256` items.
    pub(super) fn supers(&self) -> &[Super] {
        self.made(&self.supers)
    }

    fn made<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        assert!(self.rows == 0 || !items.is_empty(), "these activations were not made for this format");
        items
    }
}

/// `N` sixteens, the last ones filled up with zeros.
#[inline(always)]
fn sixteens<const N: usize>(part: &[f32]) -> [[f32; LANES]; N] {
    let mut all = [[0.0; LANES]; N];
    all.as_flattened_mut()[..part.len()].copy_from_slice(part);
    all
}

fn copy(matrix: &[f32], cols: usize, floats: &mut Vec<Sixteen>) {
    for row in matrix.chunks_exact(cols) {
        floats.extend(row.chunks(LANES).map(|part| Sixteen(sixteens::<1>(part)[0])));
    }
}

#[inline(always)]
fn in_pairs<L: WeightLanes>(matrix: &[f32], cols: usize, pairs: &mut Vec<Pair>) {
    for row in matrix.chunks_exact(cols) {
        for part in row.chunks(64) {
            let numbers = sixteens::<4>(part);
            let mut pair = Pair { values: [L::BIAS; 64], scales: [0.0; LANES] };
            for block in 0..2 {
                let numbers = [numbers[2 * block], numbers[2 * block + 1]];
                let (scale, factor) = scale::<L, 2>(&numbers);
                pair.scales[8 * block..][..8].fill(scale);
                let values = &mut pair.values.as_chunks_mut::<LANES>().0[2 * block..][..2];
                for i in 0..2 {
                    let bytes = L::load(&numbers[i]).rounded_bytes(factor);
                    for (value, byte) in values[i].iter_mut().zip(bytes) {
                        *value = byte ^ L::BIAS;
                    }
                }
            }
            pairs.push(pair);
        }
    }
}

#[inline(always)]
fn in_supers<L: WeightLanes>(matrix: &[f32], cols: usize, supers: &mut Vec<Super>) {
    for row in matrix.chunks_exact(cols) {
        for part in row.chunks(256) {
            let numbers = sixteens::<16>(part);
            let (scale, factor) = scale::<L, 16>(&numbers);
            let mut block = Super { values: [[0; 64]; 4], sums: [0; 16], scale };
            let values = block.values.as_flattened_mut().as_chunks_mut::<LANES>().0;
            for i in 0..16 {
                values[i] = L::load(&numbers[i]).rounded_bytes(factor);
                for byte in values[i] {
                    block.sums[i] += i16::from(byte as i8);
                }
            }
            supers.push(block);
        }
    }
}

/// The scale of a block, and what to multiply its numbers with to have integers; not finite where one of them is not.
#[inline(always)]
fn scale<L: WeightLanes, const N: usize>(numbers: &[[f32; LANES]; N]) -> (f32, L) {
    let infinity = L::splat(f32::INFINITY);
    let (mut largest, mut not_finite) = (L::splat(0.0), 0);
    for sixteen in numbers {
        let magnitudes = L::load(sixteen).abs();
        not_finite |= magnitudes.not_below(infinity);
        largest = largest.max(magnitudes);
    }
    let largest = largest.largest();
    if not_finite != 0 {
        return (f32::NAN, L::splat(0.0));
    }
    match largest < 1e-30 {
        true => (0.0, L::splat(0.0)),
        false => (largest / 127.0, L::splat(127.0 / largest)),
    }
}
