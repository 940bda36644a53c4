//! Every tier against the scalar one bit for bit, tiles against single products, and all of them against plain f64.

use std::num::NonZeroUsize;

use half::{bf16, f16};

use super::*;
use crate::testing::{Numbers, other_tiers, scalar};
use crate::{Isa, Team};

/// A matrix in some format: its bytes, and the numbers they stand for.
struct Matrix {
    format: Format,
    cols: usize,
    bytes: Vec<u8>,
    numbers: Vec<f64>,
}

impl Matrix {
    /// Blocks of random bytes, so all that there are, with scales of the magnitude.
    fn random(numbers: &mut Numbers, format: Format, rows: usize, cols: usize, magnitude: f32) -> Self {
        let mut bytes = Vec::new();
        let mut number = || (numbers.unit() - 0.5) * magnitude;
        for _ in 0..rows * cols / format.block() {
            let start = bytes.len();
            match format {
                Format::F32 => bytes.extend(number().to_le_bytes()),
                Format::F16 => bytes.extend(f16::from_f32(number()).to_le_bytes()),
                Format::BF16 => bytes.extend(bf16::from_f32(number()).to_le_bytes()),
                _ => bytes.extend((0..format.block_bytes()).map(|_| (number() / magnitude * 256.0) as i32 as u8)),
            }
            let scales: &[usize] = match format {
                Format::Q8_0 | Format::Q4_0 | Format::Q5_0 => &[0],
                Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[0, 2],
                Format::Q2_K => &[80, 82],
                Format::Q3_K => &[108],
                Format::Q6_K => &[208],
                _ => &[],
            };
            for at in scales {
                bytes[start + at..][..2].copy_from_slice(&f16::from_f32(number()).to_le_bytes());
            }
        }
        // That these numbers are right, `golden/dequantise.json` says.
        let mut row = vec![0.0; cols];
        let mut dequantised = Vec::new();
        for index in 0..rows {
            Weights::new(format, cols, &bytes).dequantise(index, &mut row);
            dequantised.extend(row.iter().map(|number| f64::from(*number)));
        }
        Matrix { format, cols, bytes, numbers: dequantised }
    }

    fn weights(&self) -> Weights<'_> {
        Weights::new(self.format, self.cols, &self.bytes)
    }

    fn product(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut activations = Activations::default();
        activations.set(isa, x, self.cols, [self.format]);
        let mut out = vec![f32::NAN; x.len() / self.cols * self.weights().rows()];
        multiply(&alone(), &activations, &mut [(self.weights(), ColumnsMut::new(&mut out, self.weights().rows()))]);
        out
    }
}

/// Matrices of every format, with rows that end anywhere in a step.
fn matrices() -> Vec<Matrix> {
    let mut numbers = Numbers(11);
    let mut matrices = Vec::new();
    for format in Format::ALL {
        let widths: &[usize] = match format {
            _ if format.block() == 256 => &[256, 512, 768],
            _ if format.block() == 32 => &[32, 64, 96, 256, 288],
            _ => &[1, 15, 16, 17, 31, 64, 100, 257],
        };
        for &cols in widths {
            for (rows, magnitude) in [(1, 1.0), (4, 0.1), (7, 100.0), (9, 1e-40)] {
                matrices.push(Matrix::random(&mut numbers, format, rows, cols, magnitude));
            }
        }
    }
    matrices
}

