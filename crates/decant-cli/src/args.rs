//! The command line: every flag, its help and its range.

use crate::advise::Advise;
use crate::bench::args::Bench;
use crate::calibrate::Calibrate;
use crate::lab::Lab;
use crate::serve::Serve;
use clap::{Args, Parser, Subcommand, ValueEnum};
use decant_decode::{DecodeSpec, ModelId};
use decant_models::native::KvFormat;
use decant_models::{ModelSource, Quantisation};
use decant_sampling::{Isa, IsaName, SamplerSpec, TokenId};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

/// Decide what a language model says next, by its own uncertainty.
#[derive(Debug, Parser)]
#[command(name = "decant", version, after_help = examples::TOP)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Threads that the model's engine uses (default: all cores); never changes a result
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Instruction set: auto, scalar, neon, avx2 or avx512; never changes a result
    #[arg(long, global = true, value_name = "NAME", default_value = "auto", value_parser = isa, hide_default_value = true)]
    pub isa: Isa,
    /// No progress and no notes on stderr, only errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Whether to colour the output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto, hide_default_value = true)]
    pub color: Color,
}

fn isa(name: &str) -> Result<Isa, String> {
    if name == "auto" {
        return Ok(Isa::best());
    }
    let name: IsaName = name.parse().map_err(|error| format!("{error}, or auto"))?;
    Isa::new(name).ok_or_else(|| format!("this machine has no {name}"))
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Generate(Generate),
    Serve(Serve),
    /// Look at a trace, prove it, or make a page of it
    #[command(subcommand)]
    Trace(Trace),
    Pick(Pick),
    Logits(Logits),
    Tokenize(Tokenize),
    Detokenize(Detokenize),
    Samplers(Samplers),
    #[command(subcommand)]
    Lab(Lab),
    Advise(Advise),
    Calibrate(Calibrate),
    #[command(subcommand)]
    Bench(Bench),
    /// Tell what this machine and this build offer, and what is missing
    Doctor,
    /// Print the completions of a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Which model.
#[derive(Args, Clone, Debug)]
pub struct ModelArg {
    /// A GGUF file, a folder with safetensors, `hf:OWNER/NAME[:FILE]`, or the story model that is part of the program
    #[arg(long, short, value_name = "MODEL", default_value = "embedded")]
    pub model: ModelSource,
    #[command(flatten)]
    pub storage: Storage,
}

/// In which form the engine keeps numbers: unlike threads and instructions, this changes results.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Storage {
    /// Quantise weights that are stored as F32, F16 or BF16 while loading: q8_0
    #[arg(long, value_name = "TYPE")]
    pub quantize: Option<Quantisation>,
    /// How caches keep keys and values: f32, f16 (half the memory) or q8_0 (about a quarter)
    #[arg(long, value_name = "TYPE", default_value_t = KvFormat::default())]
    pub kv: KvFormat,
}

impl Storage {
    /// How the model of a trace kept its numbers.
    pub fn of(model: &ModelId) -> anyhow::Result<Self> {
        let quantize = model.quantise.as_deref().map(str::parse).transpose().map_err(anyhow::Error::msg)?;
        let kv = model.kv.as_deref().map_or(Ok(KvFormat::default()), str::parse).map_err(anyhow::Error::msg)?;
        Ok(Storage { quantize, kv })
    }
}

/// Which sampler.
#[derive(Args, Debug)]
pub struct SamplerArg {
    /// The stages in the order they act, such as `temp=0.8,top_h=0.4`; `decant samplers` lists them
    #[arg(long, value_name = "SPEC", default_value = "temp=1,top_h=0.4")]
    pub sampler: SamplerSpec,
    /// A TOML file whose key `sampler` holds the spec
    #[arg(long, value_name = "FILE", conflicts_with = "sampler")]
    pub profile: Option<PathBuf>,
}

/// Which prompt, and how it becomes tokens.
#[derive(Args, Debug)]
pub struct PromptArg {
    /// The text to go on from; `-` or nothing reads stdin (without its last newline), "" starts from BOS alone
    pub prompt: Option<String>,
}

