//! How weights are stored, and a matrix of them.

use half::{bf16, f16};

/// How the numbers of a tensor are stored; always little-endian, row after row, never aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    /// ggml's Q8_0: blocks of 32 weights, an f16 scale and 32 signed bytes.
    Q8_0,
}

impl Format {
    /// Every format that the kernels read.
    pub const ALL: [Format; 4] = [Format::F32, Format::F16, Format::BF16, Format::Q8_0];

    /// Elements a block.
    pub fn block(self) -> usize {
        match self {
            Format::Q8_0 => 32,
            _ => 1,
        }
    }

    /// Bytes a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::BF16 => 2,
            Format::Q8_0 => 34,
        }
    }

    /// Bytes of a row of `cols` elements; `None` if these are not whole blocks, or too many.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        cols.is_multiple_of(self.block()).then(|| (cols / self.block()).checked_mul(self.block_bytes()))?
    }

    /// Whether [`Activations`](super::Activations) must be quantised before they meet weights of this format.
    pub fn wants_quantised(self) -> bool {
        self == Format::Q8_0
    }

    /// The name that ggml and safetensors use.
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "F32",
            Format::F16 => "F16",
            Format::BF16 => "BF16",
            Format::Q8_0 => "Q8_0",
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

    /// Rows `0..at` and the rest.
    ///
    /// # Panics
    /// If there are not that many rows.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.bytes.split_at(at * self.row_bytes);
        (Weights { bytes: head, ..self }, Weights { bytes: tail, ..self })
    }

    /// The bytes of one row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.row_bytes..][..self.row_bytes]
    }

    /// One row as numbers, exactly as the format defines them: an embedding.
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
            Format::Q8_0 => {
                for (out, block) in out.chunks_exact_mut(32).zip(bytes.as_chunks::<34>().0) {
                    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32_const();
                    for (out, value) in out.iter_mut().zip(&block[2..]) {
                        *out = f32::from(*value as i8) * scale;
                    }
                }
            }
        }
    }
}

fn each<const B: usize>(out: &mut [f32], bytes: &[u8], number: impl Fn([u8; B]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<B>().0) {
        *out = number(*bytes);
    }
}
