//! The one place where entropy is computed.

use crate::{Logits, Signals};
use decant_kernels::rows::Moments;

/// What one pass over a row tells about p = softmax(l). Nats. A monoid under [`merge`](Self::merge), so lanes, threads
/// and shards of a row can be taken apart and put together.
///
/// The top token stands apart and the sums run over the others: the entropy of a peaked row lies wholly in the others,
/// and they would be lost if they were added to the top's 1.
///
/// ```
/// use decant_sampling::{EntropyStats, Logits};
/// let stats = EntropyStats::of(&Logits::new(&[0.0; 8])?);
/// assert!((stats.entropy() - 8f64.ln()).abs() < 1e-7);
/// assert_eq!(stats.max_prob(), 0.125);
/// # Ok::<(), decant_sampling::RowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntropyStats {
    /// The largest logit (after temperature, where there is one).
    max: f64,
    /// Tokens that are not forbidden.
    support: u32,
    /// Σe^x, Σx·e^x, Σx²·e^x with x = l - max, over all tokens but one that has the largest logit.
    rest: [f64; 3],
}

impl EntropyStats {
    /// No token at all: the neutral element of [`merge`](Self::merge).
    pub const EMPTY: Self = EntropyStats { max: f64::NEG_INFINITY, support: 0, rest: [0.0; 3] };

    /// The statistics of a row at T = 1.
    pub fn of(logits: &Logits<'_>) -> Self {
        logits.stats()
    }

    /// From the sums over a row at T = 1 whose largest logit is `max`.
    pub(crate) fn from_moments(max: f32, support: u32, moments: Moments) -> Self {
        EntropyStats { max: f64::from(max), support, rest: [moments.mass, moments.first, moments.second] }
    }

    /// The statistics of both sets of tokens together; the sets must be disjoint.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (high, low) = if self.max >= other.max { (self, other) } else { (other, self) };
        if low.support == 0 {
            return high;
        }
        // Seen from the higher top, every x of the lower set falls by `gap` and its top becomes one of the rest.
        let gap = low.max - high.max;
        let scale = libm::exp(gap);
        let [s0, s1, s2] = [1.0 + low.rest[0], low.rest[1], low.rest[2]];
        let moved = [s0, s1 + gap * s0, s2 + gap * (2.0 * s1 + gap * s0)];
        let mut merged = high;
        merged.support += low.support;
        for (sum, term) in merged.rest.iter_mut().zip(moved) {
            *sum += if scale > 0.0 { scale * term } else { 0.0 };
        }
        merged
    }

    /// How many tokens have a probability at all.
    pub fn support(&self) -> u32 {
        self.support
    }

    /// The sums that entropy needs.
    pub(crate) fn sums(&self) -> Sums {
        Sums { top: true, rest: self.rest[0], first: self.rest[1] }
    }

    /// Σe^(l - max): 1 for the top token and the others' share.
    fn weight(&self) -> f64 {
        self.sums().weight()
    }

    /// ln Σe^l, so that ln p = l - log_z. -inf for the empty set.
    pub fn log_z(&self) -> f64 {
        self.max + self.log_weight()
    }

    /// ln p of a token of the row, given its logit; exact also where p is near 1.
    pub fn logprob(&self, logit: f32) -> f64 {
        f64::from(logit) - self.max - self.log_weight()
    }

    /// ln Σe^(l - max).
    fn log_weight(&self) -> f64 {
        self.sums().log_weight()
    }

    /// H(p) = -Σ p ln p in nats; terms of p = 0 are 0.
    pub fn entropy(&self) -> f64 {
        self.sums().entropy()
    }

    /// The variance of -ln p under p, in nats².
    pub fn varentropy(&self) -> f64 {
        let mean = self.rest[1] / self.weight();
        (self.rest[2] / self.weight() - mean * mean).max(0.0)
    }

    /// The signals that a [`Schedule`](crate::Schedule) may follow.
    pub fn signals(&self) -> Signals {
        Signals {
            entropy: self.entropy(),
            varentropy: self.varentropy(),
            max_prob: self.max_prob(),
            support: self.support,
        }
    }

    /// The largest probability.
    pub fn max_prob(&self) -> f64 {
        1.0 / self.weight()
    }
}

/// What entropy needs to know of a set of tokens: with x = l - l\[top\], or ln p - ln p\[top\], Σe^x and Σx·e^x over all of
/// them but the top one, which stands apart, and whether that is among them.
///
/// ```
/// use decant_sampling::Sums;
/// let (half, quarter) = (0.5f64, 0.25f64);
/// // p = 4/7, 2/7, 1/7
/// let set = Sums { top: true, rest: half + quarter, first: half * half.ln() + quarter * quarter.ln() };
/// let expected: f64 = [4.0, 2.0, 1.0].map(|p: f64| -(p / 7.0) * (p / 7.0).ln()).iter().sum();
/// assert!((set.entropy() - expected).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Whether the top token is in the set.
    pub top: bool,
    /// Σe^x over the others.
    pub rest: f64,
    /// Σx·e^x over the others.
    pub first: f64,
}

impl Sums {
    /// Takes in a further token, `x` below the top one and `weight = e^x`.
    #[inline]
    pub(crate) fn push(&mut self, x: f32, weight: f32) {
        self.rest += f64::from(weight);
        // An x so low that its weight is 0 may be -inf.
        self.first += if weight > 0.0 { f64::from(x) * f64::from(weight) } else { 0.0 };
    }

    /// Σe^x over all.
    pub fn weight(&self) -> f64 {
        self.rest + if self.top { 1.0 } else { 0.0 }
    }

