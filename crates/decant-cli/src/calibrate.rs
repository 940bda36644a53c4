//! `decant calibrate`: the model's own entropies, and a profile made from them.

use crate::args::ModelArg;
use crate::lab::study::{load, material, perform, usage};
use crate::profile;
use crate::prompts::PromptsArg;
use crate::session::{Session, Usage};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use decant_decode::{LanguageModel, ModelId, Trace, Traces};
use decant_lab::calibrate::{CalibrateError, Entropies, Measure, Plan, Quantile, Report, Summary, Thresholds};
use decant_lab::calibrate::{four_digits, picture};
use decant_lab::study::{Task, discard, table};
use decant_models::native::NativeModel;
use decant_sampling::{SamplerSpec, Seed};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  echo \"Once upon a time\" | decant calibrate --prompts - -n 8 -o stories.toml --svg stories.svg
  decant generate \"Once upon a time\" --profile stories.toml --trace story.jsonl
  decant calibrate --traces story.jsonl --low 10 --high 90 --then min_p=0.05 -o story.toml";

/// Measure how uncertain a model is, and write a profile whose temperature follows it
///
/// Texts are generated from every prompt, and the entropy of every row of the model is kept (in nats, at T = 1, before any
/// stage). The profile's temperature rises between two percentiles of them, for `decant generate --profile`. An
/// interrupted run goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Calibrate {
    #[command(flatten)]
    pub model: ModelArg,
    #[command(flatten)]
    pub prompts: PromptsArg,
    /// Take the entropies from what `generate --trace` wrote, instead of generating
    #[arg(long, value_name = "FILE.jsonl", num_args = 1.., conflicts_with_all = ["prompts", "model", "work", "force"])]
    pub traces: Vec<PathBuf>,
    /// How many tokens to generate in a text at most; an end token ends it before
    #[arg(long, value_name = "N", default_value_t = Plan::default().tokens)]
    pub tokens: usize,
    /// How many texts to generate from each prompt
    #[arg(long, short, value_name = "N", default_value_t = Plan::default().texts)]
    pub num: usize,
    /// How the texts are drawn
    #[arg(long, value_name = "SPEC", default_value_t = Plan::default().sampler)]
    pub sampler: SamplerSpec,
    /// The seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The percentile of the entropies up to which the model counts as sure
    #[arg(long, value_name = "PERCENT", default_value_t = 25.0)]
    pub low: f64,
    /// The percentile of the entropies from which on it counts as at a loss
    #[arg(long, value_name = "PERCENT", default_value_t = 75.0)]
    pub high: f64,
    /// The temperatures where the model is sure and where it is at a loss
    #[arg(long, value_name = "T..T", default_value = "0.5..1.3")]
    pub temps: Temperatures,
    /// The stages after the temperature; "" for none
    ///
    /// top_h needs no threshold of its own: it keeps a share of the entropy that the row has, after the temperature.
    #[arg(long, value_name = "SPEC", default_value = "top_h=0.4", value_parser = stages)]
    pub then: SamplerSpec,
    /// Where the profile goes
    #[arg(long, short, value_name = "PROFILE.toml")]
    pub output: PathBuf,
    /// Write a picture of what was measured
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Keep every entropy in this folder (default: one beside the profile, until that is written)
    #[arg(long, value_name = "FOLDER")]
    pub work: Option<PathBuf>,
    /// Start over: remove what an interrupted run has left
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object: the report, the thresholds and the sampler
    #[arg(long)]
    pub json: bool,
}

/// The ends of a temperature's rise.
#[derive(Clone, Copy, Debug)]
pub struct Temperatures([f64; 2]);

impl FromStr for Temperatures {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..").and_then(|(cold, hot)| Some([cold.parse().ok()?, hot.parse().ok()?]));
        ends.map(Temperatures).ok_or_else(|| format!("`{text}` is not two numbers such as 0.5..1.3"))
    }
}

fn stages(text: &str) -> Result<SamplerSpec, String> {
    match text {
        "" => Ok(SamplerSpec(Vec::new())),
        text => text.parse().map_err(|error: decant_sampling::SpecError| error.to_string()),
    }
}

