//! All there is to tell about an instance.

use super::{Budget, Row, jsd_of_mass};
use decant_sampling::TokenId;
use serde::Serialize;

/// Greedy, skip-greedy and the optimum of one instance. Masses are shares of the row's probability, divergences nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The mass of the best set found.
    pub optimum: f64,
    /// Its token ids, ascending.
    pub set: Vec<TokenId>,
    /// The mass of Top-H's prefix.
    pub greedy: f64,
    /// The mass that skip-greedy reaches.
    pub skip: f64,
    /// No feasible set has more mass: the optimum itself once that is proved.
    pub bound: f64,
    /// Whether `optimum` is the optimum.
    pub proved: bool,
    /// `bound` less `optimum`.
    pub gap: f64,
    /// The bound before any search: the fractional prefix.
    pub prefix_bound: f64,
    /// How many nodes the search opened.
    pub nodes: usize,
    /// The entropy of the row.
    pub entropy: f64,
    /// The Jensen-Shannon divergence between the row and the best set, by its definition.
    pub jsd: f64,
    /// The same by the closed form of the mass.
    pub jsd_of_mass: f64,
}

impl Row {
    /// Solves the instance every way but brute force.
    pub fn report(&self, budget: Budget) -> Report {
        let solution = self.solve(budget);
        Report {
            optimum: solution.best.mass,
            greedy: self.greedy().mass,
            skip: self.skip().mass,
            bound: solution.bound,
            proved: solution.proved(),
            gap: solution.gap(),
            prefix_bound: self.bound(),
            nodes: solution.nodes,
            entropy: self.entropy(),
            jsd: self.jsd(&solution.best),
            jsd_of_mass: jsd_of_mass(solution.best.mass),
            set: solution.best.tokens,
        }
    }
}