    /// ln Σe^x, exact also where the others weigh little beside the top.
    pub fn log_weight(&self) -> f64 {
        if self.top { libm::log1p(self.rest) } else { libm::log(self.rest) }
    }

    /// H of the set renormalised, in nats: ln Σe^x - Σx·e^x / Σe^x.
    pub fn entropy(&self) -> f64 {
        self.log_weight() - self.first / self.weight()
    }

    /// How much of a further token (`x` below the top one and no more probable than any of the set, `weight = e^x`) fits
    /// into a set until its entropy is `limit`: a share between 0 and 1, never less than the exact one. The set's own
    /// entropy must not be above the limit, the whole token's must.
    ///
    /// With fractions of tokens, mass s is at most tau in entropy where e + s ln s - tau s <= 0, e = -Σ p ln p. Along one
    /// token that is convex, so Newton's method comes down to its root from 1 and never passes it.
    pub fn share_within(&self, x: f64, weight: f64, limit: f64) -> f64 {
        let mut share = 1.0;
        for _ in 0..NEWTON {
            let mass = share * weight;
            let with = Sums { rest: self.rest + mass, first: self.first + mass * x, ..*self };
            let slope = with.log_weight() + 1.0 - x - limit;
            let step = with.weight() / weight * (with.entropy() - limit) / slope;
            let goes_on = step > CLOSE * share;
            if !goes_on {
                break;
            }
            share -= step;
        }
        // Near 0 the last step may be too long by its rounding.
        share.max(0.0)
    }
}

/// More steps than Newton's method takes to the last digits.
const NEWTON: usize = 40;

/// A step of less than this share of what is left changes nothing that matters.
const CLOSE: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Entropy and varentropy by their definitions. ln p is l - max - ln(1 + rest): of a p near 1, rounded first, the
    /// logarithm would be noise.
    fn naive(row: &[f32]) -> (f64, f64) {
        let top = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        let below: Vec<f64> = row.iter().map(|l| f64::from(*l) - f64::from(row[top])).collect();
        let rest: f64 = below.iter().enumerate().filter(|(i, _)| *i != top).map(|(_, x)| x.exp()).sum();
        let log_ps = || below.iter().map(|x| x - rest.ln_1p()).filter(|log_p| log_p.exp() > 0.0);
        let entropy: f64 = log_ps().map(|log_p| -log_p * log_p.exp()).sum();
        let varentropy = log_ps().map(|log_p| log_p.exp() * (-log_p - entropy).powi(2)).sum();
        (entropy, varentropy)
    }

    fn close(a: f64, b: f64, relative: f64) -> bool {
        (a - b).abs() <= relative * b.abs() + 1e-30
    }

    fn stats(row: &[f32]) -> EntropyStats {
        EntropyStats::of(&Logits::new(row).unwrap())
    }

    #[test]
    fn a_peaked_row_keeps_its_tail() {
        // The second token weighs 1e-8: added to the top's 1 in f32 it would vanish, and H with it.
        let row = [18.420_68_f32, 0.0];
        let x = -f64::from(row[0]);
        let w = x.exp();
        let expected = w.ln_1p() - x * w / (1.0 + w);
        assert!(close(stats(&row).entropy(), expected, 1e-6), "{} {expected}", stats(&row).entropy());
    }

    #[test]
    fn two_tokens_far_apart() {
        let row = [12.444_897, -16.469_385];
        assert!(close(stats(&row).entropy(), naive(&row).0, 1e-6));
    }

    #[test]
    fn ends_of_the_range() {
        let one_hot = stats(&[f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY]);
        assert_eq!((one_hot.entropy(), one_hot.varentropy(), one_hot.max_prob()), (0.0, 0.0, 1.0));
        assert_eq!((one_hot.support(), one_hot.log_z()), (1, 3.0));
        assert_eq!(EntropyStats::EMPTY.merge(one_hot), one_hot);
        assert_eq!(one_hot.merge(EntropyStats::EMPTY), one_hot);
        let far = stats(&[3e38, -3e38]);
        assert_eq!((far.entropy(), far.support()), (0.0, 2));
        assert_eq!(stats(&[3e38]).merge(stats(&[-3e38])), far);
    }

    /// How far an entropy may be off that rests on tail tokens alone: logits are subtracted in f32, and half an ulp of
    /// a difference of up to 60 is 2e-6; merging shifts by a second difference.
    const TAIL: f64 = 5e-6;

    proptest! {
        #[test]
        fn equals_the_definition(row in prop::collection::vec(-30f32..30.0, 1..700)) {
            let (entropy, varentropy) = naive(&row);
            let got = stats(&row);
            prop_assert!(close(got.entropy(), entropy, TAIL));
            prop_assert!(close(got.varentropy(), varentropy, 1e-4) || (got.varentropy() - varentropy).abs() < 1e-9);
        }

        #[test]
        fn parts_merge_to_the_whole(row in prop::collection::vec(-30f32..30.0, 2..700), at in 0.0..1.0) {
            let cut = 1 + (at * (row.len() - 1) as f64) as usize;
            let (left, right) = row.split_at(cut.min(row.len() - 1));
            let (merged, whole) = (stats(left).merge(stats(right)), stats(&row));
            prop_assert!(close(merged.entropy(), whole.entropy(), TAIL));
            prop_assert!(close(merged.log_z(), whole.log_z(), 1e-6) || (merged.log_z() - whole.log_z()).abs() < 1e-6);
            prop_assert_eq!(merged.support(), whole.support());
        }
    }
}
