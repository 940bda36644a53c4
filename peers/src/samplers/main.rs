//! Times other people's samplers on rows that `cargo xtask bench-peers` has written: `peers FOLDER VOCAB`.
//!
//! From a row of f32 to a token, on one thread; one JSON line a measurement, medians in microseconds.

#[cfg(feature = "llama-cpp")]
mod llama;
mod sorted;

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const REGIMES: [&str; 3] = ["peaked", "medium", "flat"];

/// What samples a row: a peer's name, the sampler in Decant's words, and the work.
type Peer<'a> = (&'static str, &'static str, Box<dyn FnMut(&[f32]) -> u32 + 'a>);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, vocab] = &args[..] else { return Err("usage: peers FOLDER VOCAB".into()) };
    for regime in REGIMES {
        let row = read(&Path::new(folder).join(format!("{regime}.f32")), vocab.parse()?)?;
        let tensor = Tensor::new(&row[..], &Device::Cpu)?;
        let mut peers = candle(&tensor);
        peers.extend(sorted::peers());
        #[cfg(feature = "llama-cpp")]
        peers.extend(llama::peers(row.len()));
        for (peer, sampler, mut sample) in peers {
            let us = median(|| {
                black_box(sample(black_box(&row)));
            });
            println!(r#"{{"peer":"{peer}","sampler":"{sampler}","regime":"{regime}","us":{us:.2}}}"#);
        }
    }
    Ok(())
}

/// A row of little-endian f32.
fn read(path: &Path, vocab: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let row: Vec<f32> = bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
    if row.len() != vocab {
        return Err(format!("{}: {} logits, expected {vocab}", path.display(), row.len()).into());
    }
    Ok(row)
}

/// Of at least fifteen runs, and of as many as half a second holds.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 15 || begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Its tensor is made beforehand: a model gives one.
fn candle(row: &Tensor) -> Vec<Peer<'_>> {
    let samplings = [
        ("temp=0", Sampling::ArgMax),
        ("temp=1", Sampling::All { temperature: 1.0 }),
        ("temp=1,top_p=0.9", Sampling::TopP { p: 0.9, temperature: 1.0 }),
        ("top_k=50", Sampling::TopK { k: 50, temperature: 1.0 }),
    ];
    let peer = |(name, sampling)| -> Peer<'_> {
        let mut processor = LogitsProcessor::from_sampling(0, sampling);
        ("candle", name, Box::new(move |_| processor.sample(row).expect("candle samples a row")))
    };
    samplings.into_iter().map(peer).collect()
}
