//! A model from one word: the embedded one, a file, a folder, a hub's.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::LoadError;
use crate::checkpoint::{ConfigJson, GgufTensors, Shards, gguf_config, map_file};
use crate::gguf::Gguf;
use crate::hub::{Hub, HubModel, Progress};
use crate::identity::Identity;
use crate::native::{EngineOptions, KvFormat, NativeModel};
use crate::quantise::{Quantisation, Quantised};
use crate::template::ChatTemplate;
use crate::tokenizer::Tokenizer;
use crate::weights::{ModelConfig, Storage, TensorSource};
use decant_decode::ModelId;

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
    /// One of the two, on a hub.
    Hub(HubModel),
}

impl FromStr for ModelSource {
    type Err = LoadError;

    /// `embedded`, `hf:owner/name[:file]`, or a path.
    fn from_str(text: &str) -> Result<Self, LoadError> {
        Ok(match text {
            EMBEDDED => ModelSource::Embedded,
            name if name.starts_with("hf:") => ModelSource::Hub(name.parse()?),
            path => ModelSource::Path(path.into()),
        })
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelSource::Embedded => f.write_str(EMBEDDED),
            ModelSource::Path(path) => path.display().fmt(f),
            ModelSource::Hub(model) => model.fmt(f),
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
    /// Runs it. Whoever feeds it on a thread of its own takes a share.
    pub engine: Arc<NativeModel>,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// How it sees a conversation, if its files say so.
    pub template: Option<ChatTemplate>,
    /// What is known of it.
    pub info: ModelInfo,
    /// What the user calls it, and what its matrices were quantised to while loading.
    source: String,
    quantise: Option<Quantisation>,
}

/// How a model is loaded and run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// How the engine runs.
    pub engine: EngineOptions,
    /// What matrices stored as F32, F16 or BF16 are quantised to while loading ([`Quantised`]); `None`: as they are, mapped.
    pub quantise: Option<Quantisation>,
}

impl From<EngineOptions> for LoadOptions {
    fn from(engine: EngineOptions) -> Self {
        LoadOptions { engine, quantise: None }
    }
}

impl Model {
    /// Loads a model; one of a hub is fetched first, as far as it is not in the cache. `progress` is told of that, and of
    /// weights that are quantised. Else they are mapped, not read: nobody may change the files while the model is in use.
    ///
    /// # Errors
    /// [`LoadError`], with the file that is at fault.
    pub fn load(
        source: &ModelSource,
        options: impl Into<LoadOptions>,
        hub: &Hub,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, LoadError> {
        let options = options.into();
        let model = match source {
            ModelSource::Embedded => Model::from_gguf(&Storage::new(STORIES), EMBEDDED, options, progress),
            ModelSource::Path(path) => Model::from_path(path, &stem(path), options, progress),
            ModelSource::Hub(model) => {
                let path = hub.fetch(model, progress)?;
                Model::from_path(&path, &model.repository(), options, progress)
            }
        };
        Ok(Model { source: source.to_string(), ..model? })
    }

    /// Source, digest and what else its rows depend on, as traces keep them.
    pub fn id(&self) -> ModelId {
        let kv = self.engine.options().kv;
        ModelId {
            source: self.source.clone(),
            hash: self.info.hash.clone(),
            quantise: self.quantise.map(|to| to.to_string()),
            kv: (kv != KvFormat::default()).then(|| kv.to_string()),
        }
    }

    fn from_path(
        path: &Path,
        name: &str,
        options: LoadOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, LoadError> {
        let loaded = match path.is_dir() {
            true => Model::from_folder(path, name, options, progress),
            false => map_file(path).and_then(|file| Model::from_gguf(&file, name, options, progress)),
        };
        loaded.map_err(|error| error.in_file(path))
    }

    fn from_gguf(
        storage: &Storage,
        name: &str,
        options: LoadOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, LoadError> {
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
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let template = ChatTemplate::from_gguf(&gguf, &tokenizer)?;
        Model::assemble(gguf_config(&gguf)?, &tensors, (tokenizer, template), info, options, progress)
    }

    fn from_folder(
        folder: &Path,
        name: &str,
        options: LoadOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, LoadError> {
        let json = ConfigJson::open(folder)?;
        let tensors = Shards::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        let mut identity = Identity::default();
        for name in ["config.json", "tokenizer.json"] {
            identity.add(map_file(&folder.join(name))?.bytes(), 0);
        }
        tensors.identify(&mut identity);
        let info = ModelInfo {
            name: name.to_owned(),
            hash: identity.finish(),
            architecture: json.model_type().to_owned(),
            format: FileFormat::Safetensors,
            file_len: tensors.file_len(),
        };
        let template = ChatTemplate::from_folder(folder)?;
        Model::assemble(json.config(&tensors)?, &tensors, (tokenizer, template), info, options, progress)
    }

    fn assemble(
        config: ModelConfig,
        tensors: &dyn TensorSource,
        (tokenizer, template): (Tokenizer, Option<ChatTemplate>),
        info: ModelInfo,
        options: LoadOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, LoadError> {
        // The other way round is usual: embeddings are padded to a round number of rows.
        if tokenizer.vocab() > config.vocab {
            return Err(LoadError::Vocabulary { tokenizer: tokenizer.vocab(), model: config.vocab });
        }
        let engine = match options.quantise {
            None => NativeModel::new(config, tensors, options.engine)?,
            Some(Quantisation::Q8_0) => {
                let mut told = |done| progress(Progress { file: "quantising", done, total: Some(info.file_len) });
                let quantised = Quantised::new(tensors, options.engine.threads, &mut told);
                NativeModel::new(config, &quantised, options.engine)?
            }
        };
        Ok(Model {
            engine: Arc::new(engine),
            tokenizer,
            template,
            info,
            source: String::new(),
            quantise: options.quantise,
        })
    }
}

/// What a file or folder is called, however the path to it is written.
fn stem(path: &Path) -> String {
    let absolute = path.canonicalize();
    let path = absolute.as_deref().unwrap_or(path);
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}
