//! What weights are multiplied with: rows of activations, as f32 and where needed quantised.

use super::lanes::WeightLanes;
use crate::Isa;
use crate::lanes::{LANES, dispatch};

/// Two blocks of 32 activations, quantised: what meets two blocks of Q8_0.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuantisedPair {
    /// Signed bytes in -127..=127, two's complement.
    pub values: [[u8; 32]; 2],
    pub scales: [f32; 2],
}

/// Rows of activations [rows, cols], the input of linear layers. Its memory is used again by the next [`Self::set`].
#[derive(Debug, Default)]
pub struct Activations {
    rows: usize,
    cols: usize,
    /// Rows filled up with zeros to whole lanes.
    floats: Vec<[f32; LANES]>,
    /// Rows filled up with zeros to whole pairs; empty unless asked for.
    pairs: Vec<QuantisedPair>,
}

impl Activations {
    /// Takes `matrix`, rows of `cols`; `quantised` if weights of a format that
    /// [wants it](super::Format::wants_quantised) will be multiplied with it.
    ///
    /// Quantisation: each block of 32 is x ≈ q·d with d = max |x| / 127 in f32 and q = x · (127 / max |x|) rounded to
    /// the nearest integer, ties to even. A block that holds a NaN or an infinity gets the scale NaN, so that it shows
    /// in every product; one of numbers below 1e-30 counts as zeros.
    ///
    /// # Panics
    /// If `matrix` is not rows of `cols`.
    pub fn set(&mut self, isa: Isa, matrix: &[f32], cols: usize, quantised: bool) {
        assert!(cols > 0 && matrix.len().is_multiple_of(cols), "{} numbers are not rows of {cols}", matrix.len());
        (self.rows, self.cols) = (matrix.len() / cols, cols);
        self.floats.clear();
        self.pairs.clear();
        for row in matrix.chunks_exact(cols) {
            let (whole, rest) = row.as_chunks();
            self.floats.extend_from_slice(whole);
            if !rest.is_empty() {
                let mut last = [0.0; LANES];
                last[..rest.len()].copy_from_slice(rest);
                self.floats.push(last);
            }
        }
        if quantised {
            for row in self.floats.chunks_exact(cols.div_ceil(LANES)) {
                let pairs = &mut self.pairs;
                dispatch!(isa => quantise(row: &[[f32; LANES]], pairs: &mut Vec<QuantisedPair>));
            }
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All rows as f32, each of `cols / LANES` (rounded up) items.
    pub(super) fn floats(&self) -> &[[f32; LANES]] {
        &self.floats
    }

    /// All rows quantised, each of `cols / 64` (rounded up) items.
    pub(super) fn pairs(&self) -> &[QuantisedPair] {
        assert!(self.rows == 0 || !self.pairs.is_empty(), "these activations were not quantised");
        &self.pairs
    }
}

#[inline(always)]
fn quantise<L: WeightLanes>(row: &[[f32; LANES]], pairs: &mut Vec<QuantisedPair>) {
    for pair in row.chunks(4) {
        let mut quantised = QuantisedPair { values: [[0; 32]; 2], scales: [0.0; 2] };
        for (block, half) in pair.chunks(2).enumerate() {
            let second = half.get(1).unwrap_or(&[0.0; LANES]);
            let sixteens = [L::load(&half[0]), L::load(second)];
            let [first, second] = [sixteens[0].abs(), sixteens[1].abs()];
            let infinity = L::splat(f32::INFINITY);
            let finite = first.not_below(infinity) | second.not_below(infinity) == 0;
            let largest = if finite { first.max(second).largest() } else { f32::NAN };
            if largest < 1e-30 {
                continue;
            }
            quantised.scales[block] = largest / 127.0;
            let factor = L::splat(127.0 / largest);
            for (values, sixteen) in quantised.values[block].as_chunks_mut().0.iter_mut().zip(sixteens) {
                *values = sixteen.rounded_bytes(factor);
            }
        }
        pairs.push(quantised);
    }
}
