//! The study `lookahead-hamming`: how often K-lookahead gets as many tokens right as anything can.

use super::parameters::{alphas, at_least_one};
use super::{Row, Settings, Study, StudyError, Table, TableRow, row};
use crate::chain::{Chain, Decoder, Loss, entropy, judge};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::random::Draws;
use decant_sampling::Seed;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// A regret below this is none but rounding.
const ROUNDING: f64 = 1e-12;

/// A cell for each number of states and each Dirichlet alpha: random chains, whose start and rows are drawn from that
/// distribution, and the share of them on which K-lookahead has the least possible Hamming risk. The figure of Trauger and
/// Tewari, arXiv 2505.11183, there for K = 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LookaheadHamming {
    chains: u64,
    length: usize,
    states: Vec<usize>,
    alphas: Vec<f64>,
    ks: Vec<NonZeroUsize>,
}

impl Default for LookaheadHamming {
    fn default() -> Self {
        let ks = [1, 2, 3, 5, 10].map(|k| NonZeroUsize::MIN.saturating_add(k - 1));
        LookaheadHamming {
            chains: 200,
            length: 10,
            states: vec![3, 10, 20],
            alphas: vec![0.01, 0.1, 0.3, 1.0, 5.0, 50.0],
            ks: ks.into(),
        }
    }
}

impl LookaheadHamming {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: LookaheadHamming = settings.read()?;
        at_least_one("chains", study.chains)?;
        alphas(&study.alphas)?;
        Ok(Box::new(study))
    }
}

impl Study for LookaheadHamming {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["states", "alpha", "k", "share_optimal", "mean_regret", "kl_per_token"]
    }

    fn cells(&self) -> usize {
        self.states.len() * self.alphas.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let (states, alpha) = (self.states[cell / self.alphas.len()], self.alphas[cell % self.alphas.len()]);
        let decoders: Vec<Decoder> = self.ks.iter().map(|k| Decoder::Lookahead(*k)).collect();
        let (mut optimal, mut regret) = (vec![0u64; decoders.len()], vec![0.0; decoders.len()]);
        let mut kl = 0.0;
        for chain in 0..self.chains {
            let mut draws = Draws::new(seed, cell as u32, chain);
            let law = Chain::random(states, self.length, alpha, &mut draws).and_then(|chain| chain.law());
            let law = law.map_err(|error| StudyError::cell(cell, error))?;
            let verdict = judge(&law, Loss::Hamming, &decoders).map_err(|error| StudyError::cell(cell, error))?;
            for (i, outcome) in verdict.outcomes.iter().enumerate() {
                optimal[i] += u64::from(outcome.regret < ROUNDING);
                regret[i] += outcome.regret;
            }
            // From the uniform law: ln V - H, a token.
            let entropy = entropy(&law).map_err(|error| StudyError::cell(cell, error))?;
            kl += libm::log(states as f64) - entropy / self.length as f64;
        }
        let mean = |sum: f64| sum / self.chains as f64;
        let row = |(i, k): (usize, &NonZeroUsize)| {
            row![states, alpha, k.get(), mean(optimal[i] as f64), mean(regret[i]), mean(kl)]
        };
        Ok(self.ks.iter().enumerate().map(row).collect())
    }

    fn picture(&self, table: &Table) -> Picture {
        let panel = |(states, rows): (&str, Vec<TableRow<'_>>)| {
            let (x, y) =
                (Axis::log("mean KL from uniform, nats a token"), Axis::linear("share of chains where optimal"));
            let panel = Panel::new(format!("{states} states"), x, y.range(-0.02, 1.02));
            self.ks.iter().fold(panel, |panel, k| {
                let of_k = rows.iter().filter(|row| row.number("k") == k.get() as f64);
                let points = of_k.map(|row| (row.number("kl_per_token"), row.number("share_optimal")));
                panel.with(Series::new(format!("K = {k}"), Mark::Line, points))
            })
        };
        let title = format!("Where K-lookahead gets as many of {} tokens right as can be", self.length);
        table.groups("states").into_iter().map(panel).fold(Picture::new(title), Picture::with)
    }
}
