//! Writing the trace of a run beside its text.

use crate::model::Model;
use anyhow::{Context, Result};
use decant_decode::{Finish, Header, Outcome, Piece, TopToken, TraceLine, TraceStep, TraceWriter, alternatives};
use decant_sampling::{Logits, Step};
use std::fs::File;
use std::path::Path;

/// How many alternatives a trace keeps of every step.
const TOP: usize = 5;

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

/// What a trace keeps of a step that was drawn from `row`.
pub fn trace_step(position: usize, step: Step, bytes: &[u8], row: &[f32], model: &Model) -> TraceStep {
    let top = Logits::new(row).map(|row| alternatives(row, TOP)).unwrap_or_default();
    TraceStep {
        position,
        step,
        piece: Piece::new(bytes),
        top: top.into_iter().map(|top| TopToken::new(top, model.bytes(top.token, false))).collect(),
    }
}