fn alone() -> Team {
    Team::new(NonZeroUsize::MIN).unwrap()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn tiers_and_tiles_agree_bit_for_bit() {
    let mut numbers = Numbers(5);
    for matrix in matrices() {
        for m in [1, 2, 3, 4, 7] {
            for magnitude in [1.0, 1e-38, 1e30] {
                let x: Vec<f32> = (0..m * matrix.cols).map(|_| (numbers.unit() - 0.5) * magnitude).collect();
                let expected: Vec<f32> = x.chunks(matrix.cols).flat_map(|row| matrix.product(scalar(), row)).collect();
                assert_eq!(bits(&matrix.product(scalar(), &x)), bits(&expected), "{m} rows, scalar");
                for isa in other_tiers() {
                    assert_eq!(bits(&matrix.product(isa, &x)), bits(&expected), "{m} rows, {}", isa.name());
                }
            }
        }
    }
}

#[test]
fn a_share_of_the_output_has_the_bits_of_the_whole() {
    let mut numbers = Numbers(3);
    for format in Format::ALL {
        // Together enough work to be shared, in pieces that end anywhere.
        let matrices = [203, 8, 1, 130].map(|rows| Matrix::random(&mut numbers, format, rows, 256, 1.0));
        let x: Vec<f32> = (0..5 * 256).map(|_| numbers.unit() - 0.5).collect();
        let whole = matrices.each_ref().map(|matrix| bits(&matrix.product(Isa::best(), &x)));
        let mut activations = Activations::default();
        activations.set(Isa::best(), &x, 256, [format]);
        for threads in 1..5 {
            let team = Team::new(NonZeroUsize::new(threads).unwrap()).unwrap();
            let mut outs = matrices.each_ref().map(|matrix| vec![f32::NAN; 5 * matrix.weights().rows()]);
            let products = matrices.iter().zip(&mut outs);
            let mut products: Vec<Product<'_>> = products
                .map(|(matrix, out)| (matrix.weights(), ColumnsMut::new(out, matrix.weights().rows())))
                .collect();
            multiply(&team, &activations, &mut products);
            assert_eq!(outs.map(|out| bits(&out)), whole, "{format:?}, {threads} threads");
        }
    }
}

/// Activations as weights of the format meet them.
fn met_by(format: Format, x: &[f32]) -> Vec<f64> {
    let quantised = |block: &[f32]| -> Vec<f64> {
        let largest = block.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        let whole = |x: &f32| f64::from((x * (127.0 / largest)).round_ties_even());
        block.iter().map(|x| whole(x) * f64::from(largest / 127.0)).collect()
    };
    match format.quantises() {
        None => x.iter().map(|x| f64::from(*x)).collect(),
        Some(block) => x.chunks(block).flat_map(quantised).collect(),
    }
}

#[test]
fn products_match_plain_f64() {
    let mut numbers = Numbers(9);
    for matrix in matrices() {
        let x: Vec<f32> = (0..matrix.cols).map(|_| numbers.unit() - 0.5).collect();
        let met = met_by(matrix.format, &x);
        let total: f64 = met.iter().map(|x| x.abs()).sum();
        for (got, row) in matrix.product(Isa::best(), &x).into_iter().zip(matrix.numbers.chunks(matrix.cols)) {
            let expected: f64 = row.iter().zip(&met).map(|(w, x)| w * x).sum();
            let largest = row.iter().fold(0f64, |largest, w| largest.max(w.abs()));
            let bound = 4e-7 * largest * total + 1e-42;
            assert!((f64::from(got) - expected).abs() <= bound, "{:?} {got} {expected} {bound}", matrix.format);
        }
    }
}

#[test]
fn quantised_activations_are_the_nearest_integers() {
    // Scale 1 exactly: 127 is the largest; the halves go to even.
    let mut x = [0.0; 32];
    x[..8].copy_from_slice(&[127.0, -126.5, 0.5, 1.5, -2.5, 0.49, -0.51, -0.0]);
    let expected = [127.0, -126.0, 0.0, 2.0, -2.0, 0.0, -1.0, 0.0];
    for isa in Isa::available() {
        for (i, expected) in expected.into_iter().enumerate() {
            let mut one_hot = vec![0; 34];
            one_hot[..2].copy_from_slice(&f16::ONE.to_le_bytes());
            one_hot[2 + i] = 1;
            let matrix = Matrix { format: Format::Q8_0, cols: 32, bytes: one_hot, numbers: Vec::new() };
            assert_eq!(matrix.product(isa, &x), [expected]);
        }
    }
}

#[test]
fn what_is_not_finite_shows_in_the_product() {
    let mut numbers = Numbers(2);
    for format in Format::ALL {
        let matrix = Matrix::random(&mut numbers, format, 5, 256, 1.0);
        for isa in Isa::available() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [0, 17, 255] {
                    let mut x = vec![0.25; 256];
                    x[at] = bad;
                    assert!(matrix.product(isa, &x).iter().all(|number| !number.is_finite()), "{format:?} {bad}");
                }
            }
        }
    }
}
