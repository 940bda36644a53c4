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

/// Below this tanh is a polynomial: (1 - e) / (1 + e) would lose its digits.
const TANH_SMALL: f32 = 0.55;

/// tanh x = x + x³ P(x²) on |x| <= 0.55, highest power first: the minimax polynomial of least relative error (4e-8).
const TANH: [f32; 4] = [0.016_437_573, -0.052_671_81, 0.133_207_25, -0.333_329_47];

/// tanh x, relative error below 3e-7: the polynomial near 0, else sign(x) · (1 - e) / (1 + e) with e = e^-2|x|. NaN for a NaN
/// and for an infinity: a score or a logit that is none must show.
#[inline(always)]
pub(crate) fn tanh_lanes<L: Lanes>(x: L) -> L {
    let (zero, one, bound) = (L::splat(0.0), L::splat(1.0), L::splat(TANH_SMALL));
    let distance = x.max(zero.sub(x));
    let e = exp_lanes(distance.mul(L::splat(-2.0)));
    let large = one.sub(e).div(one.add(e)).zero_unless_at_least(distance, bound);

    let near = distance.min(bound);
    let square = near.mul(near);
    let mut p = L::splat(TANH[0]);
    for coefficient in &TANH[1..] {
        p = p.mul_add(square, L::splat(*coefficient));
    }
    let small = square.mul(near).mul_add(p, near);
    let small = small.sub(small.zero_unless_at_least(distance, bound));

    let magnitude = large.add(small);
    let above = magnitude.zero_unless_at_least(x, zero);
    above.sub(magnitude.sub(above)).add(x.sub(x))
}

/// c · tanh(x / c) in place of every x: logits that stay within ±c (Bello et al. 2016; Gemma 2).
pub fn softcap(isa: Isa, x: &mut [f32], cap: f32) {
    dispatch!(isa => capped(x: &mut [f32], cap: f32));
}

#[inline(always)]
fn capped<L: Lanes>(x: &mut [f32], cap: f32) {
    let cap = L::splat(cap);
    let (sixteens, rest) = x.as_chunks_mut::<LANES>();
    for sixteen in sixteens {
        *sixteen = tanh_lanes(L::load(sixteen).div(cap)).mul(cap).store();
    }
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    rest.copy_from_slice(&tanh_lanes(L::load(&last).div(cap)).mul(cap).store()[..rest.len()]);
}

/// SwiGLU: gate\[i\] becomes silu(gate\[i\]) · up\[i\], with silu(x) = x · σ(x) and σ(z) = 1 / (1 + e^-z) (Shazeer 2020).
///
/// # Panics
/// If the lengths differ.
pub fn swiglu(isa: Isa, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "one length");
    dispatch!(isa => gated_by_silu(gate: &mut [f32], up: &[f32]));
}

/// GeGLU: gate\[i\] becomes gelu(gate\[i\]) · up\[i\] (Shazeer 2020), with the tanh form of GELU (Hendrycks and Gimpel
/// 2016): x / 2 · (1 + tanh u) = x · σ(2u), u = √(2/π) · (x + 0.044715 x³).
///
/// # Panics
/// If the lengths differ.
pub fn geglu(isa: Isa, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "one length");
    dispatch!(isa => gated_by_gelu(gate: &mut [f32], up: &[f32]));
}

#[inline(always)]
fn gated_by_silu<L: Lanes>(gate: &mut [f32], up: &[f32]) {
    gated::<L, Silu>(gate, up);
}

#[inline(always)]
fn gated_by_gelu<L: Lanes>(gate: &mut [f32], up: &[f32]) {
    gated::<L, Gelu>(gate, up);
}

/// An activation x · σ(z), by its z.
trait Activation {
    fn exponent<L: Lanes>(x: L) -> L;
}

struct Silu;

impl Activation for Silu {
    #[inline(always)]
    fn exponent<L: Lanes>(x: L) -> L {
        x
    }
}

struct Gelu;

impl Activation for Gelu {
    #[inline(always)]
    fn exponent<L: Lanes>(x: L) -> L {
        const TWICE_ROOT: f32 = 1.595_769; // 2 √(2/π)
        let cubic = x.mul(x).mul_add(L::splat(TWICE_ROOT * 0.044_715), L::splat(TWICE_ROOT));
        x.mul(cubic)
    }
}

