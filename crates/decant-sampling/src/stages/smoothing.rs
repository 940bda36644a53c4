//! `smoothing`: quadratic and cubic sampling.

use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Bends the logits along a parabola through the largest one.
///
/// # What it does
/// Draws the few tokens near the top together and pushes the far ones away, steeper the farther they are.
///
/// # Why
/// Heat alone raises the tail with the contenders; a parabola levels the contenders and buries the tail.
///
/// # Rule
/// With d = l - l_max <= 0 at the temperature so far, factor f, k = (3 - curve) / 2 and s = (curve - 1) / 2:
/// l' = s f d³ - k f d², up to a constant. f in 0..=100; 0 switches the stage off. curve in 1..=10; 1 is the plain parabola.
/// Up to curve 3 the order of the tokens stays; beyond it those just below the top rise above it (as in the source).
///
/// # Cost
/// Every survivor's logit is written anew and the row is ranked again.
///
/// # Precision
/// In f64, rounded to f32 logits.
///
/// # Source
/// kalomaze's quadratic sampling, as text-generation-webui has it (`smoothing_factor`, `smoothing_curve`).
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothing {
    /// How steep; 0 for off.
    pub factor: Schedule,
    /// How much of the parabola is cubic.
    pub curve: Schedule,
}

impl StageDef for Smoothing {
    const INFO: StageInfo = StageInfo {
        name: "smoothing",
        aliases: &["smoothing_factor"],
        summary: "bends the logits along a parabola through the largest one",
        fields: &[
            Field::value("how steep", Kind::required(Range::numbers(0.0, 100.0), &[0.0]))
                .usual(0.2, 0.0..=2.0)
                .aliases(&["factor"]),
            Field::new("curve", "how much of the parabola is cubic", Kind::optional(Range::numbers(1.0, 10.0), 1.0))
                .usual(1.0, 1.0..=3.0)
                .flat(&["smoothing_curve"]),
        ],
        rank: 16,
        source: "kalomaze; text-generation-webui",
        ..StageInfo::of(Role::Shaping)
    };

    fn read(params: &Params) -> Self {
        Smoothing { factor: params.number("value"), curve: params.number("curve") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.factor), ("curve", &self.curve)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for Smoothing {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (factor, curve) = (ranked.value(&self.factor), ranked.value(&self.curve));
        if factor > 0.0 {
            let (k, s) = ((3.0 - curve) / 2.0, (curve - 1.0) / 2.0);
            ranked.reshape(|d| factor * d * d * (s * d - k));
        }
    }
}
