//! Configurations and tensors out of GGUF files and Hugging Face folders; what lies or is not supported is named.

mod common;

use std::path::Path;

use common::gguf::{Field, File};
use decant_models::LoadError;
use decant_models::checkpoint::{ConfigJson, GgufTensors, SafetensorsError, Shards, gguf_config};
use decant_models::gguf::{Gguf, TensorType};
use decant_models::weights::{
    Activation, Architecture, Format, Layers, ModelConfig, Naming, Norms, Part, QkNorm, RopeConfig, RopeFactors,
    RopeScaling, RowOrder, Shape, Storage, TensorSource,
};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

fn llama() -> File {
    named("llama").f32s("token_embd.weight", &[4, 3], &[0.5; 12])
}

fn named(architecture: &str) -> File {
    let key = |key: &str| format!("{architecture}.{key}");
    File::default()
        .with("general.architecture", Field::Text(architecture.into()))
        .with(&key("block_count"), Field::U32(2))
        .with(&key("context_length"), Field::U32(64))
        .with(&key("embedding_length"), Field::U32(4))
        .with(&key("feed_forward_length"), Field::U32(8))
        .with(&key("attention.head_count"), Field::U32(2))
        .with(&key("attention.head_count_kv"), Field::U32(1))
        .with(&key("attention.layer_norm_rms_epsilon"), Field::F32(1e-5))
        .with(&key("rope.freq_base"), Field::F32(5e5))
}

fn config(file: &File) -> Result<ModelConfig, LoadError> {
    let bytes = file.bytes();
    gguf_config(&Gguf::parse(&bytes)?)
}

#[test]
fn gguf_metadata_is_the_configuration() {
    let expected = ModelConfig {
        architecture: Architecture::Llama,
        layers: 2,
        dim: 4,
        heads: 2,
        kv_heads: 1,
        head_dim: 2,
        hidden: 8,
        vocab: 3,
        context: 64,
        embedding_scale: 1.0,
        norms: Norms::Before,
        norm_eps: 1e-5,
        norm_offset: 0.0,
        attention_scale: 1.0 / 2f32.sqrt(),
        attention_softcap: None,
        qkv_bias: false,
        qk_norm: None,
        rope_dim: 2,
        rope: RopeConfig { theta: 5e5, scaling: RopeScaling::None },
        local_rope: None,
        roped: Layers::All,
        sliding_window: None,
        windowed: Layers::All,
        activation: Activation::Silu,
        logit_softcap: None,
        tied_embeddings: true,
        fused: false,
        row_order: RowOrder::Pairs,
        naming: Naming::Gguf,
    };
    let stretched_by = |scaling| ModelConfig { rope: RopeConfig { theta: 5e5, scaling }, ..expected.clone() };
    assert_eq!(config(&llama()).unwrap(), expected);
    let untied = llama().f32s("output.weight", &[4, 3], &[0.5; 12]);
    assert_eq!(config(&untied).unwrap(), ModelConfig { tied_embeddings: false, ..expected.clone() });
    let stretched = llama().f32s("rope_freqs.weight", &[1], &[2.0]);
    let stored = RopeScaling::Factors(RopeFactors::Stored(Part::RopeFactors));
    assert_eq!(config(&stretched).unwrap(), stretched_by(stored));
    let linear = llama()
        .with("llama.rope.scaling.type", Field::Text("linear".into()))
        .with("llama.rope.scaling.factor", Field::F32(4.0));
    assert_eq!(config(&linear).unwrap(), stretched_by(RopeScaling::Linear { factor: 4.0 }));
    let window = llama().with("llama.attention.sliding_window", Field::U32(16));
    assert_eq!(config(&window).unwrap(), ModelConfig { sliding_window: Some(16), ..expected.clone() });

    let qwen2 =
        named("qwen2").f32s("token_embd.weight", &[4, 3], &[0.5; 12]).f32s("blk.0.attn_q.bias", &[4], &[0.0; 4]);
    let qwen2 = config(&qwen2).unwrap();
    assert_eq!((qwen2.architecture, qwen2.row_order, qwen2.qkv_bias), (Architecture::Qwen2, RowOrder::Halves, true));
    let qwen3 = named("qwen3")
        .with("qwen3.attention.key_length", Field::U32(16))
        .f32s("token_embd.weight", &[4, 3], &[0.5; 12])
        .f32s("blk.0.attn_q_norm.weight", &[16], &[1.0; 16]);
    let qwen3 = config(&qwen3).unwrap();
    assert_eq!((qwen3.architecture, qwen3.head_dim, qwen3.qk_norm), (Architecture::Qwen3, 16, Some(QkNorm::ByHead)));
}

