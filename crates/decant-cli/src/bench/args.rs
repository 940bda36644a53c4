//! The command line of `decant bench`.

use crate::args::Storage;
use clap::{Args, Subcommand, ValueEnum};
use decant_models::ModelSource;
use decant_models::random::{Mix, Size};
use decant_sampling::SamplerSpec;
use decant_sampling::yardstick::Regime;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Measure how fast Decant is on this machine
#[derive(Debug, Subcommand)]
pub enum Bench {
    Sampler(BenchSampler),
    Engine(BenchEngine),
    Server(BenchServer),
}

/// Time samplers against the floor: the least that any sampler must do that looks at a row's probabilities
///
/// The floor is one pass for the largest logit and one for two exponential sums, on one thread. Floor and sampler take turns
/// in the same run; every time is the median of its runs, in microseconds for the whole batch. `ratio` is the sampler's
/// time over the floor's, `allocations` how many a batch makes once its buffers have grown. Rows are made from a fixed
/// seed, so everybody measures the same.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BenchSampler {
    /// Logits a row; several with commas
    #[arg(long, value_name = "V", value_delimiter = ',', default_value = "128256")]
    pub vocab: Vec<NonZeroUsize>,
    /// Only rows of this entropy: peaked (0.5 nats), medium (2.5) or flat (7.5)
    #[arg(long, value_name = "REGIME")]
    pub regime: Option<Regime>,
    /// Measure this sampler; may be given several times (default: a table of all kinds)
    #[arg(long, value_name = "SPEC")]
    pub sampler: Vec<SamplerSpec>,
    /// What the caller wants to see beside the token (default: as the table says; entropy for a given sampler)
    #[arg(long, value_enum, value_name = "WHAT")]
    pub observe: Option<Observe>,
    /// How many rows are sampled at once; with entropy observed they share the threads of --threads
    #[arg(long, value_name = "B", default_value_t = NonZeroUsize::MIN)]
    pub batch: NonZeroUsize,
    /// Where the rows lie (default: both; with --json warm)
    #[arg(long, value_enum, value_name = "WHERE")]
    pub rows: Option<Rows>,
    /// How many times each is measured
    #[arg(long, value_name = "N", default_value = "301")]
    pub runs: NonZeroUsize,
    /// One JSON object a line: vocab, regime, sampler, observe, batch, threads, floor_us, us, ratio, kept, allocations, rows
    #[arg(long)]
    pub json: bool,
}

/// Time the engine against what the machine can do: steps of a batch, and prefill
///
/// A step takes one token of each sequence to its row of logits. First, in the same run, the machine is measured: how fast it
/// reads memory (1 GiB of it), how many multiply-adds of f32 and how many products of bytes it does in registers, with each
/// number of threads. Ratios are to these: weights read a step over the read bandwidth, floating-point operations (2 for each
/// weight and token) over the peak of f32 and over that of bytes.
#[derive(Args, Debug)]
#[command(after_help = ENGINE_EXAMPLES)]
pub struct BenchEngine {
    #[command(flatten)]
    pub model: Measured,
    /// Sequences a step; several with commas
    #[arg(long, value_name = "B", value_delimiter = ',', default_value = "1,8")]
    pub batch: Vec<NonZeroUsize>,
    /// Threads; several with commas (default: one, and all cores)
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub threads: Vec<NonZeroUsize>,
    /// Tokens in every sequence before the first step; after 32 steps it is cut back to them
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub context: usize,
    /// Tokens of the prompt that is timed; no more than the model's context; 0: none
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub prefill: usize,
    /// How long each is measured; at least seven steps and one prefill
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub seconds: f64,
    /// One JSON object a line: model, isa, kv, threads, batch or prefill, ms (median), best_ms, ratios, peaks
    #[arg(long)]
    pub json: bool,
}

/// Time the server against the engine without it: one stream, several, and the first token of a prompt
///
/// `decant serve` runs as a process of its own and is asked over TCP; the engine alone decodes the same tokens in this one. They
/// take turns, and every number is the median of its rounds. `of` is the tokens a second over those of the engine alone,
/// `samplers` the share of the server's steps that drawing took.
#[derive(Args, Debug)]
#[command(after_help = SERVER_EXAMPLES)]
pub struct BenchServer {
    #[command(flatten)]
    pub model: Measured,
    /// Streams at once; several with commas
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8")]
    pub streams: Vec<NonZeroUsize>,
    /// Tokens of each stream
    #[arg(long, value_name = "N", default_value = "256")]
    pub tokens: NonZeroUsize,
    /// Tokens of the prompt, which is another one every time
    #[arg(long, value_name = "N", default_value = "64")]
    pub prompt: NonZeroUsize,
    /// What the streams are drawn by
    #[arg(long, value_name = "SPEC", default_value = "temp=1,top_h=0.4")]
    pub sampler: SamplerSpec,
    /// How many times each is measured
    #[arg(long, value_name = "N", default_value = "7")]
    pub rounds: NonZeroUsize,
    /// One JSON object a line: model, threads, streams (0: no server), tokens_per_s, of, first_token_ms, samplers
    #[arg(long)]
    pub json: bool,
}

/// Which model is measured.
#[derive(Args, Debug)]
pub struct Measured {
    /// The model to measure on: as in `generate` (default: the embedded one)
    #[arg(long, short, value_name = "MODEL", default_value = "embedded", conflicts_with = "shape")]
    pub model: ModelSource,
    /// A model of random weights instead: 1b (2048/8192, 16 layers, 32/8 heads, vocabulary 128,256, tied), small (512/1536,
    /// 8 layers, 8/8 heads, 32,000) or tiny (256/768, 6 layers, 8/4 heads, 4,096, tied)
    #[arg(long, value_name = "SIZE")]
    pub shape: Option<Size>,
    /// How its matrices are stored: f32, f16, bf16, q8_0, .. or the mix q4_k_m
    #[arg(long = "type", value_name = "TYPE", default_value = "q8_0", requires = "shape")]
    pub mix: Mix,
    /// Write the random model to this GGUF file and leave it there (default: a temporary file)
    #[arg(long, value_name = "FILE.gguf", requires = "shape")]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    pub storage: Storage,
}

/// What the caller of a sampler looks at.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// The whole step: entropies, the token's probability, what was kept (`Sampler::pick`)
    Entropy,
    /// The token and nothing else (`Sampler::draw`)
    Nothing,
}

impl fmt::Display for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Observe::Entropy => "entropy",
            Observe::Nothing => "nothing",
        })
    }
}

/// Where the rows of a measurement lie.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Rows {
    /// The same rows again and again: in the caches, as far as they fit
    Warm,
    /// Ever other rows, until they have gone round twice what the last cache holds
    Memory,
    Both,
}

const EXAMPLES: &str = "\
Examples:
  decant bench sampler --vocab 32000 --regime medium --runs 25
  decant bench sampler --vocab 4096 --sampler temp=1,top_h=0.4 --rows warm --json
  decant bench sampler --vocab 4096 --sampler top_p=0.9 --batch 16 --threads 2 --rows warm";

const ENGINE_EXAMPLES: &str = "\
Examples:
  decant bench engine
  decant bench engine --shape tiny --type f32 --prefill 64 --seconds 0.1
  decant bench engine --batch 1,4 --threads 1 --kv f16 --seconds 0.1 --json";

const SERVER_EXAMPLES: &str = "\
Examples:
  decant bench server --streams 1,4 --tokens 64 --rounds 3
  decant bench server --shape tiny --type f32 --tokens 32 --rounds 1 --json";
