//! A GGUF file's metadata and tensors, by llama.cpp's names.

use std::collections::HashMap;

use crate::LoadError;
use crate::gguf::{Gguf, GgufError, TensorType, Value, ValueType};
use crate::weights::{
    Architecture, Format, Layers, ModelConfig, Naming, Part, RopeConfig, RopeFactors, RopeScaling, RowOrder, Storage,
    Tensor, TensorSource,
};

use super::{known_architectures, refuse_other_biases, shape};

/// The configuration that a file's metadata and table of tensors describe; defaults are llama.cpp's.
///
/// # Errors
/// [`LoadError::Architecture`] for one that the engine does not run, [`LoadError::Unsupported`] for a feature that it does
/// not, [`LoadError::Gguf`] for keys that are missing or of a wrong type.
pub fn gguf_config(gguf: &Gguf<'_>) -> Result<ModelConfig, LoadError> {
    let name = gguf.text("general.architecture")?.ok_or_else(|| missing("general.architecture"))?;
    let Some(architecture) = Architecture::ALL.into_iter().find(|known| known.name() == name) else {
        return Err(LoadError::Architecture { found: name.to_owned(), known: known_architectures(&[]) });
    };
    let keys = Keys { gguf, architecture: name };
    keys.refuse_unsupported()?;
    refuse_other_biases(gguf.tensors().map(|tensor| tensor.name))?;

    let has = |part| gguf.tensor(&Naming::Gguf.name(part, 0)).is_some();
    let dim = keys.required("embedding_length")?;
    let heads = keys.required("attention.head_count")?;
    let head_dim = match keys.optional("attention.key_length")? {
        Some(width) => width,
        None => dim.checked_div(heads).unwrap_or(0),
    };
    if let Some(width) = keys.optional("attention.value_length")?.filter(|&width| width != head_dim) {
        return Err(unsupported(format!("`{name}.attention.value_length` of {width} with heads of {head_dim}")));
    }
    let embedding = Naming::Gguf.name(Part::Embedding, 0);
    let Some(&[_, vocab]) = gguf.tensor(&embedding).map(|tensor| tensor.dimensions()) else {
        return Err(LoadError::MissingTensor { name: embedding });
    };
    let layers = keys.required("block_count")?;
    let sliding_window = keys.sliding_window(architecture)?;
    Ok(ModelConfig {
        architecture,
        layers,
        dim,
        heads,
        kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        hidden: keys.required("feed_forward_length")?,
        vocab: to_usize(vocab),
        context: keys.required("context_length")?,
        embedding_scale: architecture.embedding_scale(dim),
        norms: architecture.norms(),
        norm_eps: keys
            .float("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))?,
        norm_offset: 0.0,
        attention_scale: match keys.float("attention.scale")? {
            Some(scale) => scale,
            None => 1.0 / (query_scalar(architecture, layers, dim, heads, head_dim) as f32).sqrt(),
        },
        attention_softcap: keys.soft_cap("attn_logit_softcapping", architecture, 50.0)?,
        qkv_bias: has(Part::QueryBias),
        qk_norm: has(Part::QueryNorm).then(|| architecture.qk_norm()),
        rope_dim: keys.optional("rope.dimension_count")?.unwrap_or(head_dim),
        rope: RopeConfig { theta: keys.float("rope.freq_base")?.unwrap_or(10_000.0), scaling: keys.rope_scaling(has)? },
        local_rope: keys.local_rope(architecture)?.filter(|_| sliding_window.is_some()),
        roped: architecture.roped(),
        sliding_window,
        windowed: keys.windowed(architecture)?,
        activation: architecture.activation(),
        logit_softcap: keys.soft_cap("final_logit_softcapping", architecture, 30.0)?,
        tied_embeddings: !has(Part::Output),
        fused: has(Part::FusedQueryKeyValue),
        row_order: match architecture {
            Architecture::Llama | Architecture::SmolLm3 => RowOrder::Pairs,
            _ => RowOrder::Halves,
        },
        naming: Naming::Gguf,
    })
}

/// Whose root a score is divided by where the file has no `attention.scale`. The largest Gemmas take the share of a head in
/// the stream in place of its width; no key says so, and llama.cpp knows them by their number of layers.
fn query_scalar(architecture: Architecture, layers: usize, dim: usize, heads: usize, head_dim: usize) -> usize {
    match (architecture, layers) {
        (Architecture::Gemma2, 46) | (Architecture::Gemma3, 62) => dim.checked_div(heads).unwrap_or(0),
        _ => head_dim,
    }
}

/// The metadata keys that begin with the architecture's name.
struct Keys<'g, 'a> {
    gguf: &'g Gguf<'a>,
    architecture: &'a str,
}

impl Keys<'_, '_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn missing(&self, key: &str) -> LoadError {
        missing(&self.key(key))
    }

    fn required(&self, key: &str) -> Result<usize, LoadError> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, LoadError> {
        Ok(self.gguf.unsigned(&self.key(key))?.map(to_usize))
    }

    fn float(&self, key: &str) -> Result<Option<f32>, LoadError> {
        Ok(self.gguf.float(&self.key(key))?.map(|number| number as f32))
    }

    fn refuse_unsupported(&self) -> Result<(), LoadError> {
        if let Some(experts) = self.optional("expert_count")?.filter(|&experts| experts > 0) {
            return Err(unsupported(format!("a mixture of {experts} experts")));
        }
        match self.gguf.unsigned("split.count")? {
            Some(files) if files > 1 => Err(unsupported(format!("a model split over {files} GGUF files"))),
            _ => Ok(()),
        }
    }

    /// The window, if the file has one. 0 is none.
    fn sliding_window(&self, architecture: Architecture) -> Result<Option<usize>, LoadError> {
        let default = (architecture == Architecture::Gemma2).then_some(4096);
        Ok(self.optional("attention.sliding_window")?.or(default).filter(|&window| window > 0))
    }

    /// The layers that have it: by a period, or a list of all layers.
    fn windowed(&self, architecture: Architecture) -> Result<Layers, LoadError> {
        let key = self.key("attention.sliding_window_pattern");
        Ok(match self.gguf.get(&key) {
            None if architecture == Architecture::Olmo2 => Layers::AllButEvery(4), // OLMo 3; OLMo 2 has no window
            None => architecture.windowed(),
            Some(Value::Array(_)) => {
                let layers = self.gguf.array(&key, ValueType::Bool)?.into_iter().flat_map(|layers| layers.iter());
                Layers::Listed(layers.map(|layer| matches!(layer, Value::Bool(true))).collect())
            }
            Some(_) => Layers::AllButEvery(self.gguf.unsigned(&key)?.map_or(0, to_usize)),
        })
    }

    /// A cap that Gemma 2 has by default, and others by their file; 0 is none.
    fn soft_cap(&self, key: &str, architecture: Architecture, gemma2: f32) -> Result<Option<f32>, LoadError> {
        let default = (architecture == Architecture::Gemma2).then_some(gemma2);
        Ok(self.float(key)?.or(default).filter(|&cap| cap != 0.0))
    }

    /// The rope of windowed layers, where it is another: Gemma 3's, or what a newer file says. It is never stretched.
    fn local_rope(&self, architecture: Architecture) -> Result<Option<RopeConfig>, LoadError> {
        let default = (architecture == Architecture::Gemma3).then_some(10_000.0);
        let theta = self.float("rope.freq_base_swa")?.or(default);
        Ok(theta.map(|theta| RopeConfig { theta, scaling: RopeScaling::None }))
    }

    fn rope_scaling(&self, has: impl Fn(Part) -> bool) -> Result<RopeScaling, LoadError> {
        let key = self.key("rope.scaling.type");
        let kind = self.gguf.text(&key)?.unwrap_or("linear");
        let factor = match self.float("rope.scaling.factor")? {
            Some(factor) => Some(factor),
            None => self.float("rope.scale_linear")?, // its name in older files
        };
        if matches!(kind, "none" | "linear" | "longrope") && has(Part::LongRopeFactors) {
            return Ok(RopeScaling::LongRope {
                short: RopeFactors::Stored(Part::ShortRopeFactors),
                long: RopeFactors::Stored(Part::LongRopeFactors),
                original_context: self.required("rope.scaling.original_context_length")?,
                magnitude: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0),
            });
        }
        match (kind, factor.unwrap_or(1.0), has(Part::RopeFactors)) {
            ("none", _, false) | ("linear", 0.0 | 1.0, false) => Ok(RopeScaling::None),
            ("none", _, true) | ("linear", 0.0 | 1.0, true) => {
                Ok(RopeScaling::Factors(RopeFactors::Stored(Part::RopeFactors)))
            }
            ("linear", factor, false) => Ok(RopeScaling::Linear { factor }),
            ("linear", ..) => Err(unsupported("linear rope scaling on top of `rope_freqs.weight`".into())),
            _ => Err(unsupported(format!("rope scaling `{kind}`"))),
        }
    }
}

