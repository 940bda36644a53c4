//! AVX-512: all sixteen lanes in one register.

use super::{LANES, Lanes};
use std::arch::x86_64::*;

/// AVX-512 (F, BW, DQ, VL).
#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

impl Avx512 {
    /// Lanes 0..8 and 8..16.
    #[inline(always)]
    pub(crate) fn halves(self) -> (__m256, __m256) {
        // SAFETY: reached only with AVX-512 (see the trait).
        unsafe { (_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) }
    }
}

/// The fixed tree of `Lanes::sum`: `$wide` on eight lanes, then `$narrow` on four, two, one.
macro_rules! tree {
    ($wide:ident, $narrow:ident, $a:expr) => {{
        let (low, high) = $a.halves();
        // SAFETY: reached only with AVX-512 (see the trait).
        unsafe {
            let eight = $wide(low, high);
            let four = $narrow(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = $narrow(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32($narrow(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }};
}

// SAFETY: every use is behind an `Isa` that says AVX-512 (see `crate::lanes::dispatch`).
unsafe impl Lanes for Avx512 {
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: reached only with AVX-512 (see the trait); so in every method below.
        unsafe { Avx512(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: sixteen floats lie behind `from`; the load asks for no alignment.
        unsafe { Avx512(_mm512_loadu_ps(from.as_ptr())) }
    }
    #[inline(always)]
    fn load_bytes(from: &[i8; LANES]) -> Self {
        // SAFETY: sixteen bytes lie behind `from`; the load asks for no alignment.
        unsafe { Avx512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())))) }
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: `out` has room for sixteen floats; the store asks for no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_div_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_min_ps(self.0, other.0)) }
    }
    #[inline(always)]
    fn zero_unless_at_least(self, key: Self, bound: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe { Avx512(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(key.0, bound.0), self.0)) }
    }
    #[inline(always)]
    fn scale_by_rounded(self, rounded: Self) -> Self {
        // SAFETY: see `splat`.
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(rounded.0));
            Avx512(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent)))
        }
    }
    #[inline(always)]
    fn at_least(self, bound: Self) -> u16 {
        // SAFETY: see `splat`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, bound.0) }
    }
    #[inline(always)]
    fn compress(self, keep: u16, out: &mut [f32; LANES]) {
        // SAFETY: see `splat`; `out` has room for sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_maskz_compress_ps(keep, self.0)) }
    }
    #[inline(always)]
    fn compress_words(words: &[u32; LANES], keep: u16, out: &mut [u32; LANES]) {
        // SAFETY: see `splat`; `words` has and `out` has room for sixteen.
        unsafe {
            let words = _mm512_loadu_si512(words.as_ptr().cast());
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(keep, words));
        }
    }
    #[inline(always)]
    fn not_below(self, bound: Self) -> u16 {
        // SAFETY: see `splat`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0, bound.0) }
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
