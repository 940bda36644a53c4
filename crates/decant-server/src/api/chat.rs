//! `/v1/chat/completions`: a conversation goes on, as the model's template frames it.

use super::answer::{Decant, finish_reason, spell, told};
use super::generation::{MOST_ALTERNATIVES, n_probs};
use super::{About, Fields, Form, Generation, Object, Prompt, Request, field};
use crate::app::Serving;
use crate::error::ApiError;
use crate::listener::{Piece, Said};
use decant_decode::TokenId;
use decant_models::template::Message;
use decant_models::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::SystemTime;
use utoipa::ToSchema;

/// OpenAI's chat completions.
pub struct Chat;

impl Form for Chat {
    const OBJECTS: [&'static str; 2] = ["chat.completion", "chat.completion.chunk"];
    const ID: &'static str = "chatcmpl";
    const FIELDS: Fields = field::CHAT;
    type Choice = Choice;

    fn read(mut object: Object<'_>, serving: &Serving, lenient: bool) -> Result<Request, ApiError> {
        let given: Conversation = object.need(&field::MESSAGES)?;
        let add_generation_prompt = object.take(&field::ADD_GENERATION_PROMPT)?.unwrap_or(true);
        let prompt = given.prompt(add_generation_prompt, serving, lenient)?;
        let alternatives = alternatives(&mut object)?;
        let generation = Generation::read(object, None, lenient)?;
        Ok(Request { prompts: vec![prompt], generation, echo: false, alternatives, generated: Vec::new() })
    }

    fn choice(piece: Piece, about: &About, streamed: bool) -> Choice {
        let logprobs = about.logprobs.then(|| Logprobs {
            content: piece.said.iter().filter_map(|said| Logprob::of(said, &about.model.tokenizer)).collect(),
            refusal: None,
        });
        let (index, finish_reason, decant) = (piece.index, finish_reason(&piece), Decant::of(&piece, about));
        let said = Content { role: piece.begins.then_some("assistant"), content: piece.text };
        let (message, delta) = if streamed { (None, Some(said)) } else { (Some(said), None) };
        Choice { index, message, delta, logprobs, finish_reason, decant }
    }
}

/// `logprobs` says whether, `top_logprobs` how many alternatives; `n_probs` says both.
fn alternatives(object: &mut Object<'_>) -> Result<Option<usize>, ApiError> {
    let wanted = object.take(&field::WHETHER_LOGPROBS)?.unwrap_or(false);
    let top = object.take_as(&field::TOP_LOGPROBS, |n| (n <= MOST_ALTERNATIVES).then_some(n))?;
    let probs = n_probs(object)?;
    match (wanted, top) {
        (false, Some(1..)) => {
            Err(ApiError::field("top_logprobs", "top_logprobs are told with logprobs: set logprobs to true"))
        }
        (false, _) => Ok(probs),
        (true, top) => Ok(Some(top.or(probs).unwrap_or(0))),
    }
}

/// A message as it is sent.
#[derive(Deserialize, PartialEq)]
struct MessageBody {
    role: String,
    content: Option<ContentBody>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize, PartialEq)]
#[serde(untagged)]
enum ContentBody {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize, PartialEq)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl MessageBody {
    /// The message. Its `name` has no place in a template's `Message` and changes nothing.
    fn read(self, place: usize, lenient: bool) -> Result<Message, ApiError> {
        let fault = |field: &str, message: &str| ApiError::field(format!("messages[{place}].{field}"), message);
        let strange = self.rest.into_iter().find(|(name, value)| name != "name" && !value.is_null());
        if let (Some((name, _)), false) = (strange, lenient) {
            return Err(fault(&name, &format!("a message's {name} is not supported by this server")));
        }
        let content = match self.content {
            Some(ContentBody::Text(text)) => text,
            Some(ContentBody::Parts(parts)) => {
                let texts = parts.into_iter().map(|Part { kind, text }| text.filter(|_| kind == "text"));
                let texts: Option<Vec<String>> = texts.collect();
                texts.ok_or_else(|| fault("content", "content must be text, or parts of type text"))?.join("\n")
            }
            None => return Err(fault("content", "a message must have a content")),
        };
        Ok(Message::new(self.role, content))
    }
}

/// A conversation, as it is sent.
#[derive(Deserialize, PartialEq)]
#[serde(transparent)]
pub struct Conversation(Vec<MessageBody>);

impl Conversation {
    /// The conversation in the model's template, and its tokens.
    ///
    /// # Errors
    /// [`ApiError::Field`] with the part of `messages` that is at fault, or where the model has no template.
    pub fn prompt(self, add_generation_prompt: bool, serving: &Serving, lenient: bool) -> Result<Prompt, ApiError> {
        let messages = self.0.into_iter().enumerate().map(|(place, given)| given.read(place, lenient));
        let messages: Vec<Message> = messages.collect::<Result<_, _>>()?;
        let fault = |error: &dyn std::fmt::Display| ApiError::field("messages", error);
        let Some(template) = &serving.model.template else {
            let name = &serving.name;
            return Err(fault(&format!(
                "the model {name} has no chat template; ask /v1/completions to go on with a text"
            )));
        };
        let text = template.render_undated(&messages, add_generation_prompt, || SystemTime::now().into());
        let text = text.map_err(|error| fault(&error))?;
        // A rendered template brings its own BOS.
        let ids = serving.model.tokenizer.encode_prompt(&text, false).map_err(|error| fault(&error))?;
        Ok(Prompt { text, ids })
    }
}

/// One of the ways a conversation went on.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatChoice)]
pub struct Choice {
    index: usize,
    /// What is said, in a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Content>,
    /// What is said, in a chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Content>,
    logprobs: Option<Logprobs>,
    /// `stop` or `length`.
    finish_reason: Option<&'static str>,
    decant: Decant,
}

/// What is said.
#[derive(Serialize, ToSchema)]
struct Content {
    /// `assistant`; once in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    content: String,
}

/// The model's own logprobs: T = 1, before any stage of the sampler.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatLogprobs)]
struct Logprobs {
    content: Vec<Logprob>,
    /// Null.
    #[schema(value_type = Option<String>)]
    refusal: Option<()>,
}

/// A token of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatLogprob)]
struct Logprob {
    #[serde(flatten)]
    token: Token,
    /// The most probable tokens in its place.
    top_logprobs: Vec<Token>,
}

/// A token and its logprob.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenLogprob)]
struct Token {
    /// As a text of its own.
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
}

impl Logprob {
    fn of(said: &Said, tokenizer: &Tokenizer) -> Option<Self> {
        let top = said.alternatives.iter().map(|other| Token::of(other.token, other.logprob, tokenizer));
        Some(Logprob { token: Token::of(said.token, said.logprob?, tokenizer), top_logprobs: top.collect() })
    }
}

impl Token {
    fn of(token: TokenId, logprob: f64, tokenizer: &Tokenizer) -> Self {
        Token { token: spell(token, tokenizer), logprob: told(logprob), bytes: tokenizer.bytes(token).to_vec() }
    }
}
