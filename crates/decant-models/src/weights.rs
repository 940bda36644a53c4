//! What a model file gives to the engine, whatever its format: a configuration, and tensors by name.
//!
//! Readers (GGUF, safetensors) fill a [`ModelConfig`] and implement [`TensorSource`]; the engine
//! ([`native`](crate::native)) asks for every tensor of the graph and checks its shape. The differences between the two
//! conventions (names of tensors, order of the rows of Q and K) are data: [`Naming`] and [`RowOrder`].

mod config;
mod naming;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use config::{
    Activation, Architecture, Layers, ModelConfig, Norms, QkNorm, RopeConfig, RopeFactors, RopeScaling, RowOrder,
};
pub use decant_kernels::weights::Format;
use decant_kernels::weights::Weights;
pub use naming::{Naming, Part};

use crate::LoadError;

/// The bytes of a file: mapped, owned or part of the program. Cloning shares them.
#[derive(Clone)]
pub struct Storage(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Storage {
    /// Shares `bytes`: a `Vec<u8>`, a `&'static [u8]`, a memory map.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Storage(Arc::new(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().as_ref()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({} bytes)", self.bytes().len())
    }
}

/// Rows and columns of a tensor, row-major. A vector of n is one row of n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many rows: outputs of a linear layer, tokens of an embedding, 1 for a vector.
    pub rows: usize,
    /// Elements a row: what neighbours in memory belong to.
    pub cols: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.rows, self.cols)
    }
}

/// A tensor in its file, checked to lie inside it.
#[derive(Clone, Debug)]
pub struct Tensor {
    format: Format,
    shape: Shape,
    storage: Storage,
    range: Range<usize>,
}

impl Tensor {
    /// The tensor `name` at byte `offset` of `storage`.
    ///
    /// # Errors
    /// [`LoadError::TensorBlocks`] if its rows are not whole blocks, [`LoadError::TensorBytes`] if it does not lie inside.
    pub fn new(name: &str, format: Format, shape: Shape, storage: &Storage, offset: usize) -> Result<Self, LoadError> {
        let (block, cols) = (format.block(), shape.cols);
        if cols % block != 0 {
            return Err(LoadError::TensorBlocks { name: name.to_owned(), format: format.name(), cols, block });
        }
        let bytes = format.row_bytes(cols).and_then(|row| row.checked_mul(shape.rows));
        let available = storage.bytes().len();
        let end = bytes.and_then(|bytes| offset.checked_add(bytes)).filter(|&end| end <= available);
        let Some(end) = end else {
            let needed = bytes.unwrap_or(usize::MAX);
            return Err(LoadError::TensorBytes { name: name.to_owned(), offset, needed, available });
        };
        Ok(Tensor { format, shape, storage: storage.clone(), range: offset..end })
    }

    /// How its numbers are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its rows and columns.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its bytes: `rows` times `cols / block` blocks.
    pub fn bytes(&self) -> &[u8] {
        &self.storage.bytes()[self.range.clone()]
    }

    /// Some of its rows as a tensor of their own, where they lie.
    ///
    /// # Panics
    /// If it does not have these rows.
    pub fn rows(&self, rows: Range<usize>) -> Tensor {
        assert!(rows.start <= rows.end && rows.end <= self.shape.rows, "rows of the tensor");
        let row_bytes = self.range.len() / self.shape.rows.max(1);
        let range = self.range.start + rows.start * row_bytes..self.range.start + rows.end * row_bytes;
        Tensor { shape: Shape { rows: rows.len(), ..self.shape }, range, ..self.clone() }
    }

    /// Itself, as the kernels take it.
    ///
    /// # Panics
    /// If it has no columns.
    pub fn weights(&self) -> Weights<'_> {
        Weights::new(self.format, self.shape.cols, self.bytes())
    }
}

/// Tensors by name.
pub trait TensorSource {
    /// The tensor of that name, in the source's own convention.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::TensorFormat`], or what [`Tensor::new`] says.
    fn tensor(&self, name: &str) -> Result<Tensor, LoadError>;
}
