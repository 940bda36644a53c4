//! NEON's reading of weights.

use super::{LANES, Lanes, Neon, ROUND};
use crate::weights::WeightLanes;
use std::arch::aarch64::*;

/// Sums of four neighbouring products.
#[inline]
#[target_feature(enable = "neon")]
fn dot_fours(w: int8x16_t, x: int8x16_t) -> float32x4_t {
    // |w| is at most 128 and |x| at most 127, so the sum of two products, at most 32512, fits the signed sixteen bits
    // that it is kept in.
    let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    let high = vmull_high_s8(w, x);
    vcvtq_f32_s32(vpaddlq_s16(vpaddq_s16(low, high)))
}

#[inline]
#[target_feature(enable = "neon")]
fn widen_f16(words: uint16x4_t) -> float32x4_t {
    vcvt_f32_f16(vreinterpret_f16_u16(words))
}

#[inline]
#[target_feature(enable = "neon")]
fn widen_bf16(words: uint16x4_t) -> float32x4_t {
    vreinterpretq_f32_u32(vshll_n_u16::<16>(words))
}

/// Sixteen numbers of sixteen bits, widened by `$widen`.
macro_rules! widened {
    ($widen:ident, $from:expr) => {{
        let from = $from.as_ptr().cast::<u16>();
        // SAFETY: NEON belongs to the target; 32 bytes lie behind `from`, and the loads ask for no alignment.
        Neon(unsafe {
            [
                $widen(vld1_u16(from)),
                $widen(vld1_u16(from.add(4))),
                $widen(vld1_u16(from.add(8))),
                $widen(vld1_u16(from.add(12))),
            ]
        })
    }};
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl WeightLanes for Neon {
    type Bytes = [int8x16_t; 4];

    #[inline(always)]
    fn load_f32(from: &[u8; 64]) -> Self {
        let from = from.as_ptr().cast::<f32>();
        // SAFETY: 64 bytes lie behind `from`; the loads ask for no alignment.
        Neon(unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] })
    }
    #[inline(always)]
    fn load_f16(from: &[u8; 32]) -> Self {
        widened!(widen_f16, from)
    }
    #[inline(always)]
    fn load_bf16(from: &[u8; 32]) -> Self {
        widened!(widen_bf16, from)
    }
    #[inline(always)]
    fn load_bytes(blocks: [&[u8; 32]; 2]) -> Self::Bytes {
        let [even, odd] = blocks.map(|block| block.as_ptr().cast::<i8>());
        // SAFETY: 32 bytes lie behind each.
        unsafe { [vld1q_s8(even), vld1q_s8(even.add(16)), vld1q_s8(odd), vld1q_s8(odd.add(16))] }
    }
    #[inline(always)]
    fn dot_fours(w: Self::Bytes, x: Self::Bytes) -> Self {
        Neon(each!(dot_fours(w, x)))
    }
    #[inline(always)]
    fn scales(w: [[u8; 2]; 2], x: &[f32; 2]) -> Self {
        let both = u32::from_le_bytes([w[0][0], w[0][1], w[1][0], w[1][1]]);
        // SAFETY: NEON belongs to the target; two floats lie behind `x`.
        unsafe {
            let w = vget_low_f32(widen_f16(vcreate_u16(u64::from(both))));
            let products = vmul_f32(w, vld1_f32(x.as_ptr()));
            let (even, odd) = (vdupq_lane_f32::<0>(products), vdupq_lane_f32::<1>(products));
            Neon([even, even, odd, odd])
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
        // SAFETY: NEON belongs to the target; `out` has room for sixteen bytes.
        unsafe {
            let low = vmovn_u16(vcombine_u16(vmovn_u32(a), vmovn_u32(b)));
            let high = vmovn_u16(vcombine_u16(vmovn_u32(c), vmovn_u32(d)));
            vst1q_u8(out.as_mut_ptr(), vcombine_u8(low, high));
        }
        out
    }
}
