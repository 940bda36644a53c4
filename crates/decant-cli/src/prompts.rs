//! From the text of a prompt to tokens: one, or many by the line.

use crate::model::Model;
use crate::session::Usage;
use anyhow::{Context, Result, bail};
use clap::Args;
use decant_decode::TokenId;
use std::fs;
use std::io;
use std::path::PathBuf;

/// What is fed before the first draw.
pub struct Prompt {
    /// As the tokenizer got it.
    pub text: String,
    pub ids: Vec<TokenId>,
    /// Whether it is a chat, whose answer stands for itself.
    pub chat: bool,
}

impl Prompt {
    /// The text within the model's chat template, or as it is: if it is to be raw, or the model has none.
    pub fn new(text: String, raw: bool, model: &Model) -> Result<Self> {
        let rendered = if raw { None } else { model.chat(&text).transpose()? };
        let chat = rendered.is_some();
        let text = rendered.unwrap_or(text);
        // A rendered template brings its own BOS.
        let ids = model.tokenizer().encode_prompt(&text, !chat)?;
        Ok(Prompt { text, ids, chat })
    }
}

/// Which prompts, and how they become tokens.
#[derive(Args, Debug)]
pub struct PromptsArg {
    /// A file with a prompt a line; `-` reads stdin. Empty lines do not count
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// No chat template around the prompts, even if the model has one
    #[arg(long)]
    pub raw: bool,
}

impl PromptsArg {
    /// The tokens of every prompt, none of them empty: at least one prompt.
    pub fn read(&self, model: &Model) -> Result<Vec<Vec<TokenId>>> {
        let Some(path) = &self.prompts else {
            return Err(
                Usage("the model needs something to go on from: give --prompts FILE, a prompt a line".into()).into()
            );
        };
        let name = path.display();
        let text = match path.to_str() {
            Some("-") => io::read_to_string(io::stdin()).context("cannot read the prompts from stdin")?,
            _ => fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?,
        };
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let tokens = |(number, line): (usize, &str)| {
            let prompt = Prompt::new(line.to_owned(), self.raw, model);
            prompt.map(|prompt| prompt.ids).with_context(|| format!("{name}, line {}", number + 1))
        };
        let prompts: Vec<_> = lines.map(tokens).collect::<Result<_>>()?;
        if prompts.is_empty() {
            bail!("{name} holds no prompt");
        }
        Ok(prompts)
    }
}
