//! What both routes are asked: how to go on from a prompt.

use super::{About, Object, sampler};
use crate::app::Serving;
use crate::error::ApiError;
use crate::listener::Piece;
use decant_decode::{By, DecodeSpec, TokenId};
use decant_sampling::SamplerSpec;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// The most texts that go on from one prompt.
const MOST_CHOICES: u32 = 128;

/// The most stop strings. OpenAI takes 4; evaluations send more.
const MOST_STOPS: usize = 32;

/// The most alternatives told of a position.
pub(super) const MOST_ALTERNATIVES: usize = 20;

/// Fields of OpenAI's API that change no text.
const WITHOUT_EFFECT: [&str; 4] = ["model", "user", "metadata", "safety_identifier"];

/// One of OpenAI's two ways to ask for text: what is sent, and what is answered.
pub trait Form: Send + 'static {
    /// What its answers are called, whole and in chunks.
    const OBJECTS: [&'static str; 2];
    /// How the ids of its answers begin.
    const ID: &'static str;
    /// How a piece of a choice is told, whole or in a chunk.
    type Choice: Serialize + Send;

    /// Reads a request.
    ///
    /// # Errors
    /// [`ApiError::Field`] with the field at fault.
    fn read(object: Object<'_>, serving: &Serving, lenient: bool) -> Result<Request, ApiError>;

    /// Tells a piece of a choice.
    fn choice(piece: Piece, about: &About, streamed: bool) -> Self::Choice;
}

/// A request of either form.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to go on from, at least one.
    pub prompts: Vec<Prompt>,
    /// How.
    pub generation: Generation,
    /// Whether the prompt is said again before the text.
    pub echo: bool,
    /// How many alternatives are told of each position, if logprobs are asked for.
    pub alternatives: Option<usize>,
}

/// Tokens to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// As they were given, or as they read.
    pub text: String,
    /// As the model is fed them.
    pub ids: Vec<TokenId>,
}

/// How a text is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Draws tokens.
    pub sampler: SamplerSpec,
    /// The strategy.
    pub decode: DecodeSpec,
    /// Of each prompt's first choice; random if absent.
    pub seed: Option<u64>,
    /// How many texts go on from each prompt.
    pub choices: u32,
    /// How many tokens a text has at most; as many as the model's context has room for if absent.
    pub max_tokens: Option<usize>,
    /// Whether end tokens are like others.
    pub ignore_eos: bool,
    /// Strings that end a text.
    pub stop: Vec<String>,
    /// Whether the text is told as it is made.
    pub streaming: Option<Streaming>,
    /// How long it may take.
    pub deadline: Option<Duration>,
}

/// How a text is told as it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Whether a last chunk tells the usage.
    pub usage: bool,
}

impl Generation {
    /// Takes what both forms have in common; `max_tokens` is how long a text is where nothing is said.
    ///
    /// # Errors
    /// [`ApiError::Field`] with the field at fault, also where a field is left that nobody knows.
    pub fn read(mut object: Object<'_>, max_tokens: Option<usize>, lenient: bool) -> Result<Self, ApiError> {
        for name in WITHOUT_EFFECT {
            object.take::<serde_json::Value>(name, "JSON")?;
        }
        let choices = object.take_as("n", "an integer in 1..=128", |n| (1..=MOST_CHOICES).contains(&n).then_some(n))?;
        let choices = choices.unwrap_or(1);
        Ok(Generation {
            decode: decode(&mut object, choices)?,
            seed: seed(&mut object)?,
            choices,
            max_tokens: length(&mut object)?.unwrap_or(max_tokens),
            ignore_eos: object.take("ignore_eos", "true or false")?.unwrap_or(false),
            stop: stop(&mut object)?,
            streaming: streaming(&mut object)?,
            deadline: object.take_as("deadline", "a number of seconds > 0", |seconds: f64| {
                Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
            })?,
            sampler: sampler(object, lenient)?,
        })
    }
}

