//! `decant bench`: how fast Decant is on this machine.

pub mod args;
mod client;
mod engine;
mod file;
mod machine;
mod measure;
mod rows;
mod sampler;
mod server;
mod steps;

use crate::session::Session;
use anyhow::Result;
use args::Bench;

pub fn run(bench: &Bench, session: &Session) -> Result<()> {
    match bench {
        Bench::Sampler(args) => sampler::run(args, session),
        Bench::Engine(args) => engine::run(args, session),
        Bench::Server(args) => server::run(args, session),
    }
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> Option<T> {
    let middle = values.len() / 2;
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(middle).copied()
}

/// To so many decimals: more would be noise.
fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}
