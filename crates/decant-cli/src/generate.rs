//! `decant generate`: from a prompt to text, as it is made.

use crate::args::Generate;
use crate::model::Model;
use crate::print::{Form, Printer, Sample};
use crate::record::{Recorder, trace_step};
use crate::session::{Session, Usage, text_or_stdin};
use crate::spans::Spans;
use anyhow::Result;
use decant_decode::{DecodeError, Decoder, FORMAT, Finish, Header, LanguageModel, Limits, State};
use decant_models::native::{KvCache, NativeModel};
use decant_sampling::{SamplerSpec, Seed, TokenId};
use std::hash::{BuildHasher, RandomState};
use std::io::IsTerminal;
use std::time::Instant;

/// What is fed before the first draw.
struct Prompt {
    /// As the tokenizer got it.
    text: String,
    ids: Vec<TokenId>,
    /// Whether it is a chat, whose answer stands for itself.
    chat: bool,
}

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
        recorder: args.trace.as_deref().map(Recorder::create).transpose()?,
        printer: Printer::new(form, session.paint, args.num, echo),
    };
    for number in 0..args.num {
        let header = Header { seed: first_seed.wrapping_add(number), ..header.clone() };
        let started = Instant::now();
        let sample = run.sample(header, state.clone(), number)?;
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
        seed,
        stream: 0,
        prompt: prompt.text.clone(),
        prompt_ids: prompt.ids.clone(),
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
    recorder: Option<Recorder>,
    printer: Printer<'a>,
}

impl Run<'_> {
    /// Makes one sample. Whatever goes wrong, what was made before is printed and in the trace.
    fn sample(&mut self, header: Header, state: State<KvCache>, number: u64) -> Result<Sample> {
        let mut spans = Spans::new(&header.stop);
        let mut sample = Sample::new(header);
        self.printer.begin(&sample, number)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(&sample.header)?;
        }
        let made = self.tokens(&mut sample, &mut spans, state);
        let rest = spans.finish();
        self.printer.text(&mut sample, rest)?;
        if let Err(error) = &made {
            sample.error = Some(crate::sentence(error));
        }
        self.printer.end(&sample)?;
        made?;
        Ok(sample)
    }

    fn tokens(&mut self, sample: &mut Sample, spans: &mut Spans, state: State<KvCache>) -> Result<()> {
        let mut state = state.with_seed(Seed(sample.header.seed));
        while !spans.stopped()
            && let Some(step) = self.decoder.step(&mut state)?
        {
            let position = sample.steps.len();
            let bytes = self.model.bytes(step.token, position == 0 && sample.header.prompt.is_empty());
            if let Some(recorder) = &mut self.recorder {
                recorder.step(trace_step(position, step, bytes, state.row(), self.model))?;
            }
            sample.steps.push(step);
            let certain = spans.push(bytes);
            self.printer.token(sample, certain)?;
        }
        sample.finish = if spans.stopped() { Some(Finish::Stop) } else { self.decoder.finish(&state) };
        if let (Some(recorder), Some(finish)) = (&mut self.recorder, sample.finish) {
            recorder.finish(finish)?;
        }
        Ok(())
    }
}

/// The prompt as the model wants it.
fn prompt(text: String, args: &Generate, model: &Model) -> Result<Prompt> {
    // Nothing said is no message: an empty prompt starts from BOS alone, unless a chat was asked for.
    let raw = args.raw || (text.is_empty() && !args.chat);
    let rendered = if raw { None } else { model.chat(&text) };
    let chat = rendered.is_some();
    if args.chat && !chat {
        return Err(Usage(format!("--chat: the model {} has no chat template", model.id().source)).into());
    }
    // A rendered template brings its own BOS.
    let (text, ids) = match rendered.transpose()? {
        Some(text) => model.encode(&text, false).map(|ids| (text, ids))?,
        None => model.encode(&text, true).map(|ids| (text, ids))?,
    };
    Ok(Prompt { text, ids, chat })
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
    format!(
        "seed {}, {tokens} tokens in {seconds:.2} s ({:.0} a second), {finish}",
        sample.header.seed,
        tokens as f64 / seconds
    )
}
