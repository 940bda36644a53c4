//! In which order a rule sees the survivors.

use crate::TokenId;
use decant_kernels::rows::Bound;

/// In which order a rule sees the survivors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Order {
    /// Falling probability.
    #[default]
    Probability,
    /// Rising distance of the logit from one logit, which stands for the typical token.
    Typicality { center: f64 },
}

/// Every logit there is.
pub(super) const EVERYTHING: [f32; 2] = [f32::MIN, f32::MAX];

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

    /// How far a logit lies from where the order begins: from the top logit or from the center.
    #[inline]
    pub(super) fn reach(self, top: f32, logit: f32) -> f64 {
        match self {
            Order::Probability => f64::from(top) - f64::from(logit),
            Order::Typicality { center } => (f64::from(logit) - center).abs(),
        }
    }

    /// The logits, from the least to the largest, that lie no farther than `reach`.
    pub(super) fn window(self, top: f32, reach: f64) -> [f32; 2] {
        match self {
            Order::Probability => [least_from(f64::from(top) - reach), f32::MAX],
            Order::Typicality { center } => [least_from(center - reach), -least_from(-center - reach)],
        }
    }

    /// The logits of all tokens with keys up to `last`, whatever their ids.
    pub(super) fn window_to(self, top: f32, last: u64) -> [f32; 2] {
        let place = (last >> 32) as u32;
        match self {
            Order::Probability if place >> 31 == 0 => [f32::from_bits(!place & !(1 << 31)), f32::MAX],
            Order::Probability => [f32::from_bits(place), f32::MAX],
            Order::Typicality { .. } => {
                // The distance was rounded: all that round to this one lie below the middle to the next.
                let nearest = f32::from_bits(place);
                self.window(top, 0.5 * (f64::from(nearest) + f64::from(nearest.next_up())))
            }
        }
    }

    /// How far the logits of the tokens with keys up to `last` reach.
    pub(super) fn far_end(self, top: f32, last: u64) -> f64 {
        let [least, largest] = self.window_to(top, last);
        match self {
            Order::Probability => self.reach(top, least),
            Order::Typicality { .. } => self.reach(top, least).max(self.reach(top, largest)),
        }
    }

    /// The bound of all tokens with keys up to `last`.
    pub(super) fn bound_to(self, top: f32, last: u64) -> Bound {
        let before = (last >> 32).checked_sub(1);
        let nothing = [f32::MAX, f32::MIN];
        let after = before.map_or(nothing, |place| self.window_to(top, place << 32));
        Bound { until: self.window_to(top, last), after, last: last as TokenId }
    }
}

/// The least logit that is not below `bound`.
pub(super) fn least_from(bound: f64) -> f32 {
    let nearest = (bound as f32).clamp(f32::MIN, f32::MAX);
    if f64::from(nearest) < bound { nearest.next_up().min(f32::MAX) } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Windows cut the ranking: what lies inside ranks before what lies outside.
        #[test]
        fn windows_and_keys_agree(a in -40f32..40.0, b in -40f32..40.0, center in -40f64..40.0) {
            for order in [Order::Probability, Order::Typicality { center }] {
                let last = order.key(a, TokenId::MAX);
                let window = order.window_to(40.0, last);
                let inside = |logit: f32| window[0] <= logit && logit <= window[1];
                prop_assert!(inside(a));
                prop_assert_eq!(inside(b), order.key(b, 0) <= last, "{} {} {:?}", a, b, order);
                for (logit, token) in [(a, 6), (a, 7), (a, 8), (b, 6), (b, 8)] {
                    let last = order.key(a, 7);
                    prop_assert_eq!(order.bound_to(40.0, last).keeps(token, logit), order.key(logit, token) <= last);
                }
            }
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(Order::Probability.window(3.0, f64::INFINITY), EVERYTHING);
        assert_eq!(Order::Typicality { center: 0.5 }.window(3.0, f64::INFINITY), EVERYTHING);
        assert_eq!(Order::Probability.key(0.0, 7), Order::Probability.key(-0.0, 7));
        assert!(Order::Probability.key(1.0, 9) < Order::Probability.key(-1.0, 0));
        assert!(Order::Probability.key(-1.0, 9) < Order::Probability.key(-2.0, 0));
        assert_eq!((least_from(-1e300), least_from(1e300)), (f32::MIN, f32::MAX));
    }
}
