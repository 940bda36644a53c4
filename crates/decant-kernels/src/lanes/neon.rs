//! NEON, which every aarch64 processor has.

use super::{LANES, Lanes};
use std::arch::aarch64::*;

/// NEON: lanes 0..4, 4..8, 8..12 and 12..16.
#[derive(Clone, Copy)]
pub(crate) struct Neon(pub(crate) [float32x4_t; 4]);

// Macros, not closures, as in the other tiers.

/// One instruction on each of the four quarters.
macro_rules! each {
    ($op:ident($($of:expr),+)) => {
        // SAFETY: NEON belongs to the target.
        unsafe { [$op($($of[0]),+), $op($($of[1]),+), $op($($of[2]),+), $op($($of[3]),+)] }
    };
}

pub(crate) use each;

/// The fixed tree of `Lanes::sum`: `$op` on eight lanes, then on four, two, one.
macro_rules! tree {
    ($op:ident($of:expr)) => {{
        let [a, b, c, d] = $of;
        // SAFETY: NEON belongs to the target.
        unsafe {
            let four = $op($op(a, c), $op(b, d));
            let two = $op(four, vextq_f32::<2>(four, four));
            vgetq_lane_f32::<0>($op(two, vextq_f32::<1>(two, two)))
        }
    }};
}

/// The larger of two, `b` where they are equal: NEON's own maximum takes +0 for larger than -0.
#[inline]
#[target_feature(enable = "neon")]
fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

/// The smaller of two, `b` where they are equal.
#[inline]
#[target_feature(enable = "neon")]
fn smaller(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcltq_f32(a, b), a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn zero_unless_at_least(x: float32x4_t, key: float32x4_t, bound: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgeq_f32(key, bound), x, vdupq_n_f32(0.0))
}

#[inline]
#[target_feature(enable = "neon")]
fn scale_by_rounded(x: float32x4_t, rounded: float32x4_t) -> float32x4_t {
    let exponent = vshlq_n_u32::<23>(vreinterpretq_u32_f32(rounded));
    vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(x), exponent))
}

/// Bit i is set where the comparison of lanes i was true.
#[inline]
#[target_feature(enable = "neon")]
fn bits([a, b, c, d]: [uint32x4_t; 4]) -> u16 {
    static BIT: [u32; 4] = [1, 2, 4, 8];
    // SAFETY: four words lie behind `BIT`.
    let bit = unsafe { vld1q_u32(BIT.as_ptr()) };
    let (low, high) = (vandq_u32(a, bit), vandq_u32(c, bit));
    let low = vorrq_u32(low, vshlq_n_u32::<4>(vandq_u32(b, bit)));
    let high = vorrq_u32(high, vshlq_n_u32::<4>(vandq_u32(d, bit)));
    vaddvq_u32(vorrq_u32(low, vshlq_n_u32::<8>(high))) as u16
}

/// Of every set of four lanes: the bytes of the lanes in it, in order, at the front.
static FRONT: [[u8; 16]; 16] = {
    let mut front = [[0; 16]; 16];
    let mut set = 0;
    while set < 16 {
        let (mut byte, mut count) = (0, 0);
        while byte < 16 {
            if set >> (byte / 4) & 1 == 1 {
                front[set][count] = byte as u8;
                count += 1;
            }
            byte += 1;
        }
        set += 1;
    }
    front
};

/// `Lanes::compress` of any sixteen words.
///
/// # Safety
/// There is room for sixteen words behind `out`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn compress(words: [uint32x4_t; 4], keep: u16, out: *mut u32) {
    let mut count = 0;
    for (quarter, words) in words.into_iter().enumerate() {
        let set = usize::from(keep >> (4 * quarter) & 0xF);
        // SAFETY: at most four words come from each quarter before this one, so the store lies inside `out`.
        unsafe {
            let front = vqtbl1q_u8(vreinterpretq_u8_u32(words), vld1q_u8(FRONT[set].as_ptr()));
            vst1q_u32(out.add(count), vreinterpretq_u32_u8(front));
        }
        count += set.count_ones() as usize;
    }
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl Lanes for Neon {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: NEON belongs to the target; so in every method below.
        Neon([unsafe { vdupq_n_f32(value) }; 4])
    }
    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        let from = from.as_ptr();
        // SAFETY: sixteen floats lie behind `from`.
        Neon(unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] })
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (out, quarter) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: `out` has room for four floats.
            unsafe { vst1q_f32(out.as_mut_ptr(), quarter) }
        }
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Neon(each!(vaddq_f32(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Neon(each!(vsubq_f32(self.0, other.0)))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Neon(each!(vmulq_f32(self.0, other.0)))
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Neon(each!(vdivq_f32(self.0, other.0)))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Neon(each!(vfmaq_f32(term.0, self.0, factor.0)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Neon(each!(larger(self.0, other.0)))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Neon(each!(smaller(self.0, other.0)))
    }
    #[inline(always)]
    fn zero_unless_at_least(self, key: Self, bound: Self) -> Self {
        Neon(each!(zero_unless_at_least(self.0, key.0, bound.0)))
    }
    #[inline(always)]
    fn scale_by_rounded(self, rounded: Self) -> Self {
        Neon(each!(scale_by_rounded(self.0, rounded.0)))
    }
    #[inline(always)]
    fn at_least(self, bound: Self) -> u16 {
        let compared = each!(vcgeq_f32(self.0, bound.0));
        // SAFETY: see `splat`.
        unsafe { bits(compared) }
    }
    #[inline(always)]
    fn compress(self, keep: u16, out: &mut [f32; LANES]) {
        let words = each!(vreinterpretq_u32_f32(self.0));
        // SAFETY: see `splat`; `out` has room for sixteen floats, which are words.
        unsafe { compress(words, keep, out.as_mut_ptr().cast()) }
    }
    #[inline(always)]
    fn compress_words(words: &[u32; LANES], keep: u16, out: &mut [u32; LANES]) {
        let from = words.as_ptr();
        // SAFETY: see `splat`; sixteen words lie behind `from`, and `out` has room for as many.
        unsafe {
            let words = [vld1q_u32(from), vld1q_u32(from.add(4)), vld1q_u32(from.add(8)), vld1q_u32(from.add(12))];
            compress(words, keep, out.as_mut_ptr());
        }
    }
    #[inline(always)]
    fn not_below(self, bound: Self) -> u16 {
        let below = each!(vcltq_f32(self.0, bound.0));
        // SAFETY: see `splat`.
        unsafe { !bits(below) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        tree!(vaddq_f32(self.0))
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        tree!(larger(self.0))
    }
    #[inline(always)]
    fn least(self) -> f32 {
        tree!(smaller(self.0))
    }
    #[inline(always)]
    fn prefetch<T>(from: *const T) {
        // SAFETY: a hint, which no address makes fail.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) from, options(nostack, preserves_flags, readonly));
        }
    }
}
