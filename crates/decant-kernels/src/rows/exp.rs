//! The exponential of a logit's distance to the top, one definition for all tiers.

use crate::lanes::{LANES, Lanes, ROUND, Scalar};

/// Below this an exponential counts as nothing: e^-87 is 1.6e-38, just above the smallest normal f32.
const LOWEST: f32 = -87.0;

// Cody-Waite: ln 2 as a part with few bits and the rest, so that x - n ln 2 is exact enough.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Cephes expf: e^r = 1 + r + r² P(r) on |r| <= ln 2 / 2, highest power first.
const P: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// e^x for x <= 0, relative error below 1.2e-7; exactly 0 where x < -87 (so for -inf) and exactly 1 at 0.
#[inline(always)]
pub(crate) fn exp_lanes<L: Lanes>(x: L) -> L {
    let shifted = x.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND));
    let n = shifted.sub(L::splat(ROUND));
    let r = n.mul_add(L::splat(-LN_2_HIGH), x);
    let r = n.mul_add(L::splat(-LN_2_LOW), r);
    let mut p = L::splat(P[0]);
    for coefficient in &P[1..] {
        p = p.mul_add(r, L::splat(*coefficient));
    }
    let e = p.mul_add(r.mul(r), r).add(L::splat(1.0)).mul(shifted.exp2_of_rounded());
    e.zero_unless_at_least(x, L::splat(LOWEST))
}

/// e^x for one x <= 0, with the very bits that the lanes of every tier compute.
pub fn exp(x: f32) -> f32 {
    exp_lanes(Scalar::splat(x)).store()[LANES - 1]
}
