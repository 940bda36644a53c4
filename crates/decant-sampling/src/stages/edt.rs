//! `edt`: entropy-based dynamic temperature.

use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Temper};
use crate::schedule;
use crate::spec::build::Params;
use crate::{Ranked, Schedule};
use decant_kernels::rows::Want;

/// Divides the logits by a temperature that falls to zero with the survivors' entropy.
///
/// # What it does
/// Leaves an uncertain step at nearly T0 and cools a certain one, the more the more certain it is.
///
/// # Why
/// A step at which the model is sure gains nothing from heat; one at which it is unsure keeps its diversity.
///
/// # Rule
/// T = T0 · base^(theta / H) with H (nats) the entropy of the survivors, renormalised, at the temperature so far; l' = l / T.
/// T0 in 0..=100, base in 0..=1, theta >= 0 in nats; theta = 0 or base = 1 makes T = T0. Towards H = 0 T falls to 0, which is
/// greedy. `temp=by_entropy(edt:..)` is the same rule on the row as the model gave it, whatever stands before it.
///
/// # Cost
/// One pass for H, shared with whatever else asks for it before the temperature changes.
///
/// # Precision
/// H in f64; the power is portable.
///
/// # Source
/// Zhang, Bao and Huang 2024, "EDT", arXiv 2403.14541, equation 3 (base 0.8). The paper has no stage before it, so its H is
/// the whole row's; standing first, the stage is the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct Edt {
    /// T for large entropies.
    pub t0: Schedule,
    /// What theta / H is the power of.
    pub base: Schedule,
    /// How much certainty cools, in nats.
    pub theta: Schedule,
}

impl StageDef for Edt {
    const INFO: StageInfo = StageInfo {
        name: "edt",
        aliases: &[],
        summary: "divides the logits by a temperature that falls to zero with the survivors' entropy",
        fields: &[
            Field::value("T0, the temperature for large entropies", Kind::required(Range::numbers(0.0, 100.0), &[]))
                .usual(1.0, 0.0..=2.0)
                .aliases(&["t0"]),
            Field::new("base", "what theta / H is the power of", Kind::optional(Range::numbers(0.0, 1.0), 0.8))
                .usual(0.8, 0.0..=1.0),
            Field::new(
                "theta",
                "how much certainty cools, in nats",
                Kind::optional(Range::numbers(0.0, f64::INFINITY), 0.1),
            )
            .usual(0.1, 0.0..=2.0),
        ],
        rank: 14,
        source: "Zhang, Bao and Huang 2024, arXiv 2403.14541",
        order_sensitive: true,
        greedy: &[0.0],
        ..StageInfo::of(Role::Temperature)
    };

    fn read(params: &Params) -> Self {
        Edt { t0: params.number("value"), base: params.number("base"), theta: params.number("theta") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.t0), ("base", &self.base), ("theta", &self.theta)])
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Temperature(self)
    }
}

impl Temper for Edt {
    fn temperature(&self, ranked: &mut Ranked<'_>) -> f64 {
        let (t0, base, theta) = (ranked.value(&self.t0), ranked.value(&self.base), ranked.value(&self.theta));
        schedule::edt(t0, base, theta, ranked.entropy())
    }
}
