//! Times llama.cpp on a model file as `decant bench engine` times Decant: `engine FILE BATCHES THREADS PREFILL SECONDS`, lists
//! with commas. One JSON line a measurement.
//!
//! Defaults are llama.cpp's own (a mapped file, repacked where it likes to, keys and values in f16, 512 tokens a pass); so are
//! its instructions, which the build chose: the field `system` tells them.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use std::error::Error;
use std::ffi::CStr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Tokens of every sequence before the first step, and how many steps follow before it is cut back to them.
const CONTEXT: usize = 16;
const STEPS: usize = 32;
/// The least number of steps whose times are taken.
const LEAST: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, batches, threads, prefill, seconds] = &args[..] else {
        return Err("usage: engine FILE BATCHES THREADS PREFILL SECONDS".into());
    };
    let (prefill, seconds) = (prefill.parse()?, Duration::from_secs_f64(seconds.parse()?));
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let model = LlamaModel::load_from_file(&backend, file, &LlamaModelParams::default())?;
    // SAFETY: the function takes nothing, and returns a text that lives as long as the program.
    let system = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) }.to_str()?;
    for threads in threads.split(',').map(str::parse) {
        let threads = threads?;
        for batch in batches.split(',').map(str::parse) {
            let batch = batch?;
            let times = steps(&backend, &model, batch, threads, seconds)?;
            print(r#""batch""#, batch, threads, times, system);
        }
        if prefill > 0 {
            print(r#""prefill""#, prefill, threads, prefills(&backend, &model, prefill, threads, seconds)?, system);
        }
    }
    Ok(())
}

/// Prints the median and the best of some times in milliseconds, with what they are times of.
fn print(what: &str, number: usize, threads: i32, mut times: Vec<Duration>, system: &str) {
    times.sort_unstable();
    let [median, best] = [times[times.len() / 2], times[0]].map(|time| time.as_secs_f64() * 1e3);
    println!(
        r#"{{{what}:{number},"threads":{threads},"ms":{median:.4},"best_ms":{best:.4},"runs":{},"system":"{}"}}"#,
        times.len(),
        system.trim()
    );
}

/// Some token, never a special one.
fn token(number: usize, vocab: usize) -> LlamaToken {
    LlamaToken((259 + number * 7919 % (vocab - 259)) as i32)
}

fn context<'m>(
    backend: &LlamaBackend,
    model: &'m LlamaModel,
    (sequences, len): (usize, usize),
    threads: i32,
) -> Outcome<LlamaContext<'m>> {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new((sequences * len) as u32))
        .with_n_seq_max(sequences as u32)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    Ok(model.new_context(backend, params)?)
}

/// Times of steps that take one token of each of `batch` sequences to one row of logits each.
fn steps(
    backend: &LlamaBackend,
    model: &LlamaModel,
    batch: usize,
    threads: i32,
    seconds: Duration,
) -> Outcome<Vec<Duration>> {
    let vocab = model.n_vocab() as usize;
    let mut context = context(backend, model, (batch, 256), threads)?;
    let mut prompts = LlamaBatch::new(batch * CONTEXT, 1);
    for sequence in 0..batch {
        let prompt: Vec<LlamaToken> = (0..CONTEXT).map(|i| token(sequence * 97 + i, vocab)).collect();
        prompts.add_sequence(&prompt, sequence as i32, false)?;
    }
    context.decode(&mut prompts)?;
    let mut fed = LlamaBatch::new(batch, 1);
    let (mut times, mut sum) = (Vec::new(), Duration::ZERO);
    // The first step is not timed.
    for step in 0.. {
        let position = CONTEXT + step % STEPS;
        if step > 0 && position == CONTEXT {
            for sequence in 0..batch {
                context.clear_kv_cache_seq(Some(sequence as u32), Some(CONTEXT as u32), None)?;
            }
        }
        let start = Instant::now();
        fed.clear();
        for sequence in 0..batch {
            fed.add(token(sequence * 97 + position, vocab), position as i32, &[sequence as i32], true)?;
        }
        context.decode(&mut fed)?;
        for row in 0..batch {
            std::hint::black_box(context.get_logits_ith(row as i32));
        }
        let time = start.elapsed();
        if step > 0 {
            times.push(time);
            sum += time;
        }
        if sum >= seconds && times.len() >= LEAST {
            break;
        }
    }
    Ok(times)
}

/// Times of feeding a prompt to an empty cache, for the logits after its last token.
fn prefills(
    backend: &LlamaBackend,
    model: &LlamaModel,
    len: usize,
    threads: i32,
    seconds: Duration,
) -> Outcome<Vec<Duration>> {
    let mut context = context(backend, model, (1, len), threads)?;
    let prompt: Vec<LlamaToken> = (0..len).map(|i| token(i, model.n_vocab() as usize)).collect();
    let mut batch = LlamaBatch::new(len, 1);
    batch.add_sequence(&prompt, 0, false)?;
    let mut times: Vec<Duration> = Vec::new();
    while times.is_empty() || times.iter().sum::<Duration>() < seconds {
        context.clear_kv_cache();
        let start = Instant::now();
        context.decode(&mut batch)?;
        std::hint::black_box(context.get_logits_ith(len as i32 - 1));
        times.push(start.elapsed());
    }
    Ok(times)
}
