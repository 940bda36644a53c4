//! Rotary position embedding (Su et al. 2021), in the convention of halves.

use crate::weights::{ModelConfig, RopeScaling, RowOrder};

/// Cosine and sine of every frequency at one position.
pub(super) type Angles = Vec<(f32, f32)>;

/// The frequencies of a head, and the order in which the file keeps its rows.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians a position, [head_dim / 2].
    frequencies: Vec<f32>,
    order: RowOrder,
}

impl Rope {
    /// Frequency i is theta^(-2i / head_dim), stretched as the configuration says; `factors` are those of a file that
    /// stores them ([`RopeScaling::Factors`]).
    ///
    /// The f32 steps are transformers' own, so that both conventions of one model give the same bits.
    pub(super) fn new(config: &ModelConfig, factors: Option<&[f32]>) -> Self {
        let dim = config.head_dim;
        let frequency = |i: usize| {
            let exponent = (2 * i) as f32 / dim as f32;
            let frequency = 1.0 / libm::pow(f64::from(config.rope_theta), f64::from(exponent)) as f32;
            let factor = match (factors, &config.rope_scaling) {
                (Some(factors), _) => factors[i],
                (None, RopeScaling::Linear { factor }) => *factor,
                (None, scaling) => llama3_factor(scaling, frequency),
            };
            frequency / factor
        };
        Rope { frequencies: (0..dim / 2).map(frequency).collect(), order: config.row_order }
    }

    /// The angles of a position.
    pub(super) fn angles(&self, position: usize) -> Angles {
        let angle = |frequency: &f32| {
            let (sin, cos) = libm::sincosf(position as f32 * frequency);
            (cos, sin)
        };
        self.frequencies.iter().map(angle).collect()
    }

    /// A head [head_dim] as the file's weights made it, in the order of halves.
    pub(super) fn in_halves(&self, stored: &[f32], head: &mut [f32]) {
        match self.order {
            RowOrder::Halves => head.copy_from_slice(stored),
            RowOrder::Pairs => {
                let (first, second) = head.split_at_mut(stored.len() / 2);
                for ((pair, first), second) in stored.as_chunks::<2>().0.iter().zip(first).zip(second) {
                    [*first, *second] = *pair;
                }
            }
        }
    }

    /// Turns a head, in the order of halves, to its position.
    pub(super) fn rotate(&self, head: &mut [f32], angles: &[(f32, f32)]) {
        let (first, second) = head.split_at_mut(angles.len());
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
            (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
        }
    }
}

/// What Llama 3.1 divides a frequency by: 1 for high ones, `factor` for low ones, a ramp between. The definition, and
/// the f32 steps, of llama.cpp's converter, which stores these factors; 1 for other scalings.
fn llama3_factor(scaling: &RopeScaling, frequency: f32) -> f32 {
    let RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } = *scaling else {
        return 1.0;
    };
    let context = original_context as f32;
    let wavelength = 1.0 / frequency * std::f32::consts::TAU;
    if wavelength < context / high_freq_factor {
        1.0
    } else if wavelength > context / low_freq_factor {
        factor
    } else {
        let ramp = (1.0 / wavelength * context - low_freq_factor) / (high_freq_factor - low_freq_factor);
        1.0 / ((1.0 - ramp) / factor + ramp)
    }
}
