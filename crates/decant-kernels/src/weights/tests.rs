//! Every tier against the scalar one bit for bit, tiles against single products, and all of them against plain f64.

use half::{bf16, f16};

use super::*;
use crate::Isa;
use crate::testing::{Numbers, other_tiers, scalar};

/// A matrix in some format: its bytes, and the numbers they stand for.
struct Matrix {
    format: Format,
    cols: usize,
    bytes: Vec<u8>,
    numbers: Vec<f64>,
}

impl Matrix {
    fn random(numbers: &mut Numbers, format: Format, rows: usize, cols: usize, magnitude: f32) -> Self {
        let mut matrix = Matrix { format, cols, bytes: Vec::new(), numbers: Vec::new() };
        let mut number = || (numbers.unit() - 0.5) * magnitude;
        for _ in 0..rows * cols / format.block() {
            match format {
                Format::F32 => matrix.push(number().to_le_bytes(), |b| f64::from(f32::from_le_bytes(b))),
                Format::F16 => matrix.push(f16::from_f32(number()).to_le_bytes(), |b| f16::from_le_bytes(b).to_f64()),
                Format::BF16 => {
                    matrix.push(bf16::from_f32(number()).to_le_bytes(), |b| bf16::from_le_bytes(b).to_f64())
                }
                Format::Q8_0 => {
                    let scale = f16::from_f32(number());
                    matrix.bytes.extend(scale.to_le_bytes());
                    for _ in 0..32 {
                        // All bytes that there are, -128 too, which no quantiser writes.
                        let value = (number() * 1e6) as i64 as i8;
                        matrix.bytes.push(value as u8);
                        matrix.numbers.push(f64::from(value) * scale.to_f64());
                    }
                }
            }
        }
        matrix
    }

    fn push<const B: usize>(&mut self, bytes: [u8; B], number: impl Fn([u8; B]) -> f64) {
        self.bytes.extend(bytes);
        self.numbers.push(number(bytes));
    }

    fn weights(&self) -> Weights<'_> {
        Weights::new(self.format, self.cols, &self.bytes)
    }

    fn product(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut activations = Activations::default();
        activations.set(isa, x, self.cols, self.format.wants_quantised());
        let mut out = vec![f32::NAN; x.len() / self.cols * self.weights().rows()];
        multiply(isa, self.weights(), &activations, ColumnsMut::new(&mut out, self.weights().rows()));
        out
    }
}

/// Matrices of every format, with rows that end anywhere in a step.
fn matrices() -> Vec<Matrix> {
    let mut numbers = Numbers(11);
    let mut matrices = Vec::new();
    for format in Format::ALL {
        let widths: &[usize] = match format {
            Format::Q8_0 => &[32, 64, 96, 256, 288],
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
        let matrix = Matrix::random(&mut numbers, format, 23, 96, 1.0);
        let x: Vec<f32> = (0..5 * 96).map(|_| numbers.unit() - 0.5).collect();
        let mut activations = Activations::default();
        activations.set(Isa::best(), &x, 96, format.wants_quantised());
        let whole = matrix.product(Isa::best(), &x);
        for at in [0, 1, 6, 22, 23] {
            let mut out = vec![f32::NAN; whole.len()];
            let (left, right) = ColumnsMut::new(&mut out, 23).split_at(at);
            let (first, rest) = matrix.weights().split_at(at);
            std::thread::scope(|scope| {
                scope.spawn(|| multiply(Isa::best(), first, &activations, left));
                multiply(Isa::best(), rest, &activations, right);
            });
            assert_eq!(bits(&out), bits(&whole));
        }
    }
}

#[test]
fn products_match_plain_f64() {
    let mut numbers = Numbers(9);
    for matrix in matrices() {
        let x: Vec<f32> = (0..matrix.cols).map(|_| numbers.unit() - 0.5).collect();
        // A quantised activation is off by up to half a step, 1/254 of its block's largest.
        let step = if matrix.format.wants_quantised() { 0.5 / 254.0 } else { 1e-6 };
        for (got, row) in matrix.product(Isa::best(), &x).into_iter().zip(matrix.numbers.chunks(matrix.cols)) {
            let expected: f64 = row.iter().zip(&x).map(|(w, x)| w * f64::from(*x)).sum();
            let bound: f64 = row.iter().map(|w| w.abs() * step).sum::<f64>() + 1e-44;
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
        let matrix = Matrix::random(&mut numbers, format, 5, 64, 1.0);
        for isa in Isa::available() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [0, 17, 63] {
                    let mut x = vec![0.25; 64];
                    x[at] = bad;
                    assert!(matrix.product(isa, &x).iter().all(|number| !number.is_finite()), "{format:?} {bad}");
                }
            }
        }
    }
}

#[test]
fn rows_dequantise_to_their_numbers_exactly() {
    for matrix in matrices() {
        for (row, numbers) in matrix.numbers.chunks(matrix.cols).enumerate() {
            let mut out = vec![0.0; matrix.cols];
            matrix.weights().dequantise(row, &mut out);
            // One rounding, of value times scale, where that product is no f32 (it always is but for denormals).
            assert!(out.iter().zip(numbers).all(|(out, number)| *out == *number as f32));
        }
    }
}
