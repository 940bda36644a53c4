//! `POST /tokenize`, `POST /detokenize`, `GET /tokenizer_info`: for clients without the tokenizer.

use crate::api::Conversation;
use crate::app::{App, Serving};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::openapi;
use axum::Json;
use axum::extract::State;
use decant_decode::LanguageModel;
use decant_models::Model;
use decant_sampling::TokenId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be split: a text, or a conversation. (vLLM's servers say `prompt` or `messages`, llama.cpp's `content`.)
#[derive(Deserialize, ToSchema)]
#[schema(as = TokenizeRequest)]
pub struct Text {
    /// Without effect.
    #[serde(rename = "model")]
    _model: Option<String>,
    /// The text; `content` means the same.
    #[serde(alias = "content")]
    prompt: Option<String>,
    #[schema(schema_with = openapi::messages)]
    messages: Option<Conversation>,
    /// Whether a conversation ends where the assistant begins to speak.
    #[serde(default = "yes")]
    add_generation_prompt: bool,
    /// Whether BOS and the like are put around it, as they are around the prompt of a completion; `add_special` means the same.
    #[serde(default = "yes", alias = "add_special")]
    add_special_tokens: bool,
    /// Whether the tokens are told as the vocabulary spells them, too; `with_pieces` means the same.
    #[serde(default, alias = "with_pieces")]
    return_token_strs: bool,
}

fn yes() -> bool {
    true
}

/// What it was split into.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokenized)]
pub struct Split {
    count: usize,
    max_model_len: usize,
    tokens: Vec<TokenId>,
    token_strs: Option<Vec<String>>,
}

impl Text {
    fn tokens(&mut self, serving: &Serving, lenient: bool) -> Result<Vec<TokenId>, ApiError> {
        match (self.prompt.take(), self.messages.take()) {
            (Some(prompt), None) => {
                let tokens = serving.model.tokenizer.encode(&prompt, self.add_special_tokens);
                tokens.map_err(|error| ApiError::field("prompt", error.to_string()))
            }
            (None, Some(messages)) => Ok(messages.prompt(self.add_generation_prompt, serving, lenient)?.ids),
            _ => Err(ApiError::field("prompt", "give prompt (or content), or messages")),
        }
    }
}

/// Splits a text into tokens.
#[utoipa::path(post, path = "/tokenize", tag = "tokens", request_body = Text, responses(
    (status = 200, description = "its tokens", body = Split),
))]
pub async fn tokenize(State(app): State<App>, Fields(mut text): Fields<Text>) -> Result<Json<Split>, ApiError> {
    let split = move || {
        let serving = app.serving()?;
        let tokens = text.tokens(serving, app.settings.lenient)?;
        let Model { tokenizer, engine, .. } = &*serving.model;
        let piece = |&id: &TokenId| tokenizer.piece(id).unwrap_or_default();
        let token_strs = text.return_token_strs.then(|| tokens.iter().map(piece).collect());
        Ok(Json(Split { count: tokens.len(), max_model_len: engine.context(), tokens, token_strs }))
    };
    // A body of megabytes takes its time.
    tokio::task::spawn_blocking(split).await.map_err(ApiError::internal)?
}

/// Tokens.
#[derive(Deserialize, ToSchema)]
#[schema(as = DetokenizeRequest)]
pub struct Tokens {
    /// Without effect.
    #[serde(rename = "model")]
    _model: Option<String>,
    tokens: Vec<TokenId>,
}

/// Their text.
#[derive(Serialize, ToSchema)]
#[schema(as = Detokenized)]
pub struct Joined {
    prompt: String,
}

/// Tells the text of tokens.
#[utoipa::path(post, path = "/detokenize", tag = "tokens", request_body = Tokens, responses(
    (status = 200, description = "their text", body = Joined),
))]
pub async fn detokenize(
    State(app): State<App>,
    Fields(Tokens { tokens, .. }): Fields<Tokens>,
) -> Result<Json<Joined>, ApiError> {
    let tokenizer = &app.serving()?.model.tokenizer;
    let vocab = tokenizer.vocab();
    match tokens.iter().position(|&token| token as usize >= vocab) {
        None => Ok(Json(Joined { prompt: tokenizer.decode(&tokens) })),
        Some(at) => Err(ApiError::field(
            format!("tokens[{at}]"),
            format!("token {} is not in the tokenizer's vocabulary of {vocab}", tokens[at]),
        )),
    }
}

/// What frames a text, as the vocabulary spells it.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenizerInfo)]
pub struct Info {
    bos_token: Option<String>,
    eos_token: Option<String>,
    pad_token: Option<String>,
    chat_template: Option<String>,
    /// Whether the tokenizer puts BOS before a prompt.
    add_bos_token: bool,
    /// All tokens that end a text.
    end_tokens: Vec<TokenId>,
    vocab_size: usize,
}

/// Tells what a client needs to know of the tokenizer.
#[utoipa::path(get, path = "/tokenizer_info", tag = "tokens", operation_id = "tokenizer_info", responses(
    (status = 200, description = "what frames a text", body = Info),
))]
pub async fn info(State(app): State<App>) -> Result<Json<Info>, ApiError> {
    Ok(Json(Info::new(&app.serving()?.model)))
}

impl Info {
    fn new(model: &Model) -> Self {
        let (tokenizer, template) = (&model.tokenizer, model.template.as_ref());
        // The files' own word for each; else the vocabulary's. Several tokens may end a text: then the first of them.
        let named = |name: &str| template.and_then(|template| template.special_token(name)).map(str::to_owned);
        let spelt = |id: Option<TokenId>| id.and_then(|id| tokenizer.piece(id));
        Info {
            bos_token: named("bos_token").or_else(|| spelt(tokenizer.bos())),
            eos_token: named("eos_token").or_else(|| spelt(tokenizer.ends().first().copied())),
            pad_token: named("pad_token"),
            chat_template: template.map(|template| template.source().to_owned()),
            add_bos_token: tokenizer.adds_bos(),
            end_tokens: tokenizer.ends().to_vec(),
            vocab_size: tokenizer.vocab(),
        }
    }
}