pub fn run(args: &Calibrate, session: &Session) -> Result<()> {
    check(args)?;
    let measured = if args.traces.is_empty() { generate(args, session)? } else { recorded(&args.traces, session)? };
    let report = Report::new(&measured.entropies, measured.vocab)?;
    let thresholds = Thresholds::of(&measured.entropies, args.low, args.high);
    if let Some(path) = &args.svg {
        let svg = picture(&measured.entropies, thresholds.as_ref().ok()).svg();
        fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // What was measured is of use even if no profile comes of it.
    let sampler =
        thresholds.as_ref().ok().map(|thresholds| thresholds.sampler(args.temps.0, &args.then)).transpose()?;
    match args.json {
        true => {
            let json = Json {
                model: &measured.model,
                report: &report,
                thresholds: thresholds.as_ref().ok(),
                sampler: &sampler,
            };
            writeln!(io::stdout(), "{}", serde_json::to_string(&json)?)?;
        }
        false => print(&report, &measured)?,
    }
    let thresholds = thresholds?;
    let sampler = thresholds.sampler(args.temps.0, &args.then)?;
    profile::write(&args.output, &sampler, Facts::new(&measured, &report, &thresholds))?;
    if let Some(folder) = measured.work {
        discard(Measure::<NativeModel>::NAME, &folder)?;
        // Whatever else somebody has put there stays, and so does the folder.
        let _ = fs::remove_dir(folder);
    }
    session.note(format!("wrote {}: {sampler}", args.output.display()));
    Ok(())
}

/// What would make the profile impossible, before anything is measured.
fn check(args: &Calibrate) -> Result<()> {
    let told = |error: CalibrateError| Usage(error.to_string());
    Thresholds::check(args.low, args.high).map_err(told)?;
    let [low, high] = [0.0, 1.0].map(|entropy| Quantile { percent: 50.0, entropy });
    Thresholds { low, high }.sampler(args.temps.0, &args.then).map_err(told)?;
    Ok(())
}

/// Entropies, and where they come from.
struct Measured {
    entropies: Entropies,
    model: ModelId,
    /// The width of the model's rows, where it is known.
    vocab: Option<usize>,
    /// How the texts were drawn.
    samplers: Vec<String>,
    seed: Option<u64>,
    /// The folder to be removed when all is done.
    work: Option<PathBuf>,
}

fn generate(args: &Calibrate, session: &Session) -> Result<Measured> {
    let loaded = load(&args.model, session)?;
    let material = material(&loaded, &args.prompts)?;
    let (model, vocab) = (material.id.clone(), material.model.vocab());
    let plan = Plan { sampler: args.sampler.clone(), tokens: args.tokens, texts: args.num };
    let study = Measure::new(plan, material).map_err(usage)?;
    let task = Task { name: Measure::<NativeModel>::NAME, study: &study, seed: Seed(args.seed) };
    let beside = args.output.with_extension("entropies");
    let folder = args.work.as_ref().unwrap_or(&beside);
    if args.force {
        discard(task.name, folder)?;
    }
    perform(&task, folder, session)?;
    Ok(Measured {
        entropies: Entropies::of_table(&table(&task, folder)?),
        model,
        vocab: Some(vocab),
        samplers: vec![args.sampler.to_string()],
        seed: Some(args.seed),
        work: args.work.is_none().then_some(beside),
    })
}

/// The entropies of recorded runs of one model.
fn recorded(files: &[PathBuf], session: &Session) -> Result<Measured> {
    let mut all: Vec<Trace> = Vec::new();
    for file in files {
        all.extend(read_traces(file, session)?);
    }
    let model = match all.first() {
        Some(trace) => trace.header.model.clone(),
        None => bail!("the files hold no trace"),
    };
    if let Some(other) = all.iter().find(|trace| trace.header.model.hash != model.hash) {
        let (one, other) = (&model, &other.header.model);
        bail!("the traces are of different models: {} {} and {} {}", one.source, one.hash, other.source, other.hash);
    }
    let mut samplers: Vec<String> = all.iter().map(|trace| trace.header.sampler.to_string()).collect();
    samplers.sort_unstable();
    samplers.dedup();
    Ok(Measured { entropies: Entropies::of_traces(&all), model, vocab: None, samplers, seed: None, work: None })
}

/// The traces of a file as far as it can be read: what a cut-off run has left is of use.
fn read_traces(file: &Path, session: &Session) -> Result<Vec<Trace>> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
    let Traces { traces, error } = Traces::read(BufReader::new(opened));
    match error {
        Some(error) if traces.is_empty() => return Err(anyhow!(error).context(format!("cannot read {name}"))),
        Some(error) => session.warn(format!("{name} is read as far as it can be: {error}")),
        None => {}
    }
    Ok(traces)
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    model: &'a ModelId,
    #[serde(flatten)]
    report: &'a Report,
    /// Null if they are one and the same entropy.
    thresholds: Option<&'a Thresholds>,
    sampler: &'a Option<SamplerSpec>,
}

