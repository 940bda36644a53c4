//! Calibration: how uncertain a model is, and a sampler that follows it.
//!
//! An entropy-steered temperature needs two thresholds: below the one the model counts as sure, above the other as at a
//! loss. What entropy that is differs from model to model and from task to task, so it is measured: the study
//! [`Measure`] generates texts and keeps the entropy of every row, a [`Report`] tells their distribution, and
//! [`Thresholds::sampler`] makes a spec of two of its percentiles.

mod measure;
mod picture;
mod report;

pub(crate) use measure::study;
pub use measure::{Measure, Plan};
pub use picture::picture;
pub use report::{Histogram, Quantile, Report, Summary, Thresholds, four_digits};

use crate::study::Table;
use decant_decode::Trace;
use decant_sampling::SpecError;

/// What a calibration is made from: for each text the entropies of the model's rows, in nats (T = 1, before any stage), in
/// the order of its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entropies {
    texts: Vec<Vec<f64>>,
}

impl Entropies {
    /// The entropies in the table of a [`Measure`].
    pub fn of_table(table: &Table) -> Self {
        let text = |rows: Vec<crate::study::TableRow<'_>>| rows.iter().map(|row| row.number("entropy")).collect();
        Entropies { texts: table.groups("text").into_iter().map(|(_, rows)| text(rows)).collect() }
    }

    /// The entropies in recorded traces.
    pub fn of_traces<'t>(traces: impl IntoIterator<Item = &'t Trace>) -> Self {
        let text = |trace: &Trace| trace.steps.iter().map(|step| step.step.entropy).collect();
        Entropies { texts: traces.into_iter().map(text).collect() }
    }

    /// All entropies, in rising order.
    fn sorted(&self) -> Vec<f64> {
        sorted(self.texts.iter().flatten().copied())
    }

    /// The entropies at a position of the texts that reach it, in rising order.
    fn at(&self, position: usize) -> Vec<f64> {
        sorted(self.texts.iter().filter_map(|text| text.get(position).copied()))
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Why no profile can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// Not a single token was generated.
    #[error("there is no entropy to calibrate by: the texts have no token")]
    Empty,
    /// The percentiles are no two shares in rising order.
    #[error("low is {low} and high is {high}; percentiles are numbers from 0 to 100, low below high")]
    Percentiles {
        /// The lower percentile that was asked for.
        low: f64,
        /// The higher one.
        high: f64,
    },
    /// Both percentiles have the same entropy, so a ramp between them would be a cliff.
    #[error(
        "the {low}th and the {high}th percentile are both {entropy} nats, and a temperature cannot rise between equal \
         thresholds; take percentiles further apart, or prompts that differ more"
    )]
    Degenerate {
        /// The lower percentile.
        low: f64,
        /// The higher one.
        high: f64,
        /// The entropy of both.
        entropy: f64,
    },
    /// Temperatures or further stages that no sampler takes.
    #[error(transparent)]
    Spec(#[from] SpecError),
}
