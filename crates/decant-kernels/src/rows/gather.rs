//! Collecting the tokens whose logits lie in a window.

use super::{BLOCK, Blocks, block};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Puts every token whose logit lies in the window (from least to largest, ends included) into `tokens` and its logit
/// into `logits` (both cleared first), in token order. Blocks that lie wholly outside are not read.
pub fn gather(
    isa: Isa,
    row: &[f32],
    blocks: &Blocks,
    window: [f32; 2],
    tokens: &mut Vec<u32>,
    logits: &mut Vec<f32>,
) {
    tokens.clear();
    logits.clear();
    dispatch!(isa => inside(row: &[f32], blocks: &Blocks, window: [f32; 2], tokens: &mut Vec<u32>, logits: &mut Vec<f32>));
}

#[inline(always)]
fn inside<L: Lanes>(row: &[f32], blocks: &Blocks, window: [f32; 2], tokens: &mut Vec<u32>, logits: &mut Vec<f32>) {
    let [least, largest] = window;
    let mut padded = [0.0; BLOCK];
    for (index, (min, max)) in blocks.min.iter().zip(&blocks.max).enumerate() {
        if *max < least || *min > largest {
            continue;
        }
        for (i, sixteen) in block(row, index, &mut padded).iter().enumerate() {
            let lanes = L::load(sixteen);
            let mut hits = lanes.at_least(L::splat(least)) & L::splat(largest).at_least(lanes);
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                tokens.push((index * BLOCK + i * LANES + lane) as u32);
                logits.push(sixteen[lane]);
                hits &= hits - 1;
            }
        }
    }
}
