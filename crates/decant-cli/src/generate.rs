//! `decant generate`: from a prompt to text, as it is made.

use crate::args::Generate;
use crate::model::Model;
use crate::print::{Form, Printer, Sample};
use crate::prompts::Prompt;
use crate::record::Recorder;
use crate::session::{Session, Usage, text_or_stdin};
use crate::spans::Spans;
use anyhow::Result;
use decant_decode::{
    Cost, DecodeError, Decoder, FORMAT, Finish, Generated, Header, LanguageModel, Limits, Outcome, State, TextStream,
    TraceStep, Watch,
};
use decant_models::native::{KvCache, NativeModel};
use decant_sampling::{SamplerSpec, Seed, Step, TokenId};
use indicatif::ProgressBar;
use std::hash::{BuildHasher, RandomState};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Instant;

pub fn run(args: &Generate, session: &Session) -> Result<()> {
    let spec = args.sampler.spec(session)?;
    let text = text_or_stdin(args.prompt.prompt.as_deref(), "prompt")?;
    let model = Model::load(&args.model, session)?;
    let prompt = prompt(text, args, &model)?;
    let first_seed = args.seed.unwrap_or_else(random_seed);
    let header = header(args, spec, first_seed, &prompt, &model);
    let sampler = model.sampler(&header.sampler, session.isa)?;
    let decoder = Decoder::new(model.engine(), sampler, header.limits.clone())?;
    let state = prefilled(&decoder, &prompt.ids, session)?;
    let form = match (args.json, args.ids, args.show.is_some() && session.is_view()) {
        (true, ..) => Form::Json,
        (_, true, _) => Form::Ids,
        (_, _, true) => Form::Heat,
        _ => Form::Text,
    };
    let echo = if prompt.chat { "" } else { &prompt.text };
    let mut run = Run {
        decoder: &decoder,
        model: &model,
        session,
        recorder: args.trace.as_deref().map(Recorder::create).transpose()?,
        printer: Printer::new(form, session.paint, args.num, echo),
        first_seed,
    };
    for number in 0..args.num {
        let header = Header { seed: first_seed.wrapping_add(number), ..header.clone() };
        let started = Instant::now();
        let sample = run.sample(header, state.clone())?;
        if std::io::stderr().is_terminal() || (args.seed.is_none() && form != Form::Json) {
            session.note(summary(&sample, started));
        }
    }
    Ok(())
}

/// What the first sample is asked to do; the others differ in the seed.
fn header(args: &Generate, sampler: SamplerSpec, seed: u64, prompt: &Prompt, model: &Model) -> Header {
    Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: model.id(),
        sampler,
        decode: args.decode.clone(),
        seed,
        stream: 0,
        prompt: prompt.text.clone(),
        prompt_ids: prompt.ids.clone(),
        generated: Generated::default(),
        limits: Limits {
            max_tokens: args.max_tokens,
            ends: model.tokenizer().ends().to_vec(),
            ignore_eos: args.ignore_eos,
        },
        stop: args.stop.clone(),
    }
}

/// One invocation: what its samples share.
struct Run<'a> {
    decoder: &'a Decoder<'a, NativeModel>,
    model: &'a Model,
    session: &'a Session,
    recorder: Option<Recorder>,
    printer: Printer<'a>,
    first_seed: u64,
}

impl Run<'_> {
    /// Makes one sample. Whatever goes wrong, what was made before is printed and in the trace.
    fn sample(&mut self, header: Header, state: State<KvCache>) -> Result<Sample> {
        let stops = Stops::new(self.model, &header);
        let mut making = Making {
            spans: Spans::new(&header.stop),
            sample: Sample::new(header),
            spent: self.session.counter("model calls"),
            stops,
            run: self,
            failed: None,
        };
        let made = making.make(state);
        let Making { mut spans, mut sample, .. } = making;
        let rest = spans.finish();
        self.printer.text(&mut sample, rest)?;
        if let Err(error) = &made {
            sample.error = Some(crate::sentence(error));
        }
        self.printer.end(&sample)?;
        made?;
        if sample.outcome.as_ref().is_some_and(|(outcome, _)| outcome.proven == Some(false)) {
            let decode = &sample.header.decode;
            self.session
                .warn(format!("{decode}: not proven; the budget ran out, and there may be something more probable"));
        }
        Ok(sample)
    }
}

/// One sample in the making.
struct Making<'r, 'a> {
    run: &'r mut Run<'a>,
    sample: Sample,
    spans: Spans,
    stops: Stops<'a>,
    /// Shown while a strategy searches.
    spent: ProgressBar,
    /// What went wrong while a token was told.
    failed: Option<anyhow::Error>,
}

