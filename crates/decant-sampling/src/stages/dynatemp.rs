//! `dynatemp`: temperature by normalised entropy.

use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Temper};
use crate::schedule;
use crate::spec::build::Params;
use crate::{Ranked, Schedule};
use decant_kernels::rows::Want;

/// Divides the logits by a temperature that rises with the survivors' entropy.
///
/// # What it does
/// Samples cool where the survivors leave little choice, hot where they are all alike, and in between in between.
///
/// # Why
/// A fixed temperature is too hot where the model knows the answer and too cold where many words would do.
///
/// # Rule
/// T = low + (high - low) · (H / ln V)^exponent with H (nats) the entropy of the V survivors, renormalised, at the
/// temperature so far; l' = l / T. low and high in 0..=100, in either order; exponent >= 0, and at exponent 0 T is high
/// throughout. T = 0 is greedy. A single survivor counts as H / ln V = 0. `temp=by_entropy(dynatemp:..)` is the same rule
/// on the row as the model gave it, whatever stands before it.
///
/// # Cost
/// One pass for H, shared with whatever else asks for it before the temperature changes.
///
/// # Precision
/// H in f64; the power is portable, and T never leaves the interval between low and high.
///
/// # Source
/// llama.cpp, `llama_sampler_init_temp_ext`, whose low and high are temp - delta and temp + delta. There a single survivor
/// is left alone, which is no other draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Dynatemp {
    /// T where one token is certain.
    pub low: Schedule,
    /// T where all survivors are equally likely.
    pub high: Schedule,
    /// How slowly T leaves low.
    pub exponent: Schedule,
}

impl StageDef for Dynatemp {
    const INFO: StageInfo = StageInfo {
        name: "dynatemp",
        aliases: &["dynatemp_low"],
        summary: "divides the logits by a temperature between low and high, by the survivors' normalised entropy",
        fields: &[
            Field::value("T where one token is certain", Kind::required(Range::numbers(0.0, 100.0), &[]))
                .usual(0.5, 0.0..=2.0)
                .aliases(&["low"]),
            Field::new(
                "high",
                "T where all survivors are equally likely",
                Kind::required(Range::numbers(0.0, 100.0), &[]),
            )
            .usual(1.5, 0.0..=2.0)
            .flat(&["dynatemp_high"]),
            Field::new("exponent", "how slowly T leaves low", Kind::optional(Range::numbers(0.0, f64::INFINITY), 1.0))
                .usual(1.0, 0.0..=4.0)
                .flat(&["dynatemp_exponent"]),
        ],
        rank: 12,
        source: "llama.cpp temp_ext",
        order_sensitive: true,
        ..StageInfo::of(Role::Temperature)
    };

    fn read(params: &Params) -> Self {
        Dynatemp { low: params.number("value"), high: params.number("high"), exponent: params.number("exponent") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.low), ("high", &self.high), ("exponent", &self.exponent)])
    }

    fn want(&self) -> Want {
        Want { first: true, ..Want::default() }
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Temperature(self)
    }
}

impl Temper for Dynatemp {
    fn temperature(&self, ranked: &mut Ranked<'_>) -> f64 {
        let bounds = [ranked.value(&self.low), ranked.value(&self.high)];
        let norm = schedule::entropy_norm(ranked.entropy(), ranked.len());
        schedule::dynatemp(bounds, ranked.value(&self.exponent), norm)
    }
}
