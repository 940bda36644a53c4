//! `config.json` of a Hugging Face folder.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::LoadError;
use crate::weights::{Architecture, ModelConfig, Naming, Part, RopeScaling, RowOrder};

use super::{Shards, refuse_other_biases};

/// `model_type` of what the engine runs.
const ARCHITECTURES: [(&str, Architecture); 4] = [
    ("llama", Architecture::Llama),
    ("mistral", Architecture::Llama),
    ("qwen2", Architecture::Qwen2),
    ("qwen3", Architecture::Qwen3),
];

/// The fields of a transformers configuration that the Llama family has. What is absent has the default of LlamaConfig.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfigJson {
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
    hidden_act: Option<String>,
    tie_word_embeddings: Option<bool>,
    rope_theta: Option<f32>,
    rope_scaling: Option<RopeJson>,
    /// Where transformers 5 keeps what was `rope_theta` and `rope_scaling`.
    rope_parameters: Option<RopeJson>,
    partial_rotary_factor: Option<f32>,
    #[serde(default, deserialize_with = "present")]
    sliding_window: Option<Option<usize>>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
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
}

/// Tells `null` from a field that is absent.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Reads a JSON file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|error| LoadError::Json(error).in_file(path))
}

fn unsupported(what: impl Into<String>) -> LoadError {
    LoadError::Unsupported { what: what.into() }
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
        let Some(&(_, architecture)) = ARCHITECTURES.iter().find(|known| known.0 == self.model_type) else {
            let known = ARCHITECTURES.map(|known| known.0).to_vec();
            return Err(LoadError::Architecture { found: self.model_type.clone(), known });
        };
        self.refuse_unsupported()?;
        refuse_other_biases(tensors.names())?;
        let has = |part| tensors.contains(&Naming::HuggingFace.name(part, 0));
        let heads = self.num_attention_heads;
        let rope = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        Ok(ModelConfig {
            architecture,
            layers: self.num_hidden_layers,
            dim: self.hidden_size,
            heads,
            kv_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim: self.head_dim.or(self.hidden_size.checked_div(heads)).unwrap_or(0),
            hidden: self.intermediate_size,
            vocab: self.vocab_size,
            context: self.max_position_embeddings,
            norm_eps: self.rms_norm_eps,
            rope_theta: rope.and_then(|rope| rope.rope_theta).or(self.rope_theta).unwrap_or(10_000.0),
            rope_scaling: rope.map_or(Ok(RopeScaling::None), RopeJson::scaling)?,
            row_order: RowOrder::Halves,
            tied_embeddings: self.tie_word_embeddings.unwrap_or(!has(Part::Output)),
            qkv_bias: has(Part::QueryBias),
            qk_norm: has(Part::QueryNorm),
            sliding_window: self.sliding_window()?,
            naming: Naming::HuggingFace,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), LoadError> {
        match self.hidden_act.as_deref() {
            None | Some("silu") => {}
            Some(other) => return Err(unsupported(format!("the activation `{other}`"))),
        }
        if self.quantization_config.is_some() {
            return Err(unsupported("`quantization_config`: quantised safetensors"));
        }
        match self.partial_rotary_factor {
            Some(factor) if factor != 1.0 => Err(unsupported(format!("`partial_rotary_factor` of {factor}"))),
            _ => Ok(()),
        }
    }

    /// The window of all layers. LlamaConfig knows none, MistralConfig defaults to 4096, and the Qwens have a switch.
    fn sliding_window(&self) -> Result<Option<usize>, LoadError> {
        let window = match self.model_type.as_str() {
            "mistral" => self.sliding_window.unwrap_or(Some(4096)),
            "qwen2" | "qwen3" if self.use_sliding_window == Some(true) => self.sliding_window.flatten(),
            _ => None,
        };
        if window.is_none() {
            return Ok(None);
        }
        let layers = self.num_hidden_layers;
        let sliding = match (&self.layer_types, self.max_window_layers) {
            (Some(types), _) => types.iter().filter(|&layer| layer == "sliding_attention").count(),
            (None, Some(full)) if self.model_type != "mistral" => layers.saturating_sub(full),
            (None, _) => layers,
        };
        match sliding {
            0 => Ok(None),
            all if all == layers => Ok(window),
            some => Err(unsupported(format!("sliding windows in {some} of {layers} layers"))),
        }
    }
}

impl RopeJson {
    fn scaling(&self) -> Result<RopeScaling, LoadError> {
        let kind = self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default");
        let wanted = |field| unsupported(format!("rope scaling `{kind}` without `{field}`"));
        let factor = || self.factor.ok_or_else(|| wanted("factor"));
        match kind {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: factor()? }),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: factor()?,
                low_freq_factor: self.low_freq_factor.ok_or_else(|| wanted("low_freq_factor"))?,
                high_freq_factor: self.high_freq_factor.ok_or_else(|| wanted("high_freq_factor"))?,
                original_context: self
                    .original_max_position_embeddings
                    .ok_or_else(|| wanted("original_max_position_embeddings"))?,
            }),
            _ => Err(unsupported(format!("rope scaling `{kind}`"))),
        }
    }
}
