//! A GGUF file's metadata and tensors, by llama.cpp's names.

use std::collections::HashMap;

use crate::LoadError;
use crate::gguf::{Gguf, GgufError, TensorType};
use crate::weights::{
    Architecture, Format, ModelConfig, Naming, Part, RopeScaling, RowOrder, Storage, Tensor, TensorSource,
};

use super::{refuse_other_biases, shape};

/// `general.architecture` of what the engine runs.
const ARCHITECTURES: [(&str, Architecture); 3] =
    [("llama", Architecture::Llama), ("qwen2", Architecture::Qwen2), ("qwen3", Architecture::Qwen3)];

/// The configuration that a file's metadata and table of tensors describe; defaults are llama.cpp's.
///
/// # Errors
/// [`LoadError::Architecture`] for one that the engine does not run, [`LoadError::Unsupported`] for a feature that it does
/// not, [`LoadError::Gguf`] for keys that are missing or of a wrong type.
pub fn gguf_config(gguf: &Gguf<'_>) -> Result<ModelConfig, LoadError> {
    let name = gguf.text("general.architecture")?.ok_or_else(|| missing("general.architecture"))?;
    let Some(&(_, architecture)) = ARCHITECTURES.iter().find(|known| known.0 == name) else {
        return Err(LoadError::Architecture {
            found: name.to_owned(),
            known: ARCHITECTURES.map(|known| known.0).to_vec(),
        });
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
    for key in ["attention.value_length", "rope.dimension_count"] {
        if let Some(width) = keys.optional(key)?.filter(|&width| width != head_dim) {
            return Err(unsupported(format!("`{name}.{key}` of {width} with heads of {head_dim}")));
        }
    }
    let embedding = Naming::Gguf.name(Part::Embedding, 0);
    let Some(&[_, vocab]) = gguf.tensor(&embedding).map(|tensor| tensor.dimensions()) else {
        return Err(LoadError::MissingTensor { name: embedding });
    };
    Ok(ModelConfig {
        architecture,
        layers: keys.required("block_count")?,
        dim,
        heads,
        kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        hidden: keys.required("feed_forward_length")?,
        vocab: to_usize(vocab),
        context: keys.required("context_length")?,
        norm_eps: keys
            .float("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))?,
        rope_theta: keys.float("rope.freq_base")?.unwrap_or(10_000.0),
        rope_scaling: keys.rope_scaling(has(Part::RopeFactors))?,
        row_order: match architecture {
            Architecture::Llama => RowOrder::Pairs,
            Architecture::Qwen2 | Architecture::Qwen3 => RowOrder::Halves,
        },
        tied_embeddings: !has(Part::Output),
        qkv_bias: has(Part::QueryBias),
        qk_norm: has(Part::QueryNorm),
        sliding_window: keys.optional("attention.sliding_window")?.filter(|&window| window > 0),
        naming: Naming::Gguf,
    })
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
        if self.gguf.get(&self.key("attention.sliding_window_pattern")).is_some() {
            return Err(unsupported("sliding windows in some layers only".into()));
        }
        match self.gguf.unsigned("split.count")? {
            Some(files) if files > 1 => Err(unsupported(format!("a model split over {files} GGUF files"))),
            _ => Ok(()),
        }
    }

    fn rope_scaling(&self, has_factors: bool) -> Result<RopeScaling, LoadError> {
        let key = self.key("rope.scaling.type");
        let kind = self.gguf.text(&key)?.unwrap_or("linear");
        let factor = match self.float("rope.scaling.factor")? {
            Some(factor) => Some(factor),
            None => self.float("rope.scale_linear")?, // its name in older files
        };
        match (kind, factor.unwrap_or(1.0), has_factors) {
            ("none", _, false) | ("linear", 0.0 | 1.0, false) => Ok(RopeScaling::None),
            ("none", _, true) | ("linear", 0.0 | 1.0, true) => Ok(RopeScaling::Factors),
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
