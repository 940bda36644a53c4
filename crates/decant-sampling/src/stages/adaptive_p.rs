//! `adaptive_p`: a probability aimed at, by feedback.

use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Learn, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule, Signals};

/// Favours tokens near a probability, and steers the drawn ones' average towards it.
///
/// # What it does
/// Gives every survivor a new logit, by how near its probability is to a target; the target moves against what was drawn
/// before. Meant to stand last.
///
/// # Why
/// Chains of near-certain tokens make text predictable; aiming at a middling probability breaks them without lifting the
/// tail, where no token has such a probability.
///
/// # Rule
/// With p the survivors' probabilities, renormalised, at the temperature so far, and m the average of what was drawn:
/// t = clamp(2 target - m, 0, 1), d = |p - t| / 0.3, l' = 5 - 10 d² / (1 + d). m begins on target; after each token it becomes
/// decay m + (1 - decay) p with the token's p. target in -1..=1; below 0 the stage is off. decay in 0..=0.99: about
/// 1 / (1 - decay) tokens are remembered. m belongs to the text: a fork has its own.
///
/// # Cost
/// One pass for Σe^l; every survivor's logit is written anew and the row is ranked again.
///
/// # Precision
/// In f64, rounded to f32 logits.
///
/// # Source
/// MrJackSpade and ddh0, llama.cpp pull request 17927, whose weighted sum and total weight begin at target / (1 - decay) and
/// 1 / (1 - decay), so that their ratio is m.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveP {
    /// The probability aimed at; below 0 for off.
    pub target: Schedule,
    /// How slowly what was drawn is forgotten.
    pub decay: Schedule,
}

/// Within so far of the target a probability is favoured.
const WIDTH: f64 = 0.3;
/// The logit at the target.
const PEAK: f64 = 5.0;
/// How steeply it falls off.
const SHARPNESS: f64 = 10.0;

impl StageDef for AdaptiveP {
    const INFO: StageInfo = StageInfo {
        name: "adaptive_p",
        aliases: &["adaptive_target"],
        summary: "favours tokens near a probability, and steers the drawn ones' average towards it",
        fields: &[
            Field::value("the probability aimed at", Kind::required(Range::numbers(-1.0, 1.0), &[-1.0]))
                .usual(0.5, 0.0..=1.0)
                .aliases(&["target"]),
            Field::new(
                "decay",
                "how slowly what was drawn is forgotten",
                Kind::optional(Range::numbers(0.0, 0.99), 0.9),
            )
            .usual(0.9, 0.0..=0.99)
            .flat(&["adaptive_decay"]),
        ],
        rank: 910,
        source: "llama.cpp pull request 17927",
        order_sensitive: true,
        last: true,
        ..StageInfo::of(Role::Shaping)
    };

    fn read(params: &Params) -> Self {
        AdaptiveP { target: params.number("value"), decay: params.number("decay") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.target), ("decay", &self.decay)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }

    fn learner(&self) -> Option<&dyn Learn> {
        Some(self)
    }
}

impl Learn for AdaptiveP {
    fn start(&self, ranked: &mut Ranked<'_>) -> f64 {
        ranked.value(&self.target).max(0.0)
    }

    fn learn(&self, signals: &Signals, mean: f64, p: f64) -> f64 {
        let decay = self.decay.at(signals);
        decay * mean + (1.0 - decay) * p
    }
}

impl Rewrite for AdaptiveP {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let target = ranked.value(&self.target);
        if target >= 0.0 {
            let aim = (2.0 * target - ranked.context.memory).clamp(0.0, 1.0);
            let max_prob = ranked.max_prob();
            ranked.reshape(|x| logit(max_prob * libm::exp(x), aim));
        }
    }
}

/// The new logit of a token of probability `p`: a parabola near the aim, straight lines far off.
fn logit(p: f64, aim: f64) -> f64 {
    let distance = (p - aim).abs() / WIDTH;
    PEAK - SHARPNESS * distance * distance / (1.0 + distance)
}
