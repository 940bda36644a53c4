//! A spec made ready for a vocabulary.

use crate::{Coins, Isa, RowError, SamplerSpec, SpecError, TokenId};
use serde::{Deserialize, Serialize};

/// A spec made ready for a vocabulary. Immutable, shared by threads, pure.
#[derive(Clone, Debug)]
pub struct Sampler {
    _private: (),
}

/// Buffers that `pick` and `mask` reuse, so that the steady state allocates nothing. Holds no meaning between calls.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    _private: (),
}

/// One drawn token and what the sampler saw. Entropies in nats, logprobs natural.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The token drawn.
    pub token: TokenId,
    /// ln p of the token in the model's own row: T = 1, before any stage.
    pub logprob: f64,
    /// Entropy of the model's own row (T = 1, before any stage).
    pub entropy: f64,
    /// Varentropy of the model's own row: the variance of -ln p under p, in nats².
    pub varentropy: f64,
    /// The temperature in force at the draw: the product of all temperature stages. 0 is greedy.
    pub temperature: f64,
    /// How many tokens the draw was among.
    pub kept: u32,
    /// Which share of the probability the truncations left: the product, over the truncation stages, of the mass kept
    /// of what each one saw.
    pub kept_mass: f64,
    /// Entropy of the distribution drawn from.
    pub kept_entropy: f64,
}

/// What a mask left of a row: a [`Step`] without the draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// See [`Step::entropy`].
    pub entropy: f64,
    /// See [`Step::varentropy`].
    pub varentropy: f64,
    /// See [`Step::temperature`].
    pub temperature: f64,
    /// See [`Step::kept`].
    pub kept: u32,
    /// See [`Step::kept_mass`].
    pub kept_mass: f64,
    /// See [`Step::kept_entropy`].
    pub kept_entropy: f64,
}

impl Sampler {
    /// Makes a spec ready for rows of `vocab` logits, on the fastest instruction set of this machine.
    pub fn new(spec: &SamplerSpec, vocab: usize) -> Result<Self, SpecError> {
        let _ = (spec, vocab);
        todo!()
    }

    /// The same sampler on a given tier of instructions: same bits, other speed.
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Self {
        let _ = isa;
        self
    }

    /// The vocabulary it was made for.
    pub fn vocab(&self) -> usize {
        todo!()
    }

    /// Draws the next token. `row` has shape [vocab]; `history` is prompt and text so far.
    pub fn pick(
        &self,
        row: &[f32],
        history: &[TokenId],
        coins: Coins,
        scratch: &mut Scratch,
    ) -> Result<Step, RowError> {
        let _ = (row, history, coins, scratch);
        todo!()
    }

    /// Writes the distribution that `pick` would draw from back into the row, as logits: forbidden tokens become -inf,
    /// the others are divided by the temperature. For engines that draw themselves.
    pub fn mask(&self, row: &mut [f32], history: &[TokenId], scratch: &mut Scratch) -> Result<Kept, RowError> {
        let _ = (row, history, scratch);
        todo!()
    }

    /// The ids that the last `pick` or `mask` with this scratch kept, ascending.
    pub fn kept_ids<'s>(&self, scratch: &'s Scratch) -> impl Iterator<Item = TokenId> + 's {
        let _ = scratch;
        std::iter::empty()
    }

    /// Whether no stage can ever drop or demote the most probable token.
    pub fn keeps_argmax(&self) -> bool {
        todo!()
    }
}
