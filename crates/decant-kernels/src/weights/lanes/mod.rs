//! What the loops over weights ask of a tier beyond [`Lanes`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;

use half::{bf16, f16};

use crate::lanes::{LANES, Lanes, ROUND, Scalar};

/// Sixteen lanes that can also read weights.
///
/// Bytes come in blocks of 32, a row of weights goes by pairs of these. Of a pair, lane 8b + j stands for the bytes
/// 4j..4j + 4 of block b. Products of integers are summed exactly, so only what a lane stands for is part of the
/// definition, not how a tier comes to its sum.
///
/// # Safety
/// As for [`Lanes`].
pub(crate) unsafe trait WeightLanes: Lanes {
    /// Whether the registers hold the sums of two rows of weights by eight of activations, and not only of one by four.
    const WIDE: bool;
    /// What every byte of stored activations is xored with: 0x80 makes signed bytes unsigned, off by 128.
    const BIAS: u8;

    /// A block: 32 bytes.
    type Block: Copy;
    /// A pair of blocks of unsigned bytes below 64.
    type Bytes: Copy;
    /// A pair of blocks of signed bytes, as [`Self::dot_signed`] wants it.
    type Signed: Copy;
    /// Two scales.
    type Scales: Copy;
    /// Sixteen signed words of 16 bits: one for every sixteen bytes of 256.
    type Words: Copy;
    /// Four of them, each for sixteen bytes of a pair.
    type Quad: Copy;
    /// Sixteen integers of 32 bits, lanes as of a pair.
    type Ints: Copy;

    /// Sixteen little-endian binary32.
    fn load_f32(from: &[u8; 64]) -> Self;
    /// Sixteen little-endian binary16, widened: exact.
    fn load_f16(from: &[u8; 32]) -> Self;
    /// Sixteen little-endian bfloat16, widened: exact.
    fn load_bf16(from: &[u8; 32]) -> Self;
    /// A little-endian binary16, widened: exact.
    fn half(bytes: [u8; 2]) -> f32;
    /// The scales of two blocks, little-endian binary16, widened.
    fn scales(halves: [[u8; 2]; 2]) -> Self::Scales;
    /// The scales, each in the lanes of its block, times `x`, all of whose lanes of a block are equal.
    fn scaled(scales: Self::Scales, x: &[f32; LANES]) -> Self;

    /// Thirty-two bytes as they are.
    fn block(from: &[u8; 32]) -> Self::Block;
    /// The low halves of sixteen bytes, then their high halves.
    fn nibbles(from: &[u8; 16]) -> Self::Block;
    /// Byte i is `value` where bit i of `set` is one, else 0.
    fn spread(set: u32, value: u8) -> Self::Block;
    /// Every byte shifted right by `S` bits, of which those in `mask` stay; `mask` has none that others shift in.
    fn bits<const S: i32>(block: Self::Block, mask: u8) -> Self::Block;
    /// Every byte shifted left by `S` bits; none of them loses any.
    fn raised<const S: i32>(block: Self::Block) -> Self::Block;
    /// The union of bits.
    fn or(a: Self::Block, b: Self::Block) -> Self::Block;
    /// Every byte less `what`.
    fn less(block: Self::Block, what: u8) -> Self::Block;

    /// Two blocks of unsigned bytes.
    fn unsigned(blocks: [Self::Block; 2]) -> Self::Bytes;
    /// Two blocks of signed bytes (two's complement).
    fn signed(blocks: [Self::Block; 2]) -> Self::Signed;
    /// The products with signed bytes, none of them -128, stored with [`Self::BIAS`]; summed by lane.
    fn dot_signed(w: Self::Signed, x: &[u8; 64]) -> Self::Ints;
    /// `sum` and the products with signed bytes (stored as they are, none of them -128), times the factor of their
    /// sixteen; summed by lane.
    fn dot_scaled(w: Self::Bytes, x: &[u8; 64], factors: Self::Quad, sum: Self::Ints) -> Self::Ints;
    /// All zero.
    fn no_ints() -> Self::Ints;
    /// The nearest floats.
    fn floats(ints: Self::Ints) -> Self;

    /// Sixteen signed bytes, widened.
    fn words(bytes: [u8; 16]) -> Self::Words;
    /// Every word shifted left by `S` bits.
    fn raised_words<const S: i32>(words: Self::Words) -> Self::Words;
    /// Words 4T..4T + 4.
    fn quad<const T: i32>(words: Self::Words) -> Self::Quad;
    /// Lane i below 8 is less than nothing by the products of words 2i and 2i + 1; the others are 0.
    fn less_dot(a: Self::Words, b: &[i16; 16]) -> Self::Ints;
    /// `sum`, and in lane i below 8 the products of words 2i and 2i + 1, summed as integers, times `factor`.
    fn add_dot(a: Self::Words, b: &[i16; 16], factor: f32, sum: Self) -> Self;

