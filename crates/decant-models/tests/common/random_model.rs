//! Small models with random weights, written as GGUF files and as Hugging Face folders.

use std::path::Path;

use decant_models::LoadError;
use decant_models::checkpoint::{ConfigJson, GgufTensors, Shards, gguf_config};
use decant_models::gguf::{Gguf, TensorType};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{
    Architecture, Format, Layers, ModelConfig, Naming, Part, QkNorm, RopeConfig, RopeFactors, RopeScaling, RowOrder,
    Shape, Storage,
};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::encode::encode;
use super::gguf::{Field, File};

/// A model in Hugging Face's order of rows, its numbers already rounded to what its format can hold.
#[derive(Clone)]
pub struct RandomModel {
    pub config: ModelConfig,
    pub format: Format,
    tensors: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    part: Part,
    layer: usize,
    shape: Shape,
    format: Format,
    bytes: Vec<u8>,
    numbers: Vec<f32>,
}

/// Widths of a model whose rows are whole blocks of Q8_0 and end in the middle of everything else; every difference of
/// its architecture shows within a few dozen tokens.
pub fn small(architecture: Architecture) -> ModelConfig {
    let (dim, head_dim) = (64, if architecture == Architecture::Qwen3 { 24 } else { 16 });
    let rope = |theta: f32, scaling| RopeConfig { theta, scaling };
    let plain = ModelConfig {
        architecture,
        layers: 2,
        dim,
        heads: 4,
        kv_heads: 2,
        head_dim,
        hidden: 96,
        vocab: 50,
        context: 120,
        embedding_scale: architecture.embedding_scale(dim),
        norms: architecture.norms(),
        norm_eps: 1e-5,
        norm_offset: 0.0,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        attention_softcap: None,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: None,
        rope_dim: head_dim,
        rope: rope(10_000.0, RopeScaling::None),
        local_rope: None,
        roped: architecture.roped(),
        sliding_window: None,
        windowed: architecture.windowed(),
        activation: architecture.activation(),
        logit_softcap: None,
        tied_embeddings: !matches!(architecture, Architecture::Llama | Architecture::Phi3 | Architecture::Olmo2),
        fused: false,
        row_order: RowOrder::Halves,
        naming: Naming::hugging_face(architecture.norms()),
    };
    match architecture {
        Architecture::Qwen3 => ModelConfig { qk_norm: Some(QkNorm::ByHead), ..plain },
        Architecture::Gemma2 => ModelConfig {
            sliding_window: Some(21),
            attention_scale: 0.125,
            attention_softcap: Some(2.0),
            logit_softcap: Some(3.0),
            ..plain
        },
        Architecture::Gemma3 => ModelConfig {
            layers: 3,
            sliding_window: Some(21),
            windowed: Layers::AllButEvery(3),
            attention_scale: 0.125,
            qk_norm: Some(QkNorm::ByHead),
            rope: rope(1e6, RopeScaling::Linear { factor: 4.0 }),
            local_rope: Some(rope(10_000.0, RopeScaling::None)),
            ..plain
        },
        Architecture::Phi3 => ModelConfig { fused: true, rope_dim: 12, ..plain },
        Architecture::Olmo2 => ModelConfig { qk_norm: Some(QkNorm::AllHeads), ..plain },
        Architecture::SmolLm3 => ModelConfig { layers: 4, rope: rope(2e6, RopeScaling::None), ..plain },
        _ => plain,
    }
}

/// Llama 3's scaling, with a ramp that lies among the frequencies of a small head.
pub fn llama3() -> RopeScaling {
    RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 64 }
}

/// LongRoPE for the six frequencies of small Phi-3, whose context of 120 lies beyond 100 and within 200.
pub fn long_rope(original_context: usize) -> RopeScaling {
    let listed = |step: f32| RopeFactors::Listed((0..6).map(|i| 1.0 + step * i as f32).collect());
    let (short, long) = (listed(0.25), listed(1.5));
    RopeScaling::LongRope { short, long, original_context, magnitude: 1.25 }
}

