//! How far a greedy cut is from the best set.

use super::{Prefix, Ranked};

impl Ranked<'_> {
    /// The longest prefix whose entropy is at most `limit`; notes for the step how much more mass some other set of tokens
    /// within the limit could have, at most, as a share of the survivors'.
    ///
    /// No set has more mass than the prefix together with so much of the next token as the limit allows: per mass, the more
    /// probable tokens add the least to -Σ p ln p, and with fractions of tokens allowed nothing is left over.
    pub(crate) fn longest_certified(&mut self, limit: f64) -> usize {
        let kept = self.search(|prefix| prefix.entropy() <= limit);
        let next = self.logit_after_cut().filter(|_| kept.len < self.len);
        let gap = next.map_or(0.0, |logit| self.missed(&kept, logit, limit));
        self.gap = Some(self.gap.map_or(gap, |other| other.max(gap)));
        kept.len.max(1)
    }

    /// The mass of as much of a next token as fits.
    fn missed(&self, kept: &Prefix, logit: f32, limit: f64) -> f64 {
        let x = f64::from(self.about().x(logit));
        let weight = libm::exp(x);
        kept.sums.share_within(x, weight, limit) * weight / kept.total
    }
}