    /// The magnitude of each lane.
    fn abs(self) -> Self;
    /// `self * factor`, rounded to integers (ties to even) that fit a signed byte.
    fn rounded_bytes(self, factor: Self) -> [u8; LANES];

    /// [`Lanes::sum`] of each.
    #[inline(always)]
    fn sums(four: [Self; 4]) -> [f32; 4] {
        [four[0].sum(), four[1].sum(), four[2].sum(), four[3].sum()]
    }
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl WeightLanes for Scalar {
    const WIDE: bool = false;
    const BIAS: u8 = 0;

    type Block = [u8; 32];
    type Bytes = [[u8; 32]; 2];
    type Signed = [[u8; 32]; 2];
    type Scales = [f32; 2];
    type Words = [i16; 16];
    type Quad = [i16; 4];
    type Ints = [i32; LANES];

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
    fn half(bytes: [u8; 2]) -> f32 {
        f16::from_le_bytes(bytes).to_f32_const()
    }
    #[inline(always)]
    fn scales(halves: [[u8; 2]; 2]) -> Self::Scales {
        [Self::half(halves[0]), Self::half(halves[1])]
    }
    #[inline(always)]
    fn scaled(scales: Self::Scales, x: &[f32; LANES]) -> Self {
        Scalar(std::array::from_fn(|lane| scales[lane / 8] * x[lane]))
    }
    #[inline(always)]
    fn block(from: &[u8; 32]) -> Self::Block {
        *from
    }
    #[inline(always)]
    fn nibbles(from: &[u8; 16]) -> Self::Block {
        std::array::from_fn(|i| if i < 16 { from[i] & 15 } else { from[i - 16] >> 4 })
    }
    #[inline(always)]
    fn spread(set: u32, value: u8) -> Self::Block {
        std::array::from_fn(|i| if set >> i & 1 == 1 { value } else { 0 })
    }
    #[inline(always)]
    fn bits<const S: i32>(block: Self::Block, mask: u8) -> Self::Block {
        block.map(|byte| byte >> S & mask)
    }
    #[inline(always)]
    fn raised<const S: i32>(block: Self::Block) -> Self::Block {
        block.map(|byte| byte << S)
    }
    #[inline(always)]
    fn or(a: Self::Block, b: Self::Block) -> Self::Block {
        std::array::from_fn(|i| a[i] | b[i])
    }
    #[inline(always)]
    fn less(block: Self::Block, what: u8) -> Self::Block {
        block.map(|byte| byte.wrapping_sub(what))
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
        let w = w.as_flattened();
        std::array::from_fn(|lane| {
            (4 * lane..4 * lane + 4).map(|i| i32::from(w[i] as i8) * i32::from(x[i] as i8)).sum()
        })
    }
    #[inline(always)]
    fn dot_scaled(w: Self::Bytes, x: &[u8; 64], factors: Self::Quad, sum: Self::Ints) -> Self::Ints {
        let w = w.as_flattened();
        std::array::from_fn(|lane| {
            let four: i32 = (4 * lane..4 * lane + 4).map(|i| i32::from(w[i]) * i32::from(x[i] as i8)).sum();
            sum[lane] + four * i32::from(factors[lane / 4])
        })
    }
    #[inline(always)]
    fn no_ints() -> Self::Ints {
        [0; LANES]
    }
    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        Scalar(ints.map(|int| int as f32))
    }
    #[inline(always)]
    fn words(bytes: [u8; 16]) -> Self::Words {
        bytes.map(|byte| i16::from(byte as i8))
    }
    #[inline(always)]
    fn raised_words<const S: i32>(words: Self::Words) -> Self::Words {
        words.map(|word| word << S)
    }
    #[inline(always)]
    fn quad<const T: i32>(words: Self::Words) -> Self::Quad {
        std::array::from_fn(|i| words[4 * T as usize + i])
    }
    #[inline(always)]
    fn less_dot(a: Self::Words, b: &[i16; 16]) -> Self::Ints {
        std::array::from_fn(|lane| if lane < 8 { -dot_two(&a, b, lane) } else { 0 })
    }
    #[inline(always)]
    fn add_dot(a: Self::Words, b: &[i16; 16], factor: f32, sum: Self) -> Self {
        Scalar(std::array::from_fn(|lane| match lane < 8 {
            true => (dot_two(&a, b, lane) as f32).mul_add(factor, sum.0[lane]),
            false => sum.0[lane],
        }))
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

/// The products of words 2i and 2i + 1.
#[inline(always)]
fn dot_two(a: &[i16; 16], b: &[i16; 16], i: usize) -> i32 {
    i32::from(a[2 * i]) * i32::from(b[2 * i]) + i32::from(a[2 * i + 1]) * i32::from(b[2 * i + 1])
}
