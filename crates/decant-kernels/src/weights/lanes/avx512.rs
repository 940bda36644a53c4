//! AVX-512 with VNNI: a pair of blocks, or sixteen lanes, in one register.

use super::WeightLanes;
use crate::lanes::{Avx2, Avx512, LANES, Lanes, ROUND};
use std::arch::x86_64::*;

/// Which of two floats every lane of a pair takes.
const BY_BLOCK: [i32; LANES] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
/// Of sixteen words: each of the first four eight times.
const FIRST_QUAD: [i16; 32] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3];

// SAFETY: every use is behind an `Isa` that says AVX-512, which includes AVX2, FMA and F16C (see
// `crate::lanes::dispatch`). In every method, loads and stores stay inside the arrays that are passed, and ask for no
// alignment.
unsafe impl WeightLanes for Avx512 {
    const WIDE: bool = true;
    const BIAS: u8 = 0x80;

    type Block = __m256i;
    type Bytes = __m512i;
    /// The bytes, and by lane -128 times their sum: what the bias of activations adds, taken away beforehand.
    type Signed = (__m512i, __m512i);
    type Scales = __m512;
    type Words = __m256i;
    type Quad = __m512i;
    type Ints = __m512i;

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        // SAFETY: see above; so in every method below.
        unsafe { Avx512(_mm512_loadu_ps(from.as_ptr().cast())) }
    }
    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        // SAFETY: see above.
        unsafe { Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        // SAFETY: see above.
        unsafe {
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)))
        }
    }
    #[inline(always)]
    fn half(bytes: [u8; 2]) -> f32 {
        Avx2::half(bytes)
    }
    #[inline(always)]
    fn scales(halves: [[u8; 2]; 2]) -> Self::Scales {
        // SAFETY: see above.
        unsafe {
            let both = _mm512_castps128_ps512(Avx2::scales(halves));
            _mm512_permutexvar_ps(_mm512_loadu_si512(BY_BLOCK.as_ptr().cast()), both)
        }
    }
    #[inline(always)]
    fn scaled(scales: Self::Scales, x: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Avx512(_mm512_mul_ps(scales, _mm512_loadu_ps(x.as_ptr()))) }
    }
    #[inline(always)]
    fn block(from: &[u8; 32]) -> Self::Block {
        Avx2::block(from)
    }
    #[inline(always)]
    fn nibbles(from: &[u8; 16]) -> Self::Block {
        Avx2::nibbles(from)
    }
    #[inline(always)]
    fn spread(set: u32, value: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe { _mm256_maskz_set1_epi8(set, value as i8) }
    }
    #[inline(always)]
    fn bits<const S: i32>(block: Self::Block, mask: u8) -> Self::Block {
        Avx2::bits::<S>(block, mask)
    }
    #[inline(always)]
    fn raised<const S: i32>(block: Self::Block) -> Self::Block {
        Avx2::raised::<S>(block)
    }
    #[inline(always)]
    fn or(a: Self::Block, b: Self::Block) -> Self::Block {
        Avx2::or(a, b)
    }
    #[inline(always)]
    fn less(block: Self::Block, what: u8) -> Self::Block {
        Avx2::less(block, what)
    }
    #[inline(always)]
    fn unsigned(blocks: [Self::Block; 2]) -> Self::Bytes {
        // SAFETY: see above.
        unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(blocks[0]), blocks[1]) }
    }
    #[inline(always)]
    fn signed(blocks: [Self::Block; 2]) -> Self::Signed {
        let bytes = Self::unsigned(blocks);
        // SAFETY: see above.
        unsafe {
            let biases = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(i8::MIN), bytes);
            (bytes, _mm512_sub_epi32(_mm512_setzero_si512(), biases))
        }
    }
    #[inline(always)]
    fn dot_signed((w, unbias): Self::Signed, x: &[u8; 64]) -> Self::Ints {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(unbias, _mm512_loadu_si512(x.as_ptr().cast()), w) }
    }
    #[inline(always)]
    fn dot_scaled(w: Self::Bytes, x: &[u8; 64], factors: Self::Quad, sum: Self::Ints) -> Self::Ints {
        // Two products are at most 2 * 63 * 127: they fit sixteen bits.
        // SAFETY: see above.
        unsafe {
            let pairs = _mm512_maddubs_epi16(w, _mm512_loadu_si512(x.as_ptr().cast()));
            _mm512_dpwssd_epi32(sum, pairs, factors)
        }
    }
    #[inline(always)]
    fn no_ints() -> Self::Ints {
        // SAFETY: see above.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        // SAFETY: see above.
        unsafe { Avx512(_mm512_cvtepi32_ps(ints)) }
    }
    #[inline(always)]
    fn words(bytes: [u8; 16]) -> Self::Words {
        Avx2::words(bytes)
    }
    #[inline(always)]
    fn raised_words<const S: i32>(words: Self::Words) -> Self::Words {
        Avx2::raised_words::<S>(words)
    }
    #[inline(always)]
    fn quad<const T: i32>(words: Self::Words) -> Self::Quad {
        // SAFETY: see above.
        unsafe {
            let places = _mm512_loadu_si512(FIRST_QUAD.as_ptr().cast());
            let places = _mm512_add_epi16(places, _mm512_set1_epi16(4 * T as i16));
            _mm512_permutexvar_epi16(places, _mm512_castsi256_si512(words))
        }
    }
    #[inline(always)]
    fn less_dot(a: Self::Words, b: &[i16; 16]) -> Self::Ints {
        let [low, _] = Avx2::less_dot(a, b);
        // SAFETY: see above.
        unsafe { _mm512_zextsi256_si512(low) }
    }
    #[inline(always)]
    fn add_dot(a: Self::Words, b: &[i16; 16], factor: f32, sum: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let dots = _mm256_madd_epi16(a, _mm256_loadu_si256(b.as_ptr().cast()));
            let dots = _mm512_cvtepi32_ps(_mm512_zextsi256_si512(dots));
            // The other lanes stay as they are, whatever the factor.
            Avx512(_mm512_mask3_fmadd_ps(dots, _mm512_set1_ps(factor), sum.0, 0xFF))
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: see above.
        unsafe { Avx512(_mm512_abs_ps(self.0)) }
    }
    #[inline(always)]
    fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
        let rounded = self.mul_add(factor, Avx512::splat(ROUND));
        let mut out = [0; LANES];
        // SAFETY: see above. The integer is the low byte of the float.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(rounded.0))) };
        out
    }
    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut out = [0.0; 4];
        // SAFETY: see above.
        unsafe {
            // Lanes i with i + 8 of two rows at once, then i + 4 of four, i + 2 and i + 1.
            let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a.0, b.0), _mm512_shuffle_f32x4::<0xEE>(a.0, b.0));
            let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(c.0, d.0), _mm512_shuffle_f32x4::<0xEE>(c.0, d.0));
            let four = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            let two = _mm512_add_ps(four, _mm512_permute_ps::<0b01_00_11_10>(four));
            let one = _mm512_add_ps(two, _mm512_movehdup_ps(two));
            _mm_storeu_ps(out.as_mut_ptr(), _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, one)));
        }
        out
    }
}
