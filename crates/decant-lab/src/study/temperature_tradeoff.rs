//! The study `temperature-tradeoff`: the right answer against the likeness of the source.

use super::parameters::{alphas, at_least_one};
use super::{Row, Settings, Study, StudyError, Table, TableRow, row};
use crate::chain::{Chain, ChainError, Decoder, Law, Loss, entropy, optimum, risk};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::random::Draws;
use decant_sampling::Seed;
use serde::{Deserialize, Serialize};

/// A cell for each temperature and each sampler: its mean 0-1 risk and its mean cross-entropy above the law's own entropy
/// (the divergence KL(P, Q), nats a token) over random chains, the same for all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TemperatureTradeoff {
    chains: u64,
    states: usize,
    length: usize,
    alpha: f64,
    temperatures: Vec<f64>,
    samplers: Vec<String>,
}

impl Default for TemperatureTradeoff {
    fn default() -> Self {
        let samplers = ["top_k=4", "min_p=0.05", "top_p=0.9", "top_h=0.8", "min_p=0.3", "top_h=0.5"];
        TemperatureTradeoff {
            chains: 200,
            states: 5,
            length: 5,
            alpha: 0.2,
            temperatures: (0..=20).map(|tenths| f64::from(tenths) / 10.0).collect(),
            samplers: samplers.map(str::to_owned).into(),
        }
    }
}

impl TemperatureTradeoff {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: TemperatureTradeoff = settings.read()?;
        at_least_one("chains", study.chains)?;
        alphas(&[study.alpha])?;
        study.decoders().map_err(|error| StudyError::parameter(error.to_string()))?;
        Ok(Box::new(study))
    }

    /// Temperatures, then samplers.
    fn decoders(&self) -> Result<Vec<Decoder>, ChainError> {
        let temperatures = self.temperatures.iter().map(|t| format!("temp:{t}"));
        temperatures
            .chain(self.samplers.iter().map(|spec| format!("sampler:{spec}")))
            .map(|text| text.parse())
            .collect()
    }

    fn law(&self, seed: Seed, chain: u64) -> Result<Law, ChainError> {
        Chain::random(self.states, self.length, self.alpha, &mut Draws::new(seed, 0, chain))?.law()
    }
}

impl Study for TemperatureTradeoff {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["decoder", "temperature", "exact_risk", "least_exact_risk", "kl_per_token", "share_infinite"]
    }

    fn cells(&self) -> usize {
        self.temperatures.len() + self.samplers.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let failed = |error: ChainError| StudyError::cell(cell, error);
        let decoder = self.decoders().map_err(failed)?.swap_remove(cell);
        let [mut exact, mut least, mut kl, mut infinite] = [0.0; 4];
        let mut add = |chain: u64| -> Result<(), ChainError> {
            let law = self.law(seed, chain)?;
            let answer = decoder.answer(&law, Loss::Exact)?;
            exact += risk(&law, &answer, Loss::Exact)?;
            least += optimum(&law, Loss::Exact)?.risk;
            let divergence = risk(&law, &answer, Loss::CrossEntropy)? - entropy(&law)?;
            kl += divergence.max(0.0) / self.length as f64;
            infinite += f64::from(divergence.is_infinite());
            Ok(())
        };
        (0..self.chains).try_for_each(&mut add).map_err(failed)?;
        let mean = |sum: f64| sum / self.chains as f64;
        let (name, temperature) = match &decoder {
            Decoder::Temp(t) => (decoder.to_string(), t.to_string()),
            _ => (self.samplers[cell - self.temperatures.len()].clone(), String::new()),
        };
        Ok(vec![row![name, temperature, mean(exact), mean(least), mean(kl), mean(infinite)]])
    }

    fn picture(&self, table: &Table) -> Picture {
        let rows: Vec<TableRow<'_>> = table.rows().collect();
        // e^-KL has a place for the infinite: 0.
        let point = |row: &&TableRow<'_>| (libm::exp(-row.number("kl_per_token")), row.number("exact_risk"));
        let series = |name: &str, mark: Mark, heated: bool| {
            let rows = rows.iter().filter(|row| row.text("temperature").is_empty() != heated);
            let label = |row: &TableRow<'_>| match row.text("temperature") {
                "" => row.text("decoder").to_owned(),
                t if LABELLED.contains(&t) => format!("T = {t}"),
                _ => String::new(),
            };
            Series::new(name, mark, rows.clone().map(|row| point(&row))).labels(rows.map(label))
        };
        let least = rows.first().map_or(f64::NAN, |row| row.number("least_exact_risk"));
        let x =
            Axis::linear("e^-KL(P, Q), a token: 1 is the law itself, 0 an infinite cross-entropy").range(-0.03, 1.15);
        let panel = Panel::new("", x, Axis::linear("mean 0-1 risk"))
            .with(series("temperature", Mark::Line, true))
            .with(series("truncation", Mark::Points, false))
            .with(Series::new("the least 0-1 risk: MAP", Mark::Line, [(-0.03, least), (1.15, least)]));
        Picture::new("The right answer, or the likeness of the source").with(panel)
    }
}

/// The temperatures that are written beside their points.
const LABELLED: [&str; 8] = ["0", "0.2", "0.3", "0.5", "0.7", "1", "1.5", "2"];
