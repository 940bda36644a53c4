//! `decant logits`: the model's rows, for `decant pick` or anything else.

use crate::args::{IdList, Logits};
use crate::model::Model;
use crate::npy;
use crate::session::{Session, Usage, text_or_stdin};
use anyhow::{Context, Result, bail};
use decant_decode::{LanguageModel, Want};
use std::fs::File;
use std::io::{BufWriter, Write};

/// How many rows are in memory at a time.
const CHUNK: usize = 32;

pub fn run(args: &Logits, session: &Session) -> Result<()> {
    let text = match &args.ids {
        Some(IdList(ids)) if ids.is_empty() => return Err(Usage("--ids: give at least one token".to_owned()).into()),
        Some(_) => None,
        None => Some(text_or_stdin(args.prompt.prompt.as_deref(), "prompt")?),
    };
    let model = Model::load(&args.model, session)?;
    let ids = match (&args.ids, text) {
        (Some(IdList(ids)), _) => ids.clone(),
        (None, text) => model.tokenizer().encode_prompt(&text.unwrap_or_default(), true)?,
    };
    let engine = model.engine();
    // What cannot be fed is found before the file is begun.
    if ids.len() > engine.context() {
        bail!("{} tokens do not fit the model's context of {}", ids.len(), engine.context());
    }
    if let Some((position, id)) = ids.iter().enumerate().find(|&(_, &id)| id as usize >= engine.vocab()) {
        bail!("token {id} at position {position} is not in the model's vocabulary of {}", engine.vocab());
    }
    let name = args.output.display().to_string();
    let context = || format!("cannot write {name}");
    let mut out = BufWriter::new(File::create(&args.output).with_context(context)?);
    npy::write_header(&mut out, ids.len(), engine.vocab()).with_context(context)?;
    let bar = session.bar("rows", ids.len() as u64, false);
    let mut cache = engine.empty();
    for chunk in ids.chunks(CHUNK) {
        let rows = engine.feed(&mut cache, chunk, Want::All)?;
        npy::write_rows(&mut out, &rows.into_inner()).with_context(context)?;
        bar.inc(chunk.len() as u64);
    }
    out.flush().with_context(context)?;
    bar.finish_and_clear();
    session.note(format!("wrote {name}: {} rows of {}", ids.len(), engine.vocab()));
    Ok(())
}