#[inline(always)]
fn gated<L: Lanes, A: Activation>(gate: &mut [f32], up: &[f32]) {
    let (gates, gates_rest) = gate.as_chunks_mut::<LANES>();
    let (ups, ups_rest) = up.as_chunks::<LANES>();
    for (gate, up) in gates.iter_mut().zip(ups) {
        *gate = gated_lanes::<L, A>(gate, up);
    }
    let (mut last, mut last_up) = ([0.0; LANES], [0.0; LANES]);
    last[..gates_rest.len()].copy_from_slice(gates_rest);
    last_up[..ups_rest.len()].copy_from_slice(ups_rest);
    gates_rest.copy_from_slice(&gated_lanes::<L, A>(&last, &last_up)[..ups_rest.len()]);
}

#[inline(always)]
fn gated_lanes<L: Lanes, A: Activation>(gate: &[f32; LANES], up: &[f32; LANES]) -> [f32; LANES] {
    // With e = e^-|z|, σ(z) is 1 / (1 + e) for z >= 0 and e / (1 + e) below: nothing can overflow.
    let (x, zero, one) = (L::load(gate), L::splat(0.0), L::splat(1.0));
    let z = A::exponent(x);
    let e = exp_lanes(z.max(zero.sub(z)).mul(L::splat(-1.0)));
    let above = one.zero_unless_at_least(z, zero);
    let below = e.sub(e.zero_unless_at_least(z, zero));
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
    fn tanh_is_its_definition_with_one_bit_pattern_from_end_to_end() {
        let steps = 20_000;
        let x: Vec<f32> = (-steps..=steps).map(|i| (i as f32 / steps as f32).powi(5) * 30.0).collect();
        let tanh = |isa, x: &[f32]| {
            let mut out = x.to_vec();
            softcap(isa, &mut out, 1.0);
            out
        };
        let got = tanh(scalar(), &x);
        assert!(other_tiers().into_iter().all(|isa| tanh(isa, &x) == got));
        for (x, got) in x.iter().zip(got) {
            let expected = f64::from(*x).tanh();
            assert!((expected - f64::from(got)).abs() <= 3e-7 * expected.abs(), "{x}: {got} for {expected}");
        }
        for isa in Isa::available() {
            assert_eq!(tanh(isa, &[3e38, -3e38, 0.0]), [1.0, -1.0, 0.0]);
            let none = tanh(isa, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
            assert!(none.iter().all(|x| x.is_nan()), "{none:?}");
        }
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

    fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    fn gelu(x: f64) -> f64 {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        x / 2.0 * (1.0 + u.tanh())
    }

    #[test]
    fn gates_are_their_definitions_with_one_bit_pattern() {
        type Gate = (fn(Isa, &mut [f32], &[f32]), fn(f64) -> f64, f64);
        // GELU's z is rounded before it is an exponent: an error of x as a whole, not of what little is left of it.
        let gates: [Gate; 2] = [(swiglu, silu, 0.0), (geglu, gelu, 1e-7)];
        for (gated, activation, absolute) in gates {
            for len in [1, 15, 16, 33, 1000] {
                for magnitude in [1e-3, 10.0, 250.0, 1e15] {
                    let (gate, up) = (random(len, magnitude), random(len, 2.0));
                    let gated = |isa| {
                        let mut out = gate.clone();
                        gated(isa, &mut out, &up);
                        out
                    };
                    let got = gated(scalar());
                    assert!(other_tiers().into_iter().all(|isa| gated(isa) == got));
                    for ((gate, up), got) in gate.iter().zip(&up).zip(got) {
                        let (gate, up, got) = (f64::from(*gate), f64::from(*up), f64::from(got));
                        let expected = activation(gate) * up;
                        let tolerance = 1e-6 * expected.abs() + absolute * gate.abs().min(10.0) * up.abs() + 1e-35;
                        assert!((expected - got).abs() <= tolerance, "{gate} {up} {got} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn softcap_is_its_definition_with_one_bit_pattern() {
        for (len, magnitude) in [(1, 4.0), (17, 40.0), (250, 400.0)] {
            let x = random(len, magnitude);
            let capped = |isa| {
                let mut out = x.clone();
                softcap(isa, &mut out, 30.0);
                out
            };
            let got = capped(scalar());
            assert!(other_tiers().into_iter().all(|isa| capped(isa) == got));
            for (x, got) in x.iter().zip(got) {
                let expected = 30.0 * (f64::from(*x) / 30.0).tanh();
                assert!((expected - f64::from(got)).abs() <= 30.0 * 2e-7, "{x} {got} {expected}");
            }
        }
    }
}
