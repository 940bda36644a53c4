//! What a step's stages may look at beside the row: the text so far, the step's coins, what earlier steps taught.

use crate::{Coins, TokenId};

/// The text so far, as stages see it that look back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct History<'a> {
    tokens: &'a [TokenId],
    prompt: usize,
}

impl<'a> History<'a> {
    /// Prompt and generated text in one, of which the first `prompt` tokens are the prompt.
    pub fn new(tokens: &'a [TokenId], prompt: usize) -> Self {
        History { tokens, prompt: prompt.min(tokens.len()) }
    }

    /// Prompt and generated text.
    pub fn all(&self) -> &'a [TokenId] {
        self.tokens
    }

    /// The generated text alone.
    pub fn generated(&self) -> &'a [TokenId] {
        &self.tokens[self.prompt..]
    }
}

impl<'a> From<&'a [TokenId]> for History<'a> {
    /// Generated text without a prompt.
    fn from(tokens: &'a [TokenId]) -> Self {
        History { tokens, prompt: 0 }
    }
}

impl<'a, const N: usize> From<&'a [TokenId; N]> for History<'a> {
    fn from(tokens: &'a [TokenId; N]) -> Self {
        History { tokens, prompt: 0 }
    }
}

impl<'a> From<&'a Vec<TokenId>> for History<'a> {
    fn from(tokens: &'a Vec<TokenId>) -> Self {
        History { tokens, prompt: 0 }
    }
}

/// What the stages of one sampler have learned from the tokens drawn so far: one number for each stage that learns
/// (mirostat, adaptive_p), by the stage's place. It belongs to a text, as the model's cache does: a fork clones it, a new text starts with
/// [`Memory::default`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory(pub(crate) Vec<Option<f64>>);

/// What belongs to one step, beside the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) history: History<'a>,
    pub(crate) coins: Coins,
    /// What the stage that runs now remembers, if it is one that learns.
    pub(crate) memory: f64,
    /// How many stages of the same kind stood before the one that runs now.
    pub(crate) nth: u32,
}
