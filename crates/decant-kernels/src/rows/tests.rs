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

#[test]
fn tiers_agree_bit_for_bit() {
    for row in rows() {
        let (mut expected_max, mut expected_sums) = (Vec::new(), Vec::new());
        let expected_scan = scan(scalar(), &row, &mut expected_max).unwrap();
        assert_eq!(expected_scan.top, Some(top(&row)));
        assert_eq!(expected_scan.support, row.iter().filter(|l| **l > f32::NEG_INFINITY).count());
        let max = row[top(&row)];
        for beta in [1.0, 0.37, 3.0, f32::MAX] {
            let expected = moments(scalar(), &row, top(&row), beta, &mut expected_sums);
            assert!(expected.0.iter().all(|sum| sum.is_finite()));
            for isa in other_tiers() {
                let (mut block_max, mut sums) = (Vec::new(), Vec::new());
                assert_eq!(scan(isa, &row, &mut block_max).unwrap(), expected_scan);
                assert_eq!(block_max, expected_max);
                let got = moments(isa, &row, top(&row), beta, &mut sums);
                assert_eq!(got.0.map(f64::to_bits), expected.0.map(f64::to_bits));
                assert_eq!(sums, expected_sums);
            }
        }
        for bound in [f32::NEG_INFINITY, -3.0, 0.0, max] {
            let expected: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).filter(|(_, l)| *l >= bound).collect();
            for isa in Isa::available() {
                let mut found = Vec::new();
                gather(isa, &row, &expected_max, bound, &mut found);
                assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn exp_is_accurate_and_exact_at_its_ends() {
    assert_eq!(exp(0.0), 1.0);
    assert_eq!(exp(-87.1), 0.0);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    let mut worst = 0.0_f64;
    for i in 0..=870_000 {
        let x = -(i as f32) * 1e-4;
        let truth = f64::from(x).exp();
        worst = worst.max((f64::from(exp(x)) / truth - 1.0).abs());
    }
    assert!(worst < 1.2e-7, "{worst:e}");
}

#[test]
fn moments_match_plain_f64() {
    for row in rows() {
        let top = top(&row);
        for beta in [1.0_f32, 0.37, 3.0] {
            let mut block_sums = Vec::new();
            let Moments(got) = moments(scalar(), &row, top, beta, &mut block_sums);
            let mut expected = [0.0_f64; 3];
            for (i, l) in row.iter().enumerate().filter(|(i, l)| *i != top && l.is_finite()) {
                let x = (f64::from(*l) - f64::from(row[top])) * f64::from(beta);
                if x < -87.0 {
                    continue;
                }
                assert_ne!(i, top);
                for (k, sum) in expected.iter_mut().enumerate() {
                    *sum += x.exp() * x.powi(k as i32);
                }
            }
            for k in 0..3 {
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
                let error = scan(isa, &row, &mut Vec::new()).unwrap_err();
                assert_eq!(error.index, at);
                assert_eq!(error.value.to_bits(), bad.to_bits());
            }
        }
        let nothing = Scan { top: None, support: 0 };
        assert_eq!(scan(isa, &[], &mut Vec::new()).unwrap(), nothing);
        assert_eq!(scan(isa, &[f32::NEG_INFINITY; 300], &mut Vec::new()).unwrap(), nothing);
    }
}
