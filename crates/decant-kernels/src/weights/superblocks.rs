//! Formats of blocks of 256 weights: unsigned integers q of up to 6 bits, for every sixteen of them integers s and n, for
//! all of them f16 scales d and e. w = d·s·(q - offset), or d·s·q - e·n.
//!
//! Activations that meet them share a scale by 256, too: so all that happens inside a block are exact sums of integers.

use half::f16;

use super::activations::Super;
use super::blocks::part;
use super::lanes::WeightLanes;
use super::multiply::Step;
use crate::lanes::Scalar;

/// What the integers of a block are multiplied with and moved by.
pub(super) struct Scales {
    /// d, an f16.
    d: [u8; 2],
    /// s of every sixteen, signed.
    s: [u8; 16],
    /// What is taken away.
    less: Less,
}

pub(super) enum Less {
    /// d·s·2^bits: an offset of the integers.
    Offset { bits: u8 },
    /// e, an f16, times n of every sixteen.
    Least { e: [u8; 2], n: [u8; 16] },
}

/// A format whose blocks take `B` bytes.
pub(super) trait Superblocks<const B: usize> {
    fn scales(block: &[u8; B]) -> Scales;

    /// The integers 64T..64T + 64.
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; B]) -> [L::Block; 2];
}

pub(super) struct Q2K;
pub(super) struct Q3K;
pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;

impl Superblocks<84> for Q2K {
    #[inline(always)]
    fn scales(block: &[u8; 84]) -> Scales {
        let both = u128::from_le_bytes(*part(block, 0));
        let [s, n] = [both, both >> 4].map(|nibbles| (nibbles & u128::from_le_bytes([15; 16])).to_le_bytes());
        Scales { d: *part(block, 80), s, less: Less::Least { e: *part(block, 82), n } }
    }

    #[inline(always)]
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; 84]) -> [L::Block; 2] {
        two_bits::<L, T>(L::block(part(block, 16 + T / 2 * 32)))
    }
}

impl Superblocks<110> for Q3K {
    #[inline(always)]
    fn scales(block: &[u8; 110]) -> Scales {
        // Four low bits of sixteen numbers, then two high ones.
        let low = u64::from_le_bytes(*part(block, 96));
        let high = u32::from_le_bytes(*part(block, 104));
        let low = u128::from(low & NIBBLES) | u128::from(low >> 4 & NIBBLES) << 64;
        let mut s = low;
        for quarter in 0..4 {
            s |= u128::from(high >> (2 * quarter) & 0x0303_0303) << (32 * quarter + 4);
        }
        // Less 32: of six bits the highest is turned over, and is then the sign.
        let sign = u128::from_le_bytes([32; 16]);
        let s = s ^ sign;
        let s = s | (s & sign) << 1 | (s & sign) << 2;
        Scales { d: *part(block, 108), s: s.to_le_bytes(), less: Less::Offset { bits: 2 } }
    }

    #[inline(always)]
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; 110]) -> [L::Block; 2] {
        let low = two_bits::<L, T>(L::block(part(block, 32 + T / 2 * 32)));
        let high = bit_pair::<L, T>(L::block(part(block, 0)));
        [L::or(low[0], L::raised::<2>(high[0])), L::or(low[1], L::raised::<2>(high[1]))]
    }
}

impl Superblocks<144> for Q4K {
    #[inline(always)]
    fn scales(block: &[u8; 144]) -> Scales {
        six_bits(part(block, 0))
    }

    #[inline(always)]
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; 144]) -> [L::Block; 2] {
        let bytes = L::block(part(block, 16 + 32 * T));
        [L::bits::<0>(bytes, 15), L::bits::<4>(bytes, 15)]
    }
}

impl Superblocks<176> for Q5K {
    #[inline(always)]
    fn scales(block: &[u8; 176]) -> Scales {
        six_bits(part(block, 0))
    }

    #[inline(always)]
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; 176]) -> [L::Block; 2] {
        let low = L::block(part(block, 48 + 32 * T));
        let high = bit_pair::<L, T>(L::block(part(block, 16)));
        [L::or(L::bits::<0>(low, 15), L::raised::<4>(high[0])), L::or(L::bits::<4>(low, 15), L::raised::<4>(high[1]))]
    }
}

impl Superblocks<210> for Q6K {
    #[inline(always)]
    fn scales(block: &[u8; 210]) -> Scales {
        Scales { d: *part(block, 208), s: *part(block, 192), less: Less::Offset { bits: 5 } }
    }

    #[inline(always)]
    fn integers<L: WeightLanes, const T: usize>(block: &[u8; 210]) -> [L::Block; 2] {
        let half = T / 2;
        let low = [L::block(part(block, 64 * half)), L::block(part(block, 64 * half + 32))];
        let high = two_bits::<L, T>(L::block(part(block, 128 + 32 * half)));
        let low = match T % 2 {
            0 => [L::bits::<0>(low[0], 15), L::bits::<0>(low[1], 15)],
            _ => [L::bits::<4>(low[0], 15), L::bits::<4>(low[1], 15)],
        };
        [L::or(low[0], L::raised::<4>(high[0])), L::or(low[1], L::raised::<4>(high[1]))]
    }
}

const NIBBLES: u64 = 0x0F0F_0F0F_0F0F_0F0F;

