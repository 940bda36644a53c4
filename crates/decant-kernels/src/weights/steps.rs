//! How each format takes one step along a row: the only code that differs between formats.

use super::activations::QuantisedPair;
use super::lanes::WeightLanes;
use crate::lanes::LANES;

/// One format's step along a row of weights, `B` bytes wide.
pub(super) trait Step<L: WeightLanes, const B: usize> {
    /// A step's weights in registers.
    type Weights: Copy;
    /// The activations that meet them.
    type Input;

    /// Reads a step's weights.
    fn weights(bytes: &[u8; B]) -> Self::Weights;

    /// Adds their products with `x` to the lanes of `sum`.
    fn accumulate(w: Self::Weights, x: &Self::Input, sum: L) -> L;
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct BF16;
pub(super) struct Q8_0;

/// Sixteen floats: lane i takes element i of every step.
macro_rules! float_step {
    ($format:ident, $bytes:literal, $load:ident) => {
        impl<L: WeightLanes> Step<L, $bytes> for $format {
            type Weights = L;
            type Input = [f32; LANES];

            #[inline(always)]
            fn weights(bytes: &[u8; $bytes]) -> L {
                L::$load(bytes)
            }

            #[inline(always)]
            fn accumulate(w: L, x: &[f32; LANES], sum: L) -> L {
                w.mul_add(L::load(x), sum)
            }
        }
    };
}

float_step!(F32, 64, load_f32);
float_step!(F16, 32, load_f16);
float_step!(BF16, 32, load_bf16);

/// Two blocks of 32: integer products are summed exactly by fours; lane 8b + j then takes the j-th sum of the even
/// (b = 0) or odd block, times the product of the two scales.
impl<L: WeightLanes> Step<L, 68> for Q8_0 {
    type Weights = (L::Bytes, [[u8; 2]; 2]);
    type Input = QuantisedPair;

    #[inline(always)]
    fn weights(bytes: &[u8; 68]) -> Self::Weights {
        let (even, odd) = bytes.split_at(34);
        let [even, odd] = [even, odd].map(|block| block[2..].try_into().expect("a block is 34 bytes"));
        (L::load_bytes([even, odd]), [[bytes[0], bytes[1]], [bytes[34], bytes[35]]])
    }

    #[inline(always)]
    fn accumulate((w, scales): Self::Weights, x: &QuantisedPair, sum: L) -> L {
        let x_values = L::load_bytes([&x.values[0], &x.values[1]]);
        L::dot_fours(w, x_values).mul_add(L::scales(scales, &x.scales), sum)
    }
}
