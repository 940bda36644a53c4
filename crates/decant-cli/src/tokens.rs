//! `decant tokenize` and `decant detokenize`.

use crate::args::{Detokenize, Tokenize};
use crate::model::Model;
use crate::session::{Session, text_or_stdin};
use anyhow::{Result, bail};
use decant_sampling::TokenId;
use serde_json::json;
use std::io::{self, Write};

pub fn tokenize(args: &Tokenize, session: &Session) -> Result<()> {
    let text = text_or_stdin(args.text.as_deref(), "text")?;
    let model = Model::load(&args.model, session)?;
    let tokenizer = model.tokenizer();
    let ids = tokenizer.encode(&text, true)?;
    let piece = |&id: &TokenId| tokenizer.piece(id).unwrap_or_default();
    let mut out = io::stdout().lock();
    if args.json {
        let tokens: Vec<String> = ids.iter().map(piece).collect();
        writeln!(out, "{}", json!({ "ids": ids, "tokens": tokens }))?;
    } else {
        for id in &ids {
            writeln!(out, "{id:>8}  {}", piece(id))?;
        }
    }
    Ok(())
}

pub fn detokenize(args: &Detokenize, session: &Session) -> Result<()> {
    let model = Model::load(&args.model, session)?;
    let ids: Vec<TokenId> = args.ids.iter().flat_map(|list| list.0.iter().copied()).collect();
    let vocab = model.tokenizer().vocab();
    if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab) {
        bail!("token {id} is not in the tokenizer's vocabulary of {vocab}");
    }
    let text = model.tokenizer().decode(&ids);
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", json!({ "text": text }))?,
        false => writeln!(out, "{text}")?,
    }
    Ok(())
}
