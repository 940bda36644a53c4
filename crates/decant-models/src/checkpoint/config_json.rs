//! `config.json` of a Hugging Face folder.

mod defaults;

use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use crate::LoadError;
use crate::weights::{
    Activation, Architecture, Layers, ModelConfig, Naming, Part, RopeConfig, RopeFactors, RopeScaling, RowOrder,
};

use super::{Shards, known_architectures, refuse_other_biases};

/// Further values of `model_type`, beside the architectures' own names.
const FURTHER_NAMES: [(&str, Architecture); 2] =
    [("mistral", Architecture::Llama), ("gemma3_text", Architecture::Gemma3)];

/// A transformers configuration, of a text model or of one that has a text model in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct ConfigJson {
    /// As the file itself names it.
    model_type: String,
    /// What is read of an architecture that is known.
    known: Option<(Architecture, TextJson)>,
}

/// The fields of a text model that the engine knows; what a file leaves out has the default of transformers' class.
#[derive(Clone, Debug, Deserialize)]
struct TextJson {
    model_type: String,
    num_hidden_layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    /// What the Gemmas call `hidden_act`, which they may have too, and do not read.
    hidden_activation: Option<String>,
    hidden_act: Option<String>,
    tie_word_embeddings: Option<bool>,
    query_pre_attn_scalar: Option<f32>,
    attn_logit_softcapping: Option<f32>,
    final_logit_softcapping: Option<f32>,
    rope_theta: Option<f32>,
    rope_local_base_freq: Option<f32>,
    rope_scaling: Option<RopeJson>,
    /// Where transformers 5 keeps what was `rope_theta` and `rope_scaling`.
    rope_parameters: Option<RopeJson>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
    no_rope_layers: Option<Vec<u8>>,
    no_rope_layer_interval: Option<usize>,
    sliding_window: Option<usize>,
    sliding_window_pattern: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    use_bidirectional_attention: Option<bool>,
    quantization_config: Option<serde::de::IgnoredAny>,
}

/// `rope_scaling` or `rope_parameters`.
#[derive(Clone, Debug, Default, Deserialize)]
struct RopeJson {
    rope_type: Option<String>,
    /// What `rope_type` was called first; some files have both.
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
    short_factor: Option<Vec<f32>>,
    long_factor: Option<Vec<f32>>,
    attention_factor: Option<f32>,
    /// Where layers differ, each kind has parameters of its own.
    full_attention: Option<Box<RopeJson>>,
    sliding_attention: Option<Box<RopeJson>>,
}

/// Reads a JSON file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|error| LoadError::Json(error).in_file(path))
}

fn unsupported(what: impl Into<String>) -> LoadError {
    LoadError::Unsupported { what: what.into() }
}

impl TryFrom<Value> for ConfigJson {
    type Error = serde_json::Error;

    fn try_from(mut file: Value) -> Result<Self, Self::Error> {
        let model_type = file.get("model_type").and_then(Value::as_str);
        let model_type = model_type.ok_or_else(|| Self::Error::missing_field("model_type"))?.to_owned();
        let mut names = Architecture::ALL.map(|known| (known.name(), known)).into_iter().chain(FURTHER_NAMES);
        let Some((_, architecture)) = names.find(|known| known.0 == model_type) else {
            return Ok(ConfigJson { model_type, known: None });
        };
        // Gemma 3 with eyes: the text model's configuration is a part of the file.
        let text = match file.get_mut("text_config") {
            Some(text) => text.take(),
            None => file,
        };
        let text = serde_json::from_value(defaults::filled(text, &model_type))?;
        Ok(ConfigJson { model_type, known: Some((architecture, text)) })
    }
}

