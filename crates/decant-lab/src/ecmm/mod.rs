//! Entropy-constrained mass maximisation (ECMM), exactly.
//!
//! Given a row p and a share alpha, find the set S of tokens with the most mass s = Σ_{S} p_i among those whose
//! renormalised distribution q = p/s has H(q) <= tau, tau = alpha · H(p), in nats. It is NP-hard; Top-H answers it greedily.
//!
//! # The constraint
//! With e = Σ_S -p_i ln p_i it is H(q) = ln s + e/s <= tau, or g(s, e) = e + s ln s - tau s <= 0. A single token has
//! H(q) = 0 and is always allowed.
//!
//! # The bound
//! Let fractions of tokens be taken, x in \[0, 1\]^n. Mass s is then had at the least cost e by taking the most probable
//! tokens first, as e/s of a token is -ln p: so e_min(s) is piecewise linear with rising slopes, f(s) = g(s, e_min(s)) is
//! convex (s ln s is), and f(0) = 0. Hence {f <= 0} is an interval that begins at 0, and its right end, where a *fractional
//! prefix* of the sorted row meets the constraint, bounds the mass of every S. Where tokens are fixed to be in or out, the
//! same holds along the free ones, with f(s) = g at what is fixed as the start; f may then begin above 0, come back, and
//! leave again: the bound is its largest root, and where min f > 0 nothing is feasible. That case does not arise here:
//!
//! # Decisions in falling probability
//! If a set is extended by a token no more probable than any of its k members, its entropy rises (lambda <= 1/(k+1) the
//! newcomer's share, H' = (1 - lambda) H + h(lambda) with H <= ln k and h(lambda)/lambda >= (k+1) ln(k+1) - k ln k > ln k).
//! So when tokens are decided in falling probability
//! - a set that breaks the constraint has no feasible extension, and every node begins with f <= 0;
//! - the tokens that still fit as a whole run are a prefix of the undecided ones, found by bisection;
//! - of single undecided tokens the less probable fit the better, so the next one to fit is found by bisection, too.
//!   (g changes by the newcomer's p with slope ln((s+p)/p) - tau: negative only where p/(s+p) > e^-tau; as the newcomer's
//!   share is at most 1/(k+1), tau > ln(k+1) then, and any k+1 tokens fit.)
//!
//! # The edge
//! Sets that meet the constraint exactly (two of four equal tokens at alpha = 1/2) must not depend on rounding: a set is
//! feasible if H(q) <= tau (1 + 1e-12). All answers, the oracle's too, share this limit. Masses that differ by less than
//! 1e-12 count as equal. Entropies are taken about the set's most probable token, which stands apart from its sums, so that
//! those of peaked rows have all their digits.
//!
//! Source: Baghaei Potraghloo et al. 2025, arXiv 2509.02510, for the problem and the greedy answer; bound and search are ours.

mod brute;
mod divergence;
mod file;
mod partial;
mod picture;
mod report;
mod row;
mod search;

pub use brute::BRUTE_LIMIT;
pub use divergence::jsd_of_mass;
pub use file::{InstancesError, instances};
pub use picture::picture;
pub use report::Report;
pub use row::Row;
pub use search::{Budget, Solution};

use decant_sampling::TokenId;

/// Some tokens of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subset {
    /// Their ids, ascending.
    pub tokens: Vec<TokenId>,
    /// Their probability, as the row gives it.
    pub mass: f64,
}

/// Why an instance cannot be taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EcmmError {
    /// No probability at all.
    #[error("p: is empty, expected at least one probability")]
    Empty,
    /// An entry that is no probability.
    #[error("p[{index}]: {value} is no probability (0 to 1)")]
    Probability {
        /// Where in the row.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// Probabilities that are not a distribution.
    #[error("p: sums to {sum}, expected 1 within {SUM_TOLERANCE}")]
    Sum {
        /// Their sum.
        sum: f64,
    },
    /// A share that is none.
    #[error("alpha: {0} is outside 0..=1")]
    Alpha(f64),
    /// Too many subsets to list.
    #[error("p: {support} tokens with p > 0 are too many for brute force (at most {BRUTE_LIMIT})")]
    TooLarge {
        /// Tokens with p > 0.
        support: usize,
    },
}

/// How far from 1 a row's sum may lie.
const SUM_TOLERANCE: f64 = 1e-6;

/// What counts as equal: entropies relatively, masses absolutely.
const EQUAL: f64 = 1e-12;
