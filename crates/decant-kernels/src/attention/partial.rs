//! Partials: attention over some segments, not yet normalised.

use super::page::padded;
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};
use crate::rows::exp_lanes;

/// Floats of a partial: the weighted values [head_dim, filled up to whole lanes], then sixteen of which the first is the
/// largest score and the second the sum of weights.
pub fn partial_len(head_dim: usize) -> usize {
    padded(head_dim) + LANES
}

/// The partial over no position.
pub(super) fn clear(partial: &mut [f32]) {
    partial.fill(0.0);
    let largest = partial.len() - LANES;
    partial[largest] = f32::NEG_INFINITY;
}

/// Writes the largest score and the sum of weights of a partial.
#[inline(always)]
pub(super) fn set_softmax(partial: &mut [f32], largest: f32, sum: f32) {
    let at = partial.len() - LANES;
    partial[at..at + 2].copy_from_slice(&[largest, sum]);
}

/// Joins to `into` the partial of positions that follow: both weighted by e^(largest - larger largest).
#[inline(always)]
pub(super) fn merge<L: Lanes>(into: &mut [f32], from: &[f32]) {
    let (into, into_softmax) = halves_mut(into);
    let (from, from_softmax) = (from.as_chunks::<LANES>().0, &from[from.len() - LANES..]);
    let (a, b) = (into_softmax[0], from_softmax[0]);
    let largest = if a > b { a } else { b };
    let (a, b) = (exp_lanes(L::splat(a - largest)), exp_lanes(L::splat(b - largest)));
    for (into, from) in into.iter_mut().zip(from) {
        *into = L::load(into).mul_add(a, L::load(from).mul(b)).store();
    }
    let sum = L::splat(into_softmax[1]).mul_add(a, L::splat(from_softmax[1]).mul(b));
    into_softmax[..2].copy_from_slice(&[largest, sum.store()[0]]);
}

#[inline(always)]
fn halves_mut(partial: &mut [f32]) -> (&mut [[f32; LANES]], &mut [f32]) {
    let at = partial.len() - LANES;
    let (values, softmax) = partial.split_at_mut(at);
    (values.as_chunks_mut().0, softmax)
}

/// The means of values of queries `[queries, head_dim]` to `out`. Their partials lie one after another in `partials`; then,
/// `stride` floats after the first, those over later positions, and so on. What `partials` holds is used up.
///
/// # Panics
/// If `out` is not whole queries, or `partials` does not hold theirs.
pub fn finish(isa: Isa, partials: &mut [f32], stride: usize, head_dim: usize, out: &mut [f32]) {
    assert!(out.len().is_multiple_of(head_dim), "whole queries");
    dispatch!(isa => normalise(partials: &mut [f32], stride: usize, head_dim: usize, out: &mut [f32]));
}

#[inline(always)]
fn normalise<L: Lanes>(partials: &mut [f32], stride: usize, head_dim: usize, out: &mut [f32]) {
    let len = partial_len(head_dim);
    let (firsts, later) = partials.split_at_mut(stride.min(partials.len()));
    for (query, (out, total)) in out.chunks_exact_mut(head_dim).zip(firsts.chunks_exact_mut(len)).enumerate() {
        for partials in later.chunks_exact(stride) {
            merge::<L>(total, &partials[query * len..][..len]);
        }
        let (values, softmax) = halves_mut(total);
        let factor = L::splat(1.0 / softmax[1]);
        for (out, values) in out.chunks_mut(LANES).zip(values) {
            let mean = L::load(values).mul(factor).store();
            out.copy_from_slice(&mean[..out.len()]);
        }
    }
}