/// Generate text from a model, as it is made
///
/// The prompt stands before the text, on a terminal and in a pipe; with a chat template only the answer is printed.
/// Equal model, prompt, sampler and seed give the equal text on every machine.
#[derive(Args, Debug)]
#[command(after_help = examples::GENERATE)]
pub struct Generate {
    #[command(flatten)]
    pub prompt: PromptArg,
    #[command(flatten)]
    pub model: ModelArg,
    #[command(flatten)]
    pub sampler: SamplerArg,
    /// The strategy: sample, greedy, lookahead(K), map(LEN), beam(WIDTH), stochastic_beam(K), best_of(N), mbr(N)
    ///
    /// lookahead(K): the first token of the most probable block of K, again and again. map(LEN): the most probable text of
    /// LEN tokens. Both take `budget=N` model calls and say so if that proves nothing. beam(WIDTH, length_penalty=0,
    /// rerank=none|entropy|penalised, weight=1, final=best|sample). stochastic_beam(K): K texts without replacement.
    /// best_of(N, by=logprob|entropy|self_certainty) and mbr(N, loss=exact|hamming|ngram:N|bleu|rouge_l): one of N texts
    /// that the sampler draws. Searches go by the model's own probabilities, to which of the sampler's stages only biases
    /// and penalties are added.
    #[arg(long, value_name = "STRATEGY", default_value_t = DecodeSpec::Sample)]
    pub decode: DecodeSpec,
    /// The seed of the draws (default: a random one, which is reported)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How many samples to make; sample i, from 0, draws by seed + i
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub num: u64,
    /// How many tokens to generate at most; the model's context may end the text before
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_tokens: usize,
    /// End the text before this string; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub stop: Vec<String>,
    /// Put the prompt as the user's message into the model's chat template (default: if it has one)
    #[arg(long)]
    pub chat: bool,
    /// No chat template; BOS as the tokenizer itself says
    #[arg(long, conflicts_with = "chat")]
    pub raw: bool,
    /// Go on after an end token as after any other
    #[arg(long)]
    pub ignore_eos: bool,
    /// Print the ids of the generated tokens instead of text (--json has both)
    #[arg(long)]
    pub ids: bool,
    /// One JSON object a sample: text (without the prompt), ids, prompt_ids, finish (length|stop|eos), seed, sampler; with a
    /// strategy also decode, proven, cost and candidates
    #[arg(long)]
    pub json: bool,
    /// Colour every token by what it shows; ends with a legend and a sparkline
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["ids", "json"])]
    pub show: Option<Show>,
    /// Write a trace of every step to a file, for `decant trace`
    #[arg(long, value_name = "FILE.jsonl")]
    pub trace: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Show {
    /// The entropy of the model's row at the step, in nats
    Entropy,
}

#[derive(Debug, Subcommand)]
pub enum Trace {
    /// Show the text again, every token coloured by its entropy
    #[command(after_help = examples::TRACE_SHOW)]
    Show {
        /// What `generate --trace` wrote
        file: PathBuf,
    },
    /// Replay every step and compare tokens and numbers bit for bit; exit code 1 at a difference
    #[command(after_help = examples::TRACE_CHECK)]
    Check {
        /// What `generate --trace` wrote
        file: PathBuf,
        /// The model, if it is no longer where it was
        #[arg(long, short, value_name = "MODEL")]
        model: Option<ModelSource>,
    },
    /// Write one self-contained page: the text as a heat map, plots of entropy, temperature and kept tokens
    #[command(after_help = examples::TRACE_HTML)]
    Html {
        /// What `generate --trace` wrote
        file: PathBuf,
        /// Where the page goes (default: beside the trace, with .html)
        #[arg(long, short, value_name = "FILE.html")]
        output: Option<PathBuf>,
    },
}

/// Run the sampler on rows of logits that somebody dumped
///
/// Row i is drawn at position i of the seed's stream 0. Entropies in nats; kept_mass is the share of the probability
/// that the truncations left, kept_entropy the entropy of the distribution drawn from.
#[derive(Args, Debug)]
#[command(after_help = examples::PICK)]
pub struct Pick {
    /// f32, shape `[V]` or `[N, V]`, row after row
    #[arg(long, value_name = "FILE.npy")]
    pub logits: PathBuf,
    #[command(flatten)]
    pub sampler: SamplerArg,
    /// The text so far, for stages that look back: token ids, the same for every row, or a file with a line of ids for
    /// each row (or one line for all)
    #[arg(long, value_name = "IDS|FILE", default_value = "", hide_default_value = true)]
    pub history: IdsOrFile,
    /// How many tokens of the history are the prompt
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub prompt_len: usize,
    /// The seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// One JSON object a row
    #[arg(long)]
    pub json: bool,
    /// Also the ids of the tokens that the draw was among, ascending
    #[arg(long)]
    pub kept_ids: bool,
}

/// Write the model's rows after every token of a prompt, as f32 in an NPY file
#[derive(Args, Debug)]
#[command(after_help = examples::LOGITS)]
pub struct Logits {
    #[command(flatten)]
    pub prompt: PromptArg,
    #[command(flatten)]
    pub model: ModelArg,
    /// Feed these tokens, and nothing before them, instead of a prompt
    #[arg(long, value_name = "1,5,9", conflicts_with = "prompt")]
    pub ids: Option<IdList>,
    /// Where the rows go
    #[arg(long, short, value_name = "FILE.npy")]
    pub output: PathBuf,
}

