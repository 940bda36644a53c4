//! Collecting the tokens whose logits lie in a window.

use super::{BLOCK, Blocks, block};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Puts every token whose logit lies in the window `outer` (from least to largest, ends included), but not in `inner`,
/// into `tokens` and its logit into `logits` (both cleared first), in token order. Blocks that lie wholly outside are not
/// read.
pub fn gather(
    isa: Isa,
    row: &[f32],
    blocks: &Blocks,
    outer: [f32; 2],
    inner: Option<[f32; 2]>,
    tokens: &mut Vec<u32>,
    logits: &mut Vec<f32>,
) {
    tokens.clear();
    logits.clear();
    match inner {
        None => run::<0>(isa, row, blocks, outer, outer, tokens, logits),
        Some(inner) => run::<HOLE>(isa, row, blocks, outer, inner, tokens, logits),
    }
}

/// Says when compiling that there is an inner window.
const HOLE: u8 = 1;

fn run<const PLAN: u8>(
    isa: Isa,
    row: &[f32],
    blocks: &Blocks,
    outer: [f32; 2],
    inner: [f32; 2],
    tokens: &mut Vec<u32>,
    logits: &mut Vec<f32>,
) {
    dispatch!(isa => collect[PLAN](
        row: &[f32],
        blocks: &Blocks,
        outer: [f32; 2],
        inner: [f32; 2],
        tokens: &mut Vec<u32>,
        logits: &mut Vec<f32>,
    ));
}

#[inline(always)]
fn collect<L: Lanes, const PLAN: u8>(
    row: &[f32],
    blocks: &Blocks,
    outer: [f32; 2],
    inner: [f32; 2],
    tokens: &mut Vec<u32>,
    logits: &mut Vec<f32>,
) {
    let mut padded = [0.0; BLOCK];
    for (index, (min, max)) in blocks.min.iter().zip(&blocks.max).enumerate() {
        if *max < outer[0] || *min > outer[1] {
            continue;
        }
        let (block, first) = (block(row, index, &mut padded), (index * BLOCK) as u32);
        let (mut hits, mut count) = ([0; BLOCK / LANES], 0);
        for (hits, sixteen) in hits.iter_mut().zip(block) {
            let lanes = L::load(sixteen);
            *hits = lanes.inside(outer) & if PLAN == HOLE { !lanes.inside(inner) } else { u16::MAX };
            count += hits.count_ones();
        }
        // Few are fetched one by one; many are moved together, without a branch that nobody could foresee.
        if count <= FEW {
            fetch(block, first, hits, tokens, logits);
        } else {
            compress::<L>(block, first, hits, tokens, logits);
        }
    }
}

/// Up to so many hits in a block are few.
const FEW: u32 = 12;

#[inline(always)]
fn fetch(block: &[[f32; LANES]], first: u32, hits: [u16; BLOCK / LANES], tokens: &mut Vec<u32>, logits: &mut Vec<f32>) {
    for (i, mut hits) in hits.into_iter().enumerate() {
        while hits != 0 {
            let lane = hits.trailing_zeros() as usize;
            tokens.push(first + (i * LANES + lane) as u32);
            logits.push(block[i][lane]);
            hits &= hits - 1;
        }
    }
}

#[inline(always)]
fn compress<L: Lanes>(
    block: &[[f32; LANES]],
    first: u32,
    hits: [u16; BLOCK / LANES],
    tokens: &mut Vec<u32>,
    logits: &mut Vec<f32>,
) {
    let (mut found, mut values, mut len) = ([0; BLOCK + LANES], [0.0; BLOCK + LANES], 0);
    for (i, (hits, sixteen)) in hits.into_iter().zip(block).enumerate() {
        // Room for all sixteen is left wherever `len` has come to.
        if let (Some(found), Some(values)) = (found[len..].first_chunk_mut(), values[len..].first_chunk_mut()) {
            let tokens = std::array::from_fn(|lane| first + (i * LANES + lane) as u32);
            L::compress_words(&tokens, hits, found);
            L::load(sixteen).compress(hits, values);
        }
        len += hits.count_ones() as usize;
    }
    tokens.extend_from_slice(&found[..len]);
    logits.extend_from_slice(&values[..len]);
}
