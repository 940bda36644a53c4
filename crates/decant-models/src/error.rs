//! Why a model could not be loaded.

use std::path::Path;

use crate::checkpoint::SafetensorsError;
use crate::gguf::GgufError;
use crate::hub::HubError;
use crate::tokenizer::TokenizerError;
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
    /// Something is wrong in one file.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// What.
        source: Box<LoadError>,
    },
    /// A GGUF file cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A safetensors file cannot be read.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// No tokenizer can be made of what a file says.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer has tokens that the model has no row for.
    #[error("the tokenizer has {tokenizer} tokens, but the model only {model}")]
    Vocabulary {
        /// How many tokens the tokenizer has.
        tokenizer: usize,
        /// How many rows the model's embedding has.
        model: usize,
    },
    /// A model of a hub cannot be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A JSON file lacks a field or has one of a wrong type.
    #[error("{0}")]
    Json(serde_json::Error),
    /// An architecture that the engine does not run.
    #[error("the architecture `{found}` is not supported; known are {}", known.join(", "))]
    Architecture {
        /// What the file says.
        found: String,
        /// What it may say.
        known: Vec<&'static str>,
    },
    /// A feature of the model that the engine does not have, so that its logits would be wrong.
    #[error("{what} is not supported")]
    Unsupported {
        /// Which.
        what: String,
    },
    /// A tensor that is neither a vector nor a matrix.
    #[error("tensor `{name}` has {rank} dimensions; the graph takes 1 or 2")]
    TensorRank {
        /// Its name.
        name: String,
        /// How many.
        rank: usize,
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
    #[error("tensor `{name}` is stored as {format}; known are {}", known.join(", "))]
    TensorFormat {
        /// Its name.
        name: String,
        /// The format's name, or its number if that is all there is.
        format: String,
        /// What it may be in such a file.
        known: Vec<&'static str>,
    },
    /// A tensor's rows cannot be stored in its format: rows of Q8_0 are whole blocks of 32.
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
    /// The threads that the engine should run could not be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl LoadError {
    /// The same error, told of a file; of the innermost file if it tells of one already.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        match self {
            LoadError::File { .. } | LoadError::Io { .. } => self,
            error => LoadError::File { file: file.to_owned(), source: Box::new(error) },
        }
    }
}
