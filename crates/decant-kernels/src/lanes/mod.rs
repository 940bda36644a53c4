//! Sixteen virtual lanes of f32: the one width that every loop is written for.
//!
//! A tier only says how the sixteen lie in registers, so each lane sees the same operations in the same order on every
//! machine. Multiply-adds are fused everywhere (IEEE 754 fusedMultiplyAdd), also where the scalar tier must call for it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(crate) use neon::{Neon, each};

/// How many lanes.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 in one tier's registers.
///
/// # Safety
/// An implementation may use instructions that not every processor has. Its methods must only be reached through a
/// function that was entered with an [`crate::Isa`] of that tier; being `inline(always)`, they then compile to
/// that tier's instructions.
pub(crate) unsafe trait Lanes: Copy {
    /// How many sixteens of lanes the registers hold: what a loop can keep at hand.
    const REGISTERS: usize = 8;

    fn splat(value: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    /// Sixteen signed bytes, widened: exact.
    #[inline(always)]
    fn load_bytes(from: &[i8; LANES]) -> Self {
        let mut wide = [0.0; LANES];
        for (wide, byte) in wide.iter_mut().zip(from) {
            *wide = f32::from(*byte);
        }
        Self::load(&wide)
    }
    fn store(self) -> [f32; LANES];
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// self * factor + term, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The larger of the two, lane by lane, `other` where they are equal (so the sign of a zero is fixed); neither is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller of the two, lane by lane, `other` where they are equal; neither is NaN.
    fn min(self, other: Self) -> Self;
    /// `self` where `key >= bound`, else +0.
    fn zero_unless_at_least(self, key: Self, bound: Self) -> Self;
    /// self · 2^n for the integer n that [`ROUND`] left in the low bits of `rounded`; the result must be normal.
    fn scale_by_rounded(self, rounded: Self) -> Self;
    /// Bit i is set where lane i is `>= bound`.
    fn at_least(self, bound: Self) -> u16;
    /// Bit i is set where lane i lies in the window, ends included.
    #[inline(always)]
    fn inside(self, [least, largest]: [f32; 2]) -> u16 {
        self.at_least(Self::splat(least)) & Self::splat(largest).at_least(self)
    }
    /// The lanes whose bits are set in `keep`, in order, at the front of `out`; what lies behind them means nothing.
    fn compress(self, keep: u16, out: &mut [f32; LANES]);
    /// The same of sixteen words.
    fn compress_words(words: &[u32; LANES], keep: u16, out: &mut [u32; LANES]);
    /// Bit i is set unless lane i is `< bound`: so also where it is NaN.
    fn not_below(self, bound: Self) -> u16;
    /// The sum of all lanes, in one fixed tree: i with i+8, then i+4, i+2, i+1.
    fn sum(self) -> f32;
    /// The largest lane, by `max` in the tree of `sum`; none is NaN.
    fn largest(self) -> f32;
    /// The smallest lane, by `min` in the tree of `sum`; none is NaN.
    fn least(self) -> f32;
    /// Calls what lies at an address into the cache; any address will do.
    fn prefetch<T>(from: *const T);
}

/// Adding this to a float of small magnitude rounds it to an integer (ties to even), which then stands in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// The scalar tier: plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Scalar(pub(crate) [f32; LANES]);

impl Scalar {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Scalar(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    /// The fixed tree of `Lanes::sum`, for any operation.
    #[inline(always)]
    fn tree(self, f: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = self.0;
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] = f(lanes[i], lanes[i + half]);
            }
        }
        lanes[0]
    }
}

#[inline(always)]
fn compress<T: Copy>(lanes: [T; LANES], keep: u16, out: &mut [T; LANES]) {
    let mut count = 0;
    for (i, lane) in lanes.into_iter().enumerate() {
        out[count.min(LANES - 1)] = lane;
        count += usize::from(keep >> i & 1);
    }
}

// SAFETY: uses no instruction beyond the target's baseline.
unsafe impl Lanes for Scalar {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Scalar([value; LANES])
    }
    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Scalar(*from)
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        self.0
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Scalar(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], term.0[i])))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn zero_unless_at_least(self, key: Self, bound: Self) -> Self {
        Scalar(std::array::from_fn(|i| if key.0[i] >= bound.0[i] { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    fn scale_by_rounded(self, rounded: Self) -> Self {
        self.zip(rounded, |x, n| f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23)))
    }
    #[inline(always)]
    fn at_least(self, bound: Self) -> u16 {
        (0..LANES).fold(0, |bits, i| bits | u16::from(self.0[i] >= bound.0[i]) << i)
    }
    #[inline(always)]
    fn compress(self, keep: u16, out: &mut [f32; LANES]) {
        compress(self.0, keep, out);
    }
    #[inline(always)]
    fn compress_words(words: &[u32; LANES], keep: u16, out: &mut [u32; LANES]) {
        compress(*words, keep, out);
    }
    #[inline(always)]
    fn not_below(self, bound: Self) -> u16 {
        // The negation is the point: it is true of NaN, as the vector tiers' "not less than, unordered" is.
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        (0..LANES).fold(0, |bits, i| bits | u16::from(!(self.0[i] < bound.0[i])) << i)
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.tree(|a, b| a + b)
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        self.tree(|a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn least(self) -> f32 {
        self.tree(|a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn prefetch<T>(_: *const T) {}
}

/// `dispatch!(isa => body(args))` runs the generic function `body::<L>` compiled for the tier that `isa` proves;
/// `body[N](args)` runs `body::<L, N>` for a constant parameter `N: u8` of the function around it.
macro_rules! dispatch {
    ($isa:expr => $body:ident$([$plan:ident])?($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c,popcnt")]
        fn avx2$(<const $plan: u8>)?($($arg: $ty),*) $(-> $ret)? {
            $body::<$crate::lanes::Avx2$(, $plan)?>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,popcnt")]
        fn avx512$(<const $plan: u8>)?($($arg: $ty),*) $(-> $ret)? {
            $body::<$crate::lanes::Avx512$(, $plan)?>($($arg),*)
        }
        match $isa.name() {
            $crate::IsaName::Scalar => $body::<$crate::lanes::Scalar$(, $plan)?>($($arg),*),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            $crate::IsaName::Neon => $body::<$crate::lanes::Neon$(, $plan)?>($($arg),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this name exists only where the processor has these features.
            $crate::IsaName::Avx2 => unsafe { avx2$(::<$plan>)?($($arg),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            $crate::IsaName::Avx512 => unsafe { avx512$(::<$plan>)?($($arg),*) },
            _ => unreachable!("no Isa of another name exists here"),
        }
    }};
}
pub(crate) use dispatch;
