//! `temp`: temperature.

use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Temper};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Divides the logits by a temperature.
///
/// # What it does
/// Sharpens (T < 1) or flattens (T > 1) the distribution. T = 0 is greedy: only the most probable token stays.
///
/// # Why
/// One temperature for all steps is too hot where the model knows the answer and too cold where many words would do. A
/// schedule makes it follow the model's own uncertainty, step by step.
///
/// # Rule
/// l' = l / T, T in 0..=100; T = 1 changes nothing. At T = 0 the survivor with the largest logit stays, the lower id among
/// equals. A single token stays whatever T is. Temperatures multiply if the stage stands more than once. A schedule sees
/// the entropy (nats) of the row as the model gave it, at T = 1, before any stage; each row of a batch has its own.
///
/// # Cost
/// None of its own: a factor in the exponent of the pass that sums.
///
/// # Precision
/// The schedule is evaluated in f64 with portable functions; see [`Schedule::at`].
///
/// # Source
/// Ackley, Hinton and Sejnowski 1985. Schedules: llama.cpp's `temp_ext` (dynatemp); EDT, arXiv 2403.14541.
#[derive(Clone, Debug, PartialEq)]
pub struct Temp {
    /// T.
    pub t: Schedule,
}

impl StageDef for Temp {
    const INFO: StageInfo = StageInfo {
        name: "temp",
        aliases: &["temperature"],
        summary: "divides the logits by a temperature; 0 is greedy",
        fields: &[
            Field::value("the temperature T", Kind::required(Range::numbers(0.0, 100.0), &[1.0])).usual(0.8, 0.0..=2.0)
        ],
        rank: 10,
        source: "Ackley, Hinton and Sejnowski 1985; schedules: llama.cpp temp_ext, arXiv 2403.14541",
        keeps_argmax: true,
        temperature_invariant: false,
        order_sensitive: false,
        greedy: &[0.0],
        ..StageInfo::of(Role::Temperature)
    };

    fn read(params: &Params) -> Self {
        Temp { t: params.number("value") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.t)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Temperature(self)
    }
}

impl Temper for Temp {
    fn temperature(&self, ranked: &mut Ranked<'_>) -> f64 {
        ranked.value(&self.t)
    }
}
