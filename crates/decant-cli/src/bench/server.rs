//! `decant bench server`: the server against the engine without it.

use super::args::BenchServer;
use super::client::{self, Child};
use super::file::ModelFile;
use super::{median, round};
use crate::model::Model;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use decant_decode::{Decoder, LanguageModel, Limits};
use decant_sampling::{Seed, TokenId};
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

pub fn run(args: &BenchServer, session: &Session) -> Result<()> {
    let file = ModelFile::of(&args.model)?;
    let model = Model::load_on(&file.source, args.model.storage, session, session.threads)?;
    let (needed, room) = (args.prompt.get() + args.tokens.get(), model.engine().context());
    if needed > room {
        bail!("--prompt and --tokens make {needed} tokens; the model's context is {room}");
    }
    let child = Child::start(&file.source, args.model.storage, session)?;
    let bench = Bench { args, session, model: &model, child: &child };
    let rows = bench.measure()?;
    drop(child);
    let name = file.name(&model);
    let alone = rows.first().map_or(f64::NAN, |row| row.tokens_per_s());
    let lines = rows.iter().map(|row| row.line(&name, session.threads, alone)).collect::<Result<Vec<_>>>()?;
    print(&lines, args, session)
}

/// What was measured of so many streams; of none, without a server.
struct Row {
    streams: usize,
    rates: Vec<f64>,
    firsts: Vec<Duration>,
    samplers: Vec<f64>,
}

/// One line of `bench server --json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    threads: NonZeroUsize,
    streams: usize,
    tokens_per_s: f64,
    of: f64,
    first_token_ms: f64,
    samplers: Option<f64>,
}

impl Row {
    fn tokens_per_s(&self) -> f64 {
        median(self.rates.clone()).unwrap_or(f64::NAN)
    }

    fn line<'a>(&self, model: &'a str, threads: NonZeroUsize, alone: f64) -> Result<Line<'a>> {
        let first = median(self.firsts.clone()).ok_or_else(|| anyhow!("nothing was measured"))?;
        Ok(Line {
            model,
            threads,
            streams: self.streams,
            tokens_per_s: round(self.tokens_per_s(), 1),
            of: round(self.tokens_per_s() / alone, 3),
            first_token_ms: round(first.as_secs_f64() * 1e3, 3),
            samplers: median(self.samplers.clone()).map(|share| round(share, 4)),
        })
    }
}

/// The engine here, and the server there.
struct Bench<'a> {
    args: &'a BenchServer,
    session: &'a Session,
    model: &'a Model,
    child: &'a Child,
}

/// What a text took.
#[derive(Clone, Copy)]
pub struct Took {
    /// To the first token.
    pub first: Duration,
    /// To the last one.
    pub whole: Duration,
}

impl Bench<'_> {
    /// Rounds, in which every row has its turn.
    fn measure(&self) -> Result<Vec<Row>> {
        let row = |streams| Row { streams, rates: Vec::new(), firsts: Vec::new(), samplers: Vec::new() };
        let streams = self.args.streams.iter().map(|streams| streams.get());
        let mut rows: Vec<Row> = std::iter::once(0).chain(streams).map(row).collect();
        let rounds = self.args.rounds.get();
        let bar = self.session.bar("measuring", (rounds * rows.len()) as u64, false);
        for number in 0..rounds {
            for row in &mut rows {
                let seed = (number * 1000) as u64;
                match row.streams {
                    0 => row.take(self.alone(seed)?, self.args.tokens.get()),
                    streams => {
                        let before = self.child.times()?;
                        self.streams(streams, seed, row)?;
                        let after = self.child.times()?;
                        let (sampling, steps) = (after.sampling - before.sampling, after.steps - before.steps);
                        row.samplers.push(sampling / (sampling + steps));
                    }
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(rows)
    }

    /// A text of the engine alone.
    fn alone(&self, seed: u64) -> Result<Took> {
        let sampler = self.model.sampler(&self.args.sampler, self.session.isa)?;
        let limits = Limits { max_tokens: self.args.tokens.get(), ends: Vec::new(), ignore_eos: true };
        let decoder = Decoder::new(self.model.engine(), sampler, limits)?;
        let start = Instant::now();
        let mut state = decoder.start(&self.prompt(seed), Seed(seed), 0)?;
        decoder.step(&mut state)?;
        let first = start.elapsed();
        while decoder.step(&mut state)?.is_some() {}
        Ok(Took { first, whole: start.elapsed() })
    }

    /// Texts of the server, all at once.
    fn streams(&self, streams: usize, seed: u64, row: &mut Row) -> Result<()> {
        let bodies: Vec<String> = (0..streams as u64).map(|i| self.body(seed + i)).collect();
        let start = Instant::now();
        let took: Vec<Result<Took>> = thread::scope(|scope| {
            let (address, tokens) = (self.child.address, self.args.tokens.get());
            let ask = |body| scope.spawn(move || client::stream(address, body, tokens));
            let asked: Vec<_> = bodies.iter().map(String::as_str).map(ask).collect();
            asked.into_iter().map(|asked| asked.join().unwrap_or_else(|_| Err(anyhow!("a client broke")))).collect()
        });
        let whole = start.elapsed();
        let took = took.into_iter().collect::<Result<Vec<_>>>()?;
        let first = median(took.iter().map(|took| took.first).collect()).unwrap_or(whole);
        row.take(Took { first, whole }, streams * self.args.tokens.get());
        Ok(())
    }

    fn body(&self, seed: u64) -> String {
        json!({
            "prompt": self.prompt(seed), "sampler": self.args.sampler.to_string(), "seed": seed, "stream": true,
            "max_tokens": self.args.tokens, "ignore_eos": true,
        })
        .to_string()
    }

    /// Tokens that no other seed's prompt begins with.
    fn prompt(&self, seed: u64) -> Vec<TokenId> {
        let vocab = self.model.engine().vocab() as u64;
        (0..self.args.prompt.get() as u64).map(|at| ((seed * 31 + at * 7919 + seed * at) % vocab) as TokenId).collect()
    }
}

impl Row {
    fn take(&mut self, took: Took, tokens: usize) {
        self.rates.push(tokens as f64 / took.whole.as_secs_f64());
        self.firsts.push(took.first);
    }
}

fn print(lines: &[Line<'_>], args: &BenchServer, session: &Session) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        for line in lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        return Ok(());
    }
    let (dim, tokens, prompt) = (session.paint.dim(), args.tokens, args.prompt);
    let Some(Line { model, threads, .. }) = lines.first() else { return Ok(()) };
    writeln!(out, "{model}, {threads} threads: prompts of {prompt} tokens, then {tokens} by {}", args.sampler)?;
    writeln!(out, "{dim}{:<16}{:>10} {:>8} {:>16} {:>10}{dim:#}", "", "tokens/s", "of", "first token, ms", "samplers")?;
    for line in lines {
        let what = match line.streams {
            0 => "engine alone".to_owned(),
            1 => "1 stream".to_owned(),
            streams => format!("{streams} streams"),
        };
        let samplers = line.samplers.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        let Line { tokens_per_s, of, first_token_ms, .. } = line;
        writeln!(out, "{what:<16}{tokens_per_s:>10.1} {of:>8.2} {first_token_ms:>16.2} {samplers:>10}")?;
    }
    Ok(())
}
