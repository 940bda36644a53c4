//! How weights are stored, and a matrix of them.

use std::ops::Range;

use half::{bf16, f16};

use super::blocks::{self, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use super::superblocks::{self, Q2K, Q3K, Q4K, Q5K, Q6K};

/// How the numbers of a tensor are stored; always little-endian, row after row, never aligned.
///
/// The names of blocks are ggml's: `_0` a scale, `_1` a scale and a least value, `_K` scales of scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(non_camel_case_types)] // They are spelled so everywhere.
pub enum Format {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    /// Blocks of 32: an f16 scale, and 32 signed bytes.
    Q8_0,
    /// Blocks of 32: an f16 scale, and 32 integers of 4 bits, less 8.
    Q4_0,
    /// Blocks of 32: scale and least value in f16, and 32 integers of 4 bits.
    Q4_1,
    /// Blocks of 32: an f16 scale, and 32 integers of 5 bits, less 16.
    Q5_0,
    /// Blocks of 32: scale and least value in f16, and 32 integers of 5 bits.
    Q5_1,
    /// Blocks of 256 in sixteens: 2 bits, scales and least values of 4 bits, and the scales of these in f16.
    Q2_K,
    /// Blocks of 256 in sixteens: 3 bits less 4, scales of 6 bits less 32, and their scale in f16.
    Q3_K,
    /// Blocks of 256 in thirty-twos: 4 bits, scales and least values of 6 bits, and the scales of these in f16.
    Q4_K,
    /// As `Q4_K`, with 5 bits.
    Q5_K,
    /// Blocks of 256 in sixteens: 6 bits less 32, scales of 8 bits, and their scale in f16.
    Q6_K,
}

impl Format {
    /// Every format that the kernels read.
    pub const ALL: [Format; 13] = [
        Format::F32,
        Format::F16,
        Format::BF16,
        Format::Q8_0,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q2_K,
        Format::Q3_K,
        Format::Q4_K,
        Format::Q5_K,
        Format::Q6_K,
    ];

    /// Elements a block, its bytes, and the name that ggml and safetensors use.
    fn facts(self) -> (usize, usize, &'static str) {
        match self {
            Format::F32 => (1, 4, "F32"),
            Format::F16 => (1, 2, "F16"),
            Format::BF16 => (1, 2, "BF16"),
            Format::Q8_0 => (32, 34, "Q8_0"),
            Format::Q4_0 => (32, 18, "Q4_0"),
            Format::Q4_1 => (32, 20, "Q4_1"),
            Format::Q5_0 => (32, 22, "Q5_0"),
            Format::Q5_1 => (32, 24, "Q5_1"),
            Format::Q2_K => (256, 84, "Q2_K"),
            Format::Q3_K => (256, 110, "Q3_K"),
            Format::Q4_K => (256, 144, "Q4_K"),
            Format::Q5_K => (256, 176, "Q5_K"),
            Format::Q6_K => (256, 210, "Q6_K"),
        }
    }

    /// Elements a block.
    pub fn block(self) -> usize {
        self.facts().0
    }

    /// Bytes a block.
    pub fn block_bytes(self) -> usize {
        self.facts().1
    }

    /// The name that ggml and safetensors use.
    pub fn name(self) -> &'static str {
        self.facts().2
    }

    /// Bytes of a row of `cols` elements; `None` if these are not whole blocks, or too many.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        cols.is_multiple_of(self.block()).then(|| (cols / self.block()).checked_mul(self.block_bytes()))?
    }

    /// How many activations share a scale when they meet weights of this format; `None` if they stay f32.
    pub fn quantises(self) -> Option<usize> {
        match self.block() {
            1 => None,
            block => Some(block),
        }
    }
}

/// A matrix [rows, cols] in its stored form.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    pub(super) format: Format,
    pub(super) cols: usize,
    pub(super) row_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> Weights<'a> {
    /// The matrix whose rows of `cols` elements lie one after another in `bytes`.
    ///
    /// # Panics
    /// If a row is empty or not whole blocks, or `bytes` not whole rows: who reads files checks that first.
    pub fn new(format: Format, cols: usize, bytes: &'a [u8]) -> Self {
        let row_bytes = format.row_bytes(cols).filter(|&row| row > 0 && bytes.len().is_multiple_of(row));
        let row_bytes = row_bytes.expect("weights are whole rows of whole blocks");
        Weights { format, cols, row_bytes, bytes }
    }

    /// How many rows: outputs of a linear layer.
    pub fn rows(&self) -> usize {
        self.bytes.len() / self.row_bytes
    }

    /// Elements a row: inputs of a linear layer.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Some of the rows.
    pub(super) fn part(self, rows: Range<usize>) -> Self {
        Weights { bytes: &self.bytes[rows.start * self.row_bytes..rows.end * self.row_bytes], ..self }
    }

    /// The bytes of one row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.row_bytes..][..self.row_bytes]
    }

    /// One row as numbers, exactly as the format defines them (and with the roundings of ggml's Python package): an
    /// embedding.
    ///
    /// # Panics
    /// If there is no such row or `out` is not one row long.
    pub fn dequantise(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.cols, "a row of the matrix");
        let bytes = self.row(row);
        match self.format {
            Format::F32 => each(out, bytes, f32::from_le_bytes),
            Format::F16 => each(out, bytes, |b| f16::from_le_bytes(b).to_f32_const()),
            Format::BF16 => each(out, bytes, |b| bf16::from_le_bytes(b).to_f32_const()),
            Format::Q8_0 => blocks::numbers::<Q8_0, 34>(bytes, out),
            Format::Q4_0 => blocks::numbers::<Q4_0, 18>(bytes, out),
            Format::Q4_1 => blocks::numbers::<Q4_1, 20>(bytes, out),
            Format::Q5_0 => blocks::numbers::<Q5_0, 22>(bytes, out),
            Format::Q5_1 => blocks::numbers::<Q5_1, 24>(bytes, out),
            Format::Q2_K => superblocks::numbers::<Q2K, 84>(bytes, out),
            Format::Q3_K => superblocks::numbers::<Q3K, 110>(bytes, out),
            Format::Q4_K => superblocks::numbers::<Q4K, 144>(bytes, out),
            Format::Q5_K => superblocks::numbers::<Q5K, 176>(bytes, out),
            Format::Q6_K => superblocks::numbers::<Q6K, 210>(bytes, out),
        }
    }
}

fn each<const B: usize>(out: &mut [f32], bytes: &[u8], number: impl Fn([u8; B]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<B>().0) {
        *out = number(*bytes);
    }
}
