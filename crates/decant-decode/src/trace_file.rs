//! Trace files: JSON lines, written as the tokens come and readable to the last whole line.

use crate::{FORMAT, Trace, TraceLine};
use std::io::{self, BufRead, Write};

/// Why a trace file cannot be read on. Every line before it was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file itself could not be read.
    #[error("line {line}: {source}")]
    Io {
        /// Line of the file, from 1.
        line: usize,
        /// What the system says.
        source: io::Error,
    },
    /// A line that is not one of a trace: cut off, or garbage.
    #[error("line {line} is no line of a trace: {reason}")]
    Line {
        /// Line of the file, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// A trace of another version of the format.
    #[error("line {line}: the trace has format {format}, known is {FORMAT}")]
    Format {
        /// Line of the file, from 1.
        line: usize,
        /// What the header says.
        format: u32,
    },
    /// A line where it does not belong: a step before a header or after the finish, or a step that was lost.
    #[error("line {line} is out of order: {reason}")]
    Order {
        /// Line of the file, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
}

/// Writes a trace line by line; each is whole in the file before the next begins, so that a killed run leaves a
/// readable one.
#[derive(Debug)]
pub struct TraceWriter<W> {
    out: W,
}

impl<W: Write> TraceWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        TraceWriter { out }
    }

    /// Writes one line and flushes.
    pub fn write(&mut self, line: &TraceLine) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.out.write_all(&json)?;
        self.out.flush()
    }
}

/// What could be read of a trace file.
#[derive(Debug, Default)]
pub struct Traces {
    /// The traces up to the end of the file, or to the line that is in error.
    pub traces: Vec<Trace>,
    /// Why reading stopped before the end.
    pub error: Option<TraceError>,
}

impl Traces {
    /// Reads a trace file as far as it can be read.
    pub fn read(mut input: impl BufRead) -> Self {
        let mut read = Traces::default();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            read.error = match input.read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Ok(_) => read.push(line, &bytes).err(),
                Err(source) => Some(TraceError::Io { line, source }),
            };
            if read.error.is_some() {
                break;
            }
        }
        read
    }

    /// Takes one line of the file.
    fn push(&mut self, line: usize, bytes: &[u8]) -> Result<(), TraceError> {
        let parsed: TraceLine = serde_json::from_slice(bytes)
            .map_err(|error| TraceError::Line { line, reason: without_line(&error.to_string()) })?;
        let order = |reason: String| Err(TraceError::Order { line, reason });
        let open = self.traces.last_mut().filter(|trace| trace.finish.is_none());
        match (parsed, open) {
            (TraceLine::Header(header), _) if header.format != FORMAT => {
                return Err(TraceError::Format { line, format: header.format });
            }
            (TraceLine::Header(header), _) => {
                self.traces.push(Trace { header: *header, steps: Vec::new(), outcome: None, finish: None });
            }
            (TraceLine::Step(step), Some(trace)) => match trace.header.generated.ids.len() + trace.steps.len() {
                made if made == step.position => trace.steps.push(step),
                made => return order(format!("step {} follows {made} steps", step.position)),
            },
            (TraceLine::Outcome(outcome), Some(trace)) => trace.outcome = Some(outcome),
            (TraceLine::Finish(finish), Some(trace)) => trace.finish = Some(finish),
            (_, None) => return order("a header must come first".to_owned()),
        }
        Ok(())
    }
}

/// serde_json counts lines within the text it was given, which is always one here.
fn without_line(error: &str) -> String {
    error.replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{recorded, recorded_by};
    use proptest::prelude::*;

    fn written(traces: &[Trace]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = TraceWriter::new(&mut file);
        for trace in traces {
            writer.write(&TraceLine::Header(Box::new(trace.header.clone()))).unwrap();
            for step in &trace.steps {
                writer.write(&TraceLine::Step(step.clone())).unwrap();
            }
            if let Some(outcome) = &trace.outcome {
                writer.write(&TraceLine::Outcome(outcome.clone())).unwrap();
            }
            if let Some(finish) = trace.finish {
                writer.write(&TraceLine::Finish(finish)).unwrap();
            }
        }
        file
    }

    /// How many lines of the file are accounted for by what was read.
    fn lines(read: &Traces) -> usize {
        let ends = |trace: &Trace| usize::from(trace.outcome.is_some()) + usize::from(trace.finish.is_some());
        read.traces.iter().map(|trace| 1 + trace.steps.len() + ends(trace)).sum()
    }

    #[test]
    fn several_traces_come_back_as_they_were() {
        let mut traces = [1, 2, 3].map(recorded);
        traces[2] = recorded_by("temp=1", "stochastic_beam(3)", 3);
        traces[1].finish = None;
        let read = Traces::read(&*written(&traces));
        assert!(read.error.is_none(), "{:?}", read.error);
        assert_eq!(read.traces, traces);
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_keeps_its_whole_lines(cut: prop::sample::Index) {
            let file = written(&[recorded(1), recorded_by("temp=1", "mbr(3)", 2)]);
            let cut = cut.index(file.len());
            let read = Traces::read(&file[..cut]);
            let newlines = file[..cut].iter().filter(|&&byte| byte == b'\n').count();
            // A line may lack nothing but its newline.
            prop_assert!([newlines, newlines + 1].contains(&lines(&read)));
            if let Some(error) = read.error {
                let named = matches!(error, TraceError::Line { line, .. } if line == newlines + 1);
                prop_assert!(named, "{}", error);
            }
        }

        #[test]
        fn a_broken_byte_loses_no_line_before_it(at: prop::sample::Index, byte: u8) {
            let mut file = written(&[recorded(1), recorded_by("temp=1", "beam(3)", 2)]);
            let at = at.index(file.len());
            file[at] = byte;
            let before = file[..at].iter().filter(|&&byte| byte == b'\n').count();
            prop_assert!(lines(&Traces::read(&*file)) >= before);
        }
    }

    #[test]
    fn errors_name_the_line() {
        let whole = String::from_utf8(written(&[recorded(1)])).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let read = |lines: &[&str]| Traces::read(lines.join("\n").as_bytes()).error.unwrap().to_string();
        assert!(read(&[lines[1]]).starts_with("line 1 is out of order: a header must come first"));
        assert!(read(&[lines[0], lines[2]]).starts_with("line 2 is out of order: step 1 follows 0 steps"));
        let last = lines[lines.len() - 1];
        assert!(read(&[lines[0], lines[1], last, lines[2]]).starts_with("line 4 is out of order"));
        assert!(read(&[lines[0], "", lines[1]]).starts_with("line 2 is no line of a trace"));
        let newer = lines[0].replace("\"format\":1", "\"format\":2");
        assert_eq!(read(&[&newer]), "line 1: the trace has format 2, known is 1");
    }
}
