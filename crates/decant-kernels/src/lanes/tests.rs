//! Every operation of every tier against the scalar one, bit for bit, where tiers could differ: at zeros of either sign,
//! equals, denormals and the ends of the range.

use super::*;
use crate::Isa;
use crate::testing::{Numbers, other_tiers, scalar};

/// Sixteen lanes, mostly of what is special; any of them may meet any other.
fn lanes(numbers: &mut Numbers) -> [f32; LANES] {
    const SPECIAL: [f32; 12] =
        [0.0, -0.0, 1.0, -1.0, 1e-40, -1e-45, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, 2.5, -0.75];
    std::array::from_fn(|_| {
        let (special, other) = (SPECIAL[(numbers.unit() * 12.0) as usize], (numbers.unit() - 0.5) * 100.0);
        if numbers.unit() < 0.7 { special } else { other }
    })
}

/// Bits that can be compared: which NaN an invalid operation gives is the processor's choice.
fn bits(lanes: [f32; LANES]) -> [u32; LANES] {
    lanes.map(|lane| if lane.is_nan() { f32::NAN.to_bits() } else { lane.to_bits() })
}

/// What every operation makes of three times sixteen lanes.
#[inline(always)]
fn everything<L: Lanes>(inputs: &[[f32; LANES]; 3], keep: u16) -> Vec<[u32; LANES]> {
    let [a, b, c] = [L::load(&inputs[0]), L::load(&inputs[1]), L::load(&inputs[2])];
    let reduced = [a.sum(), a.largest(), a.least(), inputs[0][0]];
    let sets = [a.at_least(b), a.not_below(b), a.inside([inputs[1][0], inputs[2][0]]), keep];
    let (mut floats, mut words) = ([0.0; LANES], [0; LANES]);
    a.compress(keep, &mut floats);
    L::compress_words(&inputs[1].map(f32::to_bits), keep, &mut words);
    let kept = keep.count_ones() as usize;
    floats[kept..].fill(0.0);
    words[kept..].fill(0);
    vec![
        bits(L::splat(inputs[0][0]).store()),
        bits(a.add(b).store()),
        bits(a.sub(b).store()),
        bits(a.mul(b).store()),
        bits(a.div(b).store()),
        bits(a.mul_add(b, c).store()),
        bits(a.max(b).store()),
        bits(a.min(b).store()),
        bits(a.zero_unless_at_least(b, c).store()),
        bits(std::array::from_fn(|i| reduced[i % 4])),
        std::array::from_fn(|i| u32::from(sets[i % 4])),
        bits(floats),
        words,
    ]
}

#[test]
fn every_operation_is_the_scalar_one() {
    let mut numbers = Numbers(17);
    for _ in 0..5000 {
        let inputs = std::array::from_fn(|_| lanes(&mut numbers));
        let keep = (numbers.unit() * 65_536.0) as u16;
        let of = |isa: Isa| {
            let inputs = &inputs;
            dispatch!(isa => everything(inputs: &[[f32; LANES]; 3], keep: u16) -> Vec<[u32; LANES]>)
        };
        let expected = of(scalar());
        for isa in other_tiers() {
            for (operation, (got, expected)) in of(isa).into_iter().zip(&expected).enumerate() {
                assert_eq!(got, *expected, "{}, operation {operation} of {inputs:?}, {keep:#x}", isa.name());
            }
        }
    }
}

/// Where there is a NaN: neither at least, nor below; and sixteen powers of two.
#[inline(always)]
fn comparisons_and_powers<L: Lanes>(lanes: &[f32; LANES], exponents: &[f32; LANES]) -> (u16, u16, [f32; LANES]) {
    let (nan, zero) = (L::load(lanes), L::splat(0.0));
    let rounded = L::load(exponents).add(L::splat(ROUND));
    (nan.at_least(zero), nan.not_below(zero), L::splat(1.5).scale_by_rounded(rounded).store())
}

#[test]
fn nan_is_neither_and_powers_are_exact() {
    let lanes = std::array::from_fn(|i| [f32::NAN, 1.0, -1.0, -f32::NAN][i % 4]);
    let exponents = std::array::from_fn(|i| [-126.0, -1.0, 0.0, 1.0, 9.0, 127.0][i % 6]);
    for isa in Isa::available() {
        let (lanes, exponents) = (&lanes, &exponents);
        let (at_least, not_below, powers) = dispatch!(isa => comparisons_and_powers(
            lanes: &[f32; LANES], exponents: &[f32; LANES]
        ) -> (u16, u16, [f32; LANES]));
        assert_eq!((at_least, not_below), (0x2222, 0xBBBB), "{}", isa.name());
        assert_eq!(powers, exponents.map(|exponent| 1.5 * f64::from(exponent).exp2() as f32), "{}", isa.name());
    }
}