/// The configuration with rows that are whole blocks of `format`.
fn fitted(config: ModelConfig, format: Format) -> ModelConfig {
    let (block, mut head_dim) = (format.block(), config.head_dim);
    while !(config.heads * head_dim).is_multiple_of(block) {
        head_dim += 2;
    }
    let (dim, hidden) = (config.dim.next_multiple_of(block), config.hidden.next_multiple_of(block));
    let embedding_scale = config.architecture.embedding_scale(dim);
    let config = if head_dim == config.head_dim { config } else { with_heads(config, head_dim) };
    ModelConfig { dim, hidden, embedding_scale, ..config }
}

/// The configuration with heads of another width, and what follows from it.
pub fn with_heads(config: ModelConfig, head_dim: usize) -> ModelConfig {
    let rope_dim = if config.rope_dim == config.head_dim { head_dim } else { config.rope_dim };
    let usual = |head_dim: usize| 1.0 / (head_dim as f32).sqrt();
    let follows = config.attention_scale == usual(config.head_dim);
    let attention_scale = if follows { usual(head_dim) } else { config.attention_scale };
    ModelConfig { head_dim, rope_dim, attention_scale, ..config }
}

/// Uniform in -1..1, by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

/// The tensors of a model: part, layer, rows, columns.
fn shapes(c: &ModelConfig) -> Vec<(Part, usize, usize, usize)> {
    let (queries, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let mut shapes = vec![(Part::Embedding, 0, c.vocab, c.dim), (Part::OutputNorm, 0, 1, c.dim)];
    if !c.tied_embeddings {
        shapes.push((Part::Output, 0, c.vocab, c.dim));
    }
    for layer in 0..c.layers {
        shapes.extend([
            (Part::Query, layer, queries, c.dim),
            (Part::Key, layer, kv, c.dim),
            (Part::Value, layer, kv, c.dim),
            (Part::AttentionOutput, layer, c.dim, queries),
            (Part::Gate, layer, c.hidden, c.dim),
            (Part::Up, layer, c.hidden, c.dim),
            (Part::Down, layer, c.dim, c.hidden),
        ]);
        if c.norms.before() {
            shapes.extend([Part::AttentionNorm, Part::FeedForwardNorm].map(|part| (part, layer, 1, c.dim)));
        }
        if c.norms.after() {
            shapes.extend([Part::AttentionPostNorm, Part::FeedForwardPostNorm].map(|part| (part, layer, 1, c.dim)));
        }
        if c.qkv_bias {
            let biases = [(Part::QueryBias, queries), (Part::KeyBias, kv), (Part::ValueBias, kv)];
            shapes.extend(biases.map(|(part, len)| (part, layer, 1, len)));
        }
        let normed = match c.qk_norm {
            None => None,
            Some(QkNorm::ByHead) => Some((c.head_dim, c.head_dim)),
            Some(QkNorm::AllHeads) => Some((queries, kv)),
        };
        if let Some((queries, keys)) = normed {
            shapes.extend([(Part::QueryNorm, layer, 1, queries), (Part::KeyNorm, layer, 1, keys)]);
        }
    }
    shapes
}

/// Around what a tensor's numbers lie, and how far from it.
fn spread(part: Part, cols: usize) -> (f32, f32) {
    match part {
        Part::QueryBias | Part::KeyBias | Part::ValueBias => (0.0, 0.5),
        // Far from 1, so that nobody can forget them.
        Part::AttentionPostNorm => (2.0, 0.5),
        Part::FeedForwardPostNorm => (0.5, 0.25),
        _ if is_norm(part) => (1.0, 0.5),
        _ => (0.0, 3.0 / (cols as f32).sqrt()),
    }
}

fn is_norm(part: Part) -> bool {
    matches!(
        part,
        Part::OutputNorm
            | Part::AttentionNorm
            | Part::AttentionPostNorm
            | Part::FeedForwardNorm
            | Part::FeedForwardPostNorm
            | Part::QueryNorm
            | Part::KeyNorm
    )
}

impl RandomModel {
    /// `config` is in Hugging Face's convention, and widened if it must be; matrices are stored in `format`, vectors as F32.
    pub fn new(config: ModelConfig, format: Format, seed: u64) -> Self {
        let config = fitted(config, format);
        let mut random = Random(seed);
        let tensors = shapes(&config).into_iter().map(|(part, layer, rows, cols)| {
            let (centre, scale) = spread(part, cols);
            let mut numbers: Vec<f32> = (0..rows * cols).map(|_| centre + scale * random.next()).collect();
            if is_norm(part) {
                // With so few bits, taking 1 away and adding it again changes nothing.
                numbers.iter_mut().for_each(|number| *number = (*number * 65536.0).round() / 65536.0);
            }
            let format = if rows == 1 { Format::F32 } else { format };
            let (bytes, numbers) = encode(format, &numbers);
            Entry { part, layer, shape: Shape { rows, cols }, format, bytes, numbers }
        });
        RandomModel { tensors: tensors.collect(), format, config }
    }

    fn entry(&self, part: Part, layer: usize) -> &Entry {
        let entry = self.tensors.iter().find(|entry| entry.part == part && entry.layer == layer);
        entry.expect("the model has this part")
    }

    /// A tensor's numbers, row after row.
    pub fn numbers(&self, part: Part, layer: usize) -> &[f32] {
        &self.entry(part, layer).numbers
    }

    /// The tensors as a file has them: those that it fuses one below the other.
    fn stored(&self) -> Vec<Entry> {
        let fused = |into, parts: &[Part], layer| {
            let parts: Vec<&Entry> = parts.iter().map(|part| self.entry(*part, layer)).collect();
            let rows = parts.iter().map(|part| part.shape.rows).sum();
            let bytes = parts.iter().flat_map(|part| part.bytes.clone()).collect();
            Entry { part: into, shape: Shape { rows, ..parts[0].shape }, bytes, ..parts[0].clone() }
        };
        let stored = self.tensors.iter().filter_map(|entry| match entry.part {
            Part::Query if self.config.fused => {
                Some(fused(Part::FusedQueryKeyValue, &[Part::Query, Part::Key, Part::Value], entry.layer))
            }
            Part::Gate if self.config.fused => Some(fused(Part::FusedGateUp, &[Part::Gate, Part::Up], entry.layer)),
            Part::Key | Part::Value | Part::Up if self.config.fused => None,
            _ => Some(entry.clone()),
        });
        stored.collect()
    }

    /// The model as a GGUF file, as llama.cpp's converter would write it.
    pub fn gguf(&self) -> File {
        let c = &self.config;
        let mut file = gguf_metadata(c);
        for entry in self.stored() {
            let heads = match (c.architecture, entry.part) {
                (Architecture::Llama | Architecture::SmolLm3, Part::Query | Part::QueryBias) => Some(c.heads),
                (Architecture::Llama | Architecture::SmolLm3, Part::Key | Part::KeyBias) => Some(c.kv_heads),
                _ => None,
            };
            let bytes = heads.map_or(entry.bytes.clone(), |heads| in_pairs(&entry.bytes, heads, c.head_dim));
            let Shape { rows, cols } = entry.shape;
            let dimensions = if rows == 1 { vec![cols as u64] } else { vec![cols as u64, rows as u64] };
            let tensor_type = TensorType::named(entry.format.name()).expect("ggml has every format");
            file = file.tensor(&Naming::Gguf.name(entry.part, entry.layer), &dimensions, tensor_type, bytes);
        }
        file
    }

    /// Writes `config.json` and `model.safetensors` into `folder`.
    pub fn write_folder(&self, folder: &Path) {
        std::fs::write(folder.join("config.json"), config_json(&self.config).to_string()).unwrap();
        let offset = match self.config.architecture {
            Architecture::Gemma2 | Architecture::Gemma3 => 1.0,
            _ => 0.0,
        };
        let mut stored = self.stored();
        for norm in stored.iter_mut().filter(|entry| is_norm(entry.part)) {
            norm.bytes = norm.numbers.iter().flat_map(|number| (number - offset).to_le_bytes()).collect();
        }
        let views = stored.iter().map(|entry| {
            let dtype = match entry.format {
                Format::F32 => Dtype::F32,
                Format::F16 => Dtype::F16,
                Format::BF16 => Dtype::BF16,
                other => panic!("safetensors have no {other:?}"),
            };
            let Shape { rows, cols } = entry.shape;
            let shape = if rows == 1 { vec![cols] } else { vec![rows, cols] };
            let view = TensorView::new(dtype, shape, &entry.bytes).unwrap();
            (self.config.naming.name(entry.part, entry.layer), view)
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
    }

    /// The model out of its GGUF file.
    pub fn load(&self, options: EngineOptions) -> NativeModel {
        load_gguf(&self.gguf(), options).unwrap()
    }

    /// The model out of its Hugging Face folder.
    pub fn load_folder(&self, options: EngineOptions) -> NativeModel {
        let folder = tempfile::tempdir().unwrap();
        self.write_folder(folder.path());
        let shards = Shards::open(folder.path()).unwrap();
        let config = ConfigJson::open(folder.path()).unwrap().config(&shards).unwrap();
        NativeModel::new(config, &shards, options).unwrap()
    }
}

/// Keys by llama.cpp's convention, and the tensors of rope factors.
fn gguf_metadata(c: &ModelConfig) -> File {
    let architecture = c.architecture.name();
    let mut file = File::default().with("general.architecture", Field::Text(architecture.into()));
    let mut set = |key: &str, value: Field| file.metadata.push((format!("{architecture}.{key}"), value));
    let sizes = [
        ("block_count", c.layers),
        ("context_length", c.context),
        ("embedding_length", c.dim),
        ("feed_forward_length", c.hidden),
        ("attention.head_count", c.heads),
        ("attention.head_count_kv", c.kv_heads),
        ("attention.key_length", c.head_dim),
        ("attention.value_length", c.head_dim),
        ("rope.dimension_count", c.rope_dim),
    ];
    for (key, size) in sizes.into_iter().chain(c.sliding_window.map(|window| ("attention.sliding_window", window))) {
        set(key, Field::U32(size as u32));
    }
    match &c.windowed {
        other if *other == c.architecture.windowed() => {}
        Layers::AllButEvery(period) => set("attention.sliding_window_pattern", Field::U32(*period as u32)),
        other => {
            let layers = (0..c.layers).map(|layer| other.contains(layer)).collect();
            set("attention.sliding_window_pattern", Field::Bools(layers));
        }
    }
    set("attention.layer_norm_rms_epsilon", Field::F32(c.norm_eps));
    if c.attention_scale != 1.0 / (c.head_dim as f32).sqrt() {
        set("attention.scale", Field::F32(c.attention_scale));
    }
    let caps = [("attn_logit_softcapping", c.attention_softcap), ("final_logit_softcapping", c.logit_softcap)];
    for (key, cap) in caps {
        cap.into_iter().for_each(|cap| set(key, Field::F32(cap)));
    }
    set("rope.freq_base", Field::F32(c.rope.theta));
    if let Some(local) = &c.local_rope {
        set("rope.freq_base_swa", Field::F32(local.theta));
    }
    match &c.rope.scaling {
        RopeScaling::Linear { factor } => {
            set("rope.scaling.type", Field::Text("linear".into()));
            set("rope.scaling.factor", Field::F32(*factor));
        }
        RopeScaling::LongRope { original_context, magnitude, .. } => {
            set("rope.scaling.original_context_length", Field::U32(*original_context as u32));
            set("rope.scaling.attn_factor", Field::F32(*magnitude));
        }
        _ => {}
    }
    match &c.rope.scaling {
        RopeScaling::Llama3 { .. } => with_factors(file, Part::RopeFactors, &llama3_factors(c)),
        RopeScaling::LongRope { short: RopeFactors::Listed(short), long: RopeFactors::Listed(long), .. } => {
            with_factors(with_factors(file, Part::ShortRopeFactors, short), Part::LongRopeFactors, long)
        }
        _ => file,
    }
}

fn with_factors(file: File, part: Part, factors: &[f32]) -> File {
    file.f32s(&Naming::Gguf.name(part, 0), &[factors.len() as u64], factors)
}

/// The configuration in the fields of transformers' class.
fn config_json(c: &ModelConfig) -> Value {
    let model_type = match (c.architecture, c.sliding_window) {
        (Architecture::Llama, Some(_)) => "mistral",
        (Architecture::Gemma3, _) => "gemma3_text",
        (architecture, _) => architecture.name(),
    };
    let mut config = json!({
        "model_type": model_type, "hidden_size": c.dim, "intermediate_size": c.hidden, "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "head_dim": c.head_dim,
        "vocab_size": c.vocab, "max_position_embeddings": c.context, "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": c.tied_embeddings, "sliding_window": c.sliding_window,
        "rope_theta": c.rope.theta, "rope_scaling": rope_json(&c.rope.scaling),
    });
    let layers = |some: &Layers| (0..c.layers).map(|layer| some.contains(layer)).collect::<Vec<bool>>();
    let further = match c.architecture {
        Architecture::Qwen2 | Architecture::Qwen3 => {
            json!({ "use_sliding_window": c.sliding_window.is_some(), "max_window_layers": 0 })
        }
        Architecture::Gemma2 | Architecture::Gemma3 => {
            let kind = |windowed| if windowed { "sliding_attention" } else { "full_attention" };
            json!({
                "query_pre_attn_scalar": 1.0 / (c.attention_scale * c.attention_scale),
                "attn_logit_softcapping": c.attention_softcap, "final_logit_softcapping": c.logit_softcap,
                "layer_types": layers(&c.windowed).into_iter().map(kind).collect::<Vec<_>>(),
            })
        }
        Architecture::Phi3 => json!({ "partial_rotary_factor": c.rope_dim as f64 / c.head_dim as f64 }),
        Architecture::SmolLm3 => {
            json!({ "no_rope_layers": layers(&c.roped).into_iter().map(u8::from).collect::<Vec<_>>() })
        }
        _ => json!({}),
    };
    let fields = config.as_object_mut().unwrap();
    fields.extend(further.as_object().unwrap().clone());
    if let RopeScaling::LongRope { original_context, .. } = c.rope.scaling {
        fields.insert("original_max_position_embeddings".into(), original_context.into());
    }
    config
}

fn rope_json(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original_context,
        }),
        RopeScaling::LongRope {
            short: RopeFactors::Listed(short), long: RopeFactors::Listed(long), magnitude, ..
        } => {
            json!({"type": "longrope", "short_factor": short, "long_factor": long, "attention_factor": magnitude})
        }
        _ => json!(null),
    }
}

