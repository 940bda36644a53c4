//! The study `consistency`: does regret vanish as a predictor approaches the truth?

use super::parameters::{alphas, at_least_one};
use super::{Row, Settings, Study, StudyError, Table, TableRow, row};
use crate::chain::{Chain, ChainError, Decoder, Law, Loss, optimum, risk};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::random::Draws;
use decant_sampling::Seed;
use serde::{Deserialize, Serialize};

/// The streams of coins of the truths and of the noise: the same for every amount of noise, so that a curve follows the
/// same chains.
const TRUTH: u32 = 0;
const NOISE: u32 = 1;

/// A cell for each amount of noise: decoders answer from a predictor whose rows are `1 - noise` of the truth and `noise` of
/// a random row, and are judged by the truth. A decoder is consistent for a loss if its regret falls to 0 with the noise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Consistency {
    chains: u64,
    states: usize,
    length: usize,
    /// The Dirichlet concentration of the truth's rows; that of the noise is 1.
    alpha: f64,
    noises: Vec<f64>,
    losses: Vec<String>,
    decoders: Vec<String>,
}

impl Default for Consistency {
    fn default() -> Self {
        let losses = ["exact", "hamming", "ngram:2", "cross_entropy"];
        let decoders = ["greedy", "lookahead:2", "map", "modes", "mbr", "sample", "temp:0.7", "sampler:top_p=0.9"];
        Consistency {
            chains: 200,
            states: 5,
            length: 6,
            alpha: 0.2,
            noises: vec![1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.003, 0.001, 0.0001],
            losses: losses.map(str::to_owned).into(),
            decoders: decoders.map(str::to_owned).into(),
        }
    }
}

impl Consistency {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: Consistency = settings.read()?;
        at_least_one("chains", study.chains)?;
        alphas(&[study.alpha])?;
        if let Some(noise) = study.noises.iter().find(|noise| !(0.0..=1.0).contains(*noise)) {
            return Err(StudyError::parameter(format!("noises: {noise} is outside 0..=1")));
        }
        study.goals()?;
        Ok(Box::new(study))
    }

    fn goals(&self) -> Result<(Vec<Loss>, Vec<Decoder>), StudyError> {
        let wrong = |error: ChainError| StudyError::parameter(error.to_string());
        let loss = |loss: &String| loss.parse().and_then(|loss: Loss| loss.at_length(self.length).map(|_| loss));
        let losses = self.losses.iter().map(loss).collect::<Result<_, _>>().map_err(wrong)?;
        Ok((losses, self.decoders.iter().map(|decoder| decoder.parse()).collect::<Result<_, _>>().map_err(wrong)?))
    }

    /// Truth and predictor.
    fn laws(&self, seed: Seed, chain: u64, noise: f64) -> Result<(Law, Law), ChainError> {
        let truth = Chain::random(self.states, self.length, self.alpha, &mut Draws::new(seed, TRUTH, chain))?;
        let random = Chain::random(self.states, self.length, 1.0, &mut Draws::new(seed, NOISE, chain))?;
        Ok((truth.law()?, truth.blended(&random, noise)?.law()?))
    }
}

impl Study for Consistency {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["noise", "loss", "decoder", "mean_regret"]
    }

    fn cells(&self) -> usize {
        self.noises.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let noise = self.noises[cell];
        let (losses, decoders) = self.goals()?;
        let mut regrets = vec![0.0; losses.len() * decoders.len()];
        let mut add = |chain: u64| -> Result<(), ChainError> {
            let (truth, predictor) = self.laws(seed, chain, noise)?;
            for (row, &loss) in regrets.chunks_mut(decoders.len()).zip(&losses) {
                let least = optimum(&truth, loss)?.risk;
                for (regret, decoder) in row.iter_mut().zip(&decoders) {
                    *regret += (risk(&truth, &decoder.answer(&predictor, loss)?, loss)? - least).max(0.0);
                }
            }
            Ok(())
        };
        (0..self.chains).try_for_each(&mut add).map_err(|error| StudyError::cell(cell, error))?;
        let pairs = self.losses.iter().flat_map(|loss| self.decoders.iter().map(move |decoder| (loss, decoder)));
        let row = |((loss, decoder), regret): ((&String, &String), f64)| {
            row![noise, loss.as_str(), decoder.as_str(), regret / self.chains as f64]
        };
        Ok(pairs.zip(regrets).map(row).collect())
    }

    fn picture(&self, table: &Table) -> Picture {
        let panel = |(loss, rows): (&str, Vec<TableRow<'_>>)| {
            let (x, y) = (Axis::log("share of noise in the predictor"), Axis::linear("mean regret"));
            let unit =
                if loss == "cross_entropy" { "cross_entropy, nats (what is not here is infinite)" } else { loss };
            self.decoders.iter().fold(Panel::new(unit, x, y), |panel, decoder| {
                let of_decoder = rows.iter().filter(|row| row.text("decoder") == decoder);
                let points = of_decoder.map(|row| (row.number("noise"), row.number("mean_regret")));
                panel.with(Series::new(decoder, Mark::Line, points))
            })
        };
        let title = "Which decoders are consistent: regret as the predictor approaches the truth";
        table.groups("loss").into_iter().map(panel).fold(Picture::new(title).columns(2), Picture::with)
    }
}
