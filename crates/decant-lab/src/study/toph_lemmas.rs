//! The study `toph-lemmas`: what the paper on Top-H claims beside its theorem, put to the test.

use super::parameters::{alphas, at_least_one};
use super::{Row, Settings, Study, StudyError, Table, row};
use crate::ecmm::{self, Budget};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::random::Draws;
use decant_sampling::Seed;
use serde::{Deserialize, Serialize};

/// A cell for each claim and setting.
///
/// - *Least entropy*: of all sets of k tokens the k most probable have the least entropy. Refuted by any row that is not
///   flat: of pairs with the top token the one with the least probable has the least (.5 .4 .1: .687 > .451). The share of
///   random rows in which some set has less, and by how much, at most, a prefix exceeds the least of its size.
/// - *Growth*: under Zipf's law of exponent s > 1 the kept count grows as n^alpha. Refuted: H of n tokens converges then,
///   and so does the count. For s < 1, where H grows as ln n, it is right.
/// - *Nearness*: greedy's mass is close to the optimum's. Measured on random rows, beside skip-greedy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TopHLemmas {
    /// Random rows a cell.
    rows: u64,
    /// The share of the entropy that may be kept.
    alpha: f64,
    /// Dirichlet concentrations of random rows: small is peaked.
    concentrations: Vec<f64>,
    /// Widths of the rows whose sets are listed.
    widths: Vec<usize>,
    /// Width of the rows on which greedy is compared with the optimum.
    candidates: usize,
    /// Zipf's exponents.
    exponents: Vec<f64>,
    /// Zipf's laws have 4, 16, .. up to 4 to this power of tokens.
    powers: u32,
}

impl Default for TopHLemmas {
    fn default() -> Self {
        TopHLemmas {
            rows: 200,
            alpha: 0.4,
            concentrations: vec![0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
            widths: vec![3, 4, 6, 8, 10, 12],
            candidates: 15,
            exponents: vec![0.5, 0.8, 1.0, 1.05, 1.5, 2.0, 3.0],
            powers: 10,
        }
    }
}

/// What a cell is about.
enum Cell {
    LeastEntropy { concentration: f64, width: usize },
    Nearness { concentration: f64 },
    Growth { exponent: f64 },
}

impl TopHLemmas {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: TopHLemmas = settings.read()?;
        at_least_one("rows", study.rows)?;
        alphas(&study.concentrations)?;
        let check = |holds: bool, what: &str| match holds {
            true => Ok(()),
            false => Err(StudyError::parameter(what)),
        };
        check((0.0..=1.0).contains(&study.alpha), "alpha must be in 0..=1")?;
        check(study.exponents.iter().all(|s| (0.0..=100.0).contains(s)), "exponents must be in 0..=100")?;
        check(study.widths.iter().all(|width| (1..=16).contains(width)), "widths must be in 1..=16")?;
        check((1..=1000).contains(&study.candidates), "candidates must be in 1..=1000")?;
        check((1..=12).contains(&study.powers), "powers must be in 1..=12")?;
        Ok(Box::new(study))
    }

    fn cell(&self, cell: usize) -> Cell {
        let (concentrations, widths) = (self.concentrations.len(), self.widths.len());
        let listed = concentrations * widths;
        match cell {
            _ if cell < listed => Cell::LeastEntropy {
                concentration: self.concentrations[cell / widths],
                width: self.widths[cell % widths],
            },
            _ if cell < listed + concentrations => Cell::Nearness { concentration: self.concentrations[cell - listed] },
            _ => Cell::Growth { exponent: self.exponents[cell - listed - concentrations] },
        }
    }

    /// Random rows as instances; each cell has its stream.
    fn instances(
        &self,
        seed: Seed,
        cell: usize,
        concentration: f64,
        width: usize,
    ) -> Result<Vec<ecmm::Row>, StudyError> {
        let row = |number| Draws::new(seed, cell as u32, number).dirichlet(concentration, width);
        let instance = |number| ecmm::Row::new(&row(number), self.alpha).map_err(|error| StudyError::cell(cell, error));
        (0..self.rows).map(instance).collect()
    }
}