#[test]
fn gguf_files_of_every_architecture_are_read_as_llama_cpp_reads_them() {
    let of = |architecture: &str| named(architecture).f32s("token_embd.weight", &[4, 3], &[0.5; 12]);
    let gemma2 = config(&of("gemma2")).unwrap();
    assert_eq!((gemma2.norms, gemma2.norm_offset, gemma2.embedding_scale), (Norms::Both, 0.0, 2.0));
    assert_eq!((gemma2.attention_softcap, gemma2.logit_softcap), (Some(50.0), Some(30.0)));
    assert_eq!((gemma2.window(0), gemma2.window(1), gemma2.local_rope), (Some(4096), None, None));
    assert_eq!((gemma2.activation, gemma2.attention_scale), (Activation::Gelu, 1.0 / 2f32.sqrt()));
    // The 27B takes dim / heads: llama.cpp knows it by its layers.
    let scale = |architecture: &str, layers: u32| {
        let mut file = of(architecture).with(&format!("{architecture}.attention.key_length"), Field::U32(64));
        let count = file.metadata.iter_mut().find(|field| field.0.ends_with("block_count")).unwrap();
        count.1 = Field::U32(layers);
        config(&file).unwrap().attention_scale
    };
    assert_eq!([scale("gemma2", 46), scale("gemma3", 62)], [1.0 / 2f32.sqrt(); 2]);
    assert_eq!([scale("gemma2", 26), scale("gemma3", 34)], [0.125; 2]);

    let gemma3 = of("gemma3")
        .with("gemma3.attention.sliding_window", Field::U32(512))
        .with("gemma3.rope.scaling.type", Field::Text("linear".into()))
        .with("gemma3.rope.scaling.factor", Field::F32(8.0));
    let gemma3 = config(&gemma3).unwrap();
    assert_eq!(gemma3.rope, RopeConfig { theta: 5e5, scaling: RopeScaling::Linear { factor: 8.0 } });
    assert_eq!(gemma3.local_rope, Some(RopeConfig { theta: 1e4, scaling: RopeScaling::None }));
    assert_eq!([4, 5, 6].map(|layer| gemma3.turns_locally(layer)), [true, false, true]);
    assert_eq!((gemma3.attention_softcap, gemma3.logit_softcap), (None, None));

    let pattern = |value| of("gemma2").with("gemma2.attention.sliding_window_pattern", value);
    assert_eq!(config(&pattern(Field::U32(3))).unwrap().windowed, Layers::AllButEvery(3));
    assert_eq!(config(&pattern(Field::Bools(vec![false, true]))).unwrap().windowed, Layers::Listed(vec![false, true]));
    assert!(matches!(config(&pattern(Field::I32s(vec![0, 1]))), Err(LoadError::Gguf(_))));

    let smollm3 = config(&of("smollm3")).unwrap();
    assert_eq!((smollm3.row_order, smollm3.roped), (RowOrder::Pairs, Layers::AllButEvery(4)));
    let olmo2 = config(&of("olmo2").f32s("blk.0.attn_q_norm.weight", &[4], &[1.0; 4])).unwrap();
    assert_eq!((olmo2.row_order, olmo2.norms, olmo2.qk_norm), (RowOrder::Halves, Norms::After, Some(QkNorm::AllHeads)));

    let phi3 = of("phi3")
        .with("phi3.attention.sliding_window", Field::U32(0))
        .with("phi3.rope.scaling.original_context_length", Field::U32(32))
        .with("phi3.rope.scaling.attn_factor", Field::F32(1.19))
        .f32s("blk.0.attn_qkv.weight", &[4, 8], &[0.0; 32])
        .f32s("rope_factors_long.weight", &[1], &[2.0])
        .f32s("rope_factors_short.weight", &[1], &[1.0]);
    let phi3 = config(&phi3).unwrap();
    let [short, long] = [Part::ShortRopeFactors, Part::LongRopeFactors].map(RopeFactors::Stored);
    assert_eq!(phi3.rope.scaling, RopeScaling::LongRope { short, long, original_context: 32, magnitude: 1.19 });
    assert_eq!((phi3.fused, phi3.sliding_window), (true, None));
}

