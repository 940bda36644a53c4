//! `dry`: don't repeat yourself.

use super::window::Window;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::Phrases;
use crate::spec::build::Params;
use crate::{Ranked, Schedule, TokenId};

/// Makes a token that would go on with a repetition less probable, the more the longer the repetition already is.
///
/// # What it does
/// Where the last tokens of the text have stood in it before, it lowers the logit of the token that came next then, by an
/// amount that grows exponentially with how many tokens are repeated.
///
/// # Why
/// Penalties on single tokens hit what every text must repeat, such as articles. This one hits only sequences, and loops so
/// hard that they end.
///
/// # Rule
/// For each token let m be the length of the longest sequence of last tokens of the window that this token has followed
/// before. If m >= allowed: l' = l - mult · base^(m - allowed). A sequence never reaches back over a breaker: only what stands
/// after the last breaker of the window counts as repeated, and a token that is a breaker by itself is never penalised. mult
/// in 0..=100; 0 switches the stage off; base in 1..=100. `last_n` tokens are looked at, -1 for all, 0 for none, which switches
/// the stage off too; `prompt=false` leaves those of the prompt out. A penalty is at most 3.4e38 · mult, which a token does not
/// survive but which does not forbid it.
///
/// Breakers are token ids (several make a sequence) or texts in quotes. A text breaks where a token contains it, or where a
/// token ends with its beginning and the rest follows; to find those a tokenizer is needed, and without one texts do nothing.
///
/// # Cost
/// Linear in the window, however it repeats itself; one copy of the row if there is a repetition.
///
/// # Precision
/// In f64, rounded to f32 once; the power by a portable function.
///
/// # Source
/// p-e-w, text-generation-webui pull request 5677; breakers as llama.cpp finds them (koboldcpp pull request 982, by pi6am),
/// which cuts them to 40 bytes and 20 tokens, as nothing does here.
#[derive(Clone, Debug, PartialEq)]
pub struct Dry {
    /// The penalty, in nats, of going on with a repetition as long as is allowed; 0 for none.
    pub multiplier: Schedule,
    /// By what the penalty grows with each token more.
    pub base: Schedule,
    /// How long a repetition may get without penalty.
    pub allowed: Schedule,
    /// Where repetitions count.
    pub window: Window,
    /// What no repetition reaches over.
    pub breakers: Phrases,
}

impl StageDef for Dry {
    const INFO: StageInfo = StageInfo {
        name: "dry",
        aliases: &["dry_multiplier"],
        summary: "lowers the logits of tokens that would go on with a repetition, exponentially in its length",
        fields: &[
            Field::value("the penalty, or its multiplier", Kind::required(Range::numbers(0.0, 100.0), &[0.0]))
                .usual(0.8, 0.0..=2.0),
            Field::new(
                "base",
                "by what the penalty grows with each token",
                Kind::optional(Range::numbers(1.0, 100.0), 1.75),
            )
            .usual(1.75, 1.0..=4.0)
            .flat(&["dry_base"]),
            Field::new("allowed", "how long a repetition may be", Kind::optional(Range::integers_from(0.0), 2.0))
                .aliases(&["allowed_length"])
                .flat(&["dry_allowed_length"]),
            Window::LAST_N.aliases(&["penalty_last_n"]).flat(&["dry_penalty_last_n"]),
            Window::PROMPT,
            Field::new(
                "breakers",
                "what no repetition reaches over",
                Kind::Phrases { default: &["\n", ":", "\"", "*"] },
            )
            .aliases(&["sequence_breakers"])
            .flat(&["dry_sequence_breakers"]),
        ],
        rank: 5,
        source: "p-e-w, text-generation-webui #5677; llama.cpp",
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        Dry {
            multiplier: params.number("value"),
            base: params.number("base"),
            allowed: params.number("allowed"),
            window: Window::read(params),
            breakers: params.phrases("breakers"),
        }
    }