impl Study for TopHLemmas {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["claim", "setting", "tokens", "value"]
    }

    fn cells(&self) -> usize {
        self.concentrations.len() * (self.widths.len() + 1) + self.exponents.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        match self.cell(cell) {
            Cell::LeastEntropy { concentration, width } => {
                let rows = self.instances(seed, cell, concentration, width)?;
                let excesses: Vec<f64> = rows.iter().map(|row| excess(row.falling())).collect();
                let refuted = excesses.iter().filter(|excess| **excess > 0.0).count() as f64 / self.rows as f64;
                let mean = excesses.iter().sum::<f64>() / self.rows as f64;
                let worst = excesses.into_iter().fold(0.0, f64::max);
                Ok(vec![
                    row!["least entropy: refuting rows", concentration, width, refuted],
                    row!["least entropy: excess, mean", concentration, width, mean],
                    row!["least entropy: excess, worst", concentration, width, worst],
                ])
            }
            Cell::Nearness { concentration } => {
                let rows = self.instances(seed, cell, concentration, self.candidates)?;
                let reports = || rows.iter().map(|row| row.report(Budget::default()));
                let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
                let greedy: Vec<f64> = reports().map(|report| report.greedy / report.optimum).collect();
                let skip: Vec<f64> = reports().map(|report| report.skip / report.optimum).collect();
                let least = greedy.iter().copied().fold(1.0, f64::min);
                let row = |claim, value: f64| row![claim, concentration, self.candidates, value];
                Ok(vec![
                    row("nearness: greedy, mean", mean(&greedy)),
                    row("nearness: greedy, least", least),
                    row("nearness: skip-greedy, mean", mean(&skip)),
                ])
            }
            Cell::Growth { exponent } => {
                let entropies = zipf_entropies(exponent, 4usize.pow(self.powers));
                let row = |power| {
                    let tokens = 4usize.pow(power);
                    row!["growth: kept", exponent, tokens, kept(&entropies[..tokens], self.alpha)]
                };
                Ok((1..=self.powers).map(row).collect())
            }
        }
    }

    fn picture(&self, table: &Table) -> Picture {
        let of = |claim: &str| table.rows().filter(|row| row.text("claim") == claim).collect::<Vec<_>>();
        let excess = Axis::linear("by how much it has not, nats, mean");
        let mut least = Panel::new("the prefix has the least entropy of its size", Axis::linear("tokens"), excess);
        for concentration in &self.concentrations {
            let rows = of("least entropy: excess, mean");
            let rows = rows.iter().filter(|row| row.number("setting") == *concentration);
            let points = rows.map(|row| (row.number("tokens"), row.number("value")));
            least = least.with(Series::new(format!("Dirichlet {concentration}"), Mark::Line, points));
        }
        let mut growth = Panel::new("the kept count grows as n^alpha", Axis::log("n"), Axis::log("kept"));
        for exponent in &self.exponents {
            let rows = of("growth: kept");
            let rows = rows.iter().filter(|row| row.number("setting") == *exponent);
            let points = rows.map(|row| (row.number("tokens"), row.number("value")));
            growth = growth.with(Series::new(format!("Zipf {exponent}"), Mark::Line, points));
        }
        let claimed = (1..=self.powers).map(|power| f64::from(4u32.pow(power)));
        let claimed = claimed.map(|n| (n, libm::pow(n, self.alpha)));
        growth = growth.with(Series::new("n^alpha", Mark::Line, claimed));
        let mut nearness = Panel::new(
            format!("greedy is near, {} tokens", self.candidates),
            Axis::log("Dirichlet concentration"),
            Axis::linear("mass / optimum"),
        );
        for name in ["greedy, mean", "greedy, least", "skip-greedy, mean"] {
            let points = of(&format!("nearness: {name}"));
            let points = points.iter().map(|row| (row.number("setting"), row.number("value")));
            nearness = nearness.with(Series::new(name, Mark::Line, points));
        }
        Picture::new("Three claims about Top-H").with(least).with(growth).with(nearness)
    }
}

/// By how much the entropy of some prefix exceeds that of another set of as many tokens, at most; 0 if of none.
fn excess(p: &[f64]) -> f64 {
    // By size: the prefix's entropy and the least.
    let mut entropies = vec![(0.0, f64::INFINITY); p.len() + 1];
    for set in 1usize..1 << p.len() {
        let members = || (0..p.len()).filter(|rank| set >> rank & 1 == 1).map(|rank| p[rank]);
        let s: f64 = members().sum();
        let e: f64 = members().map(|p| -p * libm::log(p)).sum();
        let (entropy, size) = (libm::log(s) + e / s, set.count_ones() as usize);
        entropies[size].1 = entropies[size].1.min(entropy);
        if set + 1 == 1 << size {
            entropies[size].0 = entropy;
        }
    }
    let excesses = entropies[1..].iter().map(|(prefix, least)| prefix - least);
    // What is no more than rounding refutes nothing.
    excesses.filter(|excess| *excess > 1e-9).fold(0.0, f64::max)
}

/// H of Zipf's law on 1, 2, .. up to n tokens: ln Z + s/Z · Σ ln k / k^s. A prefix of a Zipf law is one itself.
fn zipf_entropies(s: f64, n: usize) -> Vec<f64> {
    let (mut z, mut sum) = (0.0, 0.0);
    let mut next = |k: usize| {
        let log_k = libm::log(k as f64);
        let weight = libm::exp(-s * log_k);
        z += weight;
        sum += weight * log_k;
        libm::log(z) + s * sum / z
    };
    (1..=n).map(&mut next).collect()
}

/// How many tokens Top-H keeps of a row whose prefixes have these entropies.
fn kept(entropies: &[f64], alpha: f64) -> usize {
    let limit = alpha * entropies.last().copied().unwrap_or(0.0);
    entropies.partition_point(|entropy| *entropy <= limit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counterexample, and a row that is none.
    #[test]
    fn the_prefix_need_not_have_the_least_entropy() {
        assert!((excess(&[0.5, 0.4, 0.1]) - (0.687 - 0.451)).abs() < 1e-3);
        assert_eq!(excess(&[0.25; 4]), 0.0);
        assert_eq!(excess(&[0.6, 0.4]), 0.0);
    }

    /// The table of the three rules: 28 at s = 1.05, 5 at 1.5, n = 32000; and 2 at s = 2 for every n.
    #[test]
    fn kept_counts_of_zipf_laws() {
        let count = |s: f64, n| kept(&zipf_entropies(s, n), 0.4);
        assert_eq!((count(1.05, 32_000), count(1.5, 32_000)), (28, 5));
        for n in [100, 10_000, 1_000_000] {
            assert_eq!(count(2.0, n), 2, "{n}");
        }
        let grows = count(0.5, 100_000) as f64 / count(0.5, 1000) as f64;
        assert!((libm::log(grows) / libm::log(100.0) - 0.4).abs() < 0.03, "n^alpha for s < 1: {grows}");
        assert!(count(1.5, 1_000_000) < 2 * count(1.5, 10_000), "not for s > 1");
    }
}
