//! Model files, opened: what a GGUF file or a Hugging Face folder says, as the engine wants to hear it.

mod config_json;
mod gguf;
mod safetensors;

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::LoadError;
use crate::weights::{Architecture, Shape, Storage};

pub use config_json::ConfigJson;
pub(crate) use config_json::read as read_json;
pub use gguf::{GgufTensors, gguf_config};
pub(crate) use safetensors::shard_names;
pub use safetensors::{SafetensorsError, Shards};

/// Maps a file into memory, to be read page by page as its tensors are.
///
/// # Errors
/// [`LoadError::Io`] if it cannot be opened.
pub fn map_file(path: &Path) -> Result<Storage, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Ok(Storage::new(Vec::new())); // an empty map is an error of the system
    }
    // SAFETY: the map is private and only read. That nobody shortens or rewrites a model file while it is in use cannot be
    // checked; it is the bargain of every reader that maps its weights, and the documentation of `Model::load` says so.
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    Ok(Storage::new(map))
}

/// The rows and columns of a tensor whose dimensions are given slowest first.
fn shape(name: &str, dimensions: &[usize]) -> Result<Shape, LoadError> {
    match *dimensions {
        [cols] => Ok(Shape { rows: 1, cols }),
        [rows, cols] => Ok(Shape { rows, cols }),
        _ => Err(LoadError::TensorRank { name: name.to_owned(), rank: dimensions.len() }),
    }
}

/// What an architecture may be called, with further names for some.
fn known_architectures(further: &[&'static str]) -> Vec<&'static str> {
    Architecture::ALL.iter().map(|known| known.name()).chain(further.iter().copied()).collect()
}

/// Refuses tensors that the graph has no place for though the configuration does not speak of them: biases other than those
/// of Q, K and V. Leaving them out would give wrong logits silently.
fn refuse_other_biases<'n>(mut names: impl Iterator<Item = &'n str>) -> Result<(), LoadError> {
    let known = ["attn_q.bias", "attn_k.bias", "attn_v.bias", "q_proj.bias", "k_proj.bias", "v_proj.bias"];
    match names.find(|name| name.ends_with(".bias") && !known.iter().any(|known| name.ends_with(known))) {
        Some(name) => Err(LoadError::Unsupported { what: format!("the bias `{name}`") }),
        None => Ok(()),
    }
}
