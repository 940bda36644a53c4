//! How samples are printed while they are made.

use crate::heat;
use crate::session::Paint;
use crate::spans::Span;
use anyhow::Result;
use decant_decode::{Candidate, Cost, DecodeSpec, Finish, Header, Outcome};
use decant_sampling::{SamplerSpec, Step, TokenId};
use serde::Serialize;
use std::io::{self, StdoutLock, Write};

/// How wide a sparkline may be.
const SPARKLINE: usize = 72;

/// What is printed of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Prompt and text.
    Text,
    /// Prompt and text, each token on the colour of its entropy, and what the colours mean.
    Heat,
    /// The ids of the tokens.
    Ids,
    /// One JSON object.
    Json,
}

/// A sample in the making.
#[derive(Debug)]
pub struct Sample {
    /// What was asked for.
    pub header: Header,
    pub steps: Vec<Step>,
    pub text: String,
    pub finish: Option<Finish>,
    /// What a strategy beyond sampling found, and the texts that it had to choose from.
    pub outcome: Option<(Outcome, Vec<String>)>,
    pub error: Option<String>,
}

impl Sample {
    /// The sample that a header asks for, with no token yet.
    pub fn new(header: Header) -> Self {
        Sample { header, steps: Vec::new(), text: String::new(), finish: None, outcome: None, error: None }
    }

    pub fn finish_name(&self) -> &'static str {
        finish_name(self.finish)
    }

    fn json(&self) -> SampleJson<'_> {
        SampleJson {
            text: &self.text,
            ids: self.steps.iter().map(|step| step.token).collect(),
            prompt_ids: &self.header.prompt_ids,
            finish: self.finish,
            seed: self.header.seed,
            sampler: &self.header.sampler,
            strategy: self.outcome.as_ref().map(|(outcome, texts)| StrategyJson {
                decode: &self.header.decode,
                proven: outcome.proven,
                bound: outcome.bound,
                cost: outcome.cost,
                chosen: outcome.chosen,
                candidates: texts.iter().zip(&outcome.candidates).map(CandidateJson::new).collect(),
            }),
            error: self.error.as_deref(),
        }
    }
}

/// Why a text ended, in words.
pub fn finish_name(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "finish: length",
        Some(Finish::Stop) => "finish: stop",
        Some(Finish::Eos) => "finish: eos",
        None => "cut off",
    }
}

/// One line of `generate --json`.
#[derive(Serialize)]
struct SampleJson<'a> {
    text: &'a str,
    ids: Vec<TokenId>,
    prompt_ids: &'a [TokenId],
    /// Null if an error ended the sample.
    finish: Option<Finish>,
    seed: u64,
    sampler: &'a SamplerSpec,
    #[serde(flatten)]
    strategy: Option<StrategyJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What a line tells of a strategy beyond sampling.
#[derive(Serialize)]
struct StrategyJson<'a> {
    decode: &'a DecodeSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<f64>,
    cost: Cost,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateJson<'a>>,
}

#[derive(Serialize)]
struct CandidateJson<'a> {
    text: &'a str,
    #[serde(flatten)]
    candidate: &'a Candidate,
}

impl<'a> CandidateJson<'a> {
    fn new((text, candidate): (&'a String, &'a Candidate)) -> Self {
        CandidateJson { text, candidate }
    }
}

/// Prints samples on standard output.
pub struct Printer<'a> {
    form: Form,
    paint: Paint,
    samples: u64,
    prompt: &'a str,
    out: StdoutLock<'static>,
}

impl<'a> Printer<'a> {
    /// For so many samples that go on from `prompt`.
    pub fn new(form: Form, paint: Paint, samples: u64, prompt: &'a str) -> Self {
        Printer { form, paint, samples, prompt, out: io::stdout().lock() }
    }

    /// Before the first token.
    pub fn begin(&mut self, sample: &Sample, number: u64) -> Result<()> {
        if !matches!(self.form, Form::Text | Form::Heat) {
            return Ok(());
        }
        let dim = self.paint.dim();
        if self.samples > 1 {
            let gap = if number == 0 { "" } else { "\n" };
            writeln!(
                self.out,
                "{gap}{dim}== sample {} of {}, seed {} =={dim:#}",
                number + 1,
                self.samples,
                sample.header.seed
            )?;
        }
        write!(self.out, "{dim}{}{dim:#}", self.prompt)?;
        Ok(self.out.flush()?)
    }

    /// A token, and the text that is certain by it.
    pub fn token(&mut self, sample: &mut Sample, certain: Vec<Span>) -> Result<()> {
        if self.form == Form::Ids
            && let Some(step) = sample.steps.last()
        {
            let comma = if sample.steps.len() > 1 { "," } else { "" };
            write!(self.out, "{comma}{}", step.token)?;
            self.out.flush()?;
        }
        self.text(sample, certain)
    }

    /// Text that is certain now.
    pub fn text(&mut self, sample: &mut Sample, certain: Vec<Span>) -> Result<()> {
        for Span { token, text } in certain {
            sample.text += &text;
            match self.form {
                Form::Text => write!(self.out, "{text}")?,
                Form::Heat => heat::write(&mut self.out, self.paint, sample.steps[token].entropy, &text)?,
                Form::Ids | Form::Json => continue,
            }
            self.out.flush()?;
        }
        Ok(())
    }

    /// After the last token.
    pub fn end(&mut self, sample: &Sample) -> Result<()> {
        match self.form {
            Form::Json => writeln!(self.out, "{}", serde_json::to_string(&sample.json())?)?,
            Form::Heat => {
                let entropies: Vec<f64> = sample.steps.iter().map(|step| step.entropy).collect();
                write!(self.out, "\n{}", view_end(self.paint, &entropies))?;
            }
            Form::Text | Form::Ids => writeln!(self.out)?,
        }
        Ok(self.out.flush()?)
    }
}

/// What stands below a text in colours: what they mean, and the course of the entropy.
pub fn view_end(paint: Paint, entropies: &[f64]) -> String {
    let legend = if paint == Paint::Off { String::new() } else { format!("\n{}\n", heat::legend(paint)) };
    let most = entropies.iter().copied().fold(0.0, f64::max);
    let (line, dim) = (heat::sparkline(paint, entropies, SPARKLINE), paint.dim());
    format!(
        "{legend}\n{line}\n{dim}entropy over the text: mean {:.2}, highest {most:.2} nats{dim:#}\n",
        heat::mean(entropies)
    )
}
