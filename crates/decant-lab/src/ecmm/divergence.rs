//! How far a truncated distribution is from the whole.

use super::{Row, Subset};
use std::f64::consts::LN_2;

/// The Jensen-Shannon divergence (nats) between a row and what remains of it on a set of mass `gamma`, renormalised:
/// ln 2 + (Γ ln Γ - (1 + Γ) ln(1 + Γ)) / 2. It depends on the set through its mass alone and falls with it, which is why
/// least divergence and most mass are one problem.
///
/// Source: arXiv 2509.02510, section 3.
pub fn jsd_of_mass(gamma: f64) -> f64 {
    let own = if gamma > 0.0 { gamma * libm::log(gamma) } else { 0.0 };
    (LN_2 + 0.5 * (own - (1.0 + gamma) * libm::log1p(gamma))).max(0.0)
}

impl Row {
    /// The same by its definition: the mean of KL(p, m) and KL(q, m), m = (p + q)/2.
    pub fn jsd(&self, set: &Subset) -> f64 {
        let divergence = |a: f64, m: f64| if a > 0.0 { a * libm::log(a / m) } else { 0.0 };
        let term = |(token, p): (_, f64)| {
            let q = if set.tokens.binary_search(&token).is_ok() { p / set.mass } else { 0.0 };
            let m = 0.5 * (p + q);
            divergence(p, m) + divergence(q, m)
        };
        (0.5 * self.ranked().map(term).sum::<f64>()).max(0.0)
    }
}
