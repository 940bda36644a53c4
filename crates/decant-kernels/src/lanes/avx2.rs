//! AVX2 and FMA.

use super::{LANES, Lanes};
use std::arch::x86_64::*;

/// AVX2 and FMA: lanes 0..8 and 8..16.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

// Macros, not closures: a closure compiled by itself would not have the caller's instructions.

/// One instruction on both halves.
macro_rules! both {
    ($op:ident, $a:expr, $b:expr) => {
        // SAFETY: reached only with AVX2 (see the trait).
        unsafe { Avx2($op($a.0, $b.0), $op($a.1, $b.1)) }
    };
}

/// The fixed tree of `Lanes::sum`: `$wide` on eight lanes, then `$narrow` on four, two, one.
macro_rules! tree {
    ($wide:ident, $narrow:ident, $a:expr) => {
        // SAFETY: reached only with AVX2 (see the trait).
        unsafe {
            let eight = $wide($a.0, $a.1);
            let four = $narrow(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = $narrow(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32($narrow(two, _mm_shuffle_ps::<1>(two, two)))
        }
    };
}

/// Of every set of eight lanes: the lanes in it, in order, at the front.
static FRONT: [[u32; 8]; 256] = {
    let mut front = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                front[set][count] = lane as u32;
                count += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    front
};

/// A row of [`FRONT`].
macro_rules! places {
    ($set:expr) => {
        _mm256_loadu_si256(FRONT[$set].as_ptr().cast())
    };
}

impl Avx2 {
    #[inline(always)]
    fn bits(low: __m256, high: __m256) -> u16 {
        // SAFETY: reached only with AVX2 (see the trait).
        unsafe { (_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8) as u16 }
    }
}

// SAFETY: every use is behind an `Isa` that says AVX2 and FMA (see `crate::dispatch`).
unsafe impl Lanes for Avx2 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: reached only with AVX2 (see the trait); so in every method below.
        let v = unsafe { _mm256_set1_ps(value) };
        Avx2(v, v)
    }
    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: sixteen floats lie behind `from`; the loads ask for no alignment.
        unsafe { Avx2(_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn load_bytes(from: &[i8; LANES]) -> Self {
        let from: *const __m128i = from.as_ptr().cast();
        // SAFETY: sixteen bytes lie behind `from`, eight for each load; neither asks for alignment.
        unsafe {
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.byte_add(8)));
            Avx2(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: `out` has room for sixteen floats; the stores ask for no alignment.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), self.1);
        }
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        both!(_mm256_add_ps, self, other)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        both!(_mm256_sub_ps, self, other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        both!(_mm256_mul_ps, self, other)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        both!(_mm256_div_ps, self, other)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx2(_mm256_fmadd_ps(self.0, factor.0, term.0), _mm256_fmadd_ps(self.1, factor.1, term.1)) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        both!(_mm256_max_ps, self, other)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        both!(_mm256_min_ps, self, other)
    }
    #[inline(always)]
    fn zero_unless_at_least(self, key: Self, bound: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe {
            Avx2(
                _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GE_OQ>(key.0, bound.0)),
                _mm256_and_ps(self.1, _mm256_cmp_ps::<_CMP_GE_OQ>(key.1, bound.1)),
            )
        }
    }
    #[inline(always)]
    fn scale_by_rounded(self, rounded: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe {
            let low = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded.0));
            let high = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded.1));
            Avx2(
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), low)),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.1), high)),
            )
        }
    }
    #[inline(always)]
    fn at_least(self, bound: Self) -> u16 {
        // SAFETY: see `splat`.
        unsafe {
            Self::bits(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, bound.0), _mm256_cmp_ps::<_CMP_GE_OQ>(self.1, bound.1))
        }
    }
    #[inline(always)]
    fn compress(self, keep: u16, out: &mut [f32; LANES]) {
        let (low, high) = (usize::from(keep & 0xFF), usize::from(keep >> 8));
        // SAFETY: see `splat`. At most eight lanes come from the low half, so both stores lie inside `out`.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), _mm256_permutevar8x32_ps(self.0, places!(low)));
            let behind = out.as_mut_ptr().add(low.count_ones() as usize);
            _mm256_storeu_ps(behind, _mm256_permutevar8x32_ps(self.1, places!(high)));
        }
    }
    #[inline(always)]
    fn compress_words(words: &[u32; LANES], keep: u16, out: &mut [u32; LANES]) {
        let (low, high) = (usize::from(keep & 0xFF), usize::from(keep >> 8));
        let from = words.as_ptr().cast::<__m256i>();
        // SAFETY: sixteen words lie behind `from`; otherwise as in `compress`.
        unsafe {
            let front = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(from), places!(low));
            _mm256_storeu_si256(out.as_mut_ptr().cast(), front);
            let behind = out.as_mut_ptr().add(low.count_ones() as usize);
            let front = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(from.add(1)), places!(high));
            _mm256_storeu_si256(behind.cast(), front);
        }
    }
    #[inline(always)]
    fn not_below(self, bound: Self) -> u16 {
        // SAFETY: see `splat`.
        unsafe {
            Self::bits(_mm256_cmp_ps::<_CMP_NLT_UQ>(self.0, bound.0), _mm256_cmp_ps::<_CMP_NLT_UQ>(self.1, bound.1))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        tree!(_mm256_add_ps, _mm_add_ps, self)
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        tree!(_mm256_max_ps, _mm_max_ps, self)
    }
    #[inline(always)]
    fn least(self) -> f32 {
        tree!(_mm256_min_ps, _mm_min_ps, self)
    }
    #[inline(always)]
    fn prefetch<T>(from: *const T) {
        // SAFETY: a hint, which no address makes fail.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
}
