//! What both forms' answers have in common.

use super::{Form, Request};
use crate::app::Serving;
use crate::listener::{Piece, Reason, Said};
use crate::openapi;
use decant_decode::{Alternative, FORMAT, Generated, Header, Outcome, Piece as Bytes, TokenId, TraceLine};
use decant_models::tokenizer::Tokenizer;
use decant_models::{Model, ModelInfo};
use decant_sampling::{Lexicon, Step};
use serde::Serialize;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// What logprobs are told as where they are too small for a number, or none: as OpenAI has it.
const VERY_UNLIKELY: f64 = -9999.0;

/// What stays the same over an answer.
#[derive(Debug)]
pub struct About {
    /// `cmpl-..` or `chatcmpl-..`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// What clients call the model.
    pub name: String,
    /// Which program and which model answer: with an equal one, an equal request gives an equal answer.
    pub fingerprint: String,
    /// Spells tokens.
    pub model: Arc<Model>,
    /// The sampler's stages that act, as text.
    pub sampler: String,
    /// The strategy, as text.
    pub decode: String,
    /// The seed of each choice.
    pub seeds: Vec<u64>,
    /// Whether logprobs are told.
    pub logprobs: bool,
    /// Whether the outcome of the strategy is told.
    pub outcome: bool,
    /// What was asked, if traces are told.
    traced: Option<Request>,
}

impl About {
    /// Of an answer that begins now.
    pub fn new<F: Form>(request: &Request, seeds: Vec<u64>, serving: &Serving) -> Self {
        let (created, id) = stamp(F::ID);
        About {
            id,
            created,
            name: serving.name.clone(),
            fingerprint: fingerprint(&serving.model.info),
            model: serving.model.clone(),
            sampler: request.generation.sampler.effective().to_string(),
            decode: request.generation.decode.to_string(),
            seeds,
            logprobs: request.alternatives.is_some(),
            outcome: !request.generation.decode.is_sample(),
            traced: request.generation.trace.then(|| request.clone()),
        }
    }

    /// How the trace of a choice begins.
    fn header(&self, request: &Request, choice: usize) -> Option<Header> {
        let Request { generation, generated: ids, .. } = request;
        let (prompt, tokenizer) = (request.prompt_of(choice)?, &self.model.tokenizer);
        let bytes = ids.iter().enumerate().flat_map(|(place, &token)| prompt.bytes(place, token, tokenizer)).copied();
        Some(Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.model.id(),
            sampler: generation.sampler.clone(),
            decode: generation.decode.clone(),
            seed: self.seeds.get(choice).copied()?,
            stream: 0,
            prompt: prompt.text.clone(),
            prompt_ids: prompt.ids.clone(),
            generated: Generated { piece: Bytes::new(bytes.collect::<Vec<u8>>()), ids: ids.clone() },
            limits: request.limits(tokenizer.ends()),
            stop: generation.stop.clone(),
        })
    }
}

/// The version of the program and a digest of the model, short enough for every chunk.
fn fingerprint(model: &ModelInfo) -> String {
    let digest = model.hash.rsplit(':').next().unwrap_or_default();
    format!("decant-{}-{}", env!("CARGO_PKG_VERSION"), digest.chars().take(16).collect::<String>())
}

/// How many tokens a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Tokens of the prompts, and of what was generated before.
    pub prompt_tokens: usize,
    /// Tokens of the choices.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
}

impl Usage {
    /// Nothing generated yet.
    pub fn of_prompts(prompt_tokens: usize) -> Self {
        Usage { prompt_tokens, completion_tokens: 0, total_tokens: prompt_tokens }
    }

    /// Counts the generated tokens of a piece.
    pub fn count(&mut self, piece: &Piece) {
        let generated = piece.said.iter().filter(|said| said.step.is_some()).count();
        self.completion_tokens += generated;
        self.total_tokens += generated;
    }
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
pub struct Answer<C> {
    #[serde(flatten)]
    head: Head,
    choices: Vec<C>,
    usage: Usage,
}

/// An answer's part of a stream. Where the usage is asked for, every chunk has the field, the last one its value.
#[derive(Serialize, ToSchema)]
pub struct Chunk<C> {
    #[serde(flatten)]
    head: Head,
    choices: Vec<C>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    usage: Option<Option<Usage>>,
}

/// What stands in every part of an answer.
#[derive(Serialize, ToSchema)]
struct Head {
    /// The same in all chunks of a stream.
    id: String,
    /// `text_completion`, `chat.completion` or `chat.completion.chunk`.
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    /// What clients call the model.
    model: String,
    /// Which program and which model answered: with an equal one, an equal request gives an equal answer.
    system_fingerprint: String,
}

impl Head {
    fn new(about: &About, object: &'static str) -> Self {
        Head {
            id: about.id.clone(),
            object,
            created: about.created,
            model: about.name.clone(),
            system_fingerprint: about.fingerprint.clone(),
        }
    }
}

impl<C> Answer<C> {
    /// Tells whole choices.
    pub fn of<F: Form<Choice = C>>(choices: Vec<Piece>, usage: Usage, about: &About) -> Self {
        let choices = choices.into_iter().map(|piece| F::choice(piece, about, false)).collect();
        Answer { head: Head::new(about, F::OBJECTS[0]), choices, usage }
    }
}

impl<C> Chunk<C> {
    /// Tells a piece.
    pub fn of<F: Form<Choice = C>>(piece: Piece, usage: Option<Option<Usage>>, about: &About) -> Self {
        let choices = vec![F::choice(piece, about, true)];
        Chunk { head: Head::new(about, F::OBJECTS[1]), choices, usage }
    }