/// Of bytes of four numbers: the first two of each, or the last two, by whether T is even.
#[inline(always)]
fn two_bits<L: WeightLanes, const T: usize>(bytes: L::Block) -> [L::Block; 2] {
    match T % 2 {
        0 => [L::bits::<0>(bytes, 3), L::bits::<2>(bytes, 3)],
        _ => [L::bits::<4>(bytes, 3), L::bits::<6>(bytes, 3)],
    }
}

/// Bits 2T and 2T + 1 of every byte.
#[inline(always)]
fn bit_pair<L: WeightLanes, const T: usize>(bytes: L::Block) -> [L::Block; 2] {
    match T {
        0 => [L::bits::<0>(bytes, 1), L::bits::<1>(bytes, 1)],
        1 => [L::bits::<2>(bytes, 1), L::bits::<3>(bytes, 1)],
        2 => [L::bits::<4>(bytes, 1), L::bits::<5>(bytes, 1)],
        _ => [L::bits::<6>(bytes, 1), L::bits::<7>(bytes, 1)],
    }
}

/// The head of Q4_K and Q5_K: d and e, then s and n of eight thirty-twos in six bits each. The first four have a byte of
/// their own, whose two highest bits are those of the other four; the rest of these share four bytes.
#[inline(always)]
fn six_bits(head: &[u8; 16]) -> Scales {
    let [first_s, first_n, shared] = [4, 8, 12].map(|at| u32::from_le_bytes(*part(head, at)));
    let eight = |first: u32, low: u32| {
        let other = low & NIBBLES as u32 | first >> 2 & 0x3030_3030;
        twice((u64::from(first & 0x3F3F_3F3F) | u64::from(other) << 32).to_le_bytes())
    };
    let (s, n) = (eight(first_s, shared), eight(first_n, shared >> 4));
    Scales { d: *part(head, 0), s, less: Less::Least { e: *part(head, 2), n } }
}

/// Each of eight bytes twice.
#[inline(always)]
fn twice(eight: [u8; 8]) -> [u8; 16] {
    let mut both = [0; 16];
    for i in 0..16 {
        both[i] = eight[i / 2];
    }
    both
}

/// A block a step: of all four quarters, the products of a lane are summed as integers, less the offsets; then the least
/// values are taken away. Both stand by pairs of sixteens in the first eight lanes.
pub(super) struct InSuperblocks<F>(F);

impl<L: WeightLanes, F: Superblocks<B>, const B: usize> Step<L, B> for InSuperblocks<F> {
    type Input = Super;

    #[inline(always)]
    fn add<const M: usize>(block: &[u8; B], x: [&Super; M], sums: &mut [L; M]) {
        let Scales { d, s, less } = F::scales(block);
        let s = L::words(s);
        let mut ints = [L::no_ints(); M];
        if let Less::Offset { bits } = less {
            let offsets = match bits {
                2 => L::raised_words::<2>(s),
                _ => L::raised_words::<5>(s),
            };
            for m in 0..M {
                ints[m] = L::less_dot(offsets, &x[m].sums);
            }
        }
        quarter::<L, F, B, 0, M>(block, s, x, &mut ints);
        quarter::<L, F, B, 1, M>(block, s, x, &mut ints);
        quarter::<L, F, B, 2, M>(block, s, x, &mut ints);
        quarter::<L, F, B, 3, M>(block, s, x, &mut ints);
        let d = L::half(d);
        for m in 0..M {
            sums[m] = L::floats(ints[m]).mul_add(L::splat(d * x[m].scale), sums[m]);
        }
        if let Less::Least { e, n } = less {
            let (e, n) = (L::half(e), L::words(n));
            for m in 0..M {
                sums[m] = L::add_dot(n, &x[m].sums, -(e * x[m].scale), sums[m]);
            }
        }
    }
}

#[inline(always)]
fn quarter<L: WeightLanes, F: Superblocks<B>, const B: usize, const T: usize, const M: usize>(
    block: &[u8; B],
    s: L::Words,
    x: [&Super; M],
    ints: &mut [L::Ints; M],
) {
    let w = L::unsigned(F::integers::<L, T>(block));
    let factors = match T {
        0 => L::quad::<0>(s),
        1 => L::quad::<1>(s),
        2 => L::quad::<2>(s),
        _ => L::quad::<3>(s),
    };
    for m in 0..M {
        ints[m] = L::dot_scaled(w, &x[m].values[T], factors, ints[m]);
    }
}

/// The numbers that a row of blocks stands for.
pub(super) fn numbers<F: Superblocks<B>, const B: usize>(row: &[u8], out: &mut [f32]) {
    let float = |half| f16::from_le_bytes(half).to_f32_const();
    for (block, out) in row.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<256>().0) {
        let Scales { d, s, less } = F::scales(block);
        let quarters = [
            F::integers::<Scalar, 0>(block),
            F::integers::<Scalar, 1>(block),
            F::integers::<Scalar, 2>(block),
            F::integers::<Scalar, 3>(block),
        ];
        for (i, (out, q)) in out.iter_mut().zip(quarters.as_flattened().as_flattened()).enumerate() {
            let scale = float(d) * f32::from(s[i / 16] as i8);
            *out = match less {
                Less::Offset { bits } => scale * (f32::from(*q) - f32::from(1u8 << bits)),
                Less::Least { e, n } => scale * f32::from(*q) - float(e) * f32::from(n[i / 16]),
            };
        }
    }
}
