//! Prompts by the line, for commands that work on many.

use crate::model::Model;
use crate::session::Usage;
use anyhow::{Context, Result, bail};
use clap::Args;
use decant_decode::TokenId;
use std::fs;
use std::io;
use std::path::PathBuf;

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
        let tokens = |(number, line)| self.encode(line, model).with_context(|| format!("{name}, line {}", number + 1));
        let prompts: Vec<_> = lines.map(tokens).collect::<Result<_>>()?;
        if prompts.is_empty() {
            bail!("{name} holds no prompt");
        }
        Ok(prompts)
    }

    /// As `generate` does it: within the model's chat template if it has one, which brings its own BOS.
    fn encode(&self, line: &str, model: &Model) -> Result<Vec<TokenId>> {
        match if self.raw { None } else { model.chat(line) } {
            Some(rendered) => model.encode(&rendered?, false),
            None => model.encode(line, true),
        }
    }
}
