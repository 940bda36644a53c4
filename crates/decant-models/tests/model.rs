//! Whole models, opened from one word.

use std::collections::BTreeMap;
use std::path::Path;

use decant_decode::{LanguageModel, Want};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::{FileFormat, LoadError, Model, ModelSource};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;

const ASSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/decant-stories.gguf");

fn load(source: &str) -> Result<Model, LoadError> {
    let options = EngineOptions::default();
    let hub = Hub::new(HubSettings::from_env(|_| None));
    Model::load(&source.parse::<ModelSource>()?, options, &hub, &mut |_| ())
}

/// The likeliest token after a text.
fn next(model: &Model, text: &str) -> u32 {
    let ids = model.tokenizer.encode(text, true).unwrap();
    let rows = model.engine.feed(&mut model.engine.empty(), &ids, Want::Last).unwrap();
    let row = rows.last().unwrap();
    (0..row.len() as u32).max_by(|&a, &b| row[a as usize].total_cmp(&row[b as usize])).unwrap()
}

#[test]
fn the_embedded_model_is_its_file() {
    let embedded = load("embedded").unwrap();
    let file = load(ASSET).unwrap();
    assert_eq!(embedded.info, file.info);
    assert_eq!((embedded.info.format, embedded.info.architecture.as_str()), (FileFormat::Gguf, "llama"));
    assert_eq!(embedded.tokenizer.vocab(), embedded.engine.vocab());
    let upon = next(&embedded, "Once upon a");
    assert_eq!(embedded.tokenizer.decode(&[upon]), " time");
    assert_eq!(next(&file, "Once upon a"), upon);
}

#[test]
fn what_cannot_be_loaded_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let name = path.to_str().unwrap();
    assert!(load(name).unwrap_err().to_string().contains("model.gguf"));
    let mut bytes = std::fs::read(ASSET).unwrap();
    bytes.truncate(bytes.len() - 64); // more than padding
    std::fs::write(&path, &bytes).unwrap();
    let cut = load(name).unwrap_err();
    assert!(cut.to_string().contains("model.gguf: the tensor `"), "{cut}");
    for len in [0, 3, 1000, 100_000] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(matches!(load(name), Err(LoadError::File { .. })), "{len}");
    }
    let empty = load(folder.path().to_str().unwrap()).unwrap_err();
    assert!(empty.to_string().contains("config.json"), "{empty}");
}

/// A random model with the tokenizer of the fixtures, as Hugging Face has it.
fn folder(vocab: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 8,
        "num_attention_heads": 2, "vocab_size": vocab, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers/byte_level.json");
    std::fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let mut shapes = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![vocab, 8]),
        ("model.norm.weight".to_owned(), vec![8]),
    ]);
    for norm in ["input_layernorm", "post_attention_layernorm"] {
        shapes.insert(format!("model.layers.0.{norm}.weight"), vec![8]);
    }
    let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    for linear in attention.iter().chain(&["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]) {
        shapes.insert(format!("model.layers.0.{linear}.weight"), vec![8, 8]);
    }
    let numbers: Vec<u8> =
        (0..vocab * 8).flat_map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5).to_le_bytes()).collect();
    let views = shapes.iter().map(|(name, shape)| {
        let len = 4 * shape.iter().product::<usize>();
        (name, TensorView::new(Dtype::F32, shape.clone(), &numbers[..len]).unwrap())
    });
    std::fs::write(folder.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    folder
}

#[test]
fn a_folder_is_a_model() {
    let folder = folder(512);
    let model = load(folder.path().to_str().unwrap()).unwrap();
    assert_eq!((model.info.format, model.engine.vocab(), model.tokenizer.vocab()), (FileFormat::Safetensors, 512, 481));
    assert!(model.tokenizer.bytes(500).is_empty(), "padding adds no text");
    assert!(next(&model, "The sea") < 512);
    let again = load(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(model.info, again.info);

    let weights = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    assert_ne!(load(folder.path().to_str().unwrap()).unwrap().info.hash, again.info.hash);
}

#[test]
fn more_tokens_than_rows_are_an_error() {
    let folder = folder(480);
    let error = load(folder.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("the tokenizer has 481 tokens, but the model only 480"), "{error}");
}