impl Making<'_, '_> {
    fn make(&mut self, state: State<KvCache>) -> Result<()> {
        self.run.printer.begin(&self.sample, self.sample.header.seed.wrapping_sub(self.run.first_seed))?;
        if let Some(recorder) = &mut self.run.recorder {
            recorder.begin(&self.sample.header)?;
        }
        let mut state = state.with_seed(Seed(self.sample.header.seed));
        let decode = self.sample.header.decode.clone();
        let decoder = self.run.decoder;
        let outcome = decoder.decode(&decode, &mut state, self);
        self.spent.finish_and_clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let outcome = outcome?;
        self.sample.finish = Some(outcome.finish);
        if !decode.is_sample() {
            self.tell(outcome)?;
        }
        if let Some(recorder) = &mut self.run.recorder {
            recorder.finish(self.sample.finish.unwrap_or(Finish::Length))?;
        }
        Ok(())
    }

    /// Keeps what a strategy found, with the texts of its candidates.
    fn tell(&mut self, outcome: Outcome) -> Result<()> {
        if let Some(recorder) = &mut self.run.recorder {
            recorder.outcome(&outcome)?;
        }
        let texts = outcome.candidates.iter().map(|candidate| self.stops.text(&candidate.tokens)).collect();
        self.sample.outcome = Some((outcome, texts));
        Ok(())
    }

    fn take(&mut self, step: &Step, row: &[f32]) -> Result<()> {
        let Run { model, recorder, printer, .. } = &mut *self.run;
        let position = self.sample.steps.len();
        let bytes = model.bytes(step.token, position == 0 && self.sample.header.prompt.is_empty());
        if let Some(recorder) = recorder {
            recorder.step(TraceStep::new(position, *step, bytes, row, |token| model.bytes(token, false)))?;
        }
        self.sample.steps.push(*step);
        let certain = self.spans.push(bytes);
        printer.token(&mut self.sample, certain)
    }
}

impl Watch for Making<'_, '_> {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        self.failed = self.take(step, row).err();
        match self.failed.is_some() || self.spans.stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn spent(&mut self, cost: Cost) {
        if !self.sample.header.decode.streams() {
            self.spent.set_position(cost.calls);
        }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        self.stops.stop(generated)
    }
}

/// Whether a stop string ends a text of tokens.
pub struct Stops<'a> {
    model: &'a Model,
    stop: Vec<String>,
    /// Whether the text stands at the very start, without a prompt before it.
    first: bool,
}

impl<'a> Stops<'a> {
    /// As the header of a trace has it.
    pub fn new(model: &'a Model, header: &Header) -> Self {
        Stops { model, stop: header.stop.clone(), first: header.prompt.is_empty() }
    }

    /// Whether these generated tokens hold a stop string.
    pub fn stop(&self, generated: &[TokenId]) -> bool {
        !self.stop.is_empty() && self.read(generated).1
    }

    /// The text of these generated tokens, up to a stop string.
    pub fn text(&self, generated: &[TokenId]) -> String {
        self.read(generated).0
    }

    fn read(&self, generated: &[TokenId]) -> (String, bool) {
        let mut stream = TextStream::new(&self.stop);
        let bytes = generated.iter().enumerate().map(|(i, &token)| self.model.bytes(token, i == 0 && self.first));
        let mut text: String = bytes.map(|bytes| stream.push(bytes)).collect();
        text += &stream.finish();
        (text, stream.stopped())
    }
}

/// The prompt as the model wants it.
fn prompt(text: String, args: &Generate, model: &Model) -> Result<Prompt> {
    // Nothing said is no message: an empty prompt starts from BOS alone, unless a chat was asked for.
    let raw = args.raw || (text.is_empty() && !args.chat);
    let prompt = Prompt::new(text, raw, model)?;
    if args.chat && !prompt.chat {
        return Err(Usage(format!("--chat: the model {} has no chat template", model.id().source)).into());
    }
    Ok(prompt)
}

/// A text that begins with the prompt, all of it fed.
fn prefilled<M: LanguageModel>(
    decoder: &Decoder<'_, M>,
    ids: &[TokenId],
    session: &Session,
) -> Result<State<M::Cache>, DecodeError> {
    let mut state = decoder.start(ids, Seed(0), 0)?;
    let bar = session.bar("prompt", ids.len() as u64, false);
    decoder.prefill(&mut state, |fed, _| bar.set_position(fed as u64))?;
    bar.finish_and_clear();
    Ok(state)
}

/// A seed from the operating system, short enough to be typed again.
fn random_seed() -> u64 {
    RandomState::new().hash_one(()) >> 32
}

fn summary(sample: &Sample, started: Instant) -> String {
    let (tokens, seconds) = (sample.steps.len(), started.elapsed().as_secs_f64());
    let finish = sample.finish_name();
    let seed = sample.header.seed;
    let speed = tokens as f64 / seconds;
    let made = format!("seed {seed}, {tokens} tokens in {seconds:.2} s ({speed:.0} a second), {finish}");
    match &sample.outcome {
        Some((outcome, _)) => {
            let Cost { calls, batches, .. } = outcome.cost;
            let proven = if outcome.proven == Some(true) { ", proven" } else { "" };
            format!("{made}; {}{proven}: {calls} model calls in {batches} batches", sample.header.decode)
        }
        None => made,
    }
}
