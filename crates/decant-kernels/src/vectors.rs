//! Loops over vectors of activations.

use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};
use crate::rows::exp_lanes;

/// The RMS norm: out\[i\] = x\[i\] · w\[i\] / √(mean x² + eps) (Zhang and Sennrich 2019).
///
/// # Panics
/// If the lengths differ.
pub fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == out.len(), "one length");
    let squares = dispatch!(isa => sum_of_squares(x: &[f32]) -> f32);
    let factor = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * factor * weight;
    }
}

#[inline(always)]
fn sum_of_squares<L: Lanes>(x: &[f32]) -> f32 {
    let (sixteens, rest) = x.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let mut sum = L::splat(0.0);
    for sixteen in sixteens {
        sum = L::load(sixteen).mul_add(L::load(sixteen), sum);
    }
    L::load(&last).mul_add(L::load(&last), sum).sum()
}

/// tanh x = sign(x) · (1 - e) / (1 + e) with e = e^-2|x|; absolute error below 2e-7.
#[inline(always)]
pub(crate) fn tanh_lanes<L: Lanes>(x: L) -> L {
    let (zero, one) = (L::splat(0.0), L::splat(1.0));
    let e = exp_lanes(x.max(zero.sub(x)).mul(L::splat(-2.0)));
    let magnitude = one.sub(e).div(one.add(e));
    let above = magnitude.zero_unless_at_least(x, zero);
    above.sub(magnitude.sub(above))
}

/// SwiGLU: gate\[i\] becomes silu(gate\[i\]) · up\[i\], with silu(x) = x / (1 + e^-x) (Shazeer 2020).
///
/// # Panics
/// If the lengths differ.
pub fn swiglu(isa: Isa, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "one length");
    dispatch!(isa => gated(gate: &mut [f32], up: &[f32]));
}

#[inline(always)]
fn gated<L: Lanes>(gate: &mut [f32], up: &[f32]) {
    let (gates, gates_rest) = gate.as_chunks_mut::<LANES>();
    let (ups, ups_rest) = up.as_chunks::<LANES>();
    for (gate, up) in gates.iter_mut().zip(ups) {
        *gate = gated_lanes::<L>(gate, up);
    }
    let (mut last, mut last_up) = ([0.0; LANES], [0.0; LANES]);
    last[..gates_rest.len()].copy_from_slice(gates_rest);
    last_up[..ups_rest.len()].copy_from_slice(ups_rest);
    gates_rest.copy_from_slice(&gated_lanes::<L>(&last, &last_up)[..ups_rest.len()]);
}

#[inline(always)]
fn gated_lanes<L: Lanes>(gate: &[f32; LANES], up: &[f32; LANES]) -> [f32; LANES] {
    // With e = e^-|x|, 1 / (1 + e^-x) is 1 / (1 + e) for x >= 0 and e / (1 + e) below: nothing can overflow.
    let (x, zero, one) = (L::load(gate), L::splat(0.0), L::splat(1.0));
    let e = exp_lanes(x.max(zero.sub(x)).mul(L::splat(-1.0)));
    let above = one.zero_unless_at_least(x, zero);
    let below = e.sub(e.zero_unless_at_least(x, zero));
    x.mul(above.add(below)).div(one.add(e)).mul(L::load(up)).store()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, other_tiers, scalar};

    fn random(len: usize, magnitude: f32) -> Vec<f32> {
        let mut numbers = Numbers(len as u64 + 1);
        (0..len).map(|_| (numbers.unit() - 0.5) * magnitude).collect()
    }

    #[test]
    fn the_norm_is_its_definition_with_one_bit_pattern() {
        for len in [1, 2, 16, 31, 64, 255, 768] {
            let (x, weight) = (random(len, 30.0), random(len, 2.0));
            let norm = |isa| {
                let mut out = vec![0.0; len];
                rms_norm(isa, &x, &weight, 1e-5, &mut out);
                out
            };
            let got = norm(scalar());
            assert!(other_tiers().into_iter().all(|isa| norm(isa) == got));
            let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / len as f64;
            for ((x, weight), got) in x.iter().zip(&weight).zip(got) {
                let expected = f64::from(*x) * f64::from(*weight) / (mean + 1e-5).sqrt();
                assert!((expected - f64::from(got)).abs() <= 1e-6 * expected.abs());
            }
        }
    }

    #[test]
    fn swiglu_is_its_definition_with_one_bit_pattern() {
        for len in [1, 15, 16, 33, 1000] {
            for magnitude in [1e-3, 10.0, 250.0] {
                let (gate, up) = (random(len, magnitude), random(len, 2.0));
                let gated = |isa| {
                    let mut out = gate.clone();
                    swiglu(isa, &mut out, &up);
                    out
                };
                let got = gated(scalar());
                assert!(other_tiers().into_iter().all(|isa| gated(isa) == got));
                for ((gate, up), got) in gate.iter().zip(&up).zip(got) {
                    let expected = f64::from(*gate) / (1.0 + (-f64::from(*gate)).exp()) * f64::from(*up);
                    let error = (expected - f64::from(got)).abs();
                    assert!(error <= 1e-6 * expected.abs() + 1e-35, "{gate} {up} {got} {expected}");
                }
            }
        }
    }
}
