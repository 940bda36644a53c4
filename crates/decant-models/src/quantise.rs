//! Quantising while loading: tensors in fewer bits than their file has.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::thread;

use half::f16;

use crate::LoadError;
use crate::weights::{Format, Storage, Tensor, TensorSource};

/// What weights are quantised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantisation {
    /// ggml's Q8_0: blocks of 32 weights, an f16 scale and 32 signed bytes.
    Q8_0,
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantisation::Q8_0 => "q8_0",
        })
    }
}

impl FromStr for Quantisation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "q8_0" => Ok(Quantisation::Q8_0),
            _ => Err(format!("weights are not quantised to `{name}` while loading (known: q8_0)")),
        }
    }
}

/// Weights of a block.
const BLOCK: usize = 32;
/// Its bytes.
const BLOCK_BYTES: usize = 2 + BLOCK;

/// The tensors of a source, its matrices quantised to Q8_0 where they are stored as F32, F16 or BF16 in rows of whole blocks.
///
/// All else is as the source has it: vectors (norms and biases), what is quantised already, and matrices whose rows are no
/// multiple of 32. Quantised matrices are owned, not mapped. A tensor that is asked for twice is quantised twice.
pub struct Quantised<'a> {
    source: &'a dyn TensorSource,
    threads: NonZeroUsize,
    /// Bytes of the source's matrices that were quantised so far.
    done: Cell<u64>,
    progress: RefCell<&'a mut dyn FnMut(u64)>,
}

impl<'a> Quantised<'a> {
    /// The tensors of `source`; after each matrix `progress` is told how many bytes of the source have been quantised.
    pub fn new(source: &'a dyn TensorSource, threads: NonZeroUsize, progress: &'a mut dyn FnMut(u64)) -> Self {
        Quantised { source, threads, done: Cell::new(0), progress: RefCell::new(progress) }
    }
}

impl TensorSource for Quantised<'_> {
    fn tensor(&self, name: &str) -> Result<Tensor, LoadError> {
        let tensor = self.source.tensor(name)?;
        let shape = tensor.shape();
        let floats = matches!(tensor.format(), Format::F32 | Format::F16 | Format::BF16);
        if shape.rows < 2 || !floats || shape.cols == 0 || !shape.cols.is_multiple_of(BLOCK) {
            return Ok(tensor);
        }
        let bytes = quantise(&tensor, self.threads);
        self.done.set(self.done.get() + tensor.bytes().len() as u64);
        (self.progress.borrow_mut())(self.done.get());
        Tensor::new(name, Format::Q8_0, shape, &Storage::new(bytes), 0)
    }
}

/// A matrix as Q8_0, its rows shared among threads.
fn quantise(tensor: &Tensor, threads: NonZeroUsize) -> Vec<u8> {
    let shape = tensor.shape();
    let row_bytes = shape.cols / BLOCK * BLOCK_BYTES;
    let mut bytes = vec![0; shape.rows * row_bytes];
    let rows = shape.rows.div_ceil(threads.get());
    thread::scope(|scope| {
        for (share, out) in bytes.chunks_mut(rows * row_bytes).enumerate() {
            scope.spawn(move || {
                let mut row = vec![0.0; shape.cols];
                for (index, out) in out.chunks_exact_mut(row_bytes).enumerate() {
                    tensor.weights().dequantise(share * rows + index, &mut row);
                    quantise_row(&row, out);
                }
            });
        }
    });
    bytes
}

/// One row, whole blocks.
fn quantise_row(row: &[f32], out: &mut [u8]) {
    for (numbers, out) in row.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        quantise_block(numbers, out);
    }
}

/// ggml's rule: the scale d is the largest magnitude / 127, a weight x becomes x · (1 / d), rounded to the nearest integer,
/// halves away from zero (C's `roundf`); then d is rounded to f16. So weights are divided by a d that is not the one stored.
///
/// Where 1 / d is no number (all weights below 4e-37) weights become 0, which ggml leaves open. A NaN or an infinity among the
/// weights is one in the scale, and shows in whatever is computed; so is a weight beyond 8.3 million, whose scale no f16 holds.
fn quantise_block(numbers: &[f32; BLOCK], out: &mut [u8; BLOCK_BYTES]) {
    // By bits: of magnitudes they have the order of the numbers, with infinity and NaN above all.
    let largest = numbers.iter().map(|x| x.to_bits() & 0x7FFF_FFFF).fold(0, u32::max);
    let d = f32::from_bits(largest) / 127.0;
    let inverse = if (1.0 / d).is_finite() { 1.0 / d } else { 0.0 };
    let (scale, values) = out.split_at_mut(2);
    scale.copy_from_slice(&f16::from_f32(d).to_le_bytes());
    for (x, value) in numbers.iter().zip(values) {
        let x = x * inverse;
        let whole = x as i32;
        let rest = x - whole as f32; // exact: |x| <= 127.5
        *value = (whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_finite_shows_in_the_scale() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e7] {
            let (mut numbers, mut out) = ([1.0; BLOCK], [0; BLOCK_BYTES]);
            numbers[17] = bad;
            quantise_block(&numbers, &mut out);
            assert!(!f16::from_le_bytes([out[0], out[1]]).is_finite(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_weight_is_off_by_half_a_step_and_the_rounding_of_the_scale(numbers in prop::array::uniform32(-1f32..1.0)) {
            let mut out = [0; BLOCK_BYTES];
            quantise_block(&numbers, &mut out);
            let d = f16::from_le_bytes([out[0], out[1]]).to_f32();
            for (x, value) in numbers.iter().zip(&out[2..]) {
                let off = (f32::from(*value as i8) * d - x).abs();
                prop_assert!(off <= d * (0.5 + 127.0 / 2048.0 + 1e-4), "{x} became {value} times {d}");
            }
        }
    }
}
