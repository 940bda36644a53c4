//! AVX2: a block in one register, sixteen lanes in two.

use super::WeightLanes;
use crate::lanes::{Avx2, LANES, Lanes, ROUND};
use std::arch::x86_64::*;

/// Bytes 8i..8i + 8 of four quarters: all to say which byte of a word of 32 bits they take.
const QUARTERS: [u8; 32] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3];
/// In every eight bytes, all bits but bit i of byte i.
const ALL_BUT_ONE: [u8; 8] = [0xFE, 0xFD, 0xFB, 0xF7, 0xEF, 0xDF, 0xBF, 0x7F];
/// Of four words in every eight bytes: the first eight times, then the second.
const FIRST_TWO: [u8; 32] =
    [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3];
/// The third eight times, then the fourth.
const LAST_TWO: [u8; 32] =
    [4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7];

/// Both halves of 64 bytes.
macro_rules! halves {
    ($from:expr) => {{
        let from = $from.as_ptr().cast::<__m256i>();
        (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)))
    }};
}

/// Thirty-two bytes of a table.
macro_rules! table {
    ($table:expr) => {
        _mm256_loadu_si256($table.as_ptr().cast())
    };
}

/// Sums of four neighbouring products of signed bytes.
///
/// The first operand of `maddubs` is unsigned: so |w| times x with w's sign. |w| is at most 128 and |x| at most 127, so
/// the sum of two products, at most 32512, fits the signed sixteen bits that it is kept in.
macro_rules! fours {
    ($w:expr, $x:expr) => {{
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8($w), _mm256_sign_epi8($x, $w));
        _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
    }};
}

// SAFETY: every use is behind an `Isa` that says AVX2, FMA and F16C (see `crate::lanes::dispatch`). In every method,
// loads and stores stay inside the arrays that are passed, and ask for no alignment.
unsafe impl WeightLanes for Avx2 {
    const WIDE: bool = false;
    const BIAS: u8 = 0;

