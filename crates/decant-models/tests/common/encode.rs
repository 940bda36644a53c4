//! Numbers as each format stores them.

use decant_kernels::weights::Weights;
use decant_models::weights::Format;
use half::{bf16, f16};

/// The numbers in their stored form, and what that form stands for.
pub fn encode(format: Format, numbers: &[f32]) -> (Vec<u8>, Vec<f32>) {
    match format {
        Format::F32 => (numbers.iter().flat_map(|x| x.to_le_bytes()).collect(), numbers.to_vec()),
        Format::F16 => {
            let halves = numbers.iter().map(|x| f16::from_f32(*x));
            (halves.clone().flat_map(f16::to_le_bytes).collect(), halves.map(f16::to_f32).collect())
        }
        Format::BF16 => {
            let halves = numbers.iter().map(|x| bf16::from_f32(*x));
            (halves.clone().flat_map(bf16::to_le_bytes).collect(), halves.map(bf16::to_f32).collect())
        }
        _ => blocks(format, numbers),
    }
}

/// Blocks of random bytes, drawn from the numbers and about as large as they are; and what they stand for.
fn blocks(format: Format, numbers: &[f32]) -> (Vec<u8>, Vec<f32>) {
    // Where in a block its f16 scales stand, and how large they are to each other: so that the mean is about 0.
    let scales: &[(usize, f32)] = match format {
        Format::Q4_1 => &[(0, 1.0), (2, -7.5)],
        Format::Q5_1 => &[(0, 1.0), (2, -15.5)],
        Format::Q2_K => &[(80, 1.0), (82, 1.5)],
        Format::Q3_K => &[(108, 1.0)],
        Format::Q4_K => &[(0, 1.0), (2, 7.5)],
        Format::Q5_K => &[(0, 1.0), (2, 15.5)],
        Format::Q6_K => &[(208, 1.0)],
        _ => &[(0, 1.0)],
    };
    let len = numbers.len() / format.block() * format.block_bytes();
    let mut bytes: Vec<u8> = numbers.iter().cycle().take(len).map(|x| (x.to_bits() >> 6) as u8).collect();
    let mut scaled = |factor: f32| {
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            for (at, ratio) in scales {
                block[*at..][..2].copy_from_slice(&f16::from_f32(ratio * factor).to_le_bytes());
            }
        }
        let mut stands_for = vec![0.0; numbers.len()];
        Weights::new(format, numbers.len(), &bytes).dequantise(0, &mut stands_for);
        stands_for
    };
    let size = |numbers: &[f32]| numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    let factor = size(numbers) / size(&scaled(1.0));
    let stands_for = scaled(factor);
    (bytes, stands_for)
}
