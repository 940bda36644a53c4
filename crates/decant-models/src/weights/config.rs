//! A model in numbers.

use super::{Naming, Part};

/// The architectures that the graph knows. What sets them apart is data: the fields of [`ModelConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// Llama 1 to 3, Mistral, SmolLM, TinyLlama.
    Llama,
    /// Qwen2 and Qwen2.5: biases on Q, K and V.
    Qwen2,
    /// Qwen3: Q and K normalised head by head.
    Qwen3,
    /// Gemma 2: norms on both sides, a window in every other layer, soft caps, a scaled embedding, GELU.
    Gemma2,
    /// Gemma 3: as Gemma 2, but Q and K normalised in place of the soft caps, a window in five of six layers, and a rope of
    /// its own there.
    Gemma3,
    /// Phi-3 and Phi-4: fused matrices, sometimes half-turned heads, LongRoPE.
    Phi3,
    /// OLMo 2: norms only on what blocks add to the stream, Q and K normalised over all heads together.
    Olmo2,
    /// SmolLM3: every fourth layer knows no positions.
    SmolLm3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 8] = [
        Architecture::Llama,
        Architecture::Qwen2,
        Architecture::Qwen3,
        Architecture::Gemma2,
        Architecture::Gemma3,
        Architecture::Phi3,
        Architecture::Olmo2,
        Architecture::SmolLm3,
    ];

    /// What files call it: `general.architecture` in GGUF, `model_type` in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
            Architecture::Gemma2 => "gemma2",
            Architecture::Gemma3 => "gemma3",
            Architecture::Phi3 => "phi3",
            Architecture::Olmo2 => "olmo2",
            Architecture::SmolLm3 => "smollm3",
        }
    }

    /// Where its norms stand.
    pub fn norms(self) -> Norms {
        match self {
            Architecture::Gemma2 | Architecture::Gemma3 => Norms::Both,
            Architecture::Olmo2 => Norms::After,
            _ => Norms::Before,
        }
    }

    /// What its feed-forward layers pass the gate through.
    pub fn activation(self) -> Activation {
        match self {
            Architecture::Gemma2 | Architecture::Gemma3 => Activation::Gelu,
            _ => Activation::Silu,
        }
    }

    /// What its embedding is multiplied with: √dim for the Gemmas, rounded to f32 as transformers does in f32 (in bf16 it
    /// rounds to bf16) and llama.cpp always.
    pub fn embedding_scale(self, dim: usize) -> f32 {
        match self {
            Architecture::Gemma2 | Architecture::Gemma3 => libm::sqrt(dim as f64) as f32,
            _ => 1.0,
        }
    }

    /// Over what Q and K are normalised where a file has norms for them.
    pub fn qk_norm(self) -> QkNorm {
        match self {
            Architecture::Olmo2 => QkNorm::AllHeads,
            _ => QkNorm::ByHead,
        }
    }

    /// The layers that a sliding window of the model is for, where a file does not say.
    pub fn windowed(self) -> Layers {
        match self {
            Architecture::Gemma2 => Layers::AllButEvery(2),
            Architecture::Gemma3 => Layers::AllButEvery(6),
            _ => Layers::All,
        }
    }

    /// The layers that know positions, where a file does not say.
    pub fn roped(self) -> Layers {
        match self {
            Architecture::SmolLm3 => Layers::AllButEvery(4),
            _ => Layers::All,
        }
    }
}

/// Where the norms of a block of attention or feed-forward stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// On what it reads from the stream.
    Before,
    /// On what it adds to the stream.
    After,
    /// On both.
    Both,
}

impl Norms {
    /// Whether what a block reads is normalised.
    pub fn before(self) -> bool {
        self != Norms::After
    }

    /// Whether what a block adds is normalised.
    pub fn after(self) -> bool {
        self != Norms::Before
    }
}

/// What a feed-forward layer passes its gate through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · σ(x).
    Silu,
    /// GELU in its tanh form, `gelu_pytorch_tanh`.
    Gelu,
}

/// Over what Q and K are normalised before they are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// Head by head, all with the same weights.
    ByHead,
    /// All heads of a token together.
    AllHeads,
}

/// Some of a model's layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// All of them.
    All,
    /// All from this one on.
    From(usize),
    /// The first n - 1 of every n; all if n is 0.
    AllButEvery(usize),
    /// Those whose entry is true.
    Listed(Vec<bool>),
}

