//! Decant's own CPU engine for Llama and its relatives: bit-equal logits whatever the batch, the chunking of the prompt, the
//! thread count and the instruction set.
//!
//! The promise holds because nothing that a row's numbers pass through looks at another row: every output of a linear
//! layer is one dot product with one order of operations ([`decant_kernels::weights`]), attention works by sequence over
//! pages aligned to absolute positions ([`decant_kernels::attention`]), everything else is element by element, and no
//! function of the platform's math library is called.

mod attention;
mod cache;
mod check;
mod forward;
mod load;
mod rope;
mod team;

use std::num::NonZeroUsize;
use std::sync::Arc;

use decant_decode::{Feed, LanguageModel, ModelError, Rows};
use decant_kernels::Isa;

use crate::LoadError;
use crate::weights::{ModelConfig, Tensor, TensorSource};
pub use cache::KvCache;
use cache::KvLayout;
pub use decant_kernels::attention::KvFormat;
pub use decant_kernels::peaks;
use forward::Workspaces;
use rope::Rope;
use team::Team;

/// How the engine runs. Threads and instructions change no bit of any logit; the format of keys and values does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many threads multiply.
    pub threads: NonZeroUsize,
    /// Which instructions they use.
    pub isa: Isa,
    /// How caches store keys and values.
    pub kv: KvFormat,
}

/// One thread, the best instructions of this machine, keys and values in f32.
impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { threads: NonZeroUsize::MIN, isa: Isa::best(), kv: KvFormat::default() }
    }
}

/// A model, its weights where the file has them.
#[derive(Debug)]
pub struct NativeModel {
    config: ModelConfig,
    options: EngineOptions,
    team: Team,
    workspaces: Workspaces,
    layout: Arc<KvLayout>,
    /// The model's, and that of windowed layers if it is another.
    ropes: Vec<Rope>,
    embedding: Tensor,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    output: Linear,
}

/// The weights of one block.
#[derive(Debug)]
struct Layer {
    /// Which of the model's ropes turns it, if one does.
    rope: Option<usize>,
    attention_norm: Option<Vec<f32>>,
    query: Linear,
    key: Linear,
    value: Linear,
    /// As long as what it is taken over: a head, or all of them.
    query_norm: Option<Vec<f32>>,
    key_norm: Option<Vec<f32>>,
    attention_output: Linear,
    attention_post_norm: Option<Vec<f32>>,
    feed_forward_norm: Option<Vec<f32>>,
    gate: Linear,
    up: Linear,
    down: Linear,
    feed_forward_post_norm: Option<Vec<f32>>,
}

/// A linear layer: its matrix [outputs, inputs] as it lies in the file, and a bias if it has one.
#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Option<Vec<f32>>,
}

impl NativeModel {
    /// Checks `config` against itself, and every tensor of the graph against `config`.
    ///
    /// # Errors
    /// [`LoadError::Config`], [`LoadError::TensorShape`], what `source` says of a tensor, or [`LoadError::Threads`].
    pub fn new(config: ModelConfig, source: &dyn TensorSource, options: EngineOptions) -> Result<Self, LoadError> {
        check::check(&config)?;
        load::load(config, source, options)
    }

    /// The model in numbers.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How it runs.
    pub fn options(&self) -> EngineOptions {
        self.options
    }

    /// The matrices that every token is multiplied with, the output's last.
    pub fn matrices(&self) -> impl Iterator<Item = &Tensor> {
        let layers = self.layers.iter().flat_map(|layer| {
            let Layer { query, key, value, attention_output, gate, up, down, .. } = layer;
            [query, key, value, attention_output, gate, up, down]
        });
        layers.chain([&self.output]).map(|linear| &linear.weight)
    }
}

impl LanguageModel for NativeModel {
    type Cache = KvCache;

    fn vocab(&self) -> usize {
        self.config.vocab
    }

    fn context(&self) -> usize {
        self.config.context
    }

    fn empty(&self) -> KvCache {
        KvCache::new(self.layout.clone())
    }

    fn len(&self, cache: &KvCache) -> usize {
        cache.len()
    }

    fn rewind(&self, cache: &mut KvCache, len: usize) {
        cache.rewind(len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, KvCache>]) -> Result<Vec<Rows>, ModelError> {
        let ModelConfig { vocab, context, .. } = self.config;
        batch.iter().try_for_each(|feed| feed.check(feed.cache.len(), vocab, context))?;
        Ok(forward::feed_all(self, batch))
    }
}
