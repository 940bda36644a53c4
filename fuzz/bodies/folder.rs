//! Bytes -> config.json (the first line) and model.safetensors (the rest) -> a configuration, tensors, an engine.

use decant_models::checkpoint::{ConfigJson, Shards};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::weights::{Storage, TensorSource};

pub fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (json, rest) = bytes.split_at(end);
    let Ok(shards) = Shards::of_file(Storage::new(rest[rest.len().min(1)..].to_vec())) else { return };
    for name in shards.names() {
        let _ = shards.tensor(name).map(|tensor| tensor.bytes().len());
    }
    let config = serde_json::from_slice::<ConfigJson>(json).ok().and_then(|json| json.config(&shards).ok());
    if let Some(config) = config {
        let options = EngineOptions::default();
        let _ = NativeModel::new(config, &shards, options);
    }
}