#[test]
fn gguf_features_that_the_engine_lacks_are_named() {
    let message = |file: File| config(&file).unwrap_err().to_string();
    assert_eq!(
        message(named("mamba")),
        "the architecture `mamba` is not supported; known are llama, qwen2, qwen3, gemma2, gemma3, phi3, olmo2, smollm3"
    );
    assert_eq!(message(named("llama")), "the model has no tensor `token_embd.weight`");
    let without_dim = File::default().with("general.architecture", Field::Text("llama".into()));
    assert_eq!(message(without_dim), "the metadata key `llama.embedding_length` is missing");
    let experts = llama().with("llama.expert_count", Field::U32(8));
    assert_eq!(message(experts), "a mixture of 8 experts is not supported");
    let yarn = llama().with("llama.rope.scaling.type", Field::Text("yarn".into()));
    assert_eq!(message(yarn), "rope scaling `yarn` is not supported");
    let values = llama().with("llama.attention.value_length", Field::U32(1));
    assert_eq!(message(values), "`llama.attention.value_length` of 1 with heads of 2 is not supported");
    let bias = llama().f32s("blk.0.ffn_up.bias", &[8], &[0.0; 8]);
    assert_eq!(message(bias), "the bias `blk.0.ffn_up.bias` is not supported");
    let split = llama().with("split.count", Field::U32(3));
    assert_eq!(message(split), "a model split over 3 GGUF files is not supported");
}

#[test]
fn gguf_tensors_keep_rows_formats_and_bytes() {
    let file = llama()
        .tensor("q", &[32, 2], TensorType::Q8_0, (0..68).collect())
        .tensor("k", &[256], TensorType::named("IQ4_XS").unwrap(), vec![0; 136])
        .tensor("cube", &[1, 1, 2], TensorType::F32, vec![0; 8]);
    let storage = Storage::new(file.bytes());
    let tensors = GgufTensors::new(&Gguf::parse(storage.bytes()).unwrap(), &storage);
    let q = tensors.tensor("q").unwrap();
    assert_eq!((q.format(), q.shape()), (Format::Q8_0, Shape { rows: 2, cols: 32 }));
    assert_eq!(q.bytes(), (0..68).collect::<Vec<u8>>());
    let format = tensors.tensor("k").unwrap_err();
    let known = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";
    assert_eq!(format.to_string(), format!("tensor `k` is stored as IQ4_XS; known are {known}"));
    assert!(matches!(tensors.tensor("cube"), Err(LoadError::TensorRank { rank: 3, .. })));
    assert!(matches!(tensors.tensor("none"), Err(LoadError::MissingTensor { .. })));
}

fn config_json(model_type: &str) -> Value {
    json!({
        "model_type": model_type, "num_hidden_layers": 2, "hidden_size": 4, "intermediate_size": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 3, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": true, "hidden_act": "silu",
    })
}

