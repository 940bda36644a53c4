//! What both routes are asked: how to go on from a prompt.

use super::{About, Fields, Object, field, sampler};
use crate::app::Serving;
use crate::error::ApiError;
use crate::listener::Piece;
use decant_decode::{By, DecodeSpec, Limits, TokenId};
use decant_models::tokenizer::Tokenizer;
use decant_sampling::SamplerSpec;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// The most texts that go on from one prompt.
pub(super) const MOST_CHOICES: u32 = 128;

/// The most prompts of a request, and the most texts: each takes memory before it is queued.
pub(super) const MOST_PROMPTS: usize = 1024;

/// The most texts that a strategy keeps or draws, and the most model calls that a search may take: a client decides on them.
const MOST_WIDTH: usize = 128;
const MOST_CALLS: usize = 10_000;

/// The most stop strings. OpenAI takes 4; evaluations send more.
pub(super) const MOST_STOPS: usize = 32;

/// The most alternatives told of a position.
pub(super) const MOST_ALTERNATIVES: usize = 20;

/// One of OpenAI's two ways to ask for text: what is sent, and what is answered.
pub trait Form: Send + 'static {
    /// What its answers are called, whole and in chunks.
    const OBJECTS: [&'static str; 2];
    /// How the ids of its answers begin.
    const ID: &'static str;
    /// What it takes, beside stages.
    const FIELDS: Fields;
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
    /// What was generated of the text before.
    pub generated: Vec<TokenId>,
}

impl Request {
    /// Where its texts end at the latest.
    pub fn limits(&self, ends: &[TokenId]) -> Limits {
        let more = self.generation.max_tokens.unwrap_or(usize::MAX);
        Limits {
            max_tokens: more.saturating_add(self.generated.len()),
            ends: ends.to_vec(),
            ignore_eos: self.generation.ignore_eos,
        }
    }

    /// How many tokens are given.
    pub fn fed(&self) -> usize {
        self.prompts.iter().map(|prompt| prompt.ids.len()).sum::<usize>() + self.generated.len()
    }

    /// Which prompt a choice goes on from.
    pub fn prompt_of(&self, choice: usize) -> Option<&Prompt> {
        self.prompts.get(choice / self.generation.choices as usize)
    }
}

/// Tokens to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// As they were given, or as they read.
    pub text: String,
    /// As the model is fed them.
    pub ids: Vec<TokenId>,
}

impl Prompt {
    /// The bytes of the token at a place of the generated text; at the very start of a text they may differ.
    pub fn bytes<'t>(&self, place: usize, token: TokenId, tokenizer: &'t Tokenizer) -> &'t [u8] {
        match place == 0 && self.text.is_empty() {
            true => tokenizer.first_bytes(token),
            false => tokenizer.bytes(token),
        }
    }
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
    /// Whether every choice is told as a trace, too.
    pub trace: bool,
}

/// How a text is told as it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streaming {
    /// Whether a last chunk tells the usage.
    pub usage: bool,
    /// Whether every chunk tells the usage so far, as vLLM's benchmarks ask.
    pub running_usage: bool,
}

impl Generation {
    /// Takes what both forms have in common; `max_tokens` is how long a text is where nothing is said.
    ///
    /// # Errors
    /// [`ApiError::Field`] with the field at fault, also where a field is left that nobody knows.
    pub fn read(mut object: Object<'_>, max_tokens: Option<usize>, lenient: bool) -> Result<Self, ApiError> {
        for field in field::WITHOUT_EFFECT {
            object.take::<Value>(field)?;
        }
        field::REFUSED.iter().try_for_each(|field| object.refuse(field))?;
        let choices = object.take_as(&field::N, |n| (1..=MOST_CHOICES).contains(&n).then_some(n))?;
        let choices = choices.unwrap_or(1);
        Ok(Generation {
            decode: decode(&mut object, choices)?,
            seed: seed(&mut object)?,
            choices,
            max_tokens: length(&mut object)?.unwrap_or(max_tokens),
            ignore_eos: object.take(&field::IGNORE_EOS)?.unwrap_or(false),
            stop: stop(&mut object)?,
            streaming: streaming(&mut object)?,
            deadline: object.take_as(&field::DEADLINE, |seconds: f64| {
                Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
            })?,
            trace: object.take(&field::TRACE)?.unwrap_or(false),
            sampler: sampler(object, lenient)?,
        })
    }
}

