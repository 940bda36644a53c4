//! `decant lab chain`.

use crate::session::Session;
use anyhow::Result;
use clap::Args;

/// Exact risks of decoders on Markov chains
#[derive(Args, Debug)]
pub struct Chain {}

pub fn run(_args: &Chain, _session: &Session) -> Result<()> {
    anyhow::bail!("lab chain is being built")
}
