//! A set in the making, as sums.

/// Mass and cost of a set of tokens, its most probable one apart: beside its p, sums over the others would lose their
/// digits, and in a peaked row they are the entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Partial {
    /// p of the most probable member; 0 for the empty set.
    pub(super) top: f64,
    /// Its logarithm.
    pub(super) log_top: f64,
    /// Σ p over the others.
    pub(super) rest: f64,
    /// Σ -p ln p over the others.
    pub(super) cost: f64,
}

impl Partial {
    /// Γ, the probability of the set.
    pub(super) fn mass(&self) -> f64 {
        self.top + self.rest
    }

    /// ln Γ.
    pub(super) fn log_mass(&self) -> f64 {
        self.log_top + libm::log1p(self.rest / self.top)
    }

    /// H(q) of the set renormalised, in nats; it must not be empty.
    pub(super) fn entropy(&self) -> f64 {
        libm::log1p(self.rest / self.top) + (self.cost + self.log_top * self.rest) / self.mass()
    }

    /// With so much more mass at so much more cost, of tokens that are not more probable than the top one.
    pub(super) fn and(self, mass: f64, cost: f64) -> Self {
        Partial { rest: self.rest + mass, cost: self.cost + cost, ..self }
    }
}
