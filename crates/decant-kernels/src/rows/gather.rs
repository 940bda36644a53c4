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
    // A window without an upper end costs half the comparisons, and most have none.
    let open = outer[1] == f32::MAX && inner.is_none_or(|inner| inner[1] == f32::MAX);
    match (inner, open) {
        (None, true) => run::<OPEN>(isa, row, blocks, outer, outer, tokens, logits),
        (None, false) => run::<0>(isa, row, blocks, outer, outer, tokens, logits),
        (Some(inner), true) => run::<{ HOLE | OPEN }>(isa, row, blocks, outer, inner, tokens, logits),
        (Some(inner), false) => run::<HOLE>(isa, row, blocks, outer, inner, tokens, logits),
    }
}

// What a loop does, known when it is compiled: the sum of some of these.
/// There is an inner window.
const HOLE: u8 = 1;
/// The windows have no upper ends.
const OPEN: u8 = 2;

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
            *hits = within::<L, PLAN>(lanes, outer);
            if PLAN & HOLE != 0 {
                *hits &= !within::<L, PLAN>(lanes, inner);
            }
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

/// Which lanes lie in a window.
#[inline(always)]
fn within<L: Lanes, const PLAN: u8>(lanes: L, window: [f32; 2]) -> u16 {
    if PLAN & OPEN != 0 { lanes.at_least(L::splat(window[0])) } else { lanes.inside(window) }
}

/// Up to so many hits in a block are few: each costs a branch that is foreseen badly.
const FEW: u32 = 4;

#[inline(always)]
fn fetch(block: &[[f32; LANES]], first: u32, hits: [u16; BLOCK / LANES], tokens: &mut Vec<u32>, logits: &mut Vec<f32>) {
    for (i, four) in hits.as_chunks::<4>().0.iter().enumerate() {
        let mut hits = four.iter().rev().fold(0, |word, hits| word << LANES | u64::from(*hits));
        while hits != 0 {
            let place = i * 4 * LANES + hits.trailing_zeros() as usize;
            tokens.push(first + place as u32);
            logits.push(block[place / LANES][place % LANES]);
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
