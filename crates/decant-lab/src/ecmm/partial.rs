//! A set in the making, as sums.

use decant_sampling::Sums;

/// Mass and entropy of a set of tokens, about its most probable one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Partial {
    /// p of the most probable member; 0 for the empty set.
    pub(super) top: f64,
    /// Its logarithm.
    pub(super) log_top: f64,
    /// Of p / top.
    pub(super) sums: Sums,
}

impl Partial {
    /// A token by itself.
    pub(super) fn alone(p: f64, log_p: f64) -> Self {
        Partial { top: p, log_top: log_p, sums: Sums { top: true, ..Sums::default() } }
    }

    /// Whether there is no token in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.sums.top
    }

    /// Γ, the probability of the set.
    pub(super) fn mass(&self) -> f64 {
        self.top * self.sums.weight()
    }

    /// H(q) of the set renormalised, in nats; it must not be empty.
    pub(super) fn entropy(&self) -> f64 {
        self.sums.entropy()
    }

    /// With further tokens, none more probable than the top one, of so much mass and cost Σ -p ln p.
    pub(super) fn and(mut self, mass: f64, cost: f64) -> Self {
        self.sums.rest += mass / self.top;
        self.sums.first -= (cost + self.log_top * mass) / self.top;
        self
    }
}
