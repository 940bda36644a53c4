//! Rotary position embedding (Su et al. 2021), in the convention of halves.

use crate::weights::{RopeConfig, RopeScaling};

/// The frequencies of a head.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians a position, [rope_dim / 2].
    frequencies: Vec<f32>,
    /// What cosines and sines are multiplied with.
    magnitude: f32,
}

impl Rope {
    /// Frequency i is theta^(-2i / dim), stretched as the configuration says; `factors` are what each is divided by, where
    /// the configuration has or points to a list of them.
    ///
    /// The f32 steps are transformers' own, so that both conventions of one model give the same bits.
    pub(super) fn new(config: &RopeConfig, dim: usize, factors: Option<&[f32]>) -> Self {
        let frequency = |i: usize| {
            let exponent = (2 * i) as f32 / dim as f32;
            let frequency = 1.0 / libm::pow(f64::from(config.theta), f64::from(exponent)) as f32;
            let factor = match (factors, &config.scaling) {
                (Some(factors), _) => factors[i],
                (None, RopeScaling::Linear { factor }) => *factor,
                (None, scaling) => llama3_factor(scaling, frequency),
            };
            frequency / factor
        };
        let magnitude = match config.scaling {
            RopeScaling::LongRope { magnitude, .. } => magnitude,
            _ => 1.0,
        };
        Rope { frequencies: (0..dim / 2).map(frequency).collect(), magnitude }
    }

    /// How many angles a position has: half of the elements that turn.
    pub(super) fn angles(&self) -> usize {
        self.frequencies.len()
    }

    /// Appends cosine and sine of every frequency at a position.
    pub(super) fn turn_to(&self, position: usize, angles: &mut Vec<(f32, f32)>) {
        angles.extend(self.frequencies.iter().map(|frequency| {
            let (sin, cos) = libm::sincosf(position as f32 * frequency);
            (cos * self.magnitude, sin * self.magnitude)
        }));
    }
}

/// Turns the first elements of a head, in the order of halves, by the angles of its position.
pub(super) fn rotate(head: &mut [f32], angles: &[(f32, f32)]) {
    let (first, rest) = head.split_at_mut(angles.len());
    for ((first, second), (cos, sin)) in first.iter_mut().zip(rest).zip(angles) {
        (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
    }
}

/// Brings a head whose rows were stored in pairs into the order of halves.
pub(super) fn halves_of_pairs(stored: &[f32], head: &mut [f32]) {
    let (first, second) = head.split_at_mut(stored.len() / 2);
    for ((pair, first), second) in stored.as_chunks::<2>().0.iter().zip(first).zip(second) {
        [*first, *second] = *pair;
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
