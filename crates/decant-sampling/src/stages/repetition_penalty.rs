//! `repetition_penalty`: what has been said before, by a factor.

use super::window::Window;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Makes every token that stands in the text so far less probable, by a factor of its logit.
///
/// # What it does
/// Divides the positive logits of tokens seen before by a penalty, and multiplies the negative ones.
///
/// # Why
/// Models fall into loops: what has been said makes itself more probable. A penalty on whatever was said weighs against it.
///
/// # Rule
/// For every token that stands in the window at least once: l' = l / r if l > 0, else l · r. r in 0.01..=100; 1 switches
/// the stage off, below 1 repetition is rewarded. `last_n` tokens are looked at, -1 for all, 0 for none (which is llama.cpp's
/// meaning; some front-ends say 0 for all); `prompt=false` leaves those of the prompt out. The rule depends on where the
/// logits' zero lies, which a softmax does not: it is the model's own, as in transformers and llama.cpp.
///
/// # Cost
/// One look at each token in the window, one copy of the row.
///
/// # Precision
/// In f64, rounded to f32 once. A temperature before or after the stage comes to the same.
///
/// # Source
/// Keskar et al. 2019, "CTRL", arXiv 1909.05858, section 4.1; the two signs: transformers'
/// `RepetitionPenaltyLogitsProcessor`, llama.cpp.
#[derive(Clone, Debug, PartialEq)]
pub struct RepetitionPenalty {
    /// r; 1 for none.
    pub penalty: Schedule,
    /// Where tokens count as seen.
    pub window: Window,
}

impl StageDef for RepetitionPenalty {
    const INFO: StageInfo = StageInfo {
        name: "repetition_penalty",
        aliases: &["rep_pen", "repeat_penalty"],
        summary: "divides the logits of tokens seen before by a penalty, or multiplies them where negative",
        fields: &[
            Field::value("the penalty r", Kind::required(Range::numbers(0.01, 100.0), &[1.0])).usual(1.1, 1.0..=1.5),
            Window::LAST_N.flat(Window::PENALTY_RANGE),
            Window::PROMPT,
        ],
        rank: 2,
        source: "Keskar et al. 2019, arXiv 1909.05858; transformers",
        temperature_invariant: true,
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        RepetitionPenalty { penalty: params.number("value"), window: Window::read(params) }
    }

    fn write(&self) -> Params {
        self.window.write(Params::numbers([("value", &self.penalty)]))
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for RepetitionPenalty {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (r, text) = (ranked.value(&self.penalty), self.window.of(ranked));
        ranked.change_seen(text, |_, logit| if logit > 0.0 { logit / r } else { logit * r });
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::assert_law;

    #[test]
    fn numbers_of_llama_cpp_s_tests() {
        let even = [0.2; 5];
        assert_law("repetition_penalty=50", &even, &[0], &[0.0, 0.25, 0.25, 0.25, 0.25]);
        assert_law("repetition_penalty=50", &even, &[0, 1, 2], &[0.0, 0.0, 0.0, 0.5, 0.5]);
        assert_law("repetition_penalty=50", &even, &[0, 1, 2, 0, 0], &[0.0, 0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn positive_logits_are_divided_and_negative_ones_multiplied() {
        // Logits 1, -1 and 0 become 1/2, -2 and 0; what is no token of the vocabulary is passed over.
        let e = std::f64::consts::E;
        let weights = [0.5_f64.exp(), (-2.0_f64).exp(), 1.0];
        let expected = weights.map(|weight| weight / weights.iter().sum::<f64>());
        assert_law("repetition_penalty=2", &[e, 1.0 / e, 1.0], &[0, 1, 2, 77], &expected);
    }

    #[test]
    fn only_the_window_counts() {
        let even = [0.25; 4];
        assert_law("repetition_penalty=99:last_n=2", &even, &[0, 1, 2], &[0.5, 0.0, 0.0, 0.5]);
        assert_law("repetition_penalty=99:last_n=0", &even, &[0, 1, 2], &even);
        assert_law("repetition_penalty=99:last_n=9", &even, &[0, 1, 2], &[0.0, 0.0, 0.0, 1.0]);
    }
}
