//! Random blocks of every format: uniform in all bits but those of the scales.

use half::{bf16, f16};

use crate::weights::Format;

/// What makes numbers of a block's random bits. Root mean squares follow from uniform bits: that of an n-bit integer's value,
/// times, in K-quants, that of the scales of the block's parts.
#[derive(Clone, Copy)]
enum Scales {
    /// The numbers themselves, uniform.
    Float,
    /// An f16 scale.
    One {
        /// Its place in the block, in bytes.
        at: usize,
        /// The root mean square of a block's numbers where it is 1.
        rms: f32,
    },
    /// An f16 scale and behind it an f16 offset.
    Two {
        /// The place of the scale, in bytes.
        at: usize,
        /// The offset over the scale, so that the numbers' mean is 0.
        offset: f32,
        /// The root mean square of a block's numbers where the scale is 1.
        rms: f32,
    },
}

impl Scales {
    fn of(format: Format) -> Option<Self> {
        Some(match format {
            Format::F32 | Format::F16 | Format::BF16 => Scales::Float,
            Format::Q4_0 => Scales::One { at: 0, rms: 4.64 },
            Format::Q4_1 => Scales::Two { at: 0, offset: -7.5, rms: 4.61 },
            Format::Q5_0 => Scales::One { at: 0, rms: 9.25 },
            Format::Q5_1 => Scales::Two { at: 0, offset: -15.5, rms: 9.23 },
            Format::Q8_0 => Scales::One { at: 0, rms: 73.9 },
            Format::Q2_K => Scales::Two { at: 80, offset: 1.5, rms: 13.9 },
            Format::Q3_K => Scales::One { at: 108, rms: 43.3 },
            Format::Q4_K => Scales::Two { at: 0, offset: 7.5, rms: 258.0 },
            Format::Q5_K => Scales::Two { at: 0, offset: 15.5, rms: 527.0 },
            Format::Q6_K => Scales::One { at: 208, rms: 1366.0 },
            _ => return None,
        })
    }
}

/// Random blocks, one after another.
pub(super) struct Blocks {
    format: Format,
    scales: Scales,
    random: Random,
    rms: f32,
}

impl Blocks {
    /// Blocks whose numbers have this root mean square; `None` for a format of which none are made.
    pub(super) fn new(format: Format, seed: u64, rms: f32) -> Option<Self> {
        Some(Blocks { format, scales: Scales::of(format)?, random: Random(seed), rms })
    }

    /// Fills `out`, whole blocks.
    pub(super) fn fill(&mut self, out: &mut [u8]) {
        let block = self.format.block_bytes();
        if let Scales::Float = self.scales {
            return out.chunks_exact_mut(block).for_each(|out| self.number(out));
        }
        let (words, rest) = out.as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = self.random.next().to_le_bytes());
        rest.copy_from_slice(&self.random.next().to_le_bytes()[..rest.len()]);
        out.chunks_exact_mut(block).for_each(|block| self.scale(block));
    }

    /// Gives a block its scales.
    fn scale(&self, block: &mut [u8]) {
        let mut put = |at: usize, number: f32| block[at..at + 2].copy_from_slice(&f16::from_f32(number).to_le_bytes());
        match self.scales {
            Scales::Float => {}
            Scales::One { at, rms } => put(at, self.rms / rms),
            Scales::Two { at, offset, rms } => {
                put(at, self.rms / rms);
                put(at + 2, self.rms / rms * offset);
            }
        }
    }

    /// One number, uniform about 0: its root mean square is its bound over √3.
    fn number(&mut self, out: &mut [u8]) {
        let unit = (self.random.next() >> 40) as f32 / 8_388_608.0 - 1.0;
        let number = unit * self.rms * 3f32.sqrt();
        match self.format {
            Format::F16 => out.copy_from_slice(&f16::from_f32(number).to_le_bytes()),
            Format::BF16 => out.copy_from_slice(&bf16::from_f32(number).to_le_bytes()),
            _ => out.copy_from_slice(&number.to_le_bytes()),
        }
    }
}

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Shape, Storage, Tensor};

    #[test]
    fn numbers_of_every_format_have_the_root_mean_square_asked_for() {
        for format in Format::ALL {
            for rms in [1.0, 0.011] {
                let mut bytes = vec![0; 64 * format.row_bytes(256).unwrap()];
                Blocks::new(format, 1, rms).unwrap().fill(&mut bytes);
                let shape = Shape { rows: 1, cols: 64 * 256 };
                let tensor = Tensor::new("random", format, shape, &Storage::new(bytes), 0).unwrap();
                let mut numbers = vec![0.0; shape.cols];
                tensor.weights().dequantise(0, &mut numbers);
                let mean_square = numbers.iter().map(|x| x * x).sum::<f32>() / numbers.len() as f32;
                let found = mean_square.sqrt() / rms;
                assert!((0.9..1.1).contains(&found), "{} {rms}: {found}", format.name());
            }
        }
    }
}
