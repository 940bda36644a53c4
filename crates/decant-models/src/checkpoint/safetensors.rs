//! The tensors of a Hugging Face folder: one safetensors file, or shards with an index.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;

use crate::LoadError;
use crate::identity::Identity;
use crate::weights::{Format, Storage, Tensor, TensorSource};

use super::{map_file, shape};

/// Bytes of the number that a file begins with: the length of its header.
const LENGTH_BYTES: usize = 8;

/// Why a safetensors file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file ends inside its header.
    #[error("the header says that it takes {header} bytes; the file has {available}")]
    HeaderLength {
        /// What the first eight bytes say (0 if there are not even eight).
        header: u64,
        /// How long the file is.
        available: usize,
    },
    /// The header is no JSON of the right form, or its offsets leave gaps, overlap or contradict the shapes.
    #[error("the header is invalid: {0}")]
    Header(serde_json::Error),
    /// The tensors do not end where the file ends.
    #[error("the header lists {expected} bytes of tensors; the file has {found}")]
    DataLength {
        /// What the header says.
        expected: usize,
        /// What comes after it.
        found: usize,
    },
}

/// Parses the header that `bytes`, a whole file, begins with; returns it and where the tensors' data begins.
///
/// Not [`safetensors::SafeTensors::read_metadata`]: that adds the file's numbers unchecked before it compares them.
pub(super) fn read_header(bytes: &[u8]) -> Result<(Metadata, usize), SafetensorsError> {
    let length = bytes.first_chunk::<LENGTH_BYTES>().map_or(0, |length| u64::from_le_bytes(*length));
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(LENGTH_BYTES));
    let Some((header, end)) = end.and_then(|end| Some((bytes.get(LENGTH_BYTES..end)?, end))) else {
        return Err(SafetensorsError::HeaderLength { header: length, available: bytes.len() });
    };
    let metadata: Metadata = serde_json::from_slice(header).map_err(SafetensorsError::Header)?;
    let (expected, found) = (metadata.data_len(), bytes.len() - end);
    match expected == found {
        true => Ok((metadata, end)),
        false => Err(SafetensorsError::DataLength { expected, found }),
    }
}

/// All tensors of a folder, whichever of its files they lie in.
#[derive(Debug, Default)]
pub struct Shards {
    files: Vec<File>,
    tensors: HashMap<String, Entry>,
}

#[derive(Debug)]
struct File {
    storage: Storage,
    /// Where the tensors' data begins.
    data: usize,
}

#[derive(Debug)]
struct Entry {
    file: usize,
    info: TensorInfo,
    /// In bytes from the start of the file.
    offset: usize,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Shards {
    /// Opens `model.safetensors` in `folder`, or else all files that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::File`] around what is wrong with one of them.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let mut paths = vec![single];
        if !paths[0].is_file() && index.is_file() {
            paths = shard_names(&index)?.into_iter().map(|name| folder.join(name)).collect();
        }
        let mut shards = Shards::default();
        for path in paths {
            shards.add(map_file(&path)?).map_err(|error| LoadError::from(error).in_file(&path))?;
        }
        Ok(shards)
    }

    /// The tensors of one file.
    ///
    /// # Errors
    /// [`SafetensorsError`] if its header cannot be believed.
    pub fn of_file(file: Storage) -> Result<Self, SafetensorsError> {
        let mut shards = Shards::default();
        shards.add(file)?;
        Ok(shards)
    }

    fn add(&mut self, storage: Storage) -> Result<(), SafetensorsError> {
        let (metadata, data) = read_header(storage.bytes())?;
        let file = self.files.len();
        let entries = metadata.tensors().into_iter();
        self.tensors.extend(entries.map(|(name, info)| {
            // `read_header` has bounded every offset by the length of the file.
            let offset = data + info.data_offsets.0;
            (name, Entry { file, info: info.clone(), offset })
        }));
        self.files.push(File { storage, data });
        Ok(())
    }

    /// The names of all tensors, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Adds all files to a model's identity.
    pub(crate) fn identify(&self, identity: &mut Identity) {
        for file in &self.files {
            identity.add(file.storage.bytes(), file.data);
        }
    }

    /// How many bytes all files take.
    pub fn file_len(&self) -> u64 {
        self.files.iter().map(|file| file.storage.bytes().len() as u64).sum()
    }
}

/// The files that an index names, each once, none outside its folder.
pub(crate) fn shard_names(index: &Path) -> Result<BTreeSet<String>, LoadError> {
    let index: Index = super::config_json::read(index)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    match names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        Some(name) => Err(LoadError::Unsupported { what: format!("the shard `{name}` outside the model's folder") }),
        None => Ok(names),
    }
}

impl TensorSource for Shards {
    fn tensor(&self, name: &str) -> Result<Tensor, LoadError> {
        let Some(Entry { file, info, offset }) = self.tensors.get(name) else {
            return Err(LoadError::MissingTensor { name: name.to_owned() });
        };
        let format = match info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            other => {
                let known = [Format::F32, Format::F16, Format::BF16].map(Format::name).to_vec();
                return Err(LoadError::TensorFormat { name: name.to_owned(), format: format!("{other:?}"), known });
            }
        };
        Tensor::new(name, format, shape(name, &info.shape)?, &self.files[*file].storage, *offset)
    }
}
