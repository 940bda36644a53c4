//! Loops over tokens in a list, in blocks like a row's.

use super::exp::exp_lanes;
use super::{BLOCK, block, block_filled};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};

/// Fills `weights` (cleared first) with e^x of each logit, x = beta (l - top), the very terms that [`super::moments`]
/// sums.
pub fn weights(isa: Isa, logits: &[f32], top: f32, beta: f32, weights: &mut Vec<f32>) {
    weights.clear();
    weights.resize(logits.len(), 0.0);
    dispatch!(isa => weigh(logits: &[f32], top: f32, beta: f32, weights: &mut [f32]));
}

#[inline(always)]
fn weigh<L: Lanes>(logits: &[f32], top: f32, beta: f32, weights: &mut [f32]) {
    let (sixteens, rest) = logits.as_chunks::<LANES>();
    let (out, out_rest) = weights.as_chunks_mut::<LANES>();
    for (out, sixteen) in out.iter_mut().zip(sixteens) {
        *out = weight::<L>(sixteen, top, beta);
    }
    let mut last = [top; LANES];
    last[..rest.len()].copy_from_slice(rest);
    out_rest.copy_from_slice(&weight::<L>(&last, top, beta)[..rest.len()]);
}

#[inline(always)]
fn weight<L: Lanes>(sixteen: &[f32; LANES], top: f32, beta: f32) -> [f32; LANES] {
    exp_lanes(L::load(sixteen).sub(L::splat(top)).mul(L::splat(beta))).store()
}

/// A list of tokens: the logit and the weight of each.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// No -inf among them.
    pub logits: &'a [f32],
    /// As many.
    pub weights: &'a [f32],
}

/// Sums over the part of a list whose logits lie in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ListSums {
    /// How many tokens.
    pub len: usize,
    /// Σ weight.
    pub mass: f64,
    /// Σ x · weight, x = beta (l - top).
    pub first: f64,
}

/// Sums over the tokens of a list whose logits lie in the window (from least to largest, ends included); each block's
/// share of the mass goes to `block_sums` (cleared first).
pub fn list_sums(
    isa: Isa,
    list: List<'_>,
    window: [f32; 2],
    top: f32,
    beta: f32,
    block_sums: &mut Vec<f64>,
) -> ListSums {
    assert_eq!(list.logits.len(), list.weights.len(), "a weight for each logit");
    block_sums.clear();
    let mut sums = dispatch!(isa => sum_list(
        list: List<'_>, window: [f32; 2], top: f32, beta: f32, block_sums: &mut Vec<f64>,
    ) -> ListSums);
    // Distances near the end of f32 add up to what lies beyond it; with a tiny beta they matter all the same.
    if !sums.first.is_finite() {
        let inside = list.logits.iter().zip(list.weights).filter(|(l, _)| window[0] <= **l && **l <= window[1]);
        let term = |(l, weight): (&f32, &f32)| (f64::from(*l) - f64::from(top)) * f64::from(*weight);
        sums.first = inside.map(term).sum::<f64>() * f64::from(beta);
    }
    sums
}

#[inline(always)]
fn sum_list<L: Lanes>(
    List { logits, weights }: List<'_>,
    window: [f32; 2],
    top: f32,
    beta: f32,
    block_sums: &mut Vec<f64>,
) -> ListSums {
    let (least, largest) = (L::splat(window[0]), L::splat(window[1]));
    let (top, lowest) = (L::splat(top), L::splat(f32::MIN));
    let (mut sums, mut padded) = (ListSums::default(), [[0.0; BLOCK]; 2]);
    let [padded_logits, padded_weights] = &mut padded;
    for index in 0..logits.len().div_ceil(BLOCK) {
        // Filled up with -inf, which lies in no window.
        let logits = block(logits, index, padded_logits);
        let weights = block_filled(weights, index, 0.0, padded_weights);
        let [mut len, mut mass, mut first] = [L::splat(0.0); 3];
        for (logits, weights) in logits.iter().zip(weights) {
            let l = L::load(logits);
            // 1 inside and 0 outside: a product is cheaper than a second choice, and its bits are the weight's.
            let inside = L::splat(1.0).zero_unless_at_least(l, least).zero_unless_at_least(largest, l);
            let weight = L::load(weights).mul(inside);
            len = len.add(inside);
            mass = mass.add(weight);
            // Finite however far the logit lies below the top, so that 0 times it is 0.
            first = l.sub(top).max(lowest).mul_add(weight, first);
        }
        let mass = f64::from(mass.sum());
        block_sums.push(mass);
        sums.len += len.sum() as usize;
        sums.mass += mass;
        sums.first += f64::from(first.sum()) * f64::from(beta);
    }
    sums
}

