//! `decant lab`: the theory of decoding, exactly.

mod chain;
mod ecmm;
pub mod study;

use crate::session::Session;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::fs;
use std::io;
use std::path::Path;

/// Work out what decoding can and cannot do, exactly
#[derive(Debug, Subcommand)]
pub enum Lab {
    Ecmm(ecmm::Ecmm),
    Chain(chain::Chain),
    Study(study::Study),
}

pub fn run(lab: &Lab, session: &Session) -> Result<()> {
    match lab {
        Lab::Ecmm(args) => ecmm::run(args, session),
        Lab::Chain(args) => chain::run(args, session),
        Lab::Study(args) => study::run(args, session),
    }
}

/// A file of instances; `-` is stdin.
fn read(path: &Path) -> Result<String> {
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    text.with_context(|| format!("cannot read {}", path.display()))
}
