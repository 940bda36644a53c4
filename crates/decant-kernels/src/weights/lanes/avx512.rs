//! AVX-512 with VNNI: a pair of blocks, or sixteen lanes, in one register.

use super::{Tile, WeightLanes};
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
    const TILE: Tile = Tile::TwoByFour;
    const BIAS: u8 = 0x80;

    type Block = __m256i;
    type Bytes = __m512i;
    /// The bytes, and by lane -128 times their sum: what the bias of activations adds, taken away beforehand.
    type Signed = (__m512i, __m512i);
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
    fn by_block(halves: [[u8; 2]; 2]) -> Self {
        let both = i32::from_le_bytes([halves[0][0], halves[0][1], halves[1][0], halves[1][1]]);
        // SAFETY: see above.
        unsafe {
            let both = _mm512_castps128_ps512(_mm_cvtph_ps(_mm_cvtsi32_si128(both)));
            Avx512(_mm512_permutexvar_ps(_mm512_loadu_si512(BY_BLOCK.as_ptr().cast()), both))
        }
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
    fn dot_words(a: Self::Words, b: &[i16; 16]) -> Self {
        let Avx2(low, _) = Avx2::dot_words(a, b);
        // SAFETY: see above.
        unsafe { Avx512(_mm512_zextps256_ps512(low)) }
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
}