/// `decode`, or OpenAI's `best_of`, which is one of its strategies.
fn decode(object: &mut Object<'_>, choices: u32) -> Result<DecodeSpec, ApiError> {
    let text: Option<String> = object.take(&field::DECODE)?;
    let best_of = object.take_as(&field::BEST_OF, |n| (1..=MOST_CHOICES).contains(&n).then_some(n))?;
    let best_of = best_of.filter(|&best_of| best_of != choices);
    match (text, best_of) {
        (Some(_), Some(_)) => Err(ApiError::field("best_of", "best_of is a strategy; give it or decode, not both")),
        (Some(text), None) => {
            let decode = text.parse().map_err(|error| ApiError::field("decode", error))?;
            match is_bearable(&decode) {
                true => Ok(decode),
                false => Err(ApiError::field("decode", "decode asks for more than 128 texts or 10000 model calls")),
            }
        }
        (None, Some(best_of)) if choices > 1 => {
            let message = format!("best_of chooses one text: with n = {choices} it must be {choices}, not {best_of}");
            Err(ApiError::field("best_of", message))
        }
        (None, Some(best_of)) => Ok(DecodeSpec::BestOf { n: best_of as usize, by: By::Logprob }),
        (None, None) => Ok(DecodeSpec::Sample),
    }
}

/// Whether a strategy is one that a stranger may ask for.
fn is_bearable(decode: &DecodeSpec) -> bool {
    match decode {
        DecodeSpec::Lookahead { k: length, budget } | DecodeSpec::Map { len: length, budget } => {
            *length <= MOST_CALLS && *budget <= MOST_CALLS
        }
        DecodeSpec::Beam(beam) => beam.width <= MOST_WIDTH,
        DecodeSpec::StochasticBeam { k: n } | DecodeSpec::BestOf { n, .. } | DecodeSpec::Mbr { n, .. } => {
            *n <= MOST_WIDTH
        }
        _ => true,
    }
}

/// -1 asks for a random one, as front-ends do.
fn seed(object: &mut Object<'_>) -> Result<Option<u64>, ApiError> {
    let read = |seed: i128| if seed == -1 { Some(None) } else { u64::try_from(seed).ok().map(Some) };
    Ok(object.take_as(&field::SEED, read)?.flatten())
}

/// -1 asks for as many tokens as there is room for.
fn length(object: &mut Object<'_>) -> Result<Option<Option<usize>>, ApiError> {
    let read = |most: i64| if most == -1 { Some(None) } else { usize::try_from(most).ok().map(Some) };
    object.take_as(&field::MAX_TOKENS, read)
}

/// One string, or a list of them; empty ones say nothing.
fn stop(object: &mut Object<'_>) -> Result<Vec<String>, ApiError> {
    let read = |OneOrMany(mut stop): OneOrMany| {
        stop.retain(|stop| !stop.is_empty());
        (stop.len() <= MOST_STOPS).then_some(stop)
    };
    Ok(object.take_as(&field::STOP, read)?.unwrap_or_default())
}

