//! A model from one word: the embedded one, a file, a folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::LoadError;
use crate::checkpoint::{ConfigJson, GgufTensors, Shards, gguf_config, map_file};
use crate::gguf::Gguf;
use crate::identity::Identity;
use crate::native::{EngineOptions, NativeModel};
use crate::tokenizer::Tokenizer;
use crate::weights::{ModelConfig, Storage, TensorSource};

/// What the embedded model is called where a model is asked for.
const EMBEDDED: &str = "embedded";

/// The story model that is part of the program.
static STORIES: &[u8] = include_bytes!("../assets/decant-stories.gguf");

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// The one that is part of the program.
    Embedded,
    /// A GGUF file, or a folder as Hugging Face has it.
    Path(PathBuf),
}

impl FromStr for ModelSource {
    type Err = LoadError;

    /// `embedded`, or a path.
    fn from_str(text: &str) -> Result<Self, LoadError> {
        Ok(match text {
            EMBEDDED => ModelSource::Embedded,
            path => ModelSource::Path(path.into()),
        })
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelSource::Embedded => f.write_str(EMBEDDED),
            ModelSource::Path(path) => path.display().fmt(f),
        }
    }
}

/// The format of a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// llama.cpp's.
    Gguf,
    /// Hugging Face's.
    Safetensors,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFormat::Gguf => "GGUF",
            FileFormat::Safetensors => "safetensors",
        })
    }
}

/// What is known of a model beside its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// What the file calls it, or else the name of the file.
    pub name: String,
    /// A digest of weights, configuration and tokenizer: equal for equal files, wherever they lie. It covers headers in full
    /// and large tensors by samples, so that it takes no time; two trainings or quantisations never share it.
    pub hash: String,
    /// `llama`, `qwen2`, ..: as the file names it.
    pub architecture: String,
    /// The format of its files.
    pub format: FileFormat,
    /// How many bytes the files with its weights take.
    pub file_len: u64,
}

/// A model ready to run: numbers, vocabulary, and how to speak to it.
#[derive(Debug)]
pub struct Model {
    /// Runs it.
    pub engine: NativeModel,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// What is known of it.
    pub info: ModelInfo,
}

impl Model {
    /// Loads a model. Weights are mapped, not read: nobody may change the files while the model is in use.
    ///
    /// # Errors
    /// [`LoadError`], with the file that is at fault.
    pub fn load(source: &ModelSource, options: EngineOptions) -> Result<Self, LoadError> {
        match source {
            ModelSource::Embedded => Model::from_gguf(&Storage::new(STORIES), EMBEDDED, options),
            ModelSource::Path(path) => Model::from_path(path, options),
        }
    }

    fn from_path(path: &Path, options: EngineOptions) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Model::from_folder(path, options).map_err(|error| error.in_file(path));
        }
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Model::from_gguf(&map_file(path)?, &name, options).map_err(|error| error.in_file(path))
    }

    fn from_gguf(storage: &Storage, name: &str, options: EngineOptions) -> Result<Self, LoadError> {
        let bytes = storage.bytes();
        let gguf = Gguf::parse(bytes)?;
        let mut identity = Identity::default();
        identity.add(bytes, gguf.header_len());
        let info = ModelInfo {
            name: gguf.text("general.name")?.unwrap_or(name).to_owned(),
            hash: identity.finish(),
            architecture: gguf.text("general.architecture")?.unwrap_or_default().to_owned(),
            format: FileFormat::Gguf,
            file_len: bytes.len() as u64,
        };
        let tensors = GgufTensors::new(&gguf, storage);
        Model::assemble(gguf_config(&gguf)?, &tensors, Tokenizer::from_gguf(&gguf)?, info, options)
    }

    fn from_folder(folder: &Path, options: EngineOptions) -> Result<Self, LoadError> {
        let json = ConfigJson::open(folder)?;
        let tensors = Shards::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        let mut identity = Identity::default();
        for name in ["config.json", "tokenizer.json"] {
            identity.add(map_file(&folder.join(name))?.bytes(), 0);
        }
        tensors.identify(&mut identity);
        let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let info = ModelInfo {
            name: name.unwrap_or_default(),
            hash: identity.finish(),
            architecture: json.model_type().to_owned(),
            format: FileFormat::Safetensors,
            file_len: tensors.file_len(),
        };
        Model::assemble(json.config(&tensors)?, &tensors, tokenizer, info, options)
    }

    fn assemble(
        config: ModelConfig,
        tensors: &dyn TensorSource,
        tokenizer: Tokenizer,
        info: ModelInfo,
        options: EngineOptions,
    ) -> Result<Self, LoadError> {
        // The other way round is usual: embeddings are padded to a round number of rows.
        if tokenizer.vocab() > config.vocab {
            return Err(LoadError::Vocabulary { tokenizer: tokenizer.vocab(), model: config.vocab });
        }
        Ok(Model { engine: NativeModel::new(config, tensors, options)?, tokenizer, info })
    }
}
