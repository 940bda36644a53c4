//! Weights of tokens in a list.

use super::exp::exp_lanes;
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
