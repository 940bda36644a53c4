//! Sets of tokens as sums of their weights.

use crate::entropy::Sums;

/// The first k of the ranked survivors, for one k.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    pub(super) len: usize,
    pub(super) sums: Sums,
    /// Σ weight of all survivors; NaN where nobody asked for it.
    pub(super) total: f64,
}

impl Prefix {
    /// k = 0 of survivors that weigh `total`.
    pub(super) fn empty(total: f64) -> Self {
        Prefix { len: 0, sums: Sums::default(), total }
    }

    /// Takes in what comes next in rank.
    pub(super) fn add(&mut self, len: usize, sums: Sums) {
        self.len += len;
        self.sums.top |= sums.top;
        self.sums.rest += sums.rest;
        self.sums.first += sums.first;
    }

    /// k.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether k = 0: never where a rule is asked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Γ, the share of the survivors' probability that the prefix holds.
    pub fn mass(&self) -> f64 {
        self.sums.weight() / self.total
    }

    /// H(q) of the prefix renormalised, q = p/Γ, in nats.
    pub fn entropy(&self) -> f64 {
        self.sums.entropy()
    }

    /// -Σ (p/whole) ln (p/whole) over the prefix: entropy without renormalising to the prefix, as far as it has gone of
    /// a whole that holds the share `whole` of the survivors' probability.
    pub fn partial_entropy(&self, whole: f64) -> f64 {
        let share = self.mass() / whole;
        share * (self.entropy() - libm::log(share))
    }
}
