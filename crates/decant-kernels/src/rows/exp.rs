//! The exponential of a logit's distance to the top, one definition for all tiers.

use crate::lanes::{LANES, Lanes, ROUND, Scalar};

/// Below this an exponential counts as nothing: e^-87 is 1.6e-38, just above the smallest normal f32.
pub(super) const LOWEST: f32 = -87.0;

/// e^r = 1 + r P(r) on |r| <= ln 2 / 2, highest power first: the minimax polynomial of least relative error (9e-8).
const P: [f32; 5] = [0.008_290_272, 0.041_898_16, 0.166_676_39, 0.499_991_48, 0.999_999_7];

/// e^x for x <= 0, relative error below 2e-7 where x >= -20 and below 5e-7 where less; exactly 0 where x < -87 (so for -inf) and exactly 1 at 0.
#[inline(always)]
pub(crate) fn exp_lanes<L: Lanes>(x: L) -> L {
    let lowest = L::splat(LOWEST);
    exp_of_normal(x.max(lowest)).zero_unless_at_least(x, lowest)
}

/// e^x for -87 <= x <= 0: the same bits for less.
#[inline(always)]
pub(super) fn exp_of_normal<L: Lanes>(x: L) -> L {
    let rounded = x.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND));
    let n = rounded.sub(L::splat(ROUND));
    // One constant for ln 2 is enough: |n| <= 126 times its error of 2e-9.
    let r = n.mul_add(L::splat(-std::f32::consts::LN_2), x);
    let mut p = L::splat(P[0]);
    for coefficient in &P[1..] {
        p = p.mul_add(r, L::splat(*coefficient));
    }
    p.mul_add(r, L::splat(1.0)).scale_by_rounded(rounded)
}

/// e^x for one x <= 0, with the very bits that the lanes of every tier compute.
pub fn exp(x: f32) -> f32 {
    exp_lanes(Scalar::splat(x)).store()[LANES - 1]
}
