//! `decant lab`: the theory of decoding, exactly.

mod chain;
mod ecmm;
pub mod study;

use crate::session::Session;
use anyhow::Result;
use clap::Subcommand;

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
