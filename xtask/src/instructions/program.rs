//! What callgrind counts the instructions of: one call of [`measured`] for each sampler and regime.

use anyhow::{Context, Result};
use decant_sampling::yardstick::{Regime, SAMPLERS};
use decant_sampling::{Isa, Memory, Sampler, Scratch, Seed};
use std::hint::black_box;

/// Logits a row: as many as a small vocabulary has, for under callgrind everything takes fifty times as long.
const VOCAB: usize = 32_000;

/// Samples one row by every sampler, and prints a line for each, in order.
pub fn run(isa: Isa) -> Result<()> {
    for regime in Regime::ALL {
        let row = regime.row(VOCAB, 0).context("the vocabulary is too small")?;
        for (spec, observed) in SAMPLERS {
            let sampler = Sampler::new(&spec.parse()?, VOCAB)?.with_isa(isa);
            let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
            // Once before, so that buffers have grown.
            sampler.pick(&row, &[], Seed(0).coins(0, 0), &mut memory, &mut scratch)?;
            measured(&sampler, &row, observed, &mut memory, &mut scratch)?;
            println!("{regime} {} {spec}", if observed { "entropy" } else { "nothing" });
        }
    }
    Ok(())
}

/// One row sampled. Callgrind is told this function's name, collects only inside it and dumps when it is left.
#[inline(never)]
fn measured(sampler: &Sampler, row: &[f32], observed: bool, memory: &mut Memory, scratch: &mut Scratch) -> Result<()> {
    let coins = Seed(0).coins(0, 1);
    if observed {
        black_box(sampler.pick(row, &[], coins, memory, scratch)?);
    } else {
        black_box(sampler.draw(row, &[], coins, memory, scratch)?);
    }
    Ok(())
}
