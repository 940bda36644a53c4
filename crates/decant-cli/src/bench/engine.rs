//! `decant bench engine`: the engine against the machine.

use super::args::BenchEngine;
use super::file::ModelFile;
use super::machine::{self, Machine};
use super::steps::{STEPS, prefills, steps};
use super::{median, round};
use crate::memory;
use crate::model::Model;
use crate::session::{Session, Usage};
use anyhow::{Result, anyhow};
use decant_decode::LanguageModel;
use decant_models::native::NativeModel;
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

pub fn run(args: &BenchEngine, session: &Session) -> Result<()> {
    let budget = Duration::try_from_secs_f64(args.seconds)
        .map_err(|_| Usage(format!("--seconds is {}; it must be a number from 0 on", args.seconds)))?;
    let threads = match &args.threads[..] {
        [] if session.threads == NonZeroUsize::MIN => vec![session.threads],
        [] => vec![NonZeroUsize::MIN, session.threads],
        threads => threads.to_vec(),
    };
    let bar = session.bar("measuring", (threads.len() * (args.batch.len() + 1) + 1) as u64, false);
    let machines = machine::measure(session.isa, &threads);
    memory::forget_peak();
    let file = ModelFile::of(&args.model)?;
    bar.inc(1);
    for (number, machine) in machines.into_iter().enumerate() {
        let model = Model::load_on(&file.source, args.model.storage, session, machine.threads)?;
        let table = Table { args, session, name: file.name(&model), machine, work: Work::of(model.engine()) };
        if number == 0 && !args.json {
            bar.suspend(|| table.print_title(&model))?;
        }
        if !args.json {
            bar.suspend(|| table.print_headings())?;
        }
        for batch in &args.batch {
            let times = steps(model.engine(), batch.get(), args.context, budget)?;
            bar.suspend(|| table.print(Task::Batch(batch.get()), times))?;
            bar.inc(1);
        }
        let prompt = args.prefill.min(model.engine().context());
        if prompt > 0 {
            let times = prefills(model.engine(), prompt, budget)?;
            bar.suspend(|| table.print(Task::Prefill(prompt), times))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match memory::peak().filter(|_| !args.json) {
        Some(peak) => Ok(writeln!(io::stdout(), "\npeak memory {:.1} MB", peak as f64 / 1e6)?),
        None => Ok(()),
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Task {
    /// A step of so many sequences.
    Batch(usize),
    /// A prompt of so many tokens.
    Prefill(usize),
}

/// What a step must do at least.
struct Work {
    /// Bytes of the weights that it reads.
    bytes: f64,
    /// Weights that a token is multiplied with, those of the output left out.
    inner: f64,
    /// Weights of the output.
    output: f64,
}

impl Work {
    fn of(model: &NativeModel) -> Self {
        let weights: Vec<f64> =
            model.matrices().map(|matrix| matrix.shape()).map(|s| (s.rows * s.cols) as f64).collect();
        let output = weights.last().copied().unwrap_or_default();
        let bytes: usize = model.matrices().map(|matrix| matrix.bytes().len()).sum();
        Work { bytes: bytes as f64, inner: weights.iter().sum::<f64>() - output, output }
    }

    /// Operations on weights, two a multiply-add. Of a prompt one row of logits is wanted.
    fn operations(&self, task: Task) -> f64 {
        2.0 * match task {
            Task::Batch(sequences) => (self.inner + self.output) * sequences as f64,
            Task::Prefill(tokens) => self.inner * tokens as f64 + self.output,
        }
    }
}

/// Measurements with one number of threads.
struct Table<'a> {
    args: &'a BenchEngine,
    session: &'a Session,
    name: String,
    machine: Machine,
    work: Work,
}

/// One line of `bench engine --json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    isa: String,
    kv: String,
    threads: NonZeroUsize,
    context: usize,
    #[serde(flatten)]
    task: Task,
    runs: usize,
    ms: f64,
    best_ms: f64,
    tokens_per_s: f64,
    weights_gb_per_s: f64,
    of_read: f64,
    gflop_per_s: f64,
    of_floats: f64,
    of_bytes: f64,
    read_gb_per_s: f64,
    floats_gop_per_s: f64,
    bytes_gop_per_s: f64,
    peak_mb: Option<f64>,
}

impl Table<'_> {
    fn line(&self, task: Task, times: Vec<Duration>) -> Result<Line<'_>> {
        let best = times.iter().min().copied().ok_or_else(|| anyhow!("nothing was measured"))?;
        let runs = times.len();
        let seconds = median(times).unwrap_or(best).as_secs_f64();
        let (Task::Batch(tokens) | Task::Prefill(tokens)) = task;
        let (read, rate) = (self.work.bytes / seconds / 1e9, self.work.operations(task) / seconds / 1e9);
        Ok(Line {
            model: &self.name,
            isa: self.session.isa.name().to_string(),
            kv: self.args.model.storage.kv.to_string(),
            threads: self.machine.threads,
            context: self.args.context,
            task,
            runs,
            ms: round(seconds * 1e3, 4),
            best_ms: round(best.as_secs_f64() * 1e3, 4),
            tokens_per_s: round(tokens as f64 / seconds, 2),
            weights_gb_per_s: round(read, 3),
            of_read: round(read / self.machine.read, 4),
            gflop_per_s: round(rate, 3),
            of_floats: round(rate / self.machine.floats, 4),
            of_bytes: round(rate / self.machine.bytes, 4),
            read_gb_per_s: round(self.machine.read, 3),
            floats_gop_per_s: round(self.machine.floats, 3),
            bytes_gop_per_s: round(self.machine.bytes, 3),
            peak_mb: memory::peak().map(|peak| round(peak as f64 / 1e6, 3)),
        })
    }

    fn print(&self, task: Task, times: Vec<Duration>) -> Result<()> {
        let line = self.line(task, times)?;
        let mut out = io::stdout().lock();
        if self.args.json {
            return Ok(writeln!(out, "{}", serde_json::to_string(&line)?)?);
        }
        let what = match task {
            Task::Batch(sequences) => format!("batch {sequences}"),
            Task::Prefill(tokens) => format!("prefill {tokens}"),
        };
        let Line { ms, best_ms, tokens_per_s, weights_gb_per_s, of_read, gflop_per_s, of_floats, of_bytes, .. } = line;
        write!(out, "{what:<14}{ms:>11.3} {best_ms:>10.3} {tokens_per_s:>10.1}  ")?;
        match task {
            Task::Batch(_) => write!(out, "{weights_gb_per_s:>8.2} {of_read:>8.2}")?,
            Task::Prefill(_) => write!(out, "{:>17}", "")?,
        }
        Ok(writeln!(out, "  {gflop_per_s:>8.1} {of_floats:>7.2} {of_bytes:>8.2}")?)
    }

    fn print_title(&self, model: &Model) -> Result<()> {
        let (info, context) = (model.info(), self.args.context);
        let (isa, kv, megabytes) = (self.session.isa.name(), self.args.model.storage.kv, info.file_len as f64 / 1e6);
        let mut out = io::stdout().lock();
        writeln!(out, "{}: {} {}, {megabytes:.1} MB; {isa}", self.name, info.architecture, info.format)?;
        writeln!(out, "steps after {context} to {} tokens, keys and values in {kv}", context + STEPS - 1)?;
        Ok(())
    }

    fn print_headings(&self) -> Result<()> {
        let (dim, Machine { threads, read, floats, bytes }) = (self.session.paint.dim(), self.machine);
        let mut out = io::stdout().lock();
        write!(out, "\n{threads} thread{}: memory reads {read:.1} GB/s, ", if threads.get() == 1 { "" } else { "s" })?;
        writeln!(out, "multiply-adds {floats:.0} GFLOP/s in f32, {bytes:.0} Gop/s in bytes")?;
        write!(out, "{dim}{:<14}{:>11} {:>10} {:>10}  ", "", "ms", "best", "tokens/s")?;
        writeln!(out, "{:>8} {:>8}  {:>8} {:>7} {:>8}{dim:#}", "GB/s", "of read", "GFLOP/s", "of f32", "of bytes")?;
        Ok(())
    }
}
