//! `no_repeat_ngram`: nothing of n tokens twice.

use super::window::Window;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Ranked, Schedule};

/// Forbids what would say n tokens in a row for the second time.
///
/// # What it does
/// Drops every token that would complete a sequence of n tokens which the text so far already has.
///
/// # Why
/// It ends loops for certain, at the price of names and phrases that a text has to say again.
///
/// # Rule
/// A token is forbidden if it has come after the last n - 1 tokens of the window somewhere in the window before. With n = 1
/// that is every token seen. n is a whole number >= 0; 0 switches the stage off. `last_n` tokens are looked at, -1 for all, 0
/// for none; `prompt=false` leaves those of the prompt out. If every survivor is forbidden the row is none any more, which is
/// an error: it takes a small vocabulary, or a truncation before.
///
/// # Cost
/// Linear in the window, whatever n is and however it repeats itself; one copy of the row if a token is forbidden.
///
/// # Precision
/// Exact.
///
/// # Source
/// Paulus, Xiong and Socher 2017, arXiv 1705.04304, section 2.5; transformers' `NoRepeatNGramLogitsProcessor`, whose window
/// is everything.
#[derive(Clone, Debug, PartialEq)]
pub struct NoRepeatNgram {
    /// n; 0 for none.
    pub n: Schedule,
    /// Where sequences count as said.
    pub window: Window,
}

impl StageDef for NoRepeatNgram {
    const INFO: StageInfo = StageInfo {
        name: "no_repeat_ngram",
        aliases: &["no_repeat_ngram_size"],
        summary: "forbids what would say n tokens in a row for the second time",
        fields: &[
            Field::value("n, how many tokens in a row", Kind::required(Range::integers_from(0.0), &[0.0]))
                .usual(3.0, 0.0..=10.0),
            Window::LAST_N,
            Window::PROMPT,
        ],
        rank: 6,
        source: "Paulus et al. 2017, arXiv 1705.04304; transformers",
        temperature_invariant: true,
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        NoRepeatNgram { n: params.number("value"), window: Window::read(params) }
    }

    fn write(&self) -> Params {
        self.window.write(Params::numbers([("value", &self.n)]))
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for NoRepeatNgram {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let (n, text) = (ranked.count(&self.n), self.window.of(ranked));
        if n > 0 {
            ranked.change_repeats(text, n - 1..=n - 1, |_, _, _| f64::NEG_INFINITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::law;
    use crate::{Coins, Memory, RowError, Sampler, Scratch, TokenId};

    fn forbidden(spec: &str, text: &[TokenId]) -> Vec<TokenId> {
        (0..).zip(law(spec, &[0.1; 10], text)).filter(|(_, p)| *p == 0.0).map(|(token, _)| token).collect()
    }

    #[test]
    fn what_came_next_may_not_come_next_again() {
        let text = [1, 2, 3, 1, 2, 4, 1, 2];
        assert_eq!(forbidden("no_repeat_ngram=1", &text), [1, 2, 3, 4]);
        assert_eq!(forbidden("no_repeat_ngram=2", &text), [3, 4]);
        assert_eq!(forbidden("no_repeat_ngram=3", &text), [3, 4]);
        assert_eq!(forbidden("no_repeat_ngram=4", &text), []);
        assert_eq!(forbidden("no_repeat_ngram=2:last_n=5", &text), [4]);
        assert_eq!(forbidden("no_repeat_ngram=5", &[7, 7, 7, 7]), []);
        assert_eq!(forbidden("no_repeat_ngram=4", &[7, 7, 7, 7]), [7]);
    }

    #[test]
    fn nothing_left_to_say_is_an_error() {
        let sampler = Sampler::new(&"no_repeat_ngram=1".parse().unwrap(), 2).unwrap();
        let pick = |text: &[TokenId]| {
            sampler.pick(&[0.0, 0.0], text, Coins::fixed(0.0), &mut Memory::default(), &mut Scratch::default())
        };
        assert_eq!(pick(&[0]).unwrap().token, 1);
        assert_eq!(pick(&[0, 1]), Err(RowError::AllForbidden { vocab: 2 }));
    }
}