    fn write(&self) -> Params {
        let numbers = [("value", &self.multiplier), ("base", &self.base), ("allowed", &self.allowed)];
        self.window.write(Params::numbers(numbers)).and_phrases("breakers", &self.breakers)
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for Dry {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (multiplier, base) = (ranked.value(&self.multiplier), ranked.value(&self.base));
        let (allowed, text) = (ranked.count(&self.allowed), self.window.of(ranked));
        let longest = self.unbroken(text);
        if longest < allowed {
            return;
        }
        ranked.change_repeats(text, allowed..=longest, |token, repeated, logit| {
            let growth = libm::pow(base, (repeated - allowed) as f64).min(f64::from(f32::MAX));
            if self.breaker_at_start(&[token]).is_some() { logit } else { logit - multiplier * growth }
        });
    }
}

impl Dry {
    /// How many tokens stand after the last breaker.
    fn unbroken(&self, text: &[TokenId]) -> usize {
        let after_breaker = |start: usize| Some(text.len() - start - self.breaker_at_start(&text[start..])?);
        (0..text.len()).rev().find_map(after_breaker).unwrap_or(text.len())
    }

    /// The length of the longest breaker that the tokens begin with.
    fn breaker_at_start(&self, tokens: &[TokenId]) -> Option<usize> {
        let breakers = self.breakers.beginning_with(*tokens.first()?);
        breakers.filter(|breaker| tokens.starts_with(breaker)).map(<[_]>::len).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::tests::assert_law;
    use crate::{SamplerSpec, Stage};

    #[test]
    fn numbers_of_llama_cpp_s_tests() {
        let (four, five) = ([0.25; 4], [0.2; 5]);
        let dry = |rest: &str| format!("dry=1:base=1.1:{rest}");
        assert_law(&dry("allowed=2:last_n=4"), &four, &[0, 1], &four);
        let once = [0.296923, 0.296923, 0.109232, 0.296923];
        assert_law(&dry("allowed=2:last_n=5"), &four, &[0, 1, 2, 0, 1], &once);
        assert_law(&dry("allowed=2:last_n=6:breakers=(3)"), &five, &[0, 1, 3, 4, 0, 1], &five);
        let twice = [0.241818, 0.241818, 0.032727, 0.241818, 0.241818];
        assert_law("dry=2:base=1.1:last_n=5", &five, &[0, 1, 2, 0, 1], &twice);
        assert_law(&dry("allowed=4:last_n=7"), &five, &[0, 1, 2, 3, 4, 0, 1], &five);
    }

    #[test]
    fn the_penalty_grows_with_the_repetition() {
        // After 1 2 3 has come 0, after 2 3 also 4: ln 2 times 2^(3-2) and 2^(2-2).
        let spec = format!("dry={}:base=2", std::f64::consts::LN_2);
        let text = [5, 2, 3, 4, 1, 2, 3, 0, 1, 2, 3];
        let weights = [0.25, 1.0, 1.0, 1.0, 0.5, 1.0];
        assert_law(&spec, &[1.0 / 6.0; 6], &text, &weights.map(|weight| weight / 4.75));
    }

    #[test]
    fn endless_loops_overflow_nothing() {
        assert_law("dry=100:base=100", &[0.5, 0.5], &[0; 1000], &[0.0, 1.0]);
        assert_law("dry=100:base=100", &[1.0], &[0; 1000], &[1.0]);
    }

    fn unbroken(breakers: &str, text: &[TokenId]) -> usize {
        let spec: SamplerSpec = format!("dry=1:breakers={breakers}").parse().unwrap();
        match &spec.0[..] {
            [Stage::Dry(dry)] => dry.unbroken(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_is_whole_after_its_last_breaker() {
        let text = [1, 2, 3, 4, 2, 5];
        assert_eq!(unbroken("()", &text), 6);
        assert_eq!(unbroken("(9)", &text), 6);
        assert_eq!(unbroken("(2)", &text), 1);
        assert_eq!(unbroken("(5,2)", &text), 0);
        assert_eq!(unbroken("(2 3)", &text), 3);
        assert_eq!(unbroken("(2 3,2 3 4)", &text), 2, "the longest of those that begin at one place");
        assert_eq!(unbroken("(5 1)", &text), 6, "not all of it stands there");
    }
}
