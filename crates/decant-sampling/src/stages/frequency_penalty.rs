//! `frequency_penalty`: what has been said before, by how often.

use super::window::Window;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Makes every token that stands in the text so far less probable, the more the oftener it does.
///
/// # What it does
/// Lowers the logit of a token by a penalty for each time that it has been said.
///
/// # Why
/// It weighs against words that come back again and again, and hardly against one said once.
///
/// # Rule
/// l' = l - count · f, with count how often the token stands in the window. f in -100..=100; 0 switches the stage off,
/// below 0 repetition is rewarded. `last_n` tokens are looked at, -1 for all, 0 for none; `prompt=false` leaves those of the
/// prompt out.
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
pub struct FrequencyPenalty {
    /// f, in nats; 0 for none.
    pub penalty: Schedule,
    /// Where tokens count.
    pub window: Window,
}

impl StageDef for FrequencyPenalty {
    const INFO: StageInfo = StageInfo {
        name: "frequency_penalty",
        aliases: &["freq_pen"],
        summary: "lowers the logit of a token by a penalty for each time it was seen",
        fields: &[
            Field::value("the penalty f", Kind::required(Range::numbers(-100.0, 100.0), &[0.0])).usual(0.5, -2.0..=2.0),
            Window::LAST_N.flat(Window::PENALTY_RANGE),
            Window::PROMPT,
        ],
        rank: 3,
        source: "OpenAI's API; llama.cpp",
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        FrequencyPenalty { penalty: params.number("value"), window: Window::read(params) }
    }

    fn write(&self) -> Params {
        self.window.write(Params::numbers([("value", &self.penalty)]))
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for FrequencyPenalty {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (f, text) = (ranked.value(&self.penalty), self.window.of(ranked));
        ranked.change_seen(text, |count, logit| logit - count as f64 * f);
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::assert_law;

    #[test]
    fn numbers_of_llama_cpp_s_tests() {
        let (even, spec) = ([0.2; 5], "frequency_penalty=5,presence_penalty=5");
        assert_law(spec, &even, &[0], &[0.000011, 0.249997, 0.249997, 0.249997, 0.249997]);
        assert_law(spec, &even, &[0, 1, 2], &[0.000023, 0.000023, 0.000023, 0.499966, 0.499966]);
        assert_law(spec, &even, &[0, 1, 2, 0, 0], &[0.0, 0.000023, 0.000023, 0.499977, 0.499977]);
    }

    #[test]
    fn every_time_counts() {
        let spec = format!("frequency_penalty={}", std::f64::consts::LN_2);
        assert_law(&spec, &[0.5, 0.5], &[0, 0], &[0.2, 0.8]);
    }
}