/// Puts the index of every logit that lies in the window `outer`, but not in `inner`, into `places` (cleared first).
pub fn places(isa: Isa, logits: &[f32], outer: [f32; 2], inner: Option<[f32; 2]>, places: &mut Vec<u32>) {
    places.clear();
    let inner = inner.unwrap_or([f32::INFINITY, f32::NEG_INFINITY]);
    dispatch!(isa => between(logits: &[f32], outer: [f32; 2], inner: [f32; 2], places: &mut Vec<u32>));
}

#[inline(always)]
fn between<L: Lanes>(logits: &[f32], outer: [f32; 2], inner: [f32; 2], places: &mut Vec<u32>) {
    let mut padded = [0.0; BLOCK];
    for index in 0..logits.len().div_ceil(BLOCK) {
        let (mut found, mut len) = ([0; BLOCK + LANES], 0);
        for (i, sixteen) in block(logits, index, &mut padded).iter().enumerate() {
            let l = L::load(sixteen);
            let hits = l.inside(outer) & !l.inside(inner);
            let here = std::array::from_fn(|lane| (index * BLOCK + i * LANES + lane) as u32);
            if let Some(out) = found[len..].first_chunk_mut() {
                L::compress_words(&here, hits, out);
            }
            len += hits.count_ones() as usize;
        }
        places.extend_from_slice(&found[..len]);
    }
}

/// Keeps the tokens of a list whose logits lie in the window, in order.
///
/// # Panics
/// If the three have not the same length.
pub fn retain(isa: Isa, window: [f32; 2], tokens: &mut Vec<u32>, logits: &mut Vec<f32>, weights: &mut Vec<f32>) {
    assert!(tokens.len() == logits.len() && tokens.len() == weights.len(), "one list");
    let kept = dispatch!(isa => move_up(
        window: [f32; 2], tokens: &mut [u32], logits: &mut [f32], weights: &mut [f32],
    ) -> usize);
    tokens.truncate(kept);
    logits.truncate(kept);
    weights.truncate(kept);
}

/// Moves what stays to the front and says how much it is.
#[inline(always)]
fn move_up<L: Lanes>(window: [f32; 2], tokens: &mut [u32], logits: &mut [f32], weights: &mut [f32]) -> usize {
    let (mut kept, whole) = (0, tokens.len() / LANES * LANES);
    for at in (0..whole).step_by(LANES) {
        // Read before they are written over: what stays never moves back.
        let here = (tokens[at..].first_chunk().copied(), logits[at..].first_chunk(), weights[at..].first_chunk());
        let (Some(words), Some(l), Some(w)) = here else { break };
        let (l, w) = (L::load(l), L::load(w));
        let stay = l.inside(window);
        if let Some(out) = tokens[kept..].first_chunk_mut() {
            L::compress_words(&words, stay, out);
        }
        if let Some(out) = logits[kept..].first_chunk_mut() {
            l.compress(stay, out);
        }
        if let Some(out) = weights[kept..].first_chunk_mut() {
            w.compress(stay, out);
        }
        kept += stay.count_ones() as usize;
    }
    for at in whole..tokens.len() {
        (tokens[kept], logits[kept], weights[kept]) = (tokens[at], logits[at], weights[at]);
        kept += usize::from(window[0] <= logits[at] && logits[at] <= window[1]);
    }
    kept
}
