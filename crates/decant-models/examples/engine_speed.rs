//! How fast the engine runs a model: prefill, greedy decoding, and decoding in a batch.
//!
//! `cargo run --release -p decant-models --example engine_speed -- MODEL [THREADS] [ISA] [TOKENS]`
//!
//! MODEL is `embedded`, a GGUF file or a Hugging Face folder.

use std::env;
use std::time::{Duration, Instant};

use decant_decode::{Feed, LanguageModel, TokenId, Want};
use decant_kernels::{Isa, IsaName};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::{EngineOptions, NativeModel};
use decant_models::{Model, ModelSource};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().collect();
    let path = arguments.get(1).ok_or("usage: engine_speed MODEL [THREADS] [ISA] [TOKENS]")?;
    let threads = arguments.get(2).map_or(Ok(1.try_into()?), |text| text.parse())?;
    let isa = match arguments.get(3) {
        Some(name) => Isa::new(name.parse::<IsaName>()?).ok_or("this machine does not have that instruction set")?,
        None => Isa::best(),
    };
    let tokens = arguments.get(4).map_or(Ok(256), |text| text.parse())?;

    let start = Instant::now();
    let hub = Hub::new(HubSettings::from_env(|name| env::var(name).ok()));
    let options = EngineOptions { threads, isa, ..EngineOptions::default() };
    let model = Model::load(&path.parse::<ModelSource>()?, options, &hub, &mut |_| ())?.engine;
    println!("{path}: loaded in {:.1} ms; {threads} threads, {}", start.elapsed().as_secs_f64() * 1e3, isa.name());
    let tokens = tokens.min(model.context() - 1);

    let prompt: Vec<TokenId> = (0..tokens as TokenId).map(|i| i * 7919 % model.vocab() as TokenId).collect();
    best_of("prefill", tokens, || drop(model.feed(&mut model.empty(), &prompt, Want::Last)));
    best_of("greedy", tokens, || drop(greedy(&model, tokens)));
    for batch in [4, 8] {
        best_of(&format!("batch of {batch}"), batch * tokens, || side_by_side(&model, batch, &prompt));
    }
    let (ids, fastest) = greedy(&model, tokens);
    println!("{:>12}: {:8.0} tokens/s at the fastest step", "greedy", 1.0 / fastest.as_secs_f64());
    println!("ids {:?}", &ids[..tokens.min(16)]);
    Ok(())
}

/// Prints the best of five runs, in tokens a second.
fn best_of(what: &str, tokens: usize, mut run: impl FnMut()) {
    let seconds = (0..5).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    println!("{what:>12}: {:8.0} tokens/s", tokens as f64 / seconds.fold(f64::INFINITY, f64::min));
}

/// The likeliest tokens after token 0, and the time of the fastest step: on a busy machine the best measure there is.
fn greedy(model: &NativeModel, tokens: usize) -> (Vec<TokenId>, Duration) {
    let (mut cache, mut last, mut ids, mut fastest) = (model.empty(), 0, Vec::new(), Duration::MAX);
    for _ in 0..tokens {
        let start = Instant::now();
        let rows = model.feed(&mut cache, &[last], Want::Last).expect("inside vocabulary and context");
        let row = rows.last().expect("one row");
        last = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a token") as TokenId;
        ids.push(last);
        fastest = fastest.min(start.elapsed());
    }
    (ids, fastest)
}

/// Feeds the same tokens to several sequences, one step at a time.
fn side_by_side(model: &NativeModel, batch: usize, tokens: &[TokenId]) {
    let mut caches = vec![model.empty(); batch];
    for token in tokens.chunks(1) {
        let mut feeds: Vec<_> =
            caches.iter_mut().map(|cache| Feed { cache, tokens: token, want: Want::Last }).collect();
        model.feed_all(&mut feeds).expect("inside vocabulary and context");
    }
}
