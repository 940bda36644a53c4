//! Formats of blocks of 32 weights: signed integers q and an f16 scale d, perhaps a least value m. w = d·q + m.

use half::f16;

use super::activations::Pair;
use super::lanes::WeightLanes;
use super::multiply::Step;
use crate::lanes::Scalar;

/// A format whose blocks take `N` bytes.
pub(super) trait Blocks<const N: usize> {
    /// The scale, an f16.
    #[inline(always)]
    fn scale(block: &[u8; N]) -> [u8; 2] {
        [block[0], block[1]]
    }

    /// The least value, an f16.
    #[inline(always)]
    fn least(_: &[u8; N]) -> Option<[u8; 2]> {
        None
    }

    /// The integers, signed bytes.
    fn integers<L: WeightLanes>(block: &[u8; N]) -> L::Block;
}

pub(super) struct Q8_0;
pub(super) struct Q4_0;
pub(super) struct Q4_1;
pub(super) struct Q5_0;
pub(super) struct Q5_1;

impl Blocks<34> for Q8_0 {
    #[inline(always)]
    fn integers<L: WeightLanes>(block: &[u8; 34]) -> L::Block {
        L::block(part(block, 2))
    }
}

impl Blocks<18> for Q4_0 {
    #[inline(always)]
    fn integers<L: WeightLanes>(block: &[u8; 18]) -> L::Block {
        L::less(L::nibbles(part(block, 2)), 8)
    }
}

impl Blocks<20> for Q4_1 {
    #[inline(always)]
    fn least(block: &[u8; 20]) -> Option<[u8; 2]> {
        Some(*part(block, 2))
    }

    #[inline(always)]
    fn integers<L: WeightLanes>(block: &[u8; 20]) -> L::Block {
        L::nibbles(part(block, 4))
    }
}

impl Blocks<22> for Q5_0 {
    #[inline(always)]
    fn integers<L: WeightLanes>(block: &[u8; 22]) -> L::Block {
        L::less(five_bits::<L>(part(block, 6), *part(block, 2)), 16)
    }
}

impl Blocks<24> for Q5_1 {
    #[inline(always)]
    fn least(block: &[u8; 24]) -> Option<[u8; 2]> {
        Some(*part(block, 2))
    }

    #[inline(always)]
    fn integers<L: WeightLanes>(block: &[u8; 24]) -> L::Block {
        five_bits::<L>(part(block, 8), *part(block, 4))
    }
}

/// Four low bits and a fifth.
#[inline(always)]
fn five_bits<L: WeightLanes>(low: &[u8; 16], fifth: [u8; 4]) -> L::Block {
    L::or(L::nibbles(low), L::spread(u32::from_le_bytes(fifth), 16))
}

/// `P` bytes of a block.
#[inline(always)]
pub(super) fn part<const P: usize>(block: &[u8], at: usize) -> &[u8; P] {
    block[at..].first_chunk().expect("parts lie in their block")
}

/// Two blocks a step: the integer products of lane 8b + j, times the product of the two scales of block b; then the least
/// values, times the activations of the lane.
pub(super) struct InPairs<F, const N: usize>(F);

impl<L: WeightLanes, F: Blocks<N>, const N: usize, const B: usize> Step<L, B> for InPairs<F, N> {
    type Input = Pair;

    #[inline(always)]
    fn add<const M: usize>(bytes: &[u8; B], x: [&Pair; M], sums: &mut [L; M]) {
        let blocks = [part::<N>(bytes, 0), part::<N>(bytes, N)];
        let w = L::signed([F::integers::<L>(blocks[0]), F::integers::<L>(blocks[1])]);
        add_scaled(w, L::scales([F::scale(blocks[0]), F::scale(blocks[1])]), x, sums);
        if let [Some(even), Some(odd)] = [F::least(blocks[0]), F::least(blocks[1])] {
            let ones = L::signed([L::spread(u32::MAX, 1), L::spread(u32::MAX, 1)]);
            add_scaled(ones, L::scales([even, odd]), x, sums);
        }
    }
}

#[inline(always)]
fn add_scaled<L: WeightLanes, const M: usize>(w: L::Signed, scales: L::Scales, x: [&Pair; M], sums: &mut [L; M]) {
    for m in 0..M {
        let factors = L::scaled(scales, &x[m].scales);
        sums[m] = L::floats(L::dot_signed(w, &x[m].values)).mul_add(factors, sums[m]);
    }
}

/// The numbers that a row of blocks stands for.
pub(super) fn numbers<F: Blocks<N>, const N: usize>(row: &[u8], out: &mut [f32]) {
    for (block, out) in row.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        let scale = f16::from_le_bytes(F::scale(block)).to_f32_const();
        for (out, integer) in out.iter_mut().zip(F::integers::<Scalar>(block)) {
            let number = scale * f32::from(integer as i8);
            *out = match F::least(block) {
                Some(least) => number + f16::from_le_bytes(least).to_f32_const(),
                None => number,
            };
        }
    }
}
