//! The command line of `decant bench`.

use clap::{Args, Subcommand, ValueEnum};
use decant_sampling::SamplerSpec;
use decant_sampling::yardstick::Regime;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroUsize;

/// Measure how fast Decant is on this machine
#[derive(Debug, Subcommand)]
pub enum Bench {
    Sampler(BenchSampler),
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