/// `decode`, or OpenAI's `best_of`, which is one of its strategies.
fn decode(object: &mut Object<'_>, choices: u32) -> Result<DecodeSpec, ApiError> {
    let text: Option<String> = object.take("decode", "a strategy's text, such as \"beam(8)\"")?;
    let best_of =
        object.take_as("best_of", "an integer in 1..=128", |n| (1..=MOST_CHOICES).contains(&n).then_some(n))?;
    let best_of = best_of.filter(|&best_of| best_of != choices);
    match (text, best_of) {
        (Some(_), Some(_)) => Err(ApiError::field("best_of", "best_of is a strategy; give it or decode, not both")),
        (Some(text), None) => text.parse().map_err(|error| ApiError::field("decode", error)),
        (None, Some(best_of)) if choices > 1 => {
            let message = format!("best_of chooses one text: with n = {choices} it must be {choices}, not {best_of}");
            Err(ApiError::field("best_of", message))
        }
        (None, Some(best_of)) => Ok(DecodeSpec::BestOf { n: best_of as usize, by: By::Logprob }),
        (None, None) => Ok(DecodeSpec::Sample),
    }
}

/// -1 asks for a random one, as front-ends do.
fn seed(object: &mut Object<'_>) -> Result<Option<u64>, ApiError> {
    let expected = "an integer in 0..=18446744073709551615, or -1 for a random one";
    let read = |seed: i128| if seed == -1 { Some(None) } else { u64::try_from(seed).ok().map(Some) };
    Ok(object.take_any(&["seed", "sampler_seed"], expected, read)?.flatten())
}

/// -1 asks for as many tokens as there is room for.
fn length(object: &mut Object<'_>) -> Result<Option<Option<usize>>, ApiError> {
    let names = ["max_tokens", "max_completion_tokens", "max_new_tokens", "n_predict"];
    let read = |most: i64| if most == -1 { Some(None) } else { usize::try_from(most).ok().map(Some) };
    object.take_any(&names, "an integer >= 0, or -1 for as many as there is room for", read)
}

/// One string, or a list of them; empty ones say nothing.
fn stop(object: &mut Object<'_>) -> Result<Vec<String>, ApiError> {
    let read = |OneOrMany(mut stop): OneOrMany| {
        stop.retain(|stop| !stop.is_empty());
        (stop.len() <= MOST_STOPS).then_some(stop)
    };
    Ok(object
        .take_any(&["stop", "stopping_strings"], "a string or a list of at most 32 strings", read)?
        .unwrap_or_default())
}

fn streaming(object: &mut Object<'_>) -> Result<Option<Streaming>, ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Options {
        #[serde(default)]
        include_usage: bool,
    }
    let stream = object.take("stream", "true or false")?.unwrap_or(false);
    let options: Option<Options> = object.take("stream_options", "an object with include_usage, true or false")?;
    match (stream, options) {
        (false, Some(_)) => Err(ApiError::field("stream_options", "stream_options is for streams: set stream to true")),
        (false, None) => Ok(None),
        (true, options) => Ok(Some(Streaming { usage: options.is_some_and(|options| options.include_usage) })),
    }
}

/// A string, or a list of strings.
struct OneOrMany(Vec<String>);

impl<'de> serde::Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        Ok(OneOrMany(match Either::deserialize(deserializer)? {
            Either::One(text) => vec![text],
            Either::Many(texts) => texts,
        }))
    }
}

/// The tokens of a text. An empty one is BOS alone.
///
/// # Errors
/// [`ApiError::Field`] if there is no BOS, or the tokenizer fails.
pub(super) fn encode(text: &str, add_special: bool, serving: &Serving, param: &str) -> Result<Vec<TokenId>, ApiError> {
    let tokenizer = &serving.model.tokenizer;
    match (text.is_empty(), tokenizer.bos()) {
        (true, Some(bos)) => Ok(vec![bos]),
        (true, None) => {
            Err(ApiError::field(param, "the prompt is empty, and the model has no BOS token to start from"))
        }
        (false, _) => tokenizer.encode(text, add_special).map_err(|error| ApiError::field(param, error)),
    }
}

/// Refuses what neither form can do.
pub(super) fn refuse_tools(object: &mut Object<'_>) -> Result<(), ApiError> {
    object.refuse("tools", &[json!([])])?;
    object.refuse("tool_choice", &[json!("none"), json!("auto")])?;
    object.refuse("functions", &[json!([])])?;
    object.refuse("function_call", &[json!("none"), json!("auto")])?;
    object.refuse("response_format", &[json!({"type": "text"})])
}