impl Layers {
    /// Whether a layer is one of them.
    ///
    /// ```
    /// use decant_models::weights::Layers;
    /// let windowed = Layers::AllButEvery(3);
    /// assert_eq!([0, 1, 2, 3, 4, 5].map(|layer| windowed.contains(layer)), [true, true, false, true, true, false]);
    /// ```
    pub fn contains(&self, layer: usize) -> bool {
        match self {
            Layers::All => true,
            Layers::From(first) => layer >= *first,
            Layers::AllButEvery(period) => !(layer + 1).is_multiple_of(*period),
            Layers::Listed(layers) => layers.get(layer) == Some(&true),
        }
    }
}

/// How positions turn queries and keys (RoPE, Su et al. 2021).
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f32,
    /// How they were stretched.
    pub scaling: RopeScaling,
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
    /// Each frequency divided by its own factor; how GGUF stores Llama 3's.
    Factors(RopeFactors),
    /// LongRoPE (Ding et al. 2024): one set of factors for models that keep to the context before stretching, another for
    /// those that go beyond.
    ///
    /// [`ModelConfig::context`] decides, as in llama.cpp and vLLM, not the text's length, as in transformers: logits of a
    /// prefix must not change when the text grows.
    LongRope {
        /// Where `context` is at most `original_context`.
        short: RopeFactors,
        /// Where it is more.
        long: RopeFactors,
        /// The context before stretching.
        original_context: usize,
        /// What cosines and sines are multiplied with, in either case.
        magnitude: f32,
    },
}

/// A factor for each rotary frequency.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeFactors {
    /// In a tensor of the file.
    Stored(Part),
    /// In its configuration.
    Listed(Vec<f32>),
}

/// In which order a file keeps the rows of a head of Q and K. Their two halves are rotated against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Element i turns with element i + rope_dim / 2: Hugging Face, and most of GGUF (ggml's "neox").
    Halves,
    /// Element 2i turns with element 2i + 1: GGUF files of llama and smollm3, whose rows were permuted (ggml's "norm").
    Pairs,
}

/// A model in numbers. Nothing here is trusted: the engine checks it against itself and the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// What the model calls itself. The graph does not ask for it: its differences are the fields below.
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
    /// What the embedding is multiplied with.
    pub embedding_scale: f32,
    /// Where norms stand in a block.
    pub norms: Norms,
    /// Added to the mean square in every RMS norm.
    pub norm_eps: f32,
    /// Added to the stored weights of every norm: 1 in the Gemmas' checkpoints, not in their GGUF files.
    pub norm_offset: f32,
    /// What q·k is multiplied with: 1 / √head_dim, unless the model says otherwise.
    pub attention_scale: f32,
    /// The score s becomes c · tanh(s / c).
    pub attention_softcap: Option<f32>,
    /// Q, K and V have biases.
    pub qkv_bias: bool,
    /// Q and K are normalised.
    pub qk_norm: Option<QkNorm>,
    /// How many of a head's first elements turn; even.
    pub rope_dim: usize,
    /// How they turn.
    pub rope: RopeConfig,
    /// How they turn in layers with a window, if otherwise.
    pub local_rope: Option<RopeConfig>,
    /// The layers in which they turn; in the others a token does not know its position.
    pub roped: Layers,
    /// In windowed layers a token sees itself and the `window - 1` tokens before it; `None`: all.
    pub sliding_window: Option<usize>,
    /// The layers that have that window.
    pub windowed: Layers,
    /// What feed-forward layers pass the gate through.
    pub activation: Activation,
    /// The logit l becomes c · tanh(l / c).
    pub logit_softcap: Option<f32>,
    /// The output layer is the embedding.
    pub tied_embeddings: bool,
    /// Q, K and V are one matrix of the file, and gate and up another.
    pub fused: bool,
    /// The order of the rows of Q and K in the file.
    pub row_order: RowOrder,
    /// What the file calls its tensors.
    pub naming: Naming,
}

impl ModelConfig {
    /// How many positions a token of this layer sees, itself among them; `None`: all.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window.filter(|_| self.windowed.contains(layer))
    }

    /// Whether a layer turns by [`local_rope`](Self::local_rope).
    pub fn turns_locally(&self, layer: usize) -> bool {
        self.local_rope.is_some() && self.window(layer).is_some()
    }
}
