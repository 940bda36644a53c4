//! `decant lab ecmm`.

use crate::session::Session;
use anyhow::Result;
use clap::Args;

/// Solve entropy-constrained mass maximisation exactly
#[derive(Args, Debug)]
pub struct Ecmm {}

pub fn run(_args: &Ecmm, _session: &Session) -> Result<()> {
    anyhow::bail!("lab ecmm is being built")
}
