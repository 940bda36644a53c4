//! In which order a rule sees the survivors.

use crate::TokenId;

/// In which order a rule sees the survivors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Order {
    /// Falling probability.
    #[default]
    Probability,
    /// Rising distance of the logit from one logit, which stands for the typical token.
    Typicality { center: f64 },
}

impl Order {
    /// Tokens rank by rising keys: first what the order says, then the lower id.
    #[inline]
    pub(super) fn key(self, logit: f32, token: TokenId) -> u64 {
        let place = match self {
            // + 0.0 makes one of the two zeros. Positive floats rise with their bits, negative ones fall.
            Order::Probability => match (logit + 0.0).to_bits() {
                positive if positive >> 31 == 0 => !(positive | 1 << 31),
                negative => negative,
            },
            Order::Typicality { center } => ((f64::from(logit) - center).abs() as f32).to_bits(),
        };
        u64::from(place) << 32 | u64::from(token)
    }

    /// The logits, from the least to the largest, that lie within `reach` of where the order begins: of the top logit,
    /// or of the center on both sides.
    pub(super) fn window(self, top: f32, reach: f64) -> [f32; 2] {
        match self {
            Order::Probability => [(f64::from(top) - reach) as f32, f32::MAX],
            Order::Typicality { center } => [(center - reach) as f32, (center + reach) as f32],
        }
    }
}
