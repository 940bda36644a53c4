//! The yardstick of the benchmarks: what any sampler must do that looks at a row's probabilities, and nothing else.

#[cfg(target_arch = "x86_64")]
use crate::{Isa, IsaName};

/// What [`floor`] computes: with x = l - max, clamped at -87.3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// The largest logit.
    pub max: f32,
    /// Σe^x.
    pub mass: f32,
    /// Σx·e^x.
    pub first: f32,
}

/// One pass for the largest logit, then one for Σe^x and Σx·e^x, with an exponential of full f32 accuracy (Cephes' `expf`:
/// clamp, two-part ln 2, polynomial of six terms) and four accumulators for each sum: AVX2 where the machine has it,
/// whatever tier the sampler runs on, else plain Rust.
///
/// Only a yardstick: it makes no promise about bits, checks nothing, and no result of Decant rests on it.
/// An empty row has the maximum -inf and no mass.
pub fn floor(row: &[f32]) -> Floor {
    #[cfg(target_arch = "x86_64")]
    if Isa::new(IsaName::Avx2).is_some() {
        // SAFETY: this machine has AVX2 and FMA.
        return unsafe { avx2::floor(row) };
    }
    plain(row)
}

/// Below this e^x would no longer be a normal f32.
const LOWEST: f32 = -87.3;
/// ln 2 in two parts, so that n ln 2 is exact to more than f32.
const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// Cephes' e^r = 1 + r + r² P(r) on |r| <= ln 2 / 2, highest power first.
const P: [f32; 6] = [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// The same in plain Rust.
fn plain(row: &[f32]) -> Floor {
    let max = row.iter().fold(f32::NEG_INFINITY, |a, &b| if a > b { a } else { b });
    let (mut mass, mut first) = ([0.0; 32], [0.0; 32]);
    for chunk in row.chunks(32) {
        for (lane, logit) in chunk.iter().enumerate() {
            let x = (logit - max).max(LOWEST);
            let n = (x * std::f32::consts::LOG2_E).round_ties_even();
            let r = x - n * LN_2[0] - n * LN_2[1];
            let p = P[1..].iter().fold(P[0], |p, c| p * r + c);
            let e = (p * r * r + r + 1.0) * f32::from_bits(((n as i32 + 127) << 23) as u32);
            mass[lane] += e;
            first[lane] += x * e;
        }
    }
    Floor { max, mass: mass.iter().sum(), first: first.iter().sum() }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Floor, LN_2, LOWEST, P};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn floor(row: &[f32]) -> Floor {
        let (chunks, rest) = row.as_chunks::<32>();
        let mut last = [f32::NEG_INFINITY; 32];
        last[..rest.len()].copy_from_slice(rest);

        let mut max = load(&last);
        for chunk in chunks {
            for (max, logits) in max.iter_mut().zip(load(chunk)) {
                *max = _mm256_max_ps(*max, logits);
            }
        }
        let max = _mm256_max_ps(_mm256_max_ps(max[0], max[1]), _mm256_max_ps(max[2], max[3]));
        let max = lanes(max).into_iter().fold(f32::NEG_INFINITY, |a, b| if a > b { a } else { b });

        let (mut mass, mut first) = ([_mm256_setzero_ps(); 4], [_mm256_setzero_ps(); 4]);
        for chunk in chunks {
            add(load(chunk), max, &mut mass, &mut first);
        }
        if !rest.is_empty() {
            add(load(&last), max, &mut mass, &mut first);
        }
        Floor { max, mass: sum(mass), first: sum(first) }
    }

    // By index, not by iterators: those the compiler does not unroll, and the accumulators then live in memory.
    #[allow(clippy::needless_range_loop)]
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add(logits: [__m256; 4], max: f32, mass: &mut [__m256; 4], first: &mut [__m256; 4]) {
        for i in 0..4 {
            let x = _mm256_max_ps(_mm256_sub_ps(logits[i], _mm256_set1_ps(max)), _mm256_set1_ps(LOWEST));
            let e = exp(x);
            mass[i] = _mm256_add_ps(mass[i], e);
            first[i] = _mm256_fmadd_ps(x, e, first[i]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn exp(x: __m256) -> __m256 {
        // To an integer and back is cheaper than to round and then convert.
        let integer = _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(std::f32::consts::LOG2_E)));
        let n = _mm256_cvtepi32_ps(integer);
        let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2[0]), x);
        let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2[1]), r);
        let mut p = _mm256_set1_ps(P[0]);
        for coefficient in &P[1..] {
            p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(*coefficient));
        }
        let e = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0));
        let scale = _mm256_slli_epi32::<23>(_mm256_add_epi32(integer, _mm256_set1_epi32(127)));
        _mm256_mul_ps(e, _mm256_castsi256_ps(scale))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(chunk: &[f32; 32]) -> [__m256; 4] {
        let from = chunk.as_ptr();
        // SAFETY: thirty-two floats lie behind `from`; the loads ask for no alignment.
        unsafe {
            [
                _mm256_loadu_ps(from),
                _mm256_loadu_ps(from.add(8)),
                _mm256_loadu_ps(from.add(16)),
                _mm256_loadu_ps(from.add(24)),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sum(parts: [__m256; 4]) -> f32 {
        let [a, b, c, d] = parts;
        lanes(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d))).iter().sum()
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn lanes(register: __m256) -> [f32; 8] {
        // SAFETY: both are eight floats and nothing else.
        unsafe { std::mem::transmute(register) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Numbers;

    #[test]
    fn the_sums_are_those_of_f64() {
        let mut numbers = Numbers(11);
        for len in [1, 7, 31, 32, 33, 1000, 128_256] {
            for spread in [0.0, 3.0, 20.0, 300.0] {
                let mut row: Vec<f32> = (0..len).map(|_| (numbers.unit() - 0.5) * spread).collect();
                if len > 1 {
                    row[len / 2] = f32::NEG_INFINITY;
                }
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let x = row.iter().filter(|l| l.is_finite()).map(|l| f64::from(*l) - f64::from(max));
                let expected = [x.clone().map(f64::exp).sum(), x.map(|x| x * x.exp()).sum::<f64>()];
                for got in [floor(&row), plain(&row)] {
                    assert_eq!(got.max, max);
                    for (got, expected) in [got.mass, got.first].into_iter().zip(expected) {
                        let error = (f64::from(got) - expected).abs();
                        assert!(error <= 1e-5 * expected.abs() + 1e-30, "{len} {spread}: {got}, f64 gives {expected}");
                    }
                }
            }
        }
        assert_eq!(floor(&[]), Floor { max: f32::NEG_INFINITY, mass: 0.0, first: 0.0 });
    }
}