    /// Tells the usage.
    pub fn of_usage<F: Form<Choice = C>>(usage: Usage, about: &About) -> Self {
        Chunk { head: Head::new(about, F::OBJECTS[1]), choices: Vec::new(), usage: Some(Some(usage)) }
    }
}

/// What Decant tells of a choice beyond OpenAI's fields.
#[derive(Serialize, ToSchema)]
pub(super) struct Decant {
    /// The sampler's stages that act, as text; with the choice's first piece, as strategy and seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampler: Option<String>,
    /// The strategy, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    decode: Option<String>,
    /// The seed of the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// What the sampler saw at each token.
    #[schema(value_type = Vec<openapi::Step>)]
    steps: Vec<Step>,
    /// Why the choice ended, where OpenAI's word would say less.
    #[serde(skip_serializing_if = "Option::is_none")]
    finish: Option<Reason>,
    /// What came of the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<openapi::Outcome>)]
    outcome: Option<Outcome>,
    /// The lines of its trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    trace: Option<Vec<TraceLine>>,
}

impl Decant {
    /// Of a piece.
    pub fn of(piece: &Piece, about: &About) -> Self {
        let end = piece.end.as_ref().and_then(|end| end.as_ref().ok());
        Decant {
            sampler: piece.begins.then(|| about.sampler.clone()),
            decode: piece.begins.then(|| about.decode.clone()),
            seed: about.seeds.get(piece.index).copied().filter(|_| piece.begins),
            steps: piece.said.iter().filter_map(|said| said.step).collect(),
            finish: end.map(|end| end.reason),
            outcome: end.and_then(|end| end.outcome.clone()).filter(|_| about.outcome),
            trace: about.traced.as_ref().map(|request| trace(piece, request, about)),
        }
    }
}

/// A piece as lines of a trace. One that a deadline cut off has no end.
fn trace(piece: &Piece, request: &Request, about: &About) -> Vec<TraceLine> {
    let header = piece.begins.then(|| about.header(request, piece.index)).flatten();
    let steps = piece.said.iter().filter_map(|said| said.traced.clone());
    let end = piece.end.as_ref().and_then(|end| end.as_ref().ok()?.outcome.as_ref());
    let header = header.map(|header| TraceLine::Header(Box::new(header)));
    let outcome = end.filter(|_| about.outcome).map(|outcome| TraceLine::Outcome(outcome.clone()));
    let finish = end.map(|outcome| TraceLine::Finish(outcome.finish));
    header.into_iter().chain(steps.map(TraceLine::Step)).chain(outcome).chain(finish).collect()
}

/// OpenAI's word for why a piece was the last one.
pub(super) fn finish_reason(piece: &Piece) -> Option<&'static str> {
    let end = piece.end.as_ref()?.as_ref().ok()?;
    Some(match end.reason {
        Reason::Eos | Reason::Stop => "stop",
        Reason::Length | Reason::Deadline => "length",
    })
}

/// A logprob as JSON can tell it.
pub(super) fn told(logprob: f64) -> f64 {
    logprob.max(VERY_UNLIKELY)
}

/// A token as a text of its own: bytes that are not UTF-8 by themselves as OpenAI spells them, control tokens by their names.
pub(super) fn spell(token: TokenId, tokenizer: &Tokenizer) -> String {
    let bytes = Lexicon::bytes(tokenizer, token);
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| text + &format!("\\x{byte:02x}")),
    }
}

/// The alternatives to a token, in falling probability, and then the token itself if it is not among them.
pub(super) fn with_itself(said: &Said) -> impl Iterator<Item = Alternative> {
    let itself = said.logprob.map(|logprob| Alternative { token: said.token, logprob });
    let missing = itself.filter(|itself| !said.alternatives.iter().any(|other| other.token == itself.token));
    said.alternatives.iter().copied().chain(missing)
}

/// The seconds since 1970, and an id that no other answer has.
fn stamp(prefix: &str) -> (u64, String) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), format!("{prefix}-{:016x}", RandomState::new().hash_one(since.as_nanos())))
}
