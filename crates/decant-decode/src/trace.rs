//! A run as data: everything that its plots need, and everything that makes it come out again.

use crate::{Alternative, DecodeSpec, Finish, Limits, Outcome, alternatives};
use decant_sampling::{Logits, SamplerSpec, Step, TokenId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The version of the trace format, in every header. A reader refuses others.
pub const FORMAT: u32 = 1;

/// One run: its header, a line for each token drawn, and why it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What the run was asked to do.
    pub header: Header,
    /// What it drew.
    pub steps: Vec<TraceStep>,
    /// What a strategy beyond sampling found; `None` for sampling, or if it was cut off.
    pub outcome: Option<Outcome>,
    /// Why it ended; `None` if it was cut off.
    pub finish: Option<Finish>,
}

/// One line of a trace file. A file may hold several traces, each beginning with its header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceLine {
    /// `{"header":{..}}`: a new trace begins.
    Header(Box<Header>),
    /// `{"step":{..}}`: a token was drawn.
    Step(TraceStep),
    /// `{"outcome":{..}}`: what the strategy had to choose from, and what it took.
    Outcome(Outcome),
    /// `{"finish":"length"}`: the trace is complete.
    Finish(Finish),
}

/// What a run was asked to do: with the model, enough to do it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Decant that wrote the trace.
    pub version: String,
    /// The model's rows came from here.
    pub model: ModelId,
    /// The sampler, as its canonical text.
    pub sampler: SamplerSpec,
    /// The strategy, as its canonical text; `sample` is not told.
    #[serde(default, skip_serializing_if = "DecodeSpec::is_sample")]
    pub decode: DecodeSpec,
    /// The seed; token i was drawn with the coins of (seed, stream, i).
    pub seed: u64,
    /// The stream of the seed.
    pub stream: u32,
    /// The prompt's text, as it was given to the tokenizer.
    pub prompt: String,
    /// The prompt's tokens.
    pub prompt_ids: Vec<TokenId>,
    /// What had been generated of the text before its first step.
    #[serde(default, skip_serializing_if = "Generated::is_empty")]
    pub generated: Generated,
    /// Where the text had to end at the latest.
    pub limits: Limits,
    /// The strings that end the text.
    pub stop: Vec<String>,
}

impl Header {
    /// What stands before the first step: the prompt, and what had been generated.
    pub fn before(&self) -> String {
        format!("{}{}", self.prompt, self.generated.piece.text())
    }
}

/// Tokens that a text had before it was gone on with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// Their ids.
    pub ids: Vec<TokenId>,
    /// Their bytes.
    #[serde(flatten)]
    pub piece: Piece,
}

impl Generated {
    /// Whether there are none: the text is made from its beginning.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Which model, and which bits of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// What the user calls it: enough to load it again.
    pub source: String,
    /// A digest of its weights and tokenizer.
    pub hash: String,
    /// What weights were quantised to while loading, if they were: it changes rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantise: Option<String>,
    /// What caches kept keys and values in, if not f32: it changes rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<String>,
}

/// How many alternatives a trace keeps of every step.
const TOP: usize = 5;

/// One token drawn, with what the sampler saw and what else was probable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceStep {
    /// Index of the token in the generated text, from 0.
    pub position: usize,
    /// The token and the numbers of its row.
    #[serde(flatten)]
    pub step: Step,
    /// The token's bytes.
    #[serde(flatten)]
    pub piece: Piece,
    /// The most probable tokens of the row, in falling probability.
    pub top: Vec<TopToken>,
}

impl TraceStep {
    /// The token at `position`, drawn from `row`, shape `[vocab]`, with the bytes that it has there. `spell` gives those of
    /// the alternatives, of which a few are kept.
    pub fn new<'b>(
        position: usize,
        step: Step,
        bytes: &[u8],
        row: &[f32],
        spell: impl Fn(TokenId) -> &'b [u8],
    ) -> Self {
        let top = Logits::new(row).map(|row| alternatives(row, TOP)).unwrap_or_default();
        let top = top.into_iter().map(|top| TopToken::new(top, spell(top.token))).collect();
        TraceStep { position, step, piece: Piece::new(bytes), top }
    }
}

/// A token that could have been drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopToken {
    /// Its id.
    pub token: TokenId,
    /// ln p in the model's own row (T = 1, before any stage).
    pub logprob: f64,
    /// The token's bytes.
    #[serde(flatten)]
    pub piece: Piece,
}

impl TopToken {
    /// An alternative, with its bytes.
    pub fn new(Alternative { token, logprob }: Alternative, bytes: impl Into<Vec<u8>>) -> Self {
        TopToken { token, logprob, piece: Piece::new(bytes) }
    }
}

/// The bytes of a token. As JSON `"text"`, and beside it the exact bytes as `"hex"` where they are not UTF-8 by
/// themselves (a code point may be split over tokens).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PieceJson", try_from = "PieceJson")]
pub struct Piece(Vec<u8>);

impl Piece {
    /// Wraps the bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Piece(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// A [`Piece`] as it is written.
#[derive(Serialize, Deserialize)]
struct PieceJson {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl From<Piece> for PieceJson {
    fn from(piece: Piece) -> Self {
        match String::from_utf8(piece.0) {
            Ok(text) => PieceJson { text, hex: None },
            Err(error) => PieceJson {
                text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
                hex: Some(error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()),
            },
        }
    }
}

impl TryFrom<PieceJson> for Piece {
    type Error = String;

    fn try_from(PieceJson { text, hex }: PieceJson) -> Result<Self, String> {
        let Some(hex) = hex else { return Ok(Piece(text.into_bytes())) };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Piece).ok_or_else(|| format!("hex {hex:?} is not bytes in hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_comes_back_from_json_bit_for_bit(
            bytes in prop::collection::vec(any::<u8>(), 0..8),
            numbers in prop::array::uniform6(any::<f64>().prop_filter("finite", |n| n.is_finite())),
            (token, kept, position) in (any::<u32>(), any::<u32>(), any::<u32>()),
            gap in prop::option::of(0.0..1.0),
        ) {
            let [logprob, entropy, varentropy, temperature, kept_mass, kept_entropy] = numbers;
            let sampled_logprob = kept_entropy - logprob;
            let step = Step { token, logprob, sampled_logprob, entropy, varentropy, temperature, kept, kept_mass, kept_entropy, gap };
            let top = vec![TopToken { token, logprob, piece: Piece::new(bytes.clone()) }];
            let line = TraceLine::Step(TraceStep { position: position as usize, step, piece: Piece::new(bytes), top });
            let json = serde_json::to_string(&line).unwrap();
            let back: TraceLine = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&back, &line);
            prop_assert_eq!(serde_json::to_string(&back).unwrap(), json, "-0.0 and all");
        }
    }

    #[test]
    fn hex_stands_only_where_the_bytes_are_not_text() {
        let json = |bytes: &[u8]| serde_json::to_string(&Piece::new(bytes)).unwrap();
        assert_eq!(json("é".as_bytes()), r#"{"text":"é"}"#);
        assert_eq!(json(b"\xc3"), r#"{"text":"�","hex":"c3"}"#);
    }

    #[test]
    fn false_hex_is_an_error() {
        for hex in ["c", "zz", "c3a", "é1"] {
            let json = format!(r#"{{"text":"","hex":"{hex}"}}"#);
            assert!(serde_json::from_str::<Piece>(&json).is_err(), "{hex}");
        }
    }
}
