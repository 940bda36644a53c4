//! Small models with random weights, written as GGUF files and as Hugging Face folders.

use std::path::Path;

use decant_kernels::weights::Weights;
use decant_models::LoadError;
use decant_models::checkpoint::{ConfigJson, GgufTensors, Shards, gguf_config};
use decant_models::gguf::{Gguf, TensorType};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{Architecture, Format, ModelConfig, Naming, Part, RopeScaling, RowOrder, Shape, Storage};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;

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

/// Widths of a model whose rows are whole blocks of Q8_0 and end in the middle of everything else.
pub fn small(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        layers: 2,
        dim: 64,
        heads: 4,
        kv_heads: 2,
        head_dim: if architecture == Architecture::Qwen3 { 24 } else { 16 },
        hidden: 96,
        vocab: 50,
        context: 120,
        norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        row_order: RowOrder::Halves,
        tied_embeddings: architecture != Architecture::Llama,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        sliding_window: None,
        naming: Naming::HuggingFace,
    }
}

/// The same with rows of whole blocks of the format.
fn fitting(config: ModelConfig, format: Format) -> ModelConfig {
    match format.block() {
        256 => ModelConfig { dim: 256, hidden: 512, head_dim: 256 >> config.heads.trailing_zeros(), ..config },
        _ => config,
    }
}

/// Llama 3's scaling, with a ramp that lies among the frequencies of a small head.
pub fn llama3() -> RopeScaling {
    RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 64 }
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

