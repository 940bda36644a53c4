//! `/v1/completions`: a text goes on.

use super::answer::{Decant, finish_reason, spell, told, with_itself};
use super::generation::{MOST_ALTERNATIVES, MOST_PROMPTS, n_probs};
use super::{About, Fields, Form, Generation, Object, Prompt, Request, field};
use crate::app::Serving;
use crate::error::ApiError;
use crate::listener::{Piece, Said};
use decant_decode::{LanguageModel, TokenId};
use decant_models::tokenizer::Tokenizer;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// How many tokens a text has where nothing is said: OpenAI's number.
const MAX_TOKENS: usize = 16;

/// OpenAI's completions.
pub struct Completions;

/// A text or tokens, or several of one kind.
#[derive(Deserialize, PartialEq)]
#[serde(untagged)]
enum Prompts {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<TokenId>),
    Batch(Vec<Vec<TokenId>>),
}

impl Form for Completions {
    const OBJECTS: [&'static str; 2] = ["text_completion"; 2];
    const ID: &'static str = "cmpl";
    const FIELDS: Fields = field::COMPLETIONS;
    type Choice = Choice;

    fn read(mut object: Object<'_>, serving: &Serving, lenient: bool) -> Result<Request, ApiError> {
        object.refuse(&field::SUFFIX)?;
        let add_special = object.take(&field::ADD_SPECIAL_TOKENS)?.unwrap_or(true);
        let prompts = prompts(object.need(&field::PROMPT)?, add_special, serving)?;
        let alternatives = object.take_as(&field::LOGPROBS, |n| (n <= MOST_ALTERNATIVES).then_some(n))?;
        let alternatives = alternatives.or(n_probs(&mut object)?);
        let echo = object.take(&field::ECHO)?.unwrap_or(false);
        let generated = generated(&mut object, &prompts, echo, serving)?;
        let generation = Generation::read(object, Some(MAX_TOKENS), lenient)?;
        if !(generated.is_empty() || generation.decode.is_sample()) {
            return Err(ApiError::field("generated", "generated is for texts that are sampled, not for a strategy"));
        }
        if prompts.len() * generation.choices as usize > MOST_PROMPTS {
            let message = format!("n times the number of prompts must be at most {MOST_PROMPTS}");
            return Err(ApiError::field("n", message));
        }
        Ok(Request { prompts, generation, echo, alternatives, generated })
    }

    fn choice(piece: Piece, about: &About, _streamed: bool) -> Choice {
        Choice {
            index: piece.index,
            logprobs: about.logprobs.then(|| Logprobs::of(&piece.said, &about.model.tokenizer)),
            finish_reason: finish_reason(&piece),
            decant: Decant::of(&piece, about),
            text: piece.text,
        }
    }
}

fn prompts(given: Prompts, add_special: bool, serving: &Serving) -> Result<Vec<Prompt>, ApiError> {
    let of_text = |text: String| {
        let ids = serving.model.tokenizer.encode_prompt(&text, add_special);
        Ok(Prompt { ids: ids.map_err(|error| ApiError::field("prompt", error))?, text })
    };
    let count = match &given {
        Prompts::Text(_) | Prompts::Ids(_) => 1,
        Prompts::Texts(texts) => texts.len(),
        Prompts::Batch(batch) => batch.len(),
    };
    if !(1..=MOST_PROMPTS).contains(&count) {
        return Err(ApiError::field(
            "prompt",
            format_args!("prompt must be {}; given a list of {count}", field::PROMPT.expected),
        ));
    }
    match given {
        Prompts::Text(text) => Ok(vec![of_text(text)?]),
        Prompts::Texts(texts) => texts.into_iter().map(of_text).collect(),
        Prompts::Ids(ids) => Ok(vec![of_ids(ids, serving)?]),
        Prompts::Batch(batch) => batch.into_iter().map(|ids| of_ids(ids, serving)).collect(),
    }
}

/// What was generated of the one text that is asked for.
fn generated(
    object: &mut Object<'_>,
    prompts: &[Prompt],
    echo: bool,
    serving: &Serving,
) -> Result<Vec<TokenId>, ApiError> {
    let generated: Vec<TokenId> = object.take(&field::GENERATED)?.unwrap_or_default();
    if !generated.is_empty() && (prompts.len() > 1 || echo) {
        return Err(ApiError::field("generated", "generated belongs to one prompt, which is not echoed"));
    }
    known(&generated, "generated", serving)?;
    Ok(generated)
}

/// Tokens as they are: nothing is put before them.
fn of_ids(ids: Vec<TokenId>, serving: &Serving) -> Result<Prompt, ApiError> {
    known(&ids, "prompt", serving)?;
    Ok(Prompt { text: serving.model.tokenizer.decode(&ids), ids })
}

/// Whether the model has all these tokens.
fn known(ids: &[TokenId], field: &str, serving: &Serving) -> Result<(), ApiError> {
    let vocab = serving.model.engine.vocab();
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) => Err(ApiError::field(field, format!("{field}: token {id} is not in the vocabulary of {vocab}"))),
        None => Ok(()),
    }
}

/// One of the texts that a prompt went on with.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionChoice)]
pub struct Choice {
    /// Those of the first prompt come first.
    index: usize,
    text: String,
    logprobs: Option<Logprobs>,
    /// `stop` or `length`.
    finish_reason: Option<&'static str>,
    decant: Decant,
}

/// The model's own logprobs: T = 1, before any stage of the sampler.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletionLogprobs)]
struct Logprobs {
    /// As texts of their own.
    tokens: Vec<String>,
    /// Null for the first token of an echoed prompt, which nothing foretold.
    token_logprobs: Vec<Option<f64>>,
    /// Logprobs by the token's text.
    #[schema(value_type = Vec<Option<HashMap<String, f64>>>)]
    top_logprobs: Vec<Option<TopLogprobs>>,
    /// In characters, as Python counts them.
    text_offset: Vec<usize>,
}

impl Logprobs {
    fn of(said: &[Said], tokenizer: &Tokenizer) -> Self {
        let top = |said: &Said| said.logprob.is_some().then(|| TopLogprobs::of(said, tokenizer));
        Logprobs {
            tokens: said.iter().map(|said| spell(said.token, tokenizer)).collect(),
            token_logprobs: said.iter().map(|said| said.logprob.map(told)).collect(),
            top_logprobs: said.iter().map(top).collect(),
            text_offset: said.iter().map(|said| said.offset).collect(),
        }
    }
}

/// Logprobs by the token's text, in falling probability. Of tokens that read the same the most probable one stands for all.
struct TopLogprobs(Vec<(String, f64)>);

impl TopLogprobs {
    fn of(said: &Said, tokenizer: &Tokenizer) -> Self {
        let mut top: Vec<(String, f64)> = Vec::new();
        for other in with_itself(said) {
            let text = spell(other.token, tokenizer);
            if !top.iter().any(|(known, _)| *known == text) {
                top.push((text, told(other.logprob)));
            }
        }
        TopLogprobs(top)
    }
}

impl Serialize for TopLogprobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(token, logprob)| map.serialize_entry(token, logprob))?;
        map.end()
    }
}
