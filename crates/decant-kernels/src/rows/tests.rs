//! Every tier against the scalar one bit for bit, and all of them against plain f64.

use super::*;
use crate::Isa;
use crate::testing::{Numbers, other_tiers, scalar};

impl Numbers {
    fn row(&mut self, len: usize, spread: f32, forbidden: f32) -> Vec<f32> {
        (0..len)
            .map(|_| if self.unit() < forbidden { f32::NEG_INFINITY } else { (self.unit() - 0.5) * spread })
            .collect()
    }
}

fn rows() -> Vec<Vec<f32>> {
    let mut numbers = Numbers(7);
    let mut rows = Vec::new();
    for len in [1, 2, 15, 16, 17, 255, 256, 257, 512, 1000, 4096, 33_333] {
        for (spread, forbidden) in [(0.0, 0.0), (1.0, 0.0), (20.0, 0.3), (400.0, 0.0), (3e38, 0.5)] {
            let mut row = numbers.row(len, spread, forbidden);
            row[len / 2] = spread; // never all forbidden
            rows.push(row);
        }
    }
    rows
}

fn top(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|a, b| row[*a].partial_cmp(&row[*b]).unwrap()).unwrap()
}

const EVERYTHING: Want = Want { first: true, second: true, squares: true };

#[test]
fn tiers_agree_bit_for_bit() {
    for row in rows() {
        let (mut expected_blocks, mut expected_sums) = (Blocks::default(), Vec::new());
        let expected_scan = scan(scalar(), &row, &mut expected_blocks).unwrap();
        let top = top(&row);
        assert_eq!(expected_scan.top, Some(top));
        assert_eq!(expected_scan.support, row.iter().filter(|l| **l > f32::NEG_INFINITY).count());
        for beta in [1.0, 0.37, 3.0, f32::MAX] {
            let expected = moments(scalar(), seen(&row, &expected_blocks, top, beta), EVERYTHING, &mut expected_sums);
            assert!(bits(expected).into_iter().all(|bits| f64::from_bits(bits).is_finite()));
            for isa in other_tiers() {
                let (mut blocks, mut sums) = (Blocks::default(), Vec::new());
                assert_eq!(scan(isa, &row, &mut blocks).unwrap(), expected_scan);
                assert_eq!(blocks, expected_blocks);
                let got = moments(isa, seen(&row, &blocks, top, beta), EVERYTHING, &mut sums);
                assert_eq!(bits(got), bits(expected));
                assert_eq!(sums, expected_sums);
            }
        }
    }
}

fn seen<'a>(logits: &'a [f32], blocks: &'a Blocks, top: usize, beta: f32) -> Row<'a> {
    Row { logits, blocks, top, beta }
}

fn bits(moments: Moments) -> [u64; 4] {
    [moments.mass, moments.first, moments.second, moments.squares].map(f64::to_bits)
}

#[test]
fn fewer_sums_are_the_same_sums() {
    for row in rows() {
        let mut blocks = Blocks::default();
        let top = scan(scalar(), &row, &mut blocks).unwrap().top.unwrap();
        let take = |want| bits(moments(Isa::best(), seen(&row, &blocks, top, 0.8), want, &mut Vec::new()));
        let (all, none) = (take(EVERYTHING), Want::default());
        assert_eq!(take(none)[0], all[0]);
        assert_eq!(take(Want { first: true, ..none })[0], all[0]);
        assert_eq!(take(Want { first: true, second: true, ..none })[..3], all[..3]);
        assert_eq!(take(Want { squares: true, ..none }), all);
    }
}

#[test]
fn gathering_finds_what_lies_in_the_window() {
    for row in rows() {
        let mut blocks = Blocks::default();
        let top = scan(scalar(), &row, &mut blocks).unwrap().top.unwrap();
        let ends = [f32::MIN, -3.0, 0.0, 2.0, row[top], f32::MAX];
        for window in ends.into_iter().flat_map(|least| ends.map(|largest| [least, largest])) {
            let inside = |logit: f32| window[0] <= logit && logit <= window[1];
            let expected: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).filter(|(_, l)| inside(*l)).collect();
            for isa in Isa::available() {
                let (mut tokens, mut logits) = (Vec::new(), Vec::new());
                gather(isa, &row, &blocks, window, None, &mut tokens, &mut logits);
                assert!(tokens.iter().copied().zip(logits.iter().copied()).eq(expected.iter().copied()));
            }
        }
    }
}

