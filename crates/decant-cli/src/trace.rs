//! `decant trace`: traces looked at, proven, and made into pages.

use crate::args::Trace as Args;
use crate::generate::Stops;
use crate::heat;
use crate::model::Model;
use crate::page;
use crate::print::{finish_name, view_end};
use crate::session::Session;
use crate::spans::Spans;
use anyhow::{Context, Result, anyhow, bail};
use decant_decode::{Decoder, Trace, TraceError, Traces, replay};
use decant_models::ModelSource;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::Path;

pub fn run(args: &Args, session: &Session) -> Result<()> {
    let (Args::Show { file } | Args::Check { file, .. } | Args::Html { file, .. }) = args;
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
    let Traces { traces, error } = Traces::read(BufReader::new(opened));
    let error = error.map(|error: TraceError| anyhow!(error).context(format!("cannot read {name}")));
    if traces.is_empty() {
        return Err(error.unwrap_or_else(|| anyhow!("{name} holds no trace")));
    }
    // What could be read is of use, whatever comes after it.
    match args {
        Args::Show { .. } => show(&traces, session)?,
        Args::Check { model, .. } => check(&traces, model.as_ref(), session, file)?,
        Args::Html { output, .. } => {
            write_page(&traces, session, &output.clone().unwrap_or(file.with_extension("html")))?
        }
    }
    error.map_or(Ok(()), Err)
}

fn show(traces: &[Trace], session: &Session) -> Result<()> {
    let (paint, dim) = (session.paint, session.paint.dim());
    let mut out = io::stdout().lock();
    for (number, trace) in traces.iter().enumerate() {
        let header = &trace.header;
        let gap = if number == 0 { "" } else { "\n" };
        let finish = finish_name(trace.finish);
        writeln!(
            out,
            "{gap}{dim}{}{}, seed {}, {}, {finish}{dim:#}\n",
            if header.decode.is_sample() { String::new() } else { format!("{} with ", header.decode) },
            header.sampler,
            header.seed,
            heat::harmless(&header.model.source)
        )?;
        write!(out, "{dim}{}{dim:#}", heat::harmless(&header.before()))?;
        for span in Spans::of(trace) {
            heat::write(&mut out, paint, trace.steps[span.token].step.entropy, &span.text)?;
        }
        let entropies: Vec<f64> = trace.steps.iter().map(|step| step.step.entropy).collect();
        write!(out, "\n{}", view_end(paint, &entropies))?;
    }
    Ok(())
}

fn check(traces: &[Trace], model: Option<&ModelSource>, session: &Session, file: &Path) -> Result<()> {
    let mut loaded: Option<Model> = None;
    let mut differences = 0;
    for (number, trace) in traces.iter().enumerate() {
        let header = &trace.header;
        let model = match loaded.take().filter(|model| model.info().hash == header.model.hash) {
            Some(model) => model,
            None => Model::of_trace(header, model, session)?,
        };
        let sampler = model.sampler(&header.sampler, session.isa)?;
        let decoder = Decoder::new(model.engine(), sampler, header.limits.clone())?;
        let trace_name = format!("trace {} of {}, seed {}", number + 1, traces.len(), header.seed);
        let steps = trace.steps.len();
        let mut out = io::stdout().lock();
        let stops = Stops::new(&model, header);
        match replay(&decoder, trace, &|generated| stops.stop(generated)).with_context(|| trace_name.clone())? {
            None => {
                writeln!(out, "{trace_name}: {steps} steps come out again bit for bit, {}", finish_name(trace.finish))?
            }
            Some(difference) => {
                differences += 1;
                writeln!(out, "{trace_name}: {difference}")?;
            }
        }
        loaded = Some(model);
    }
    match differences {
        0 => Ok(()),
        _ => bail!("{}: {differences} of {} traces differ", file.display(), traces.len()),
    }
}

fn write_page(traces: &[Trace], session: &Session, output: &Path) -> Result<()> {
    let name = output.display();
    fs::write(output, page::html(traces)).with_context(|| format!("cannot write {name}"))?;
    session.note(format!("wrote {name}"));
    Ok(())
}
