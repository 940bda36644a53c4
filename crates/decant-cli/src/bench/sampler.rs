//! `decant bench sampler`: samplers against the floor.

use super::args::{BenchSampler, Observe, Rows};
use super::measure::{Measured, Task, measure};
use super::{round, rows};
use crate::session::{Session, Usage};
use anyhow::Result;
use decant_sampling::yardstick::{Regime, SAMPLERS};
use decant_sampling::{Sampler, SamplerSpec, SpecError};
use indicatif::ProgressBar;
use serde::Serialize;
use std::io::{self, Write};

/// One line of `bench sampler --json`.
#[derive(Serialize)]
struct Line<'a> {
    vocab: usize,
    regime: String,
    sampler: &'a SamplerSpec,
    observe: Observe,
    batch: usize,
    threads: usize,
    floor_us: f64,
    us: f64,
    ratio: f64,
    kept: u64,
    allocations: u64,
    rows: &'a str,
}

pub fn run(args: &BenchSampler, session: &Session) -> Result<()> {
    let cases = cases(args)?;
    let regimes = args.regime.map_or(Regime::ALL.to_vec(), |regime| vec![regime]);
    let bar = session.bar("measuring", (args.vocab.len() * regimes.len() * cases.len()) as u64, false);
    for vocab in &args.vocab {
        for regime in &regimes {
            Table { args, session, vocab: vocab.get(), regime: *regime }.print(&cases, &bar)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

type Case = (SamplerSpec, Observe);

/// What was asked for, or the table.
fn cases(args: &BenchSampler) -> Result<Vec<Case>, SpecError> {
    if !args.sampler.is_empty() {
        let observe = args.observe.unwrap_or(Observe::Entropy);
        return Ok(args.sampler.iter().map(|spec| (spec.clone(), observe)).collect());
    }
    let observe = |observed| if observed { Observe::Entropy } else { Observe::Nothing };
    let watched = SAMPLERS.iter().map(|(spec, observed)| (spec, observe(*observed)));
    let wanted = watched.filter(|(_, observe)| args.observe.is_none_or(|wanted| wanted == *observe));
    wanted.map(|(spec, observe)| Ok((spec.parse()?, observe))).collect()
}

/// Measurements on rows of one size and regime.
struct Table<'a> {
    args: &'a BenchSampler,
    session: &'a Session,
    vocab: usize,
    regime: Regime,
}

impl Table<'_> {
    fn print(&self, cases: &[Case], bar: &ProgressBar) -> Result<()> {
        let (batch, wanted) = (self.args.batch.get(), self.args.rows);
        let few = rows::different_rows(self.regime, self.vocab, batch).ok_or_else(|| self.too_small())?;
        let mut sources = Vec::new();
        if wanted != Some(Rows::Memory) {
            sources.push(("warm", rows::copies(&few, self.vocab * batch, 0)));
        }
        if matches!(wanted, Some(Rows::Memory | Rows::Both)) || wanted.is_none() && !self.args.json {
            sources.push(("memory", rows::copies(&few, self.vocab * batch, rows::beyond_the_caches())));
        }
        if !self.args.json {
            bar.suspend(|| self.print_headings(&sources))?;
        }
        for (spec, observe) in cases {
            let sampler = Sampler::new(spec, self.vocab)?.with_isa(self.session.isa);
            let mut columns = Vec::new();
            for (name, rows) in &sources {
                let task = Task { sampler: &sampler, observe: *observe, rows, batch, threads: self.threads(*observe) };
                columns.push((*name, measure(task, self.args.runs)?));
            }
            bar.suspend(|| match self.args.json {
                true => self.print_json(spec, *observe, &columns),
                false => self.print_line(spec, *observe, &columns),
            })?;
            bar.inc(1);
        }
        Ok(())
    }

    fn too_small(&self) -> Usage {
        let (regime, nats, vocab) = (self.regime, self.regime.entropy(), self.vocab);
        Usage(format!(
            "--vocab {vocab} is too small for --regime {regime}: an entropy of {nats} nats needs {:.0} tokens",
            nats.exp().ceil()
        ))
    }

    /// How many threads share a batch: no more than it has rows, and one where no step is asked for.
    fn threads(&self, observe: Observe) -> usize {
        match observe {
            Observe::Entropy => self.args.batch.min(self.session.threads).get(),
            Observe::Nothing => 1,
        }
    }

    fn print_json(&self, sampler: &SamplerSpec, observe: Observe, columns: &[(&str, Measured)]) -> Result<()> {
        for (rows, measured) in columns {
            let Measured { floor_us, us, kept, allocations } = *measured;
            let line = Line {
                vocab: self.vocab,
                regime: self.regime.to_string(),
                sampler,
                observe,
                batch: self.args.batch.get(),
                threads: self.threads(observe),
                floor_us: round(floor_us, 3),
                us: round(us, 3),
                ratio: round(measured.ratio(), 4),
                kept,
                allocations,
                rows,
            };
            writeln!(io::stdout(), "{}", serde_json::to_string(&line)?)?;
        }
        Ok(())
    }

    fn print_headings(&self, sources: &[(&str, Vec<f32>)]) -> Result<()> {
        let mut out = io::stdout().lock();
        let (regime, nats, dim) = (self.regime, self.regime.entropy(), self.session.paint.dim());
        write!(out, "\n{regime} rows: H = {nats} nats, vocabulary {}", self.vocab)?;
        writeln!(out, ", batch {}, {}", self.args.batch, self.session.isa.name())?;
        write!(out, "{dim}{:<52}", "")?;
        for (name, rows) in sources {
            let (batches, mib) = (rows.len() / self.vocab, size_of_val(&rows[..]) as f64 / f64::from(1 << 20));
            write!(out, "{:<36}", format!("{name}: {batches} rows, {mib:.1} MiB"))?;
        }
        write!(out, "{dim:#}\n{dim}{:<41} {:<10}", "sampler", "observes")?;
        for _ in sources {
            write!(out, "{:>8} {:>9} {:>6} {:>8}  ", "floor us", "us", "ratio", "ns/token")?;
        }
        writeln!(out, "{:>7} {:>6}{dim:#}", "kept", "allocs")?;
        Ok(())
    }

    fn print_line(&self, sampler: &SamplerSpec, observe: Observe, columns: &[(&str, Measured)]) -> Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "{:<41} {observe:<10}", sampler.to_string())?;
        for (_, measured) in columns {
            let Measured { floor_us, us, .. } = measured;
            let nanoseconds = us * 1e3 / (self.vocab * self.args.batch.get()) as f64;
            write!(out, "{floor_us:>8.1} {us:>9.1} {:>6.2} {nanoseconds:>8.3}  ", measured.ratio())?;
        }
        let kept = columns.last().map_or(0, |(_, measured)| measured.kept);
        let allocations = columns.iter().map(|(_, measured)| measured.allocations).max().unwrap_or(0);
        writeln!(out, "{kept:>7} {allocations:>6}")?;
        Ok(())
    }
}