/// The table `measured` of a profile.
#[derive(Serialize)]
struct Facts<'a> {
    model: &'a str,
    hash: &'a str,
    drawn_by: &'a [String],
    seed: Option<u64>,
    texts: usize,
    steps: usize,
    low: [f64; 2],
    high: [f64; 2],
    median_of_first: f64,
    median_of_later: Option<f64>,
    largest: f64,
    cap: Option<f64>,
    percentiles: Vec<[f64; 2]>,
}

impl<'a> Facts<'a> {
    fn new(measured: &'a Measured, report: &Report, Thresholds { low, high }: &Thresholds) -> Self {
        let pair = |quantile: &Quantile| [quantile.percent, four_digits(quantile.entropy)];
        Facts {
            model: &measured.model.source,
            hash: &measured.model.hash,
            drawn_by: &measured.samplers,
            seed: measured.seed,
            texts: report.texts,
            steps: report.all.steps,
            low: pair(low),
            high: pair(high),
            median_of_first: four_digits(report.first.median),
            median_of_later: report.later.map(|later| four_digits(later.median)),
            largest: four_digits(report.largest),
            cap: report.cap.map(four_digits),
            percentiles: report.quantiles.iter().map(pair).collect(),
        }
    }
}

/// How wide the longest bar of the histogram is, in characters.
const BAR: usize = 48;

/// The report for people.
fn print(report: &Report, measured: &Measured) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Report { texts, all, first, later, histogram, .. } = report;
    let model = crate::heat::harmless(&measured.model.source);
    let samplers = measured.samplers.join(" and ");
    writeln!(out, "{model}, drawn by {samplers}; texts {texts}, steps {}\n", all.steps)?;
    let row = |name: &str, values: Vec<String>| {
        values.iter().fold(format!("{name:12}"), |line, value| format!("{line}{value:>8}"))
    };
    let each = |text: fn(&Quantile) -> String| report.quantiles.iter().map(text).collect::<Vec<_>>();
    writeln!(out, "{}", row("percentile", each(|quantile| format!("{}%", quantile.percent))))?;
    writeln!(out, "{}\n", row("nats", each(|quantile| format!("{:.3}", quantile.entropy))))?;
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    for (bin, &count) in histogram.counts.iter().enumerate() {
        let bar = "█".repeat((count * BAR).div_ceil(most));
        writeln!(out, "{:>6.2} {bar} {count}", bin as f64 * histogram.width)?;
    }
    let summary =
        |Summary { steps, mean, median }: &Summary| format!("median {median:.2}, mean {mean:.2} (steps {steps})");
    writeln!(out, "\nfirst token  {}", summary(first))?;
    if let Some(later) = later {
        writeln!(out, "later        {}", summary(later))?;
    }
    let share = |cap| format!(", {:.0}% of the cap ln V = {cap:.2}", 100.0 * report.largest / cap);
    writeln!(out, "largest      {:.2} nats{}", report.largest, report.cap.map(share).unwrap_or_default())
}
