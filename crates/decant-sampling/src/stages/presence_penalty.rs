//! `presence_penalty`: what has been said before, once and for all.

use super::window::Window;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Makes every token that stands in the text so far less probable, however often it does.
///
/// # What it does
/// Lowers the logit of every token that has been said by one penalty.
///
/// # Why
/// It weighs for words that are new, and so for new subjects.
///
/// # Rule
/// l' = l - pr for every token that stands in the window at least once. pr in -100..=100; 0 switches the stage off, below 0
/// repetition is rewarded. `last_n` tokens are looked at, -1 for all, 0 for none; `prompt=false` leaves those of the prompt
/// out.
///
/// # Cost
/// One look at each token in the window, one copy of the row.
///
/// # Precision
/// In f64, rounded to f32 once.
///
/// # Source
/// OpenAI's API. There, and in vLLM, only generated tokens count: `prompt=false`; in llama.cpp the prompt's do too.
#[derive(Clone, Debug, PartialEq)]
pub struct PresencePenalty {
    /// pr, in nats; 0 for none.
    pub penalty: Schedule,
    /// Where tokens count as seen.
    pub window: Window,
}

impl StageDef for PresencePenalty {
    const INFO: StageInfo = StageInfo {
        name: "presence_penalty",
        aliases: &["presence_pen"],
        summary: "lowers the logit of every token seen before by a penalty",
        fields: &[
            Field::value("the penalty pr", Kind::required(Range::numbers(-100.0, 100.0), &[0.0]))
                .usual(0.5, -2.0..=2.0),
            Window::LAST_N.flat(Window::PENALTY_RANGE),
            Window::PROMPT,
        ],
        rank: 4,
        source: "OpenAI's API; llama.cpp",
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        PresencePenalty { penalty: params.number("value"), window: Window::read(params) }
    }

    fn write(&self) -> Params {
        self.window.write(Params::numbers([("value", &self.penalty)]))
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for PresencePenalty {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (pr, text) = (ranked.value(&self.penalty), self.window.of(ranked));
        ranked.change_seen(text, |_, logit| logit - pr);
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::assert_law;

    #[test]
    fn once_is_enough() {
        let spec = format!("presence_penalty={}", std::f64::consts::LN_2);
        assert_law(&spec, &[0.5, 0.5], &[0, 0, 0], &[1.0 / 3.0, 2.0 / 3.0]);
        let reward = format!("presence_penalty={}", -std::f64::consts::LN_2);
        assert_law(&reward, &[0.5, 0.5], &[1], &[1.0 / 3.0, 2.0 / 3.0]);
    }
}
