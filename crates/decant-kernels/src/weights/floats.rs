//! Formats of plain floats: lane i takes element i of every sixteen.

use super::activations::Sixteen;
use super::lanes::WeightLanes;
use super::multiply::Step;

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct BF16;

macro_rules! float_step {
    ($format:ident, $bytes:literal, $load:ident) => {
        impl<L: WeightLanes> Step<L, $bytes> for $format {
            type Input = Sixteen;

            #[inline(always)]
            fn add<const M: usize>(bytes: &[u8; $bytes], x: [&Sixteen; M], sums: &mut [L; M]) {
                let w = L::$load(bytes);
                for m in 0..M {
                    sums[m] = w.mul_add(L::load(&x[m].0), sums[m]);
                }
            }
        }
    };
}

float_step!(F32, 64, load_f32);
float_step!(F16, 32, load_f16);
float_step!(BF16, 32, load_bf16);
