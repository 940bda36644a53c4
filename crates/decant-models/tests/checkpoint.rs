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