fn missing(key: &str) -> LoadError {
    GgufError::Missing { key: key.to_owned() }.into()
}

fn unsupported(what: String) -> LoadError {
    LoadError::Unsupported { what }
}

/// Saturates: what does not fit is refused as out of range where it is used.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The tensors of a GGUF file.
#[derive(Debug)]
pub struct GgufTensors {
    storage: Storage,
    tensors: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    tensor_type: TensorType,
    /// Slowest first.
    dimensions: Vec<usize>,
    /// In bytes from the start of the file.
    offset: usize,
}

impl GgufTensors {
    /// The tensors that `gguf`, the header of `storage`, lists.
    pub fn new(gguf: &Gguf<'_>, storage: &Storage) -> Self {
        let entry = |tensor: &crate::gguf::TensorInfo<'_>| Entry {
            tensor_type: tensor.tensor_type,
            dimensions: tensor.dimensions().iter().rev().map(|&dimension| to_usize(dimension)).collect(),
            offset: gguf.header_len().saturating_add(to_usize(tensor.offset)),
        };
        let tensors = gguf.tensors().map(|tensor| (tensor.name.to_owned(), entry(tensor))).collect();
        GgufTensors { storage: storage.clone(), tensors }
    }
}

impl TensorSource for GgufTensors {
    fn tensor(&self, name: &str) -> Result<Tensor, LoadError> {
        let entry = self.tensors.get(name).ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() })?;
        let known = Format::ALL.into_iter().find(|format| Some(format.name()) == entry.tensor_type.name());
        let Some(format) = known else {
            let known = Format::ALL.map(Format::name).to_vec();
            return Err(LoadError::TensorFormat {
                name: name.to_owned(),
                format: entry.tensor_type.to_string(),
                known,
            });
        };
        Tensor::new(name, format, shape(name, &entry.dimensions)?, &self.storage, entry.offset)
    }
}