impl ConfigJson {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::File`] if a field is missing or of a wrong type.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        read(&folder.join("config.json"))
    }

    /// The architecture as the file names it.
    pub fn model_type(&self) -> &str {
        &self.model_type
    }

    /// The configuration that the file and the names of the tensors describe.
    ///
    /// # Errors
    /// [`LoadError::Architecture`] for one that the engine does not run, [`LoadError::Unsupported`] for a feature that it
    /// does not.
    pub fn config(&self, tensors: &Shards) -> Result<ModelConfig, LoadError> {
        match &self.known {
            Some((architecture, text)) => text.config(*architecture, tensors),
            None => {
                let known = known_architectures(&FURTHER_NAMES.map(|known| known.0));
                Err(LoadError::Architecture { found: self.model_type.clone(), known })
            }
        }
    }
}

impl TextJson {
    fn config(&self, architecture: Architecture, tensors: &Shards) -> Result<ModelConfig, LoadError> {
        self.refuse_unsupported(architecture)?;
        let root = root(tensors);
        refuse_other_biases(tensors.names().filter(|name| name.starts_with(root)))?;
        let naming = Naming::HuggingFace { root, norms: architecture.norms() };
        let has = |part| tensors.contains(&naming.name(part, 0));
        let (dim, heads) = (self.hidden_size, self.num_attention_heads);
        let head_dim = self.head_dim.or(dim.checked_div(heads)).unwrap_or(0);
        Ok(ModelConfig {
            architecture,
            layers: self.num_hidden_layers,
            dim,
            heads,
            kv_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim,
            hidden: self.intermediate_size,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
            embedding_scale: architecture.embedding_scale(dim),
            norms: architecture.norms(),
            norm_eps: self.rms_norm_eps,
            norm_offset: match architecture {
                Architecture::Gemma2 | Architecture::Gemma3 => 1.0,
                _ => 0.0,
            },
            attention_scale: 1.0 / self.query_pre_attn_scalar.unwrap_or(head_dim as f32).sqrt(),
            attention_softcap: self.attn_logit_softcapping,
            qkv_bias: has(Part::QueryBias),
            qk_norm: has(Part::QueryNorm).then(|| architecture.qk_norm()),
            rope_dim: self.rope_dim(head_dim),
            rope: self.rope()?,
            local_rope: self.local_rope(architecture)?,
            roped: self.roped(architecture),
            sliding_window: self.sliding_window(),
            windowed: self.windowed(architecture)?,
            activation: self.activation()?,
            logit_softcap: self.final_logit_softcapping,
            tied_embeddings: self.tie_word_embeddings.unwrap_or(!has(Part::Output)),
            fused: has(Part::FusedQueryKeyValue),
            row_order: RowOrder::Halves,
            naming,
        })
    }

    fn refuse_unsupported(&self, architecture: Architecture) -> Result<(), LoadError> {
        if self.quantization_config.is_some() {
            return Err(unsupported("`quantization_config`: quantised safetensors"));
        }
        if self.use_bidirectional_attention == Some(true) {
            return Err(unsupported("`use_bidirectional_attention`: seeing what comes later"));
        }
        match self.rotary_share() {
            share if share != 1.0 && architecture != Architecture::Phi3 => {
                Err(unsupported(format!("`partial_rotary_factor` of {share}")))
            }
            _ => Ok(()),
        }
    }

    fn activation(&self) -> Result<Activation, LoadError> {
        match self.hidden_activation.as_deref().or(self.hidden_act.as_deref()) {
            None | Some("silu") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh") => Ok(Activation::Gelu),
            Some(other) => Err(unsupported(format!("the activation `{other}`"))),
        }
    }

    /// The parameters of ordinary layers' rope, wherever the file has them.
    fn rope_json(&self) -> Option<&RopeJson> {
        let rope = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref())?;
        Some(rope.full_attention.as_deref().unwrap_or(rope))
    }

    fn rotary_share(&self) -> f64 {
        let own = self.rope_json().and_then(|rope| rope.partial_rotary_factor);
        own.or(self.partial_rotary_factor).unwrap_or(1.0)
    }

    /// How many elements of a head turn; rounded down, as transformers does.
    fn rope_dim(&self, head_dim: usize) -> usize {
        match self.rotary_share() {
            1.0 => head_dim,
            share => (head_dim as f64 * share) as usize,
        }
    }

    fn rope(&self) -> Result<RopeConfig, LoadError> {
        let rope = self.rope_json();
        Ok(RopeConfig {
            theta: rope.and_then(|rope| rope.rope_theta).or(self.rope_theta).unwrap_or(10_000.0),
            scaling: rope.map_or(Ok(RopeScaling::None), |rope| self.scaling(rope))?,
        })
    }

    /// The rope of windowed layers, where it is another: Gemma 3's.
    fn local_rope(&self, architecture: Architecture) -> Result<Option<RopeConfig>, LoadError> {
        if architecture != Architecture::Gemma3 || self.sliding_window().is_none() {
            return Ok(None);
        }
        let rope = self.rope_parameters.as_ref().and_then(|rope| rope.sliding_attention.as_deref());
        Ok(Some(RopeConfig {
            theta: rope.and_then(|rope| rope.rope_theta).or(self.rope_local_base_freq).unwrap_or(10_000.0),
            scaling: rope.map_or(Ok(RopeScaling::None), |rope| self.scaling(rope))?,
        }))
    }

    /// The layers that know positions: those whose entry is not 0.
    fn roped(&self, architecture: Architecture) -> Layers {
        match (&self.no_rope_layers, self.no_rope_layer_interval) {
            (_, _) if architecture != Architecture::SmolLm3 => Layers::All,
            (Some(layers), _) => Layers::Listed(layers.iter().map(|&turns| turns != 0).collect()),
            (None, Some(interval)) => Layers::AllButEvery(interval),
            (None, None) => architecture.roped(),
        }
    }

    /// The window, where the class has one: some know none, others have a switch that is off by default.
    fn sliding_window(&self) -> Option<usize> {
        let on = match self.model_type.as_str() {
            "llama" | "olmo2" => false,
            "qwen2" | "qwen3" | "smollm3" => self.use_sliding_window == Some(true),
            _ => true,
        };
        self.sliding_window.filter(|_| on)
    }

    /// The layers that the window is for: by list, by period, or from a first one on.
    fn windowed(&self, architecture: Architecture) -> Result<Layers, LoadError> {
        if let Some(types) = &self.layer_types {
            let windowed = |kind: &String| match kind.as_str() {
                "sliding_attention" => Ok(true),
                "full_attention" => Ok(false),
                other => Err(unsupported(format!("a layer of `{other}`"))),
            };
            return Ok(Layers::Listed(types.iter().map(windowed).collect::<Result<_, _>>()?));
        }
        match (architecture, self.sliding_window_pattern, self.max_window_layers) {
            (Architecture::Gemma3, Some(period), _) => Ok(Layers::AllButEvery(period)),
            (Architecture::Qwen2 | Architecture::Qwen3, _, Some(first)) => Ok(Layers::From(first)),
            (Architecture::SmolLm3, ..) if self.sliding_window().is_some() => {
                Err(unsupported("`use_sliding_window` without `layer_types`"))
            }
            _ => Ok(architecture.windowed()),
        }
    }

    fn scaling(&self, rope: &RopeJson) -> Result<RopeScaling, LoadError> {
        let kind = rope.rope_type.as_deref().or(rope.old_type.as_deref()).unwrap_or("default");
        let wanted = |field| unsupported(format!("rope scaling `{kind}` without `{field}`"));
        let factor = || rope.factor.ok_or_else(|| wanted("factor"));
        let original_context = || {
            let context = self.original_max_position_embeddings.or(rope.original_max_position_embeddings);
            context.ok_or_else(|| wanted("original_max_position_embeddings"))
        };
        match kind {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: factor()? }),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: factor()?,
                low_freq_factor: rope.low_freq_factor.ok_or_else(|| wanted("low_freq_factor"))?,
                high_freq_factor: rope.high_freq_factor.ok_or_else(|| wanted("high_freq_factor"))?,
                original_context: original_context()?,
            }),
            // `su` was its first name.
            "longrope" | "su" => {
                let original_context = original_context()?;
                let listed = |factors: &Option<Vec<f32>>, field| {
                    factors.clone().map(RopeFactors::Listed).ok_or_else(|| wanted(field))
                };
                Ok(RopeScaling::LongRope {
                    short: listed(&rope.short_factor, "short_factor")?,
                    long: listed(&rope.long_factor, "long_factor")?,
                    original_context,
                    magnitude: rope.attention_factor.unwrap_or_else(|| {
                        let stretched = self.max_position_embeddings as f64 / original_context as f64;
                        long_rope_magnitude(rope.factor.map_or(stretched, f64::from), original_context)
                    }),
                })
            }
            _ => Err(unsupported(format!("rope scaling `{kind}`"))),
        }
    }
}

/// √(1 + ln s / ln c) for a context c that was stretched s times (LongRoPE, section 4); 1 for one that was not.
fn long_rope_magnitude(stretched: f64, original_context: usize) -> f32 {
    match stretched > 1.0 {
        true => libm::sqrt(1.0 + libm::log(stretched) / libm::log(original_context as f64)) as f32,
        false => 1.0,
    }
}

/// What the names of the text model's tensors begin with, in a model of its own or as a part of another.
fn root(tensors: &Shards) -> &'static str {
    const ROOTS: [&str; 3] = ["language_model.model.", "model.language_model.", "model."];
    let has_embedding = |root: &&str| tensors.contains(&format!("{root}embed_tokens.weight"));
    ROOTS.into_iter().find(has_embedding).unwrap_or("model.")
}
