//! Why a model could not be loaded.

use crate::weights::Shape;

/// Why a model could not be loaded. Facts in fields; nothing is half loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A number of the model's configuration is out of range or contradicts another.
    #[error("the model's `{field}` is {found}; expected {expected}")]
    Config {
        /// Which field, by its name in [`ModelConfig`](crate::weights::ModelConfig).
        field: &'static str,
        /// What the file says.
        found: String,
        /// The allowed range.
        expected: String,
    },
    /// The graph needs a tensor that the file does not have.
    #[error("the model has no tensor `{name}`")]
    MissingTensor {
        /// Its name in the file's own convention.
        name: String,
    },
    /// A tensor does not have the shape that the configuration demands.
    #[error("tensor `{name}` has shape {found}; expected {expected}")]
    TensorShape {
        /// Its name.
        name: String,
        /// What the configuration demands.
        expected: Shape,
        /// What the file has.
        found: Shape,
    },
    /// A tensor's numbers are stored in a way that the engine does not read.
    #[error("tensor `{name}` is stored as {format}; known are F32, F16, BF16 and Q8_0")]
    TensorFormat {
        /// Its name.
        name: String,
        /// The format's name, or its number if that is all there is.
        format: String,
    },
    /// A tensor's rows cannot be stored in its format: Q8_0 rows are whole blocks of 32.
    #[error("tensor `{name}` has rows of {cols}; {format} stores blocks of {block}")]
    TensorBlocks {
        /// Its name.
        name: String,
        /// The format's name.
        format: &'static str,
        /// Elements a row.
        cols: usize,
        /// Elements a block.
        block: usize,
    },
    /// A tensor reaches beyond the end of its file.
    #[error("tensor `{name}` needs {needed} bytes from offset {offset}; the file has {available}")]
    TensorBytes {
        /// Its name.
        name: String,
        /// Where it starts.
        offset: usize,
        /// How many bytes it needs (saturated if the product overflows).
        needed: usize,
        /// How many bytes the file has.
        available: usize,
    },
}