/// A safetensors file of zeros.
fn safetensors(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let zeros = [0u8; 1024];
    let views = tensors.iter().map(|&(name, dtype, shape)| {
        let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name, TensorView::new(dtype, shape.to_vec(), &zeros[..len]).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn folder(config: &Value, tensors: &[(&str, Dtype, &[usize])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), safetensors(tensors)).unwrap();
    folder
}

fn open(folder: &Path) -> Result<ModelConfig, LoadError> {
    ConfigJson::open(folder)?.config(&Shards::open(folder)?)
}

const EMBEDDING: (&str, Dtype, &[usize]) = ("model.embed_tokens.weight", Dtype::BF16, &[3, 4]);

#[test]
fn config_json_is_the_configuration_that_gguf_tells() {
    let from_gguf = config(&llama()).unwrap();
    let naming = Naming::hugging_face(Norms::Before);
    let expected = ModelConfig { row_order: RowOrder::Halves, naming, ..from_gguf };
    let turned_by = |theta, scaling| ModelConfig { rope: RopeConfig { theta, scaling }, ..expected.clone() };
    assert_eq!(open(folder(&config_json("llama"), &[EMBEDDING]).path()).unwrap(), expected);

    let changed = |field: &str, value: Value| {
        let mut config = config_json("llama");
        config[field] = value;
        open(folder(&config, &[EMBEDDING]).path())
    };
    let llama3 = json!({"rope_type": "llama3", "type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    let scaling =
        RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 32 };
    assert_eq!(changed("rope_scaling", llama3).unwrap(), turned_by(5e5, scaling));
    // Where transformers 5 writes it.
    let rope = json!({"rope_type": "default", "rope_theta": 1e4});
    assert_eq!(changed("rope_parameters", rope).unwrap(), turned_by(1e4, RopeScaling::None));
    assert_eq!(changed("num_key_value_heads", Value::Null).unwrap(), ModelConfig { kv_heads: 2, ..expected.clone() });
    let wide = ModelConfig { head_dim: 8, rope_dim: 8, attention_scale: 1.0 / 8f32.sqrt(), ..expected.clone() };
    assert_eq!(changed("head_dim", json!(8)).unwrap(), wide);
    let message = |field, value| changed(field, value).unwrap_err().to_string();
    assert_eq!(message("rope_scaling", json!({"type": "yarn"})), "rope scaling `yarn` is not supported");
    assert_eq!(message("hidden_act", json!("gelu")), "the activation `gelu` is not supported");
    assert!(message("quantization_config", json!({"bits": 4})).contains("quantization_config"));
    assert!(
        message("model_type", json!("gpt2")).starts_with("the architecture `gpt2` is not supported; known are llama")
    );
    assert!(message("hidden_size", json!("wide")).contains("config.json: invalid type: string \"wide\""));
    assert!(message("hidden_size", json!(-1)).contains("config.json: invalid value"));
}

#[test]
fn sliding_windows_are_read_as_each_architecture_means_them() {
    let windows = |model_type: &str, fields: Value| {
        let mut config = config_json(model_type);
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        open(folder(&config, &[EMBEDDING]).path()).map(|config| [config.window(0), config.window(1)])
    };
    assert_eq!(windows("llama", json!({"sliding_window": 16})).unwrap(), [None; 2]);
    assert_eq!(windows("mistral", json!({"sliding_window": 16})).unwrap(), [Some(16); 2]);
    assert_eq!(windows("mistral", json!({"sliding_window": null})).unwrap(), [None; 2]);
    assert_eq!(windows("mistral", json!({})).unwrap(), [Some(4096); 2]);
    assert_eq!(windows("phi3", json!({"sliding_window": 16})).unwrap(), [Some(16); 2]);
    assert_eq!(windows("qwen2", json!({"sliding_window": 16, "use_sliding_window": false})).unwrap(), [None; 2]);
    let qwen = |first: usize| {
        windows("qwen2", json!({"sliding_window": 16, "use_sliding_window": true, "max_window_layers": first}))
    };
    assert_eq!(qwen(0).unwrap(), [Some(16); 2]);
    assert_eq!(qwen(1).unwrap(), [None, Some(16)]);
    assert_eq!(qwen(2).unwrap(), [None; 2]);
    assert_eq!(windows("gemma2", json!({})).unwrap(), [Some(4096), None]);
    assert_eq!(windows("gemma3_text", json!({"sliding_window": 16})).unwrap(), [Some(16); 2]);
    assert_eq!(windows("gemma3_text", json!({"sliding_window_pattern": 1})).unwrap(), [None; 2]);
    let types = |kinds: [&str; 2]| windows("gemma2", json!({"sliding_window": 16, "layer_types": kinds}));
    assert_eq!(types(["full_attention", "sliding_attention"]).unwrap(), [None, Some(16)]);
    assert_eq!(
        types(["full_attention", "chunked_attention"]).unwrap_err().to_string(),
        "a layer of `chunked_attention` is not supported"
    );
}

#[test]
fn gemma3_says_little_and_is_understood() {
    let eyes: (&str, Dtype, &[usize]) = ("vision_tower.encoder.bias", Dtype::F32, &[2]);
    let read = |config: &Value, root: &str| {
        let name = format!("{root}embed_tokens.weight");
        open(folder(config, &[(&name, Dtype::BF16, &[3, 4]), eyes]).path()).unwrap()
    };
    // All that the file of the 4B says of its text model.
    let text = json!({"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
        "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024});
    let file = json!({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}});
    let old = read(&file, "language_model.model.");
    let naming = Naming::HuggingFace { root: "language_model.model.", norms: Norms::Both };
    assert_eq!((old.architecture, old.naming), (Architecture::Gemma3, naming));
    assert_eq!((old.heads, old.kv_heads, old.head_dim, old.vocab, old.context), (8, 4, 256, 262_208, 131_072));
    assert_eq!((old.norm_offset, old.attention_scale, old.tied_embeddings), (1.0, 0.0625, true));
    assert_eq!(old.embedding_scale, 50.596_443);
    assert_eq!(old.rope, RopeConfig { theta: 1e6, scaling: RopeScaling::Linear { factor: 8.0 } });
    assert_eq!(old.local_rope, Some(RopeConfig { theta: 1e4, scaling: RopeScaling::None }));
    assert_eq!([4, 5, 6].map(|layer| old.window(layer)), [Some(1024), None, Some(1024)]);

    // The same as transformers 5 writes it.
    let kind = |layer: usize| if layer % 6 == 5 { "full_attention" } else { "sliding_attention" };
    let mut new = file;
    let text = new["text_config"].as_object_mut().unwrap();
    text.remove("rope_scaling");
    text.insert("layer_types".into(), (0..34).map(kind).collect());
    let global = json!({"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6});
    let local = json!({"rope_type": "default", "rope_theta": 1e4});
    text.insert("rope_parameters".into(), json!({"full_attention": global, "sliding_attention": local}));
    let new = read(&new, "model.language_model.");
    assert!((0..34).all(|layer| new.window(layer) == old.window(layer)));
    let naming = Naming::HuggingFace { root: "model.language_model.", norms: Norms::Both };
    assert_eq!(new, ModelConfig { naming, windowed: new.windowed.clone(), ..old });
}

#[test]
fn fields_of_single_architectures_are_read() {
    let read = |model_type: &str, fields: Value| {
        let mut config = config_json(model_type);
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        open(folder(&config, &[EMBEDDING]).path())
    };
    let gemma2 = json!({"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 144, "head_dim": 128});
    let gemma2 = read("gemma2", gemma2).unwrap();
    assert_eq!((gemma2.activation, gemma2.attention_scale), (Activation::Gelu, 1.0 / 12.0));
    assert_eq!((gemma2.attention_softcap, gemma2.logit_softcap), (Some(50.0), Some(30.0)));
    assert_eq!(read("gemma2", json!({"final_logit_softcapping": null})).unwrap().logit_softcap, None);

    // Phi-3 mini with a context of 128k, whose factor of attention is known.
    let listed = |factor: f32| vec![factor; 36];
    let long_rope = json!({"type": "su", "short_factor": listed(1.0), "long_factor": listed(4.0)});
    let fields = json!({"head_dim": 96, "partial_rotary_factor": 0.75, "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096, "rope_scaling": long_rope});
    let phi3 = read("phi3", fields).unwrap();
    let [short, long] = [1.0, 4.0].map(|factor| RopeFactors::Listed(listed(factor)));
    let scaling = RopeScaling::LongRope { short, long, original_context: 4096, magnitude: 1.190_238_1 };
    assert_eq!((phi3.rope_dim, phi3.rope.scaling), (72, scaling));
    let half = read("llama", json!({"partial_rotary_factor": 0.5})).unwrap_err();
    assert_eq!(half.to_string(), "`partial_rotary_factor` of 0.5 is not supported");

    assert_eq!(read("smollm3", json!({})).unwrap().roped, Layers::AllButEvery(4));
    assert_eq!(read("smollm3", json!({"no_rope_layer_interval": 2})).unwrap().roped, Layers::AllButEvery(2));
    assert_eq!(read("smollm3", json!({"no_rope_layers": [0, 1]})).unwrap().roped, Layers::Listed(vec![false, true]));
    let olmo2 = read("olmo2", json!({})).unwrap();
    assert_eq!((olmo2.norms, olmo2.naming), (Norms::After, Naming::hugging_face(Norms::After)));
}

#[test]
fn shards_are_found_through_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("a.safetensors"), safetensors(&[("x", Dtype::F32, &[2])])).unwrap();
    std::fs::write(path.join("b.safetensors"), safetensors(&[("y", Dtype::F16, &[3, 2]), ("z", Dtype::I8, &[1])]))
        .unwrap();
    let index = |y: &str| json!({"weight_map": {"x": "a.safetensors", "y": y, "z": "b.safetensors"}}).to_string();
    std::fs::write(path.join("model.safetensors.index.json"), index("b.safetensors")).unwrap();
    let shards = Shards::open(path).unwrap();
    assert_eq!(shards.tensor("x").unwrap().bytes().len(), 8);
    assert_eq!(shards.tensor("y").unwrap().shape(), Shape { rows: 3, cols: 2 });
    assert!(matches!(shards.tensor("z"), Err(LoadError::TensorFormat { format, .. }) if format == "I8"));

    std::fs::write(path.join("model.safetensors.index.json"), index("../b.safetensors")).unwrap();
    assert!(matches!(Shards::open(path), Err(LoadError::Unsupported { .. })));
    std::fs::write(path.join("model.safetensors.index.json"), index("c.safetensors")).unwrap();
    assert!(matches!(Shards::open(path), Err(LoadError::Io { path, .. }) if path.ends_with("c.safetensors")));
}

/// Opens a folder that holds nothing but these bytes.
fn open_bytes(bytes: &[u8]) -> Result<Shards, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    Shards::open(folder.path())
}

#[test]
fn lying_safetensors_are_errors() {
    let good = safetensors(&[("x", Dtype::F32, &[2]), ("y", Dtype::F16, &[3, 2])]);
    assert!(open_bytes(&good).is_ok());
    for len in 0..good.len() {
        let error = open_bytes(&good[..len]).unwrap_err();
        assert!(
            matches!(error, LoadError::File { source, .. } if matches!(*source, LoadError::Safetensors(_))),
            "{len}"
        );
    }
    let with_header = |header: &str| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 16]);
        match open_bytes(&bytes) {
            Err(LoadError::File { source, .. }) => match *source {
                LoadError::Safetensors(error) => error,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let x = |dtype: &str, shape: &str, offsets: &str| {
        with_header(&format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#))
    };
    assert!(matches!(x("F32", "[2]", "[0,12]"), SafetensorsError::Header(_)));
    assert!(matches!(x("F32", "[4]", "[4,20]"), SafetensorsError::Header(_)));
    assert!(matches!(x("F32", "[4]", "[16,0]"), SafetensorsError::Header(_)));
    assert!(matches!(x("F99", "[4]", "[0,16]"), SafetensorsError::Header(_)));
    assert!(matches!(x("F32", "[4294967296,4294967296]", "[0,16]"), SafetensorsError::Header(_)));
    let data = x("F32", "[5]", "[0,20]");
    assert!(matches!(data, SafetensorsError::DataLength { expected: 20, found: 16 }));
    // Eight tensors whose sizes add up to the last number that 64 bits hold.
    let step = (1u64 << 61) - 1;
    let tensor =
        |i: u64| format!(r#""{i}":{{"dtype":"U8","shape":[{step}],"data_offsets":[{},{}]}}"#, i * step, (i + 1) * step);
    let header = format!("{{{}}}", (0..8).map(tensor).collect::<Vec<_>>().join(","));
    assert!(matches!(with_header(&header), SafetensorsError::DataLength { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_change_of_bytes_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = safetensors(&[("x", Dtype::F32, &[2]), ("y", Dtype::F16, &[3, 2])]);
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        if let Ok(shards) = open_bytes(&file) {
            for name in shards.names() {
                let _ = shards.tensor(name);
            }
        }
    }
}
