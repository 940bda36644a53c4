//! `decant calibrate`: the model's own entropies, and a profile made from them.

use crate::session::Session;
use anyhow::Result;
use clap::Args;

/// Measure how uncertain a model is, and write a profile that follows it
#[derive(Args, Debug)]
pub struct Calibrate {}

pub fn run(_args: &Calibrate, _session: &Session) -> Result<()> {
    anyhow::bail!("calibrate is being built")
}
