//! Collecting the few tokens above a bound.

use super::BLOCK;
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Calls `found(index, logit)` for every logit `>= bound`, in index order. Blocks whose `block_max` (from
/// [`super::scan`]) is below the bound are not read.
pub fn gather(isa: Isa, row: &[f32], block_max: &[f32], bound: f32, found: &mut Vec<(u32, f32)>) {
    dispatch!(isa => above(row: &[f32], block_max: &[f32], bound: f32, found: &mut Vec<(u32, f32)>));
}

#[inline(always)]
fn above<L: Lanes>(row: &[f32], block_max: &[f32], bound: f32, found: &mut Vec<(u32, f32)>) {
    for ((index, block), max) in row.chunks(BLOCK).enumerate().zip(block_max) {
        if *max < bound {
            continue;
        }
        let first = index * BLOCK;
        let (sixteens, rest) = block.as_chunks::<LANES>();
        for (i, sixteen) in sixteens.iter().enumerate() {
            let mut hits = L::load(sixteen).at_least(L::splat(bound));
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                found.push(((first + i * LANES + lane) as u32, sixteen[lane]));
                hits &= hits - 1;
            }
        }
        let tail = first + sixteens.len() * LANES;
        found.extend((tail as u32..).zip(rest.iter().copied()).filter(|(_, logit)| *logit >= bound));
    }
}
