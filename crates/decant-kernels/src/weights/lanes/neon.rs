//! NEON: a block in two registers, sixteen lanes in four.

use super::WeightLanes;
use crate::lanes::{LANES, Lanes, Neon, ROUND, each};
use std::arch::aarch64::*;

/// Bit i of byte i, in both halves.
const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// Four registers that lie one after another behind a pointer, each of so many elements.
macro_rules! load_four {
    ($load:ident, $len:literal, $from:expr) => {{
        let from = $from;
        // SAFETY: see `WeightLanes for Neon`.
        unsafe { [$load(from), $load(from.add($len)), $load(from.add(2 * $len)), $load(from.add(3 * $len))] }
    }};
}

#[inline]
#[target_feature(enable = "neon")]
fn widen_f16(halves: uint16x4_t) -> float32x4_t {
    vcvt_f32_f16(vreinterpret_f16_u16(halves))
}

#[inline]
#[target_feature(enable = "neon")]
fn widen_bf16(halves: uint16x4_t) -> float32x4_t {
    vreinterpretq_f32_u32(vshll_n_u16::<16>(halves))
}

/// Sums of two neighbouring products of signed bytes, which fit sixteen bits if no byte of `x` is -128.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(w: uint8x16_t, x: int8x16_t) -> int16x8_t {
    let w = vreinterpretq_s8_u8(w);
    vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x))
}

#[inline]
#[target_feature(enable = "neon")]
fn dot_eight_words(a: int16x8_t, b: int16x8_t) -> int32x4_t {
    vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b))
}

// SAFETY: NEON belongs to the target. In every method, loads and stores stay inside the arrays that are passed, and ask for
// no alignment.
unsafe impl WeightLanes for Neon {
    const WIDE: bool = false;
    const BIAS: u8 = 0;

