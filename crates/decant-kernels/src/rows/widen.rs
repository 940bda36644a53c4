//! Rows of half precision, widened to f32: exact.

use crate::Isa;
use crate::lanes::{LANES, dispatch};
use crate::weights::WeightLanes;
use half::{bf16, f16};

/// Makes `wide` the same row in f32.
pub fn widen_f16(isa: Isa, row: &[f16], wide: &mut Vec<f32>) {
    wide.resize(row.len(), 0.0);
    dispatch!(isa => from_f16(row: &[f16], wide: &mut [f32]));
}

/// Makes `wide` the same row in f32.
pub fn widen_bf16(isa: Isa, row: &[bf16], wide: &mut Vec<f32>) {
    wide.resize(row.len(), 0.0);
    dispatch!(isa => from_bf16(row: &[bf16], wide: &mut [f32]));
}

/// The loops of both, inside a tier.
macro_rules! widen {
    ($from:ident, $half:ident, $load:ident) => {
        #[inline(always)]
        pub(crate) fn $from<L: WeightLanes>(row: &[$half], wide: &mut [f32]) {
            let (sixteens, rest) = row.as_chunks::<LANES>();
            let (wides, wide_rest) = wide.as_chunks_mut::<LANES>();
            for (wide, sixteen) in wides.iter_mut().zip(sixteens) {
                let mut bytes = [0; 2 * LANES];
                for (bytes, half) in bytes.as_chunks_mut().0.iter_mut().zip(sixteen) {
                    *bytes = half.to_le_bytes();
                }
                *wide = L::$load(&bytes).store();
            }
            for (wide, half) in wide_rest.iter_mut().zip(rest) {
                *wide = half.to_f32_const();
            }
        }
    };
}
widen!(from_f16, f16, load_f16);
widen!(from_bf16, bf16, load_bf16);

#[cfg(test)]
mod tests {
    use super::*;

    fn same(wide: &[f32], exact: impl Iterator<Item = f32>) {
        assert!(wide.iter().zip(exact).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())));
    }

    #[test]
    fn every_number_on_every_tier() {
        let mut wide = Vec::new();
        for isa in Isa::available() {
            for len in [1 << 16, 0, 1, 15, 16, 31, 1000] {
                let halves = || (0..=u16::MAX).rev().take(len);
                let row: Vec<f16> = halves().map(f16::from_bits).collect();
                widen_f16(isa, &row, &mut wide);
                assert_eq!(wide.len(), len);
                same(&wide, row.iter().map(|half| half.to_f32()));
                let row: Vec<bf16> = halves().map(bf16::from_bits).collect();
                widen_bf16(isa, &row, &mut wide);
                same(&wide, row.iter().map(|half| half.to_f32()));
            }
        }
    }
}
