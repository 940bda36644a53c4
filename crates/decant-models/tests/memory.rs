//! Weights are mapped, not copied: the process's peak memory, as the operating system counts it. A test binary of its own, for
//! the peak is that of the whole process.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::BufWriter;

use decant_decode::{LanguageModel, TokenId, Want};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::random::{Mix, Size, write_model};
use decant_models::{Model, ModelSource};

/// The peak of the resident set, in bytes: pages of mapped files count as soon as they are read.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn the_peak_is_the_file_and_the_cache_and_a_tenth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    write_model(Size::Small, "f16".parse::<Mix>().unwrap(), 1, &mut BufWriter::new(File::create(&path).unwrap()))
        .unwrap();
    let file = fs::metadata(&path).unwrap().len();
    assert!(file > 100_000_000 && peak() < file / 4, "writing took {} of {file}", peak());

    let hub = Hub::new(HubSettings::from_env(|_| None));
    let model = Model::load(&ModelSource::Path(path), EngineOptions::default(), &hub, &mut |_| ()).unwrap().engine;
    let (mut cache, prompt) = (model.empty(), (0..320).map(|id| id * 97).collect::<Vec<TokenId>>());
    model.feed(&mut cache, &prompt, Want::Last).unwrap();
    for _ in 0..3 {
        model.feed(&mut cache, &[5], Want::Last).unwrap();
    }
    let config = model.config();
    // Keys and values of every layer and head, f32.
    let kv = (prompt.len() + 3) * config.layers * 2 * config.kv_heads * config.head_dim * 4;
    let limit = (file + kv as u64) * 11 / 10;
    assert!(peak() <= limit, "{} bytes of memory; the file has {file}, the cache {kv}", peak());
    // And it says something: all weights but the rows of the embedding were read.
    assert!(peak() > file / 2, "{} of {file}", peak());
}
