//! Writing the trace of a run beside its text.

use anyhow::{Context, Result};
use decant_decode::{Finish, Header, Outcome, TraceLine, TraceStep, TraceWriter};
use std::fs::File;
use std::path::Path;

/// A trace file in the making.
pub struct Recorder {
    writer: TraceWriter<File>,
    name: String,
}

impl Recorder {
    /// Begins the file.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::create(path).with_context(|| format!("cannot write {name}"))?;
        Ok(Recorder { writer: TraceWriter::new(file), name })
    }

    pub fn begin(&mut self, header: &Header) -> Result<()> {
        self.write(&TraceLine::Header(Box::new(header.clone())))
    }

    pub fn step(&mut self, step: TraceStep) -> Result<()> {
        self.write(&TraceLine::Step(step))
    }

    pub fn outcome(&mut self, outcome: &Outcome) -> Result<()> {
        self.write(&TraceLine::Outcome(outcome.clone()))
    }

    pub fn finish(&mut self, finish: Finish) -> Result<()> {
        self.write(&TraceLine::Finish(finish))
    }

    fn write(&mut self, line: &TraceLine) -> Result<()> {
        self.writer.write(line).with_context(|| format!("cannot write {}", self.name))
    }
}
