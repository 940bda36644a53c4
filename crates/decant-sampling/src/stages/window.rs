//! Which part of the text so far a stage looks back at.

use crate::catalog::{Field, Kind, Range};
use crate::spec::build::Params;
use crate::{Ranked, Schedule, TokenId};

/// Which part of the text so far a stage looks back at: parameters that all such stages have.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// How many of the last tokens; -1 for all, 0 for none, which switches the stage off.
    pub last_n: Schedule,
    /// Whether the tokens of the prompt count.
    pub prompt: bool,
}

impl Default for Window {
    /// Prompt and text as far as they go.
    fn default() -> Self {
        Window { last_n: Schedule::Constant(-1.0), prompt: true }
    }
}

impl Window {
    /// What a penalty's window may be called beside the stages. llama.cpp's meaning: 0 is off.
    pub(super) const PENALTY_RANGE: &[&str] = &["repeat_last_n", "rep_pen_range", "repetition_penalty_range"];

    pub(super) const LAST_N: Field = Field::new(
        "last_n",
        "how many of the last tokens are looked at; -1 for all",
        Kind::Number { range: Range::integers_from(-1.0), neutral: &[0.0], default: Some(-1.0) },
    );

    pub(super) const PROMPT: Field =
        Field::new("prompt", "whether the tokens of the prompt count", Kind::Switch { default: true });

    pub(super) fn read(params: &Params) -> Self {
        Window { last_n: params.number("last_n"), prompt: params.is_on("prompt") }
    }

    /// The parameters of a stage that has a window, with those of the window.
    pub(super) fn write(&self, params: Params) -> Params {
        params.and_number("last_n", &self.last_n).switch("prompt", self.prompt)
    }

    /// The tokens in view.
    pub(super) fn of<'s>(&self, ranked: &mut Ranked<'s>) -> &'s [TokenId] {
        let history = ranked.context.history;
        let text = if self.prompt { history.all() } else { history.generated() };
        match ranked.value(&self.last_n).round() {
            all if all < 0.0 => text,
            last_n => &text[text.len().saturating_sub(last_n as usize)..],
        }
    }
}