fn streaming(object: &mut Object<'_>) -> Result<Option<Streaming>, ApiError> {
    #[derive(serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Options {
        #[serde(default)]
        include_usage: bool,
        #[serde(default)]
        continuous_usage_stats: bool,
        /// OpenAI pads its chunks against listeners who measure them; nothing is padded here.
        #[serde(default, rename = "include_obfuscation")]
        _include_obfuscation: bool,
    }
    let stream = object.take(&field::STREAM)?.unwrap_or(false);
    let options: Option<Options> = object.take(&field::STREAM_OPTIONS)?;
    match (stream, options) {
        (false, Some(_)) => Err(ApiError::field("stream_options", "stream_options is for streams: set stream to true")),
        (false, None) => Ok(None),
        (true, options) => {
            let usage = options.as_ref().is_some_and(|options| options.include_usage);
            let running_usage = usage && options.is_some_and(|options| options.continuous_usage_stats);
            Ok(Some(Streaming { usage, running_usage }))
        }
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

/// llama.cpp's name for how many alternatives are told; 0, which front-ends send, asks for no logprobs.
pub(super) fn n_probs(object: &mut Object<'_>) -> Result<Option<usize>, ApiError> {
    let probs = object.take_as(&field::N_PROBS, |n| (n <= MOST_ALTERNATIVES).then_some(n))?;
    Ok(probs.filter(|&probs| probs > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::admit;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &Value) -> Result<Generation, ApiError> {
        let body = body.to_string();
        let mut object = Object::parse(body.as_bytes())?;
        admit(&mut object, field::COMPLETIONS, false)?;
        Generation::read(object, Some(16), false)
    }

    #[test]
    fn nothing_asked_is_openais_default() {
        let expected = Generation {
            sampler: SamplerSpec::default(),
            decode: DecodeSpec::Sample,
            seed: None,
            choices: 1,
            max_tokens: Some(16),
            ignore_eos: false,
            stop: vec![],
            streaming: None,
            deadline: None,
            trace: false,
        };
        assert_eq!(read(&json!({})).unwrap(), expected);
        let neutral = json!({
            "model": "x", "user": "y", "n": 1, "best_of": 1, "seed": -1, "max_tokens": 16, "max_new_tokens": 16,
            "ignore_eos": false, "stop": null, "stopping_strings": [], "stream": false, "stream_options": null,
        });
        assert_eq!(read(&neutral).unwrap(), expected);
    }

    #[test]
    fn every_field_is_read() {
        let body = json!({
            "n": 2, "seed": 18446744073709551615u64, "n_predict": -1, "ignore_eos": true, "stop": "a",
            "stopping_strings": ["a", ""], "stream": true, "stream_options": {"include_usage": true}, "deadline": 1.5,
            "decode": "beam( 3 )", "temp": 0.5,
        });
        let read = read(&body).unwrap();
        assert_eq!((read.choices, read.seed, read.max_tokens, read.ignore_eos), (2, Some(u64::MAX), None, true));
        assert_eq!(
            (read.stop, read.streaming),
            (vec!["a".to_owned()], Some(Streaming { usage: true, running_usage: false }))
        );
        assert_eq!((read.deadline, read.decode.to_string()), (Some(Duration::from_millis(1500)), "beam(3)".to_owned()));
        assert_eq!(read.sampler.to_string(), "temp=0.5");
    }

    #[test]
    fn a_strategy_is_kept_within_bounds() {
        for decode in ["beam(129)", "mbr(4000000000)", "best_of(129)", "map(5,budget=10001)", "lookahead(10001)"] {
            let error = read(&json!({"decode": decode})).unwrap_err();
            assert!(matches!(error, ApiError::Field { param, .. } if param == "decode"), "{decode}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z_(),=0-9.:]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z0-9]{0,5}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// Whatever stands in a field, the answer is a request or the name of a field.
        #[test]
        fn any_value_in_any_field_is_read_or_refused_by_name(
            fields in prop::collection::btree_map(prop::sample::select(vec![
                "n", "seed", "max_tokens", "n_predict", "stop", "stream", "stream_options", "decode", "best_of", "deadline",
                "sampler", "vllm_xargs", "logit_bias", "temperature", "top_h", "dry_multiplier", "dry_sequence_breakers",
                "presence_penalty", "mirostat", "min_keep", "samplers", "temperature_last", "dynamic_temperature",
                "dynatemp_range", "dynatemp_low", "guidance_scale",
            ]), value(), 0..5),
        ) {
            match read(&json!(fields)) {
                Ok(generation) => prop_assert!(generation.choices >= 1 && generation.stop.len() <= MOST_STOPS),
                Err(ApiError::Field { param, message }) => {
                    // A field is called what the client calls it, be it nothing.
                    let nameless = fields.get("vllm_xargs").is_some_and(|fields| fields.get("").is_some());
                    prop_assert!((!param.is_empty() || nameless) && !message.is_empty());
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