#[test]
fn a_bound_leaves_the_sums_of_what_is_inside() {
    for row in rows() {
        let mut blocks = Blocks::default();
        let top = scan(scalar(), &row, &mut blocks).unwrap().top.unwrap();
        let ends = [f32::MIN, -3.0, 0.0, row[row.len() / 3], row[top]];
        for (low, last) in ends.into_iter().flat_map(|low| [0, 300, row.len() / 2, row.len()].map(|last| (low, last))) {
            let (until, after) = ([low.max(f32::MIN), 9e9], [low.max(f32::MIN).next_up(), 4.0]);
            let bound = Bound { until, after, last: last as u32 };
            // The others forbidden, the sums are those of a whole row; the top counts if it is inside.
            let inside: Vec<f32> = (0..)
                .zip(&row)
                .map(|(token, logit)| if bound.keeps(token, *logit) { *logit } else { f32::NEG_INFINITY })
                .collect();
            let count = inside.iter().filter(|logit| **logit > f32::NEG_INFINITY).count();
            let (mut masked, mut expected_sums) = (inside.clone(), Vec::new());
            masked[top] = row[top];
            let mut masked_blocks = Blocks::default();
            scan(scalar(), &masked, &mut masked_blocks).unwrap();
            let expected = moments(scalar(), seen(&masked, &masked_blocks, top, 0.8), EVERYTHING, &mut expected_sums);
            for isa in Isa::available() {
                let mut sums = Vec::new();
                let (len, got) = bounded(isa, seen(&row, &blocks, top, 0.8), &bound, true, &mut sums);
                assert_eq!(len, count);
                assert_eq!(bits(Moments { second: expected.second, ..got }), bits(expected));
                assert_eq!(sums, expected_sums);
            }
        }
    }
}

#[test]
fn weights_are_the_exponentials() {
    for row in rows() {
        let top = row[top(&row)];
        for isa in Isa::available() {
            let mut got = vec![9.0; 3];
            weights(isa, &row, top, 0.8, &mut got);
            assert!(row.iter().map(|logit| exp((logit - top) * 0.8)).eq(got));
        }
    }
}

#[test]
fn exp_is_accurate_and_exact_at_its_ends() {
    assert_eq!(exp(0.0), 1.0);
    assert_eq!(exp(-87.1), 0.0);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    for (range, bound) in [(0..=200_000, 2e-7), (200_000..=870_000, 5e-7)] {
        let error = |i: i32| {
            let x = -(i as f32) * 1e-4;
            (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs()
        };
        let worst = range.map(error).fold(0.0, f64::max);
        assert!(worst < bound, "{worst:e}");
    }
}

#[test]
fn moments_match_plain_f64() {
    for row in rows() {
        let top = top(&row);
        for beta in [1.0_f32, 0.37, 3.0] {
            let mut block_sums = Vec::new();
            let mut blocks = Blocks::default();
            scan(scalar(), &row, &mut blocks).unwrap();
            let got = moments(scalar(), seen(&row, &blocks, top, beta), EVERYTHING, &mut block_sums);
            let got = bits(got).map(f64::from_bits);
            let mut expected = [0.0_f64; 4];
            for (i, l) in row.iter().enumerate().filter(|(i, l)| *i != top && l.is_finite()) {
                let x = (f64::from(*l) - f64::from(row[top])) * f64::from(beta);
                if x < -87.0 {
                    continue;
                }
                assert_ne!(i, top);
                for (k, sum) in expected[..3].iter_mut().enumerate() {
                    *sum += x.exp() * x.powi(k as i32);
                }
                expected[3] += (2.0 * x).exp();
            }
            for k in 0..4 {
                let error = (got[k] - expected[k]).abs();
                assert!(error <= 4e-6 * expected[k].abs() + 1e-36, "moment {k}: {} for {}", got[k], expected[k]);
            }
            let blocks: f64 = block_sums.iter().sum();
            assert!((blocks - got[0]).abs() <= 1e-12 * got[0]);
        }
    }
}

#[test]
fn scan_finds_the_first_thing_that_is_no_logit() {
    for isa in Isa::available() {
        for len in [1, 16, 300, 1000] {
            for (bad, at) in [(f32::NAN, len / 3), (f32::INFINITY, len - 1), (-f32::NAN, 0)] {
                let mut row = vec![0.5; len];
                row[at] = bad;
                row[len - 1] = if at == len - 1 { bad } else { f32::INFINITY };
                let error = scan(isa, &row, &mut Blocks::default()).unwrap_err();
                assert_eq!(error.index, at);
                assert_eq!(error.value.to_bits(), bad.to_bits());
            }
        }
        let nothing = Scan { top: None, support: 0 };
        assert_eq!(scan(isa, &[], &mut Blocks::default()).unwrap(), nothing);
        assert_eq!(scan(isa, &[f32::NEG_INFINITY; 300], &mut Blocks::default()).unwrap(), nothing);
    }
}
