//! Chat templates: the text that a model was trained to see a conversation as.
//!
//! A template is a Jinja program that comes with the model. It runs here as in transformers' `apply_chat_template`:
//! blocks swallow the line break after them and the indent before them, `raise_exception`, `strftime_now` and an unescaped
//! `tojson` are there, and so are Python's methods of strings and dicts.

mod json;
mod moment;

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::LoadError;
use crate::checkpoint::read_json;
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer;
pub use moment::Moment;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }
}

/// Why a conversation cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template itself refuses the conversation.
    #[error("the chat template refuses the conversation: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The template is no template, or fails.
    #[error("line {line} of the chat template: {reason}")]
    Invalid {
        /// Where, from 1; 0 if that is not known.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The argument of `raise_exception`, as the source of the error that it makes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl From<Error> for TemplateError {
    fn from(error: Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = source {
            if let Some(Raised(message)) = inner.downcast_ref() {
                return TemplateError::Refused { message: message.clone() };
            }
            source = inner.source();
        }
        let reason =
            error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        TemplateError::Invalid { line: error.line().unwrap_or(0), reason }
    }
}

/// A model's chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    source: String,
    /// `bos_token`, `eos_token` and the like, as the template may write them out.
    special_tokens: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// The template of that source; `special_tokens` are the variables `bos_token`, `eos_token` and the like. It is parsed
    /// when it renders: a model whose template nobody can read still loads.
    pub fn new(source: &str, special_tokens: impl IntoIterator<Item = (String, String)>) -> Self {
        ChatTemplate { source: without_generation_tags(source), special_tokens: special_tokens.into_iter().collect() }
    }

    /// The template that a GGUF file carries, if it does.
    ///
    /// # Errors
    /// [`LoadError::Gguf`] if it is no text.
    pub fn from_gguf(gguf: &Gguf<'_>, tokenizer: &Tokenizer) -> Result<Option<Self>, LoadError> {
        let Some(source) = gguf.text("tokenizer.chat_template")? else { return Ok(None) };
        let mut special_tokens = Vec::new();
        for (key, variable) in [("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")] {
            let id = gguf.unsigned(&format!("tokenizer.ggml.{key}_token_id"))?;
            let piece = id.and_then(|id| tokenizer.piece(id.try_into().ok()?));
            special_tokens.extend(piece.map(|piece| (format!("{variable}_token"), piece)));
        }
        Ok(Some(ChatTemplate::new(source, special_tokens)))
    }

    /// The template of a Hugging Face folder, if it has one: `chat_template.jinja`, or else the one, or the default one,
    /// in `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`LoadError::Io`], or [`LoadError::File`] around what is wrong with one of them.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, LoadError> {
        let (file, path) = (folder.join("chat_template.jinja"), folder.join("tokenizer_config.json"));
        let config: ConfigJson = if path.is_file() { read_json(&path)? } else { ConfigJson::default() };
        let source = if file.is_file() {
            let source = std::fs::read_to_string(&file);
            Some(source.map_err(|source| LoadError::Io { path: file, source })?)
        } else {
            config.chat_template.and_then(TemplateJson::default_source)
        };
        let special_tokens = config.fields.into_iter().filter_map(|(name, value)| match value {
            _ if !name.ends_with("_token") => None,
            serde_json::Value::String(token) => Some((name, token)),
            object => Some((name, object.get("content")?.as_str()?.to_owned())),
        });
        Ok(source.map(|source| ChatTemplate::new(&source, special_tokens)))
    }

    /// The program, as it is run.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the template may write out under a name such as `eos_token`.
    pub fn special_token(&self, name: &str) -> Option<&str> {
        self.special_tokens.get(name).map(String::as_str)
    }

    /// The conversation as the model wants to see it, special tokens written out: to be encoded without adding any. With
    /// `add_generation_prompt` it ends where the assistant begins to speak. `now` is what `strftime_now` tells; without it
    /// the template sees no such function, which those that are careful provide for.
    ///
    /// # Errors
    /// [`TemplateError::Refused`] if the template raises an exception, [`TemplateError::Invalid`] if it fails.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        now: Option<Moment>,
    ) -> Result<String, TemplateError> {
        #[derive(Serialize)]
        struct Variables<'a> {
            messages: &'a [Message],
            add_generation_prompt: bool,
            /// `None`, but defined, as transformers has it for a conversation without them.
            tools: Option<()>,
            documents: Option<()>,
            #[serde(flatten)]
            special_tokens: &'a BTreeMap<String, String>,
        }
        let special_tokens = &self.special_tokens;
        let variables = Variables { messages, add_generation_prompt, tools: None, documents: None, special_tokens };
        let environment = environment(now);
        let template = environment.template_from_str(&self.source)?;
        Ok(template.render(Serde(&variables))?)
    }

    /// The same by a template that asks for today's date only if it insists: at first it is told none, which careful ones
    /// provide for, so that the text does not depend on the day.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_undated(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        now: impl FnOnce() -> Moment,
    ) -> Result<String, TemplateError> {
        self.render(messages, add_generation_prompt, None).or_else(|error| match error {
            TemplateError::Invalid { .. } => self.render(messages, add_generation_prompt, Some(now())),
            error => Err(error),
        })
    }
}

/// `tokenizer_config.json`, as far as a template needs it.
#[derive(Default, Deserialize)]
struct ConfigJson {
    chat_template: Option<TemplateJson>,
    #[serde(flatten)]
    fields: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TemplateJson {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl TemplateJson {
    fn default_source(self) -> Option<String> {
        match self {
            TemplateJson::One(source) => Some(source),
            TemplateJson::Named(templates) => {
                templates.into_iter().find(|named| named.name == "default").map(|named| named.template)
            }
        }
    }
}

/// The source with `{% generation %} .. {% endgeneration %}`, by which transformers marks what the assistant says when it
/// trains, written as a condition that always holds.
fn without_generation_tags(source: &str) -> String {
    let mut tags = source.split("{%");
    let mut plain = tags.next().unwrap_or_default().to_owned();
    for tag in tags {
        plain.push_str("{%");
        let word = tag.trim_start_matches(['-', '+']).trim_start();
        let sign = &tag[..tag.len() - word.len()];
        let replaced = [("generation", "if true"), ("endgeneration", "endif")].into_iter().find_map(|(name, by)| {
            let rest = word.strip_prefix(name)?;
            rest.trim_start().trim_start_matches(['-', '+']).starts_with("%}").then_some((by, rest))
        });
        match replaced {
            Some((by, rest)) => plain.extend([sign, by, rest]),
            None => plain.push_str(tag),
        }
    }
    plain
}

/// Jinja as transformers sets it up.
fn environment<'source>(now: Option<Moment>) -> Environment<'source> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax); // only delimiters, which are the usual ones, can make it fail
    }
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment.add_filter("tojson", tojson);
    if let Some(now) = now {
        environment.add_function("strftime_now", move |format: &str| {
            now.format(format).map_err(|unknown| {
                Error::new(ErrorKind::InvalidOperation, format!("strftime_now does not know `%{unknown}`"))
            })
        });
    }
    environment
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?; // False in every template, as it is by default
    options.assert_all_used()?;
    json::dumps(&value, indent)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "cannot be written as JSON").with_source(error))
}