/// Print the tokens of a text, with what the tokenizer itself puts before and after
#[derive(Args, Debug)]
#[command(after_help = examples::TOKENIZE)]
pub struct Tokenize {
    /// The text; `-` or nothing reads stdin (without its last newline)
    pub text: Option<String>,
    #[command(flatten)]
    pub model: ModelArg,
    /// One JSON object: ids, tokens
    #[arg(long)]
    pub json: bool,
}

/// Print the text of tokens
#[derive(Args, Debug)]
#[command(after_help = examples::DETOKENIZE)]
pub struct Detokenize {
    /// The ids, separated by commas or spaces
    #[arg(required = true, value_name = "IDS")]
    pub ids: Vec<IdList>,
    #[command(flatten)]
    pub model: ModelArg,
    /// One JSON object: text
    #[arg(long)]
    pub json: bool,
}

/// List the stages that a sampler can be made of
#[derive(Args, Debug)]
#[command(after_help = examples::SAMPLERS)]
pub struct Samplers {
    /// The JSON Schema of a spec
    #[arg(long)]
    pub json: bool,
}

/// Token ids, separated by commas or spaces.
#[derive(Clone, Debug)]
pub struct IdList(pub Vec<TokenId>);

impl FromStr for IdList {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let ids = list.split([',', ' ']).filter(|id| !id.is_empty());
        let id = |id: &str| id.parse().map_err(|_| format!("`{id}` is no token id (0 to {})", TokenId::MAX));
        ids.map(id).collect::<Result<_, _>>().map(IdList)
    }
}

/// Token ids, or the name of a file of them.
#[derive(Clone, Debug)]
pub enum IdsOrFile {
    Ids(IdList),
    File(PathBuf),
}

impl FromStr for IdsOrFile {
    type Err = Infallible;

    fn from_str(given: &str) -> Result<Self, Infallible> {
        Ok(given.parse().map_or_else(|_| IdsOrFile::File(given.into()), IdsOrFile::Ids))
    }
}

/// The examples that the help shows; a test runs every one of them.
pub mod examples {
    pub const TOP: &str = "\
Examples:
  decant generate \"Once upon a time\"
  decant generate \"Once upon a time\" --show entropy --sampler temp=0.8,top_h=0.4
  decant samplers
  decant doctor

Exit codes: 0; 2 for a wrong command line or sampler; 1 for any other failure.";

    pub const GENERATE: &str = "\
Examples:
  decant generate \"Once upon a time\" --seed 7
  decant generate \"Once upon a time\" --sampler \"temp=by_entropy(0.5..4.0->0.3..1.5),min_p=0.05\"
  decant generate \"The old bear\" -n 4 --seed 1 --max-tokens 40 --json
  echo \"One day, a girl\" | decant generate --stop \".\" --show entropy
  decant generate \"Once upon a time\" --decode \"lookahead(3)\" --max-tokens 20
  decant generate \"The cat\" --decode \"mbr(8, loss=rouge_l)\" --seed 1 --max-tokens 30 --json
  decant generate \"Once upon a time\" --seed 7 --trace story.jsonl";

    pub const TRACE_SHOW: &str = "\
Example:
  decant trace show story.jsonl";

    pub const TRACE_CHECK: &str = "\
Example:
  decant trace check story.jsonl";

    pub const TRACE_HTML: &str = "\
Example:
  decant trace html story.jsonl -o story.html";

    pub const LOGITS: &str = "\
Examples:
  decant logits \"Once upon a time\" -o rows.npy
  decant logits --ids 1,5,9 -o rows.npy";

    pub const PICK: &str = "\
Examples:
  decant pick --logits rows.npy
  decant pick --logits rows.npy --sampler temp=1.5,top_h=0.4:rule=hf --seed 3 --json --kept-ids
  decant pick --logits rows.npy --sampler dry=0.8:allowed=1 --history 5,9,5,9,5";

    pub const TOKENIZE: &str = "\
Examples:
  decant tokenize \"Once upon a time\"
  decant tokenize \"Once upon a time\" --json";

    pub const DETOKENIZE: &str = "\
Examples:
  decant detokenize 260,261,262
  decant detokenize 260 261 262 --json";

    pub const SAMPLERS: &str = "\
Examples:
  decant samplers
  decant samplers --json";

    pub const COMPLETIONS: &str = "\
Example:
  decant completions bash";
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
