//! `decant lab ecmm`: entropy-constrained mass maximisation, exactly.

use super::read;
use crate::args::ModelArg;
use crate::model::Model;
use crate::prompts::PromptsArg;
use crate::session::{Session, Usage};
use anyhow::{Context, Result, bail};
use clap::Args;
use decant_decode::{LanguageModel, Limits};
use decant_lab::ecmm::{Budget, Report, Row, instances, picture};
use decant_lab::rows::rows_met;
use decant_sampling::{Logits, Seed};
use rayon::prelude::*;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  echo '[{\"p\":[0.5,0.2,0.12,0.08,0.06,0.03,0.01],\"alpha\":0.4}]' | decant lab ecmm --file -
  echo '[{\"p\":[0.25,0.25,0.25,0.25],\"alpha\":0.5}]' | decant lab ecmm --file - --json
  echo \"Once upon a time\" | decant lab ecmm --prompts - --tokens 16 --svg ecmm.svg
  echo \"Once upon a time\" | decant lab ecmm --prompts - --tokens 8 --top 0 --gap 1e-4";

/// Find the tokens of most probability whose entropy stays within alpha times the whole, exactly
///
/// That is the problem which Top-H answers greedily. Beside the optimum stand the greedy prefix, skip-greedy (which goes on
/// scanning after a token that does not fit), and the bound: no set that meets the constraint has more mass. It is the
/// optimum itself once the search has proved that, else `bound` less `optimum` is the gap. Masses are shares of the row's
/// probability, entropies nats.
///
/// Either for instances in a file, or for rows of a model: those which plain sampling meets on its way from each prompt.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Ecmm {
    /// Instances: `[{"p":[..],"alpha":0.4}, ..]`, p in token order; `-` reads stdin
    #[arg(long, value_name = "FILE.json", required_unless_present = "prompts", conflicts_with_all = ["prompts", "svg"])]
    file: Option<PathBuf>,
    /// The model's rows instead: those which plain sampling meets on its way from each prompt
    #[command(flatten)]
    prompts: PromptsArg,
    #[command(flatten)]
    model: ModelArg,
    /// How many tokens to sample from each prompt, a row for each; prompt i, from 0, draws by seed i
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    tokens: u64,
    /// The share of a model row's entropy that a set may have
    #[arg(long, value_name = "ALPHA", default_value_t = 0.4)]
    alpha: f64,
    /// Only the most probable tokens of a model's row, renormalised; 0 for all of them
    #[arg(long, value_name = "N", default_value_t = 15)]
    top: usize,
    /// Stop a search as soon as its gap is proved to be no larger; 0 for the optimum
    #[arg(long, value_name = "MASS", default_value_t = 0.0)]
    gap: f64,
    /// Give up after so many nodes, with the gap that is left
    #[arg(long, value_name = "N", default_value_t = Budget::default().nodes)]
    nodes: usize,
    /// Also list all subsets of each row, of at most 22 tokens, and fail if any is better than what was proved the optimum
    #[arg(long)]
    brute: bool,
    /// One JSON array, an object for each instance: optimum, set (token ids), greedy, skip, bound, proved, gap,
    /// prefix_bound (before the search), nodes, entropy, jsd (by definition), jsd_of_mass (closed form), time_ms,
    /// brute (with --brute)
    #[arg(long)]
    json: bool,
    /// A picture of greedy and skip-greedy as shares of the optimum, over the model's rows
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

/// One instance, solved.
#[derive(Serialize)]
struct Solved {
    #[serde(flatten)]
    report: Report,
    time_ms: f64,
    /// The optimum by brute force.
    #[serde(skip_serializing_if = "Option::is_none")]
    brute: Option<f64>,
}

impl Solved {
    fn new(row: &Row, budget: Budget) -> Self {
        let start = Instant::now();
        let report = row.report(budget);
        Solved { report, time_ms: start.elapsed().as_secs_f64() * 1e3, brute: None }
    }
}

pub fn run(args: &Ecmm, session: &Session) -> Result<()> {
    if args.gap.is_nan() || args.gap < 0.0 {
        return Err(Usage(format!("--gap: {} is no mass from 0 on", args.gap)).into());
    }
    let rows = match &args.file {
        Some(file) => instances(&read(file)?).map_err(|error| Usage(format!("{}: {error}", file.display())))?,
        None => model_rows(args, session)?,
    };
    let mut solved = solve(&rows, Budget { nodes: args.nodes, gap: args.gap }, session)?;
    if args.brute {
        check(&rows, &mut solved)?;
    }
    if let Some(path) = &args.svg {
        let reports: Vec<Report> = solved.iter().map(|solved| solved.report.clone()).collect();
        let title =
            format!("ECMM at alpha {}: what greedy leaves, {} rows of {}", args.alpha, rows.len(), args.model.model);
        std::fs::write(path, picture(&title, &reports).svg())
            .with_context(|| format!("cannot write {}", path.display()))?;
        session.note(format!("wrote {}", path.display()));
    }
    let mut out = io::stdout().lock();
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&solved)?)?);
    }
    if args.file.is_some() {
        write_table(&mut out, &rows, &solved, session)?;
    } else {
        write_summary(&mut out, &solved, session)?;
    }
    Ok(())
}

