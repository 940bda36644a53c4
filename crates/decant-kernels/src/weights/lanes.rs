//! What the loops over weights ask of a tier beyond [`Lanes`].

use half::{bf16, f16};

use crate::lanes::{LANES, Lanes, ROUND, Scalar};

/// Sixteen lanes that can also read weights.
///
/// # Safety
/// As for [`Lanes`].
pub(crate) unsafe trait WeightLanes: Lanes {
    /// Two blocks of 32 signed bytes.
    type Bytes: Copy;

    /// Sixteen little-endian binary32.
    fn load_f32(from: &[u8; 64]) -> Self;
    /// Sixteen little-endian binary16, widened: exact.
    fn load_f16(from: &[u8; 32]) -> Self;
    /// Sixteen little-endian bfloat16, widened: exact.
    fn load_bf16(from: &[u8; 32]) -> Self;
    /// Two blocks of signed bytes (two's complement).
    fn load_bytes(blocks: [&[u8; 32]; 2]) -> Self::Bytes;
    /// Lane 8b + j is the sum of the products of the bytes 4j..4j+4 of block b: an integer below 2^17, so exact.
    /// No byte of `x` is -128.
    fn dot_fours(w: Self::Bytes, x: Self::Bytes) -> Self;
    /// Lanes 8b..8b+8 are w\[b\], a little-endian binary16, times x\[b\].
    fn scales(w: [[u8; 2]; 2], x: &[f32; 2]) -> Self;
    /// The magnitude of each lane.
    fn abs(self) -> Self;
    /// `self * factor`, rounded to integers (ties to even) that fit a signed byte.
    fn rounded_bytes(self, factor: Self) -> [u8; LANES];
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl WeightLanes for Scalar {
    type Bytes = [[i8; 32]; 2];

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        let bytes = from.as_chunks().0;
        Scalar(std::array::from_fn(|i| f32::from_le_bytes(bytes[i])))
    }
    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        let bytes = from.as_chunks().0;
        Scalar(std::array::from_fn(|i| f16::from_le_bytes(bytes[i]).to_f32_const()))
    }
    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        let bytes = from.as_chunks().0;
        Scalar(std::array::from_fn(|i| bf16::from_le_bytes(bytes[i]).to_f32_const()))
    }
    #[inline(always)]
    fn load_bytes(blocks: [&[u8; 32]; 2]) -> Self::Bytes {
        blocks.map(|block| block.map(|byte| byte as i8))
    }
    #[inline(always)]
    fn dot_fours(w: Self::Bytes, x: Self::Bytes) -> Self {
        let (w, x) = (w.as_flattened(), x.as_flattened());
        Scalar(std::array::from_fn(|lane| {
            let products = (4 * lane..4 * lane + 4).map(|i| i32::from(w[i]) * i32::from(x[i]));
            products.sum::<i32>() as f32
        }))
    }
    #[inline(always)]
    fn scales(w: [[u8; 2]; 2], x: &[f32; 2]) -> Self {
        let products: [f32; 2] = std::array::from_fn(|b| f16::from_le_bytes(w[b]).to_f32_const() * x[b]);
        Scalar(std::array::from_fn(|lane| products[lane / 8]))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Scalar(self.0.map(f32::abs))
    }
    #[inline(always)]
    fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
        self.mul_add(factor, Scalar::splat(ROUND)).0.map(|x| x.to_bits() as u8)
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::*;
    use crate::lanes::Avx2;
    use std::arch::x86_64::*;

    /// Sums of four neighbouring products of one block.
    #[inline(always)]
    fn dot_fours(w: __m256i, x: __m256i) -> __m256 {
        // The first operand of `maddubs` is unsigned: so |w| times x with w's sign. |w| is at most 128 and |x| at most
        // 127, so the sum of two products, at most 32512, fits the signed sixteen bits that it is kept in.
        // SAFETY: reached only with AVX2 (see `Lanes`).
        unsafe {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
            _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    // SAFETY: every use is behind an `Isa` that says AVX2, FMA and F16C (see `crate::lanes::dispatch`).
    unsafe impl WeightLanes for Avx2 {
        type Bytes = [__m256i; 2];

        #[inline(always)]
        fn load_f32(from: &[u8; 64]) -> Self {
            let from = from.as_ptr().cast::<f32>();
            // SAFETY: reached only with AVX2, as everything below; 64 bytes lie behind `from`, unaligned loads.
            unsafe { Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }
        #[inline(always)]
        fn load_f16(from: &[u8; 32]) -> Self {
            let from = from.as_ptr().cast::<__m128i>();
            // SAFETY: see `load_f32`; 32 bytes lie behind `from`.
            unsafe { Avx2(_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from.add(1)))) }
        }
        #[inline(always)]
        fn load_bf16(from: &[u8; 32]) -> Self {
            let from = from.as_ptr().cast::<__m128i>();
            // SAFETY: see `load_f32`; 32 bytes lie behind `from`.
            unsafe {
                let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from));
                let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(1)));
                Avx2(
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
                )
            }
        }
        #[inline(always)]
        fn load_bytes(blocks: [&[u8; 32]; 2]) -> Self::Bytes {
            let [even, odd] = blocks;
            // SAFETY: see `load_f32`; 32 bytes lie behind each.
            unsafe { [_mm256_loadu_si256(even.as_ptr().cast()), _mm256_loadu_si256(odd.as_ptr().cast())] }
        }
        #[inline(always)]
        fn dot_fours(w: Self::Bytes, x: Self::Bytes) -> Self {
            Avx2(dot_fours(w[0], x[0]), dot_fours(w[1], x[1]))
        }
        #[inline(always)]
        fn scales(w: [[u8; 2]; 2], x: &[f32; 2]) -> Self {
            let both = i32::from_le_bytes([w[0][0], w[0][1], w[1][0], w[1][1]]);
            // SAFETY: see `load_f32`; two floats lie behind `x`.
            unsafe {
                let x = _mm_castsi128_ps(_mm_loadl_epi64(x.as_ptr().cast()));
                let products = _mm_mul_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(both)), x);
                Avx2(_mm256_broadcastss_ps(products), _mm256_broadcastss_ps(_mm_movehdup_ps(products)))
            }
        }
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: see `load_f32`.
            unsafe {
                let sign = _mm256_set1_ps(-0.0);
                Avx2(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
            }
        }
        #[inline(always)]
        fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
            let rounded = self.mul_add(factor, Avx2::splat(ROUND));
            let mut out = [0; LANES];
            // SAFETY: see `load_f32`; `out` has room for sixteen bytes.
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
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::*;
    use crate::lanes::{Avx2, Avx512};
    use std::arch::x86_64::*;

    /// A method of the AVX2 tier, its two registers put into one.
    macro_rules! joined {
        ($call:expr) => {{
            let Avx2(low, high) = $call;
            Avx512::from_halves(low, high)
        }};
    }

    // SAFETY: every use is behind an `Isa` that says AVX-512, which includes AVX2, FMA and F16C.
    unsafe impl WeightLanes for Avx512 {
        type Bytes = <Avx2 as WeightLanes>::Bytes;

        #[inline(always)]
        fn load_f32(from: &[u8; 64]) -> Self {
            // SAFETY: reached only with AVX-512, as everything below; 64 bytes lie behind `from`, unaligned loads.
            unsafe { Avx512(_mm512_loadu_ps(from.as_ptr().cast())) }
        }
        #[inline(always)]
        fn load_f16(from: &[u8; 32]) -> Self {
            // SAFETY: see `load_f32`; 32 bytes lie behind `from`.
            unsafe { Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
        }
        #[inline(always)]
        fn load_bf16(from: &[u8; 32]) -> Self {
            // SAFETY: see `load_f32`; 32 bytes lie behind `from`.
            unsafe {
                let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
                Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)))
            }
        }
        #[inline(always)]
        fn load_bytes(blocks: [&[u8; 32]; 2]) -> Self::Bytes {
            Avx2::load_bytes(blocks)
        }
        #[inline(always)]
        fn dot_fours(w: Self::Bytes, x: Self::Bytes) -> Self {
            joined!(Avx2::dot_fours(w, x))
        }
        #[inline(always)]
        fn scales(w: [[u8; 2]; 2], x: &[f32; 2]) -> Self {
            joined!(Avx2::scales(w, x))
        }
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: see `load_f32`.
            unsafe { Avx512(_mm512_abs_ps(self.0)) }
        }
        #[inline(always)]
        fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
            let rounded = self.mul_add(factor, Avx512::splat(ROUND));
            let mut out = [0; LANES];
            // SAFETY: see `load_f32`; `out` has room for sixteen bytes. The integer is the low byte of the float.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(rounded.0))) };
            out
        }
    }
}