impl RandomModel {
    /// `config` is in Hugging Face's convention; matrices are stored in `format`, vectors as F32.
    pub fn new(config: ModelConfig, format: Format, seed: u64) -> Self {
        let config = fitting(config, format);
        let c = &config;
        let (queries, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let mut shapes = vec![(Part::Embedding, 0, c.vocab, c.dim), (Part::OutputNorm, 0, 1, c.dim)];
        if !c.tied_embeddings {
            shapes.push((Part::Output, 0, c.vocab, c.dim));
        }
        for layer in 0..c.layers {
            shapes.extend([
                (Part::AttentionNorm, layer, 1, c.dim),
                (Part::Query, layer, queries, c.dim),
                (Part::Key, layer, kv, c.dim),
                (Part::Value, layer, kv, c.dim),
                (Part::AttentionOutput, layer, c.dim, queries),
                (Part::FeedForwardNorm, layer, 1, c.dim),
                (Part::Gate, layer, c.hidden, c.dim),
                (Part::Up, layer, c.hidden, c.dim),
                (Part::Down, layer, c.dim, c.hidden),
            ]);
            if c.qkv_bias {
                let biases = [(Part::QueryBias, queries), (Part::KeyBias, kv), (Part::ValueBias, kv)];
                shapes.extend(biases.map(|(part, len)| (part, layer, 1, len)));
            }
            if c.qk_norm {
                shapes.extend([(Part::QueryNorm, layer, 1, c.head_dim), (Part::KeyNorm, layer, 1, c.head_dim)]);
            }
        }
        let mut random = Random(seed);
        let tensors = shapes.into_iter().map(|(part, layer, rows, cols)| {
            let scale = if rows == 1 { 0.5 } else { 3.0 / (cols as f32).sqrt() };
            let is_norm = !matches!(part, Part::QueryBias | Part::KeyBias | Part::ValueBias) && rows == 1;
            let centre = if is_norm { 1.0 } else { 0.0 };
            let numbers: Vec<f32> = (0..rows * cols).map(|_| centre + scale * random.next()).collect();
            let format = if rows == 1 { Format::F32 } else { format };
            let (bytes, numbers) = encode(format, &numbers);
            Entry { part, layer, shape: Shape { rows, cols }, format, bytes, numbers }
        });
        RandomModel { tensors: tensors.collect(), format, config }
    }

    /// A tensor's numbers, row after row.
    pub fn numbers(&self, part: Part, layer: usize) -> &[f32] {
        let entry = self.tensors.iter().find(|entry| entry.part == part && entry.layer == layer);
        &entry.expect("the model has this part").numbers
    }

    /// The model as a GGUF file, as llama.cpp's converter would write it.
    pub fn gguf(&self) -> File {
        let c = &self.config;
        let architecture = match c.architecture {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
            other => panic!("{other:?} is not written"),
        };
        let mut file = File::default().with("general.architecture", Field::Text(architecture.into()));
        let sizes = [
            ("block_count", c.layers),
            ("context_length", c.context),
            ("embedding_length", c.dim),
            ("feed_forward_length", c.hidden),
            ("attention.head_count", c.heads),
            ("attention.head_count_kv", c.kv_heads),
            ("attention.key_length", c.head_dim),
            ("attention.value_length", c.head_dim),
        ];
        for (key, size) in sizes.into_iter().chain(c.sliding_window.map(|window| ("attention.sliding_window", window)))
        {
            file = file.with(&format!("{architecture}.{key}"), Field::U32(size as u32));
        }
        file = file
            .with(&format!("{architecture}.attention.layer_norm_rms_epsilon"), Field::F32(c.norm_eps))
            .with(&format!("{architecture}.rope.freq_base"), Field::F32(c.rope_theta));
        match c.rope_scaling {
            RopeScaling::Linear { factor } => {
                file = file
                    .with(&format!("{architecture}.rope.scaling.type"), Field::Text("linear".into()))
                    .with(&format!("{architecture}.rope.scaling.factor"), Field::F32(factor));
            }
            RopeScaling::Llama3 { .. } => {
                let factors = llama3_factors(c);
                file = file.f32s("rope_freqs.weight", &[factors.len() as u64], &factors);
            }
            _ => {}
        }
        for entry in &self.tensors {
            let heads = match (c.architecture, entry.part) {
                (Architecture::Llama, Part::Query | Part::QueryBias) => Some(c.heads),
                (Architecture::Llama, Part::Key | Part::KeyBias) => Some(c.kv_heads),
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
        let c = &self.config;
        let scaling = match c.rope_scaling {
            RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => json!({
                "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original_context,
            }),
            _ => json!(null),
        };
        let model_type = match (c.architecture, c.sliding_window) {
            (Architecture::Llama, Some(_)) => "mistral",
            (Architecture::Llama, None) => "llama",
            (Architecture::Qwen2, _) => "qwen2",
            _ => "qwen3",
        };
        let config = json!({
            "model_type": model_type, "hidden_size": c.dim, "intermediate_size": c.hidden, "num_hidden_layers": c.layers,
            "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "head_dim": c.head_dim,
            "vocab_size": c.vocab, "max_position_embeddings": c.context, "rms_norm_eps": c.norm_eps,
            "rope_theta": c.rope_theta, "rope_scaling": scaling, "tie_word_embeddings": c.tied_embeddings,
            "sliding_window": c.sliding_window, "use_sliding_window": c.sliding_window.is_some(),
        });
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let views = self.tensors.iter().map(|entry| {
            let dtype = match entry.format {
                Format::F32 => Dtype::F32,
                Format::F16 => Dtype::F16,
                Format::BF16 => Dtype::BF16,
                other => panic!("safetensors have no {other:?}"),
            };
            let Shape { rows, cols } = entry.shape;
            let shape = if rows == 1 { vec![cols] } else { vec![rows, cols] };
            let view = TensorView::new(dtype, shape, &entry.bytes).unwrap();
            (Naming::HuggingFace.name(entry.part, entry.layer), view)
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

/// A GGUF file's model.
pub fn load_gguf(file: &File, options: EngineOptions) -> Result<NativeModel, LoadError> {
    let storage = Storage::new(file.bytes());
    let gguf = Gguf::parse(storage.bytes())?;
    NativeModel::new(gguf_config(&gguf)?, &GgufTensors::new(&gguf, &storage), options)
}

/// The numbers in their stored form, and what that form stands for.
fn encode(format: Format, numbers: &[f32]) -> (Vec<u8>, Vec<f32>) {
    match format {
        Format::F32 => (numbers.iter().flat_map(|x| x.to_le_bytes()).collect(), numbers.to_vec()),
        Format::F16 => {
            let halves = numbers.iter().map(|x| f16::from_f32(*x));
            (halves.clone().flat_map(f16::to_le_bytes).collect(), halves.map(f16::to_f32).collect())
        }
        Format::BF16 => {
            let halves = numbers.iter().map(|x| bf16::from_f32(*x));
            (halves.clone().flat_map(bf16::to_le_bytes).collect(), halves.map(bf16::to_f32).collect())
        }
        _ => blocks(format, numbers),
    }
}

/// Blocks of random bytes, drawn from the numbers and about as large as they are; and what they stand for.
fn blocks(format: Format, numbers: &[f32]) -> (Vec<u8>, Vec<f32>) {
    // Where in a block its f16 scales stand, and how large they are to each other: so that the mean is about 0.
    let scales: &[(usize, f32)] = match format {
        Format::Q4_1 => &[(0, 1.0), (2, -7.5)],
        Format::Q5_1 => &[(0, 1.0), (2, -15.5)],
        Format::Q2_K => &[(80, 1.0), (82, 1.5)],
        Format::Q3_K => &[(108, 1.0)],
        Format::Q4_K => &[(0, 1.0), (2, 7.5)],
        Format::Q5_K => &[(0, 1.0), (2, 15.5)],
        Format::Q6_K => &[(208, 1.0)],
        _ => &[(0, 1.0)],
    };
    let len = numbers.len() / format.block() * format.block_bytes();
    let mut bytes: Vec<u8> = numbers.iter().cycle().take(len).map(|x| (x.to_bits() >> 6) as u8).collect();
    let mut scaled = |factor: f32| {
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            for (at, ratio) in scales {
                block[*at..][..2].copy_from_slice(&f16::from_f32(ratio * factor).to_le_bytes());
            }
        }
        let mut stands_for = vec![0.0; numbers.len()];
        Weights::new(format, numbers.len(), &bytes).dequantise(0, &mut stands_for);
        stands_for
    };
    let size = |numbers: &[f32]| numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    let factor = size(numbers) / size(&scaled(1.0));
    let stands_for = scaled(factor);
    (bytes, stands_for)
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
        config.rope_scaling
    else {
        panic!("not Llama 3's scaling");
    };
    let context = original_context as f32;
    let factor_of = |i: usize| {
        let exponent = (2 * i) as f32 / config.head_dim as f32;
        let frequency = 1.0 / f64::from(config.rope_theta).powf(f64::from(exponent)) as f32;
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
