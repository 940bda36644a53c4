//! The tokenizer of a Hugging Face folder: `tokenizer.json`, and what the files beside it say of special tokens.

use std::path::Path;

use decant_sampling::TokenId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pieces::{Pieces, SPM_SPACE, byte_level, byte_token, spm};
use super::{Encoder, Specials, Tokenizer, TokenizerError};
use crate::LoadError;
use crate::checkpoint::{map_file, read_json};

impl Tokenizer {
    /// Reads `tokenizer.json` in `folder`, and `tokenizer_config.json`, `generation_config.json` and `config.json` where
    /// they are there.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::File`] around what is wrong with one of them.
    pub fn from_folder(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("tokenizer.json");
        let hints = Hints::read(folder)?;
        Self::from_json(map_file(&path)?.bytes(), &hints).map_err(|error| LoadError::from(error).in_file(&path))
    }

    /// Makes the tokenizer that a `tokenizer.json` describes.
    ///
    /// # Errors
    /// [`TokenizerError::Invalid`] if it describes none.
    pub fn from_json(json: &[u8], hints: &Hints) -> Result<Self, TokenizerError> {
        // Its reader slices and unwraps where a file contradicts itself (a merge longer than every token), hence the net.
        let read = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(json));
        let read = read.map_err(|_| invalid("its parts contradict each other"))?;
        let mut tokenizer = read.map_err(|error| invalid(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let pieces = pieces(&tokenizer)?;
        let specials = specials(&tokenizer, hints)?;
        Ok(Tokenizer { encoder: Encoder::HuggingFace(Box::new(tokenizer)), pieces, specials })
    }
}

fn invalid(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Invalid { reason: reason.into() }
}

/// What the files beside a `tokenizer.json` say of the tokens that begin and end a text.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Ids that begin a text, the most telling first.
    pub bos_ids: Vec<TokenId>,
    /// Ids that end a generation.
    pub end_ids: Vec<TokenId>,
    /// The same as tokens.
    pub bos_token: Option<String>,
    /// The same as tokens.
    pub eos_token: Option<String>,
}

/// `config.json` and `generation_config.json`, as far as they speak of tokens.
#[derive(Default, Deserialize)]
struct IdsJson {
    bos_token_id: Option<OneOrMany>,
    eos_token_id: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(TokenId),
    Many(Vec<TokenId>),
}

impl OneOrMany {
    fn ids(this: Option<Self>) -> Vec<TokenId> {
        match this {
            Some(OneOrMany::One(id)) => vec![id],
            Some(OneOrMany::Many(ids)) => ids,
            None => Vec::new(),
        }
    }
}

