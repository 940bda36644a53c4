//! What a model file gives to the engine, whatever its format: a configuration, and tensors by name.
//!
//! Readers (GGUF, safetensors) fill a [`ModelConfig`] and implement [`TensorSource`]; the engine
//! ([`native`](crate::native)) asks for every tensor of the graph and checks its shape. The differences between the two
//! conventions (names of tensors, order of the rows of Q and K) are data: [`Naming`] and [`RowOrder`].

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use decant_kernels::weights::Format;
use decant_kernels::weights::Weights;

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

/// The architectures of the Llama family that the graph knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// Llama 1 to 3, Mistral, SmolLM, TinyLlama.
    Llama,
    /// Qwen2 and Qwen2.5: biases on Q, K and V.
    Qwen2,
    /// Qwen3: Q and K normalised head by head.
    Qwen3,
}

/// How rotary frequencies were stretched for long contexts.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All frequencies divided by one factor.
    Linear {
        /// The factor.
        factor: f32,
    },
    /// As Llama 3.1 does: low frequencies divided, high ones kept, a ramp between (`rope_type: llama3`).
    Llama3 {
        /// What low frequencies are divided by.
        factor: f32,
        /// Wavelengths above `original_context / low_freq_factor` are stretched in full.
        low_freq_factor: f32,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f32,
        /// The context before stretching.
        original_context: usize,
    },
    /// Each frequency divided by its own factor, in the tensor [`Part::RopeFactors`]; how GGUF stores Llama 3's.
    Factors,
}

/// In which order a file keeps the rows of a head of Q and K. Their two halves are rotated against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Element i turns with element i + head_dim / 2: Hugging Face, and GGUF but for llama (ggml's "neox").
    Halves,
    /// Element 2i turns with element 2i + 1: GGUF files of llama, whose rows were permuted (ggml's "norm").
    Pairs,
}

/// A model of the Llama family in numbers. Nothing here is trusted: the engine checks it against itself and the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which graph.
    pub architecture: Architecture,
    /// How many blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Query heads a layer.
    pub heads: usize,
    /// Key and value heads a layer; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even. Often, but not always, `dim / heads`.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub hidden: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Positions that the model was made for.
    pub context: usize,
    /// Added to the mean square in every RMS norm.
    pub norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// How they were stretched.
    pub rope_scaling: RopeScaling,
    /// The order of the rows of Q and K in the file.
    pub row_order: RowOrder,
    /// The output layer is the embedding.
    pub tied_embeddings: bool,
    /// Q, K and V have biases.
    pub qkv_bias: bool,
    /// Q and K are normalised head by head.
    pub qk_norm: bool,
    /// A token sees itself and the `window - 1` tokens before it; `None`: all.
    pub sliding_window: Option<usize>,
    /// What the file calls its tensors.
    pub naming: Naming,
}

impl ModelConfig {
    /// How many positions a token of this layer sees, itself among them; `None`: all.
    pub fn window(&self, _layer: usize) -> Option<usize> {
        self.sliding_window
    }
}

/// A tensor's place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each is what it is called.
pub enum Part {
    Embedding,
    OutputNorm,
    Output,
    RopeFactors,
    AttentionNorm,
    Query,
    Key,
    Value,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    AttentionOutput,
    FeedForwardNorm,
    Gate,
    Up,
    Down,
}

/// What a file calls its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// llama.cpp's names.
    Gguf,
    /// Those of transformers' checkpoints.
    HuggingFace,
}

impl Naming {
    /// The name of a tensor; `layer` counts for those that every layer has.
    ///
    /// ```
    /// use decant_models::weights::{Naming, Part};
    /// assert_eq!(Naming::Gguf.name(Part::Query, 3), "blk.3.attn_q.weight");
    /// assert_eq!(Naming::HuggingFace.name(Part::Query, 3), "model.layers.3.self_attn.q_proj.weight");
    /// ```
    pub fn name(self, part: Part, layer: usize) -> String {
        let (gguf, hugging_face) = match part {
            Part::Embedding => ("token_embd.weight", "model.embed_tokens.weight"),
            Part::OutputNorm => ("output_norm.weight", "model.norm.weight"),
            Part::Output => ("output.weight", "lm_head.weight"),
            Part::RopeFactors => ("rope_freqs.weight", "rope_freqs.weight"),
            Part::AttentionNorm => ("blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight"),
            Part::Query => ("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"),
            Part::Key => ("blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"),
            Part::Value => ("blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"),
            Part::QueryBias => ("blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias"),
            Part::KeyBias => ("blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias"),
            Part::ValueBias => ("blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias"),
            Part::QueryNorm => ("blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight"),
            Part::KeyNorm => ("blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight"),
            Part::AttentionOutput => ("blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"),
            Part::FeedForwardNorm => ("blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight"),
            Part::Gate => ("blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"),
            Part::Up => ("blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"),
            Part::Down => ("blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"),
        };
        let pattern = match self {
            Naming::Gguf => gguf,
            Naming::HuggingFace => hugging_face,
        };
        pattern.replace("{}", &layer.to_string())
    }
}