    type Block = [uint8x16_t; 2];
    type Bytes = [[uint8x16_t; 2]; 2];
    type Signed = [[uint8x16_t; 2]; 2];
    type Scales = float32x2_t;
    type Words = [int16x8_t; 2];
    type Quad = int16x4_t;
    type Ints = [int32x4_t; 4];

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        Neon(load_four!(vld1q_f32, 4, from.as_ptr().cast::<f32>()))
    }
    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        let halves = load_four!(vld1_u16, 4, from.as_ptr().cast::<u16>());
        Neon(each!(widen_f16(halves)))
    }
    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        let halves = load_four!(vld1_u16, 4, from.as_ptr().cast::<u16>());
        Neon(each!(widen_bf16(halves)))
    }
    #[inline(always)]
    fn half(bytes: [u8; 2]) -> f32 {
        // SAFETY: see above; so in every method below.
        unsafe { vgetq_lane_f32::<0>(widen_f16(vcreate_u16(u64::from(u16::from_le_bytes(bytes))))) }
    }
    #[inline(always)]
    fn scales(halves: [[u8; 2]; 2]) -> Self::Scales {
        let both = u32::from_le_bytes([halves[0][0], halves[0][1], halves[1][0], halves[1][1]]);
        // SAFETY: see above.
        unsafe { vget_low_f32(widen_f16(vcreate_u16(u64::from(both)))) }
    }
    #[inline(always)]
    fn scaled(scales: Self::Scales, x: &[f32; LANES]) -> Self {
        // Lanes 7 and 8 are one of each block.
        // SAFETY: see above.
        unsafe {
            let products = vmul_f32(scales, vld1_f32(x.as_ptr().add(7)));
            let (even, odd) = (vdupq_lane_f32::<0>(products), vdupq_lane_f32::<1>(products));
            Neon([even, even, odd, odd])
        }
    }
    #[inline(always)]
    fn block(from: &[u8; 32]) -> Self::Block {
        // SAFETY: see above.
        unsafe { [vld1q_u8(from.as_ptr()), vld1q_u8(from.as_ptr().add(16))] }
    }
    #[inline(always)]
    fn nibbles(from: &[u8; 16]) -> Self::Block {
        // SAFETY: see above.
        unsafe {
            let bytes = vld1q_u8(from.as_ptr());
            [vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes)]
        }
    }
    #[inline(always)]
    fn spread(set: u32, value: u8) -> Self::Block {
        let [a, b, c, d] = set.to_le_bytes();
        // SAFETY: see above.
        unsafe {
            let (bits, value) = (vld1q_u8(BITS.as_ptr()), vdupq_n_u8(value));
            let low = vtstq_u8(vcombine_u8(vdup_n_u8(a), vdup_n_u8(b)), bits);
            let high = vtstq_u8(vcombine_u8(vdup_n_u8(c), vdup_n_u8(d)), bits);
            [vandq_u8(low, value), vandq_u8(high, value)]
        }
    }
    #[inline(always)]
    fn bits<const S: i32>(block: Self::Block, mask: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe {
            // A shift left by less than nothing: the right shift by a constant has none for 0.
            let (right, mask) = (vdupq_n_s8(-(S as i8)), vdupq_n_u8(mask));
            [vandq_u8(vshlq_u8(block[0], right), mask), vandq_u8(vshlq_u8(block[1], right), mask)]
        }
    }
    #[inline(always)]
    fn raised<const S: i32>(block: Self::Block) -> Self::Block {
        // SAFETY: see above.
        unsafe { [vshlq_n_u8::<S>(block[0]), vshlq_n_u8::<S>(block[1])] }
    }
    #[inline(always)]
    fn or(a: Self::Block, b: Self::Block) -> Self::Block {
        // SAFETY: see above.
        unsafe { [vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1])] }
    }
    #[inline(always)]
    fn less(block: Self::Block, what: u8) -> Self::Block {
        // SAFETY: see above.
        unsafe {
            let what = vdupq_n_u8(what);
            [vsubq_u8(block[0], what), vsubq_u8(block[1], what)]
        }
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
    fn dot_signed([[a, b], [c, d]]: Self::Signed, x: &[u8; 64]) -> Self::Ints {
        let x = load_four!(vld1q_s8, 16, x.as_ptr().cast::<i8>());
        let pairs = each!(pairs([a, b, c, d], x));
        each!(vpaddlq_s16(pairs))
    }
    #[inline(always)]
    fn dot_scaled([[a, b], [c, d]]: Self::Bytes, x: &[u8; 64], factors: Self::Quad, sum: Self::Ints) -> Self::Ints {
        let x = load_four!(vld1q_s8, 16, x.as_ptr().cast::<i8>());
        let pairs = each!(pairs([a, b, c, d], x));
        // Four products are at most 4 * 63 * 127: they fit sixteen bits, too.
        // SAFETY: see above.
        unsafe {
            let (even, odd) = (vpaddq_s16(pairs[0], pairs[1]), vpaddq_s16(pairs[2], pairs[3]));
            [
                vmlal_lane_s16::<0>(sum[0], vget_low_s16(even), factors),
                vmlal_high_lane_s16::<1>(sum[1], even, factors),
                vmlal_lane_s16::<2>(sum[2], vget_low_s16(odd), factors),
                vmlal_high_lane_s16::<3>(sum[3], odd, factors),
            ]
        }
    }
    #[inline(always)]
    fn no_ints() -> Self::Ints {
        // SAFETY: see above.
        [unsafe { vdupq_n_s32(0) }; 4]
    }
    #[inline(always)]
    fn floats(ints: Self::Ints) -> Self {
        Neon(each!(vcvtq_f32_s32(ints)))
    }
    #[inline(always)]
    fn words(bytes: [u8; 16]) -> Self::Words {
        // SAFETY: see above.
        unsafe {
            let bytes = vld1q_s8(bytes.as_ptr().cast());
            [vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)]
        }
    }
    #[inline(always)]
    fn raised_words<const S: i32>(words: Self::Words) -> Self::Words {
        // SAFETY: see above.
        unsafe { [vshlq_n_s16::<S>(words[0]), vshlq_n_s16::<S>(words[1])] }
    }
    #[inline(always)]
    fn quad<const T: i32>(words: Self::Words) -> Self::Quad {
        // SAFETY: see above.
        unsafe {
            match T {
                0 => vget_low_s16(words[0]),
                1 => vget_high_s16(words[0]),
                2 => vget_low_s16(words[1]),
                _ => vget_high_s16(words[1]),
            }
        }
    }
    #[inline(always)]
    fn less_dot(a: Self::Words, b: &[i16; 16]) -> Self::Ints {
        // SAFETY: see above.
        unsafe {
            let (low, high, none) = (vld1q_s16(b.as_ptr()), vld1q_s16(b.as_ptr().add(8)), vdupq_n_s32(0));
            [vnegq_s32(dot_eight_words(a[0], low)), vnegq_s32(dot_eight_words(a[1], high)), none, none]
        }
    }
    #[inline(always)]
    fn add_dot(a: Self::Words, b: &[i16; 16], factor: f32, sum: Self) -> Self {
        let Neon([even, odd, c, d]) = sum;
        // SAFETY: see above.
        unsafe {
            let (low, high, factor) = (vld1q_s16(b.as_ptr()), vld1q_s16(b.as_ptr().add(8)), vdupq_n_f32(factor));
            let even = vfmaq_f32(even, vcvtq_f32_s32(dot_eight_words(a[0], low)), factor);
            let odd = vfmaq_f32(odd, vcvtq_f32_s32(dot_eight_words(a[1], high)), factor);
            Neon([even, odd, c, d])
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Neon(each!(vabsq_f32(self.0)))
    }
    #[inline(always)]
    fn rounded_bytes(self, factor: Self) -> [u8; LANES] {
        let rounded = self.mul_add(factor, Neon::splat(ROUND));
        // The integer is the low byte of the float.
        let [a, b, c, d] = each!(vreinterpretq_u32_f32(rounded.0));
        let mut out = [0; LANES];
        // SAFETY: see above.
        unsafe {
            let low = vmovn_u16(vcombine_u16(vmovn_u32(a), vmovn_u32(b)));
            let high = vmovn_u16(vcombine_u16(vmovn_u32(c), vmovn_u32(d)));
            vst1q_u8(out.as_mut_ptr(), vcombine_u8(low, high));
        }
        out
    }
}
