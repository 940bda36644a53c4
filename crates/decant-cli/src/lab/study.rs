//! `decant lab study`.

use crate::session::Session;
use anyhow::Result;
use clap::Args;

/// Run a reproducible study
#[derive(Args, Debug)]
pub struct Study {}

pub fn run(_args: &Study, _session: &Session) -> Result<()> {
    anyhow::bail!("lab study is being built")
}