    type Block = __m256i;
    type Bytes = [__m256i; 2];
    type Signed = [__m256i; 2];
    type Scales = __m128;
    type Words = __m256i;
    type Quad = [__m256i; 2];
    type Ints = [__m256i; 2];

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        let from = from.as_ptr().cast::<f32>();
        // SAFETY: see above; so in every method below.
        unsafe { Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        let from = from.as_ptr().cast::<__m128i>();
        // SAFETY: see above.
        unsafe { Avx2(_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from.add(1)))) }
    }
    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        let from = from.as_ptr().cast::<__m128i>();
        // SAFETY: see above.
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(1)));
            let [low, high] = [_mm256_slli_epi32::<16>(low), _mm256_slli_epi32::<16>(high)];
            Avx2(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }
    #[inline(always)]
    fn half(bytes: [u8; 2]) -> f32 {
        // SAFETY: see above.
        unsafe { _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(u16::from_le_bytes(bytes))))) }
    }
    #[inline(always)]
    fn scales(halves: [[u8; 2]; 2]) -> Self::Scales {
        let both = i32::from_le_bytes([halves[0][0], halves[0][1], halves[1][0], halves[1][1]]);
        // SAFETY: see above.
        unsafe { _mm_cvtph_ps(_mm_cvtsi32_si128(both)) }
    }
    #[inline(always)]
    fn scaled(scales: Self::Scales, x: &[f32; LANES]) -> Self {
        // Lanes 7 and 8 are one of each block: two products are enough, to be spread by ports that idle.
        // SAFETY: see above.
        unsafe {
            let x = _mm_castsi128_ps(_mm_loadl_epi64(x.as_ptr().add(7).cast()));
            let products = _mm_mul_ps(scales, x);
            Avx2(_mm256_broadcastss_ps(products), _mm256_broadcastss_ps(_mm_movehdup_ps(products)))
        }
    }
    #[inline(always)]
    fn block(from: &[u8; 32]) -> Self::Block {
        // SAFETY: see above.
        unsafe { table!(from) }
    }
    #[inline(always)]
    fn nibbles(from: &[u8; 16]) -> Self::Block {
        // SAFETY: see above.
        unsafe {
            let bytes = _mm_loadu_si128(from.as_ptr().cast());
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(bytes), _mm_srli_epi16::<4>(bytes));
            _mm256_and_si256(both, _mm256_set1_epi8(15))
        }
    }
    #[inline(always)]
    fn spread(set: u32, value: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe {
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(set as i32), table!(QUARTERS));
            let others = _mm256_set1_epi64x(i64::from_le_bytes(ALL_BUT_ONE));
            let ones = _mm256_cmpeq_epi8(_mm256_or_si256(bytes, others), _mm256_set1_epi8(-1));
            _mm256_and_si256(ones, _mm256_set1_epi8(value as i8))
        }
    }
    #[inline(always)]
    fn bits<const S: i32>(block: Self::Block, mask: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe { _mm256_and_si256(_mm256_srli_epi16::<S>(block), _mm256_set1_epi8(mask as i8)) }
    }
    #[inline(always)]
    fn raised<const S: i32>(block: Self::Block) -> Self::Block {
        // SAFETY: see above.
        unsafe { _mm256_slli_epi16::<S>(block) }
    }
    #[inline(always)]
    fn or(a: Self::Block, b: Self::Block) -> Self::Block {
        // SAFETY: see above.
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    fn less(block: Self::Block, what: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe { _mm256_sub_epi8(block, _mm256_set1_epi8(what as i8)) }
    }
    #[inline(always)]
    fn unsigned(blocks: [Self::Block; 2]) -> Self::Bytes {
        blocks
    }
    #[inline(always)]
    fn signed(blocks: [Self::Block; 2]) -> Self::Signed {
        blocks
    }
    #[inline(always)]
    fn dot_signed(w: Self::Signed, x: &[u8; 64]) -> Self::Ints {
        // SAFETY: see above.
        unsafe {
            let (even, odd) = halves!(x);
            [fours!(w[0], even), fours!(w[1], odd)]
        }
    }
    #[inline(always)]
    fn dot_scaled(w: Self::Bytes, x: &[u8; 64], factors: Self::Quad, sum: Self::Ints) -> Self::Ints {
        // Two products are at most 2 * 63 * 127: they fit sixteen bits.
        // SAFETY: see above.
        unsafe {
            let (even, odd) = halves!(x);
            let even = _mm256_madd_epi16(_mm256_maddubs_epi16(w[0], even), factors[0]);
            let odd = _mm256_madd_epi16(_mm256_maddubs_epi16(w[1], odd), factors[1]);
            [_mm256_add_epi32(sum[0], even), _mm256_add_epi32(sum[1], odd)]
        }
    }
    #[inline(always)]
    fn no_ints() -> Self::Ints {
        // SAFETY: see above.
        unsafe { [_mm256_setzero_si256(); 2] }
    }
    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        // SAFETY: see above.
        unsafe { Avx2(_mm256_cvtepi32_ps(ints[0]), _mm256_cvtepi32_ps(ints[1])) }
    }
    #[inline(always)]
    fn words(bytes: [u8; 16]) -> Self::Words {
        // SAFETY: see above.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast())) }
    }
    #[inline(always)]
    fn raised_words<const S: i32>(words: Self::Words) -> Self::Words {
        // SAFETY: see above.
        unsafe { _mm256_slli_epi16::<S>(words) }
    }
    #[inline(always)]
    fn quad<const T: i32>(words: Self::Words) -> Self::Quad {
        // SAFETY: see above.
        unsafe {
            // Which of four times 64 bits; the same for all four.
            let four = match T {
                0 => _mm256_permute4x64_epi64::<0b00_00_00_00>(words),
                1 => _mm256_permute4x64_epi64::<0b01_01_01_01>(words),
                2 => _mm256_permute4x64_epi64::<0b10_10_10_10>(words),
                _ => _mm256_permute4x64_epi64::<0b11_11_11_11>(words),
            };
            [_mm256_shuffle_epi8(four, table!(FIRST_TWO)), _mm256_shuffle_epi8(four, table!(LAST_TWO))]
        }
    }
    #[inline(always)]
    fn less_dot(a: Self::Words, b: &[i16; 16]) -> Self::Ints {
        // SAFETY: see above.
        unsafe {
            let zero = _mm256_setzero_si256();
            [_mm256_sub_epi32(zero, _mm256_madd_epi16(a, table!(b))), zero]
        }
    }
    #[inline(always)]
    fn add_dot(a: Self::Words, b: &[i16; 16], factor: f32, sum: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(a, table!(b)));
            Avx2(_mm256_fmadd_ps(dots, _mm256_set1_ps(factor), sum.0), sum.1)
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Avx2(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
        }
    }
    #[inline(always)]
    fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
        let rounded = self.mul_add(factor, Avx2::splat(ROUND));
        let mut out = [0; LANES];
        // SAFETY: see above.
        unsafe {
            // The integer is the low byte of the float.
            let low_bytes = _mm256_set1_epi32(0xFF);
            let words = _mm256_packus_epi32(
                _mm256_and_si256(_mm256_castps_si256(rounded.0), low_bytes),
                _mm256_and_si256(_mm256_castps_si256(rounded.1), low_bytes),
            );
            // Packing works in halves of a register: put 0..4, 8..12, 4..8, 12..16 back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
        }
        out
    }
    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut out = [0.0; 4];
        // SAFETY: see above.
        unsafe {
            // Lanes i with i + 8; then i + 4 of two rows at once, i + 2 of four, and i + 1.
            let [a, b] = [_mm256_add_ps(a.0, a.1), _mm256_add_ps(b.0, b.1)];
            let [c, d] = [_mm256_add_ps(c.0, c.1), _mm256_add_ps(d.0, d.1)];
            let ac = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, c), _mm256_permute2f128_ps::<0x31>(a, c));
            let bd = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(b, d), _mm256_permute2f128_ps::<0x31>(b, d));
            let two = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(ac, bd), _mm256_shuffle_ps::<0xEE>(ac, bd));
            let one = _mm256_add_ps(two, _mm256_movehdup_ps(two));
            let (ab, cd) = (_mm256_castps256_ps128(one), _mm256_extractf128_ps::<1>(one));
            _mm_storeu_ps(out.as_mut_ptr(), _mm_shuffle_ps::<0x88>(ab, cd));
        }
        out
    }
}
