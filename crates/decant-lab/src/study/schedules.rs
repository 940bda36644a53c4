//! The study `schedules`: how schedules bend a number with the model's uncertainty.

use super::{Row, Settings, Study, StudyError, Table, row};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use decant_sampling::{Schedule, Seed, Signals};
use serde::{Deserialize, Serialize};

/// A cell for each schedule: its value over rows of rising entropy. A row is taken to be as flat as its entropy allows:
/// e^H equally probable tokens, whose varentropy is 0 and whose largest probability is e^-H.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Schedules {
    /// The schedules, as they stand in a spec.
    schedules: Vec<String>,
    /// The highest entropy, in nats.
    entropy: f64,
    /// How many entropies from 0 to it.
    points: usize,
    /// The width of the rows, for schedules that follow the entropy's share of its maximum.
    vocab: u32,
}

impl Default for Schedules {
    fn default() -> Self {
        let schedules = [
            "by_entropy(0.5..4->0.3..1.8)",
            "by_entropy(0.5..4->0.3..1.8:shape=sigmoid)",
            "by_entropy(table:0.5=0.3:2=1:4=1.8)",
            "by_entropy(dynatemp:low=0.5:high=1.5:exponent=1)",
            "by_entropy(edt:t0=1:base=0.8:theta=0.1)",
        ];
        Schedules { schedules: schedules.map(str::to_owned).into(), entropy: 6.0, points: 241, vocab: 32_000 }
    }
}

impl Schedules {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: Schedules = settings.read()?;
        if !(study.entropy > 0.0 && study.entropy.is_finite()) {
            return Err(StudyError::parameter(format!("entropy is {}; it must be a number above 0", study.entropy)));
        }
        if study.points < 2 {
            return Err(StudyError::parameter(format!("points is {}; it must be 2 or more", study.points)));
        }
        study.schedules.iter().try_for_each(|text| schedule(text).map(drop))?;
        Ok(Box::new(study))
    }
}

fn schedule(text: &str) -> Result<Schedule, StudyError> {
    text.parse().map_err(|error| StudyError::parameter(format!("schedules: `{text}`: {error}")))
}

impl Study for Schedules {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["schedule", "entropy", "value"]
    }

    fn cells(&self) -> usize {
        self.schedules.len()
    }

    fn run(&self, cell: usize, _: Seed) -> Result<Vec<Row>, StudyError> {
        let text = &self.schedules[cell];
        let schedule = schedule(text)?;
        let row = |point: usize| {
            let entropy = self.entropy * point as f64 / (self.points - 1) as f64;
            let signals = Signals { entropy, varentropy: 0.0, max_prob: libm::exp(-entropy), support: self.vocab };
            row![text.as_str(), entropy, schedule.at(&signals)]
        };
        Ok((0..self.points).map(row).collect())
    }

    fn picture(&self, table: &Table) -> Picture {
        let curves = table.groups("schedule").into_iter().map(|(schedule, rows)| {
            Series::new(schedule, Mark::Line, rows.iter().map(|row| (row.number("entropy"), row.number("value"))))
        });
        let axes = Panel::new("", Axis::linear("entropy of the row, nats"), Axis::linear("value"));
        Picture::new("Schedules").with(curves.fold(axes, Panel::with))
    }
}