/// Instances share out over the threads of the session; their order stays.
fn solve(rows: &[Row], budget: Budget, session: &Session) -> Result<Vec<Solved>> {
    let bar = session.bar("instances", rows.len() as u64, false);
    let one = |row: &Row| {
        let solved = Solved::new(row, budget);
        bar.inc(1);
        solved
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(session.threads.get()).build()?;
    let solved = pool.install(|| rows.par_iter().map(one).collect());
    bar.finish_and_clear();
    Ok(solved)
}

/// Holds every answer to brute force.
fn check(rows: &[Row], solved: &mut [Solved]) -> Result<()> {
    for (entry, (row, solved)) in rows.iter().zip(solved).enumerate() {
        let oracle = row.brute_force().map_err(|error| Usage(format!("--brute: entry {entry}: {error}")))?;
        let Report { optimum, proved, .. } = solved.report;
        if proved && (oracle.mass - optimum).abs() > AGREE {
            bail!("entry {entry}: brute force finds mass {}, the search has proved {optimum}", oracle.mass);
        }
        solved.brute = Some(oracle.mass);
    }
    Ok(())
}

/// How near two ways to the optimum must come.
const AGREE: f64 = 1e-9;

/// The rows that plain sampling meets on its way from each prompt.
fn model_rows(args: &Ecmm, session: &Session) -> Result<Vec<Row>> {
    if !(0.0..=1.0).contains(&args.alpha) {
        return Err(Usage(format!("--alpha: {} is outside 0..=1", args.alpha)).into());
    }
    let model = Model::load(&args.model, session)?;
    let prompts = args.prompts.read(&model)?;
    let ends = model.tokenizer().ends().to_vec();
    let limits = Limits { max_tokens: args.tokens as usize, ends, ignore_eos: false };
    let bar = session.bar("prompts", prompts.len() as u64, false);
    let mut rows = Vec::new();
    for (number, prompt) in prompts.iter().enumerate() {
        rows_met(model.engine(), prompt, limits.clone(), (Seed(number as u64), 0), |row| {
            // The decoder has drawn from the row, so it is one.
            rows.extend(Logits::new(row).ok().and_then(|row| Row::of_logits(&row, args.top, args.alpha).ok()));
        })
        .with_context(|| format!("prompt {}", number + 1))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let width = if args.top == 0 { model.engine().vocab() } else { args.top };
    session.note(format!(
        "{} rows of {} prompts, {width} tokens each, alpha {}",
        rows.len(),
        prompts.len(),
        args.alpha
    ));
    Ok(rows)
}

/// A line for each instance.
fn write_table(out: &mut impl Write, rows: &[Row], solved: &[Solved], session: &Session) -> Result<()> {
    let dim = session.paint.dim();
    writeln!(
        out,
        "{dim}entry  tokens     H(p)    greedy      skip   optimum     bound       gap     nodes        ms  set{dim:#}"
    )?;
    for (entry, (row, Solved { report, time_ms, .. })) in rows.iter().zip(solved).enumerate() {
        let Report { entropy, greedy, skip, optimum, bound, gap, nodes, .. } = report;
        let set: Vec<String> = report.set.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if report.set.len() > SHOWN { ",.." } else { "" };
        writeln!(
            out,
            "{entry:5}  {:6}  {entropy:7.4}  {greedy:8.6}  {skip:8.6}  {optimum:8.6}  {bound:8.6}  {gap:8.1e}  {nodes:8}  \
             {time_ms:8.3}  {}{more}",
            row.len(),
            set.join(",")
        )?;
    }
    let proved = solved.iter().filter(|solved| solved.report.proved).count();
    Ok(writeln!(out, "{dim}proved {proved} of {}{dim:#}", solved.len())?)
}

/// How many tokens of a set the table shows.
const SHOWN: usize = 12;

/// How the numbers of all instances are spread.
fn write_summary(out: &mut impl Write, solved: &[Solved], session: &Session) -> Result<()> {
    let dim = session.paint.dim();
    writeln!(
        out,
        "{dim}                      mean       min        1%       10%       50%       90%       99%       max{dim:#}"
    )?;
    if solved.is_empty() {
        return Ok(writeln!(out, "{dim}rows 0{dim:#}")?);
    }
    let mut line = |name: &str, of: fn(&Solved) -> f64| -> io::Result<()> {
        let mut values: Vec<f64> = solved.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        let columns = [mean, at(0.0), at(0.01), at(0.1), at(0.5), at(0.9), at(0.99), at(1.0)];
        writeln!(out, "{name:<16}{}", columns.map(number).concat())
    };
    line("greedy/optimum", |solved| solved.report.greedy / solved.report.optimum)?;
    line("skip/optimum", |solved| solved.report.skip / solved.report.optimum)?;
    line("optimum/bound", |solved| solved.report.optimum / solved.report.prefix_bound)?;
    line("gap", |solved| solved.report.gap)?;
    line("nodes", |solved| solved.report.nodes as f64)?;
    line("ms", |solved| solved.time_ms)?;
    let proved = solved.iter().filter(|solved| solved.report.proved).count();
    Ok(writeln!(out, "{dim}rows {}, proved {proved}{dim:#}", solved.len())?)
}

/// A number in ten columns.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => format!("{value:10}"),
        small if small < 1e-3 => format!("{value:10.1e}"),
        large if large >= 1e3 => format!("{value:10.0}"),
        _ => format!("{value:10.5}"),
    }
}