/// `tokenizer_config.json`, as far as it speaks of special tokens.
#[derive(Default, Deserialize)]
struct TokensJson {
    bos_token: Option<TokenJson>,
    eos_token: Option<TokenJson>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenJson {
    Plain(String),
    Added { content: String },
}

impl TokenJson {
    fn content(self) -> String {
        match self {
            TokenJson::Plain(content) | TokenJson::Added { content } => content,
        }
    }
}

impl Hints {
    fn read(folder: &Path) -> Result<Self, LoadError> {
        let generation: IdsJson = read_if_there(&folder.join("generation_config.json"))?;
        let config: IdsJson = read_if_there(&folder.join("config.json"))?;
        let tokens: TokensJson = read_if_there(&folder.join("tokenizer_config.json"))?;
        let both = |first, second| [OneOrMany::ids(first), OneOrMany::ids(second)].concat();
        Ok(Hints {
            bos_ids: both(generation.bos_token_id, config.bos_token_id),
            end_ids: both(generation.eos_token_id, config.eos_token_id),
            bos_token: tokens.bos_token.map(TokenJson::content),
            eos_token: tokens.eos_token.map(TokenJson::content),
        })
    }
}

fn read_if_there<T: DeserializeOwned + Default>(path: &Path) -> Result<T, LoadError> {
    if path.is_file() { read_json(path) } else { Ok(T::default()) }
}

/// Special tokens: what the post-processor adds comes first, then what the configuration files name.
fn specials(tokenizer: &tokenizers::Tokenizer, hints: &Hints) -> Result<Specials, TokenizerError> {
    let (before, after) = framing(tokenizer)?;
    let id = |token: &Option<String>| token.as_ref().and_then(|token| tokenizer.token_to_id(token));
    let known = |id: &TokenId| tokenizer.id_to_token(*id).is_some();
    let bos = id(&hints.bos_token).or(before.first().copied()).or(hints.bos_ids.iter().copied().find(known));
    let mut ends: Vec<TokenId> = hints.end_ids.iter().copied().filter(known).chain(id(&hints.eos_token)).collect();
    ends.sort_unstable();
    ends.dedup();
    Ok(Specials { bos, ends, before, after })
}

/// What the post-processor puts before and after a text.
fn framing(tokenizer: &tokenizers::Tokenizer) -> Result<(Vec<TokenId>, Vec<TokenId>), TokenizerError> {
    let ids = |add_special| {
        let encoding = tokenizer.encode_fast("a", add_special).map_err(|error| invalid(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    };
    let (bare, framed): (Vec<TokenId>, Vec<TokenId>) = (ids(false)?, ids(true)?);
    let at = (0..framed.len()).find(|&at| framed[at..].starts_with(&bare));
    let at = at.ok_or_else(|| invalid("its post-processor does more than to put tokens around a text"))?;
    Ok((framed[..at].to_vec(), framed[at + bare.len()..].to_vec()))
}

/// How a decoder turns tokens into text, as far as it can be said token by token.
enum Spelling {
    /// Characters stand for bytes.
    ByteLevel,
    /// `▁` stands for a space, `<0x0A>` for a byte.
    SentencePiece { strips_space: bool },
    /// As the vocabulary has it.
    Plain,
}

impl Spelling {
    fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self, TokenizerError> {
        let decoder = serde_json::to_value(tokenizer.get_decoder()).map_err(|error| invalid(error.to_string()))?;
        let steps = match decoder.get("decoders").and_then(Value::as_array) {
            Some(steps) => steps.as_slice(),
            None => std::slice::from_ref(&decoder),
        };
        let is = |step: &Value, kind: &str| step.get("type").and_then(Value::as_str) == Some(kind);
        if steps.iter().any(|step| is(step, "ByteLevel")) {
            return Ok(Spelling::ByteLevel);
        }
        let metaspace = steps.iter().find(|step| is(step, "Metaspace"));
        let unescapes = |step: &Value| is(step, "Replace") && step["pattern"]["String"] == SPM_SPACE;
        if metaspace.is_some() || steps.iter().any(unescapes) {
            let strips = steps.iter().any(|step| is(step, "Strip") && step["content"] == " " && step["start"] != 0);
            let prepends = metaspace.is_some_and(|step| step["prepend_scheme"] != "never");
            return Ok(Spelling::SentencePiece { strips_space: strips || prepends });
        }
        Ok(Spelling::Plain)
    }

    fn bytes(&self, piece: &str) -> Vec<u8> {
        match self {
            Spelling::ByteLevel => byte_level(piece),
            Spelling::SentencePiece { .. } => match byte_token(piece) {
                Some(byte) => vec![byte],
                None => spm(piece),
            },
            Spelling::Plain => piece.as_bytes().to_vec(),
        }
    }
}

fn pieces(tokenizer: &tokenizers::Tokenizer) -> Result<Pieces, TokenizerError> {
    let spelling = Spelling::of(tokenizer)?;
    let mut pieces = Pieces::new(matches!(spelling, Spelling::SentencePiece { strips_space: true }));
    let added = tokenizer.get_added_tokens_decoder();
    let mut tokens: Vec<(TokenId, String)> =
        tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort_unstable();
    // Ids without a token would each take an entry: a file of a few bytes must not ask for gigabytes.
    let highest = tokens.last().map_or(0, |&(id, _)| id as usize);
    if highest > 2 * tokens.len() + 1024 {
        return Err(invalid(format!("{} tokens have ids up to {highest}", tokens.len())));
    }
    for (id, token) in &tokens {
        while pieces.len() < *id as usize {
            pieces.push([]);
        }
        if pieces.len() > *id as usize {
            continue; // a second name of the same id
        }
        match added.get(id) {
            Some(token) if token.special => pieces.push([]),
            // The Gemmas' runs of spaces are added tokens, spelt like all others.
            _ => pieces.push(spelling.bytes(token)),
        }
    }
    Ok(pieces)
}