/// A GGUF file's model.
pub fn load_gguf(file: &File, options: EngineOptions) -> Result<NativeModel, LoadError> {
    let storage = Storage::new(file.bytes());
    let gguf = Gguf::parse(storage.bytes())?;
    NativeModel::new(gguf_config(&gguf)?, &GgufTensors::new(&gguf, &storage), options)
}

/// Permutes the rows of each head from halves to pairs: row s·d/2 + j goes to 2j + s.
fn in_pairs(bytes: &[u8], heads: usize, head_dim: usize) -> Vec<u8> {
    let row = bytes.len() / (heads * head_dim);
    let stored = (0..heads * head_dim).map(|i| {
        let (head, i) = (i / head_dim, i % head_dim);
        head * head_dim + i % 2 * (head_dim / 2) + i / 2
    });
    stored.flat_map(|i| bytes[i * row..][..row].to_vec()).collect()
}

/// `rope_freqs.weight`, by the steps of llama.cpp's converter.
fn llama3_factors(config: &ModelConfig) -> Vec<f32> {
    let RopeScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_context } =
        config.rope.scaling
    else {
        panic!("not Llama 3's scaling");
    };
    let context = original_context as f32;
    let factor_of = |i: usize| {
        let exponent = (2 * i) as f32 / config.head_dim as f32;
        let frequency = 1.0 / f64::from(config.rope.theta).powf(f64::from(exponent)) as f32;
        let wavelength = 2.0 * std::f32::consts::PI * (1.0 / frequency);
        if wavelength < context / high {
            1.0
        } else if wavelength > context / low {
            factor
        } else {
            let smooth = (context * (1.0 / wavelength) - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..config.head_dim / 2).map(factor_of).collect()
}
