//! Strategies: from what a model says of each next token to a whole text.
//!
//! Searches ([`DecodeSpec::Lookahead`], [`DecodeSpec::Map`], the beams) look at the model's own law: T = 1, nothing cut off.
//! Of the sampler only stages act there that change the logits of certain tokens (biases, penalties); its temperatures and
//! truncations, however they follow entropy, act where a token is drawn.

mod args;
mod beam;
mod candidates;
mod loss;
mod outcome;
mod search;
mod spec;
mod stochastic_beam;
mod tree;

pub use loss::{Loss, UnknownLoss};
pub use outcome::{Candidate, Cost, Outcome};
pub use spec::{Beam, By, DecodeSpec, DecodeSpecError, Last, Rerank};

use crate::{DecodeError, Decoder, Finish, LanguageModel, State, Want};
use decant_sampling::{EntropyStats, Logits, Step, TokenId};
use std::ops::ControlFlow;
use tree::Tree;

/// How many tokens of a text found as a whole are fed at once to be told.
const TOLD: usize = 32;

/// Who looks on while a text is made.
pub trait Watch {
    /// A token that stays, and the model's own row that it was taken from. Strategies that
    /// [stream](DecodeSpec::streams) tell each as soon as it is certain, others all of them at the end. `Break` ends the text
    /// after this token.
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()>;

    /// What was spent so far, from time to time.
    fn spent(&mut self, _cost: Cost) {}

    /// Whether a text of these generated tokens ends here for a reason of the caller's own, such as a stop string: asked of
    /// texts that may yet be dropped, where [`token`](Self::token) has not been told of any.
    fn stops(&self, _generated: &[TokenId]) -> bool {
        false
    }
}

/// Nobody looks on.
impl Watch for () {
    fn token(&mut self, _step: &Step, _row: &[f32]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<M: LanguageModel> Decoder<'_, M> {
    /// Goes on with a text to its end, by a strategy. `state` then is the finished text.
    ///
    /// # Errors
    /// The model's, or a row that is not one of logits. What was told to `watch` before stays in `state`.
    pub fn decode(
        &self,
        strategy: &DecodeSpec,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        self.prefill(state, |_, _| ())?;
        match strategy {
            DecodeSpec::Sample => self.sample(state, watch),
            DecodeSpec::Greedy => self.look_ahead(1, 1, state, watch),
            DecodeSpec::Lookahead { k, budget } => self.look_ahead(*k, *budget, state, watch),
            DecodeSpec::Map { len, budget } => self.most_probable(*len, *budget, state, watch),
            DecodeSpec::Beam(beam) => self.beam(beam, state, watch),
            DecodeSpec::StochasticBeam { k } => self.stochastic_beam(*k, state, watch),
            DecodeSpec::BestOf { n, by } => self.best_of(*n, *by, state, watch),
            DecodeSpec::Mbr { n, loss } => self.minimum_bayes_risk(*n, *loss, state, watch),
        }
    }

    /// Each token is drawn by the sampler.
    fn sample(&self, state: &mut State<M::Cache>, watch: &mut dyn Watch) -> Result<Outcome, DecodeError> {
        let mut cost = Cost::default();
        let mut stopped = false;
        while !stopped && let Some(step) = self.step(state)? {
            // The first token's row came with the prompt.
            if state.drawn().len() > 1 {
                cost.count(1, 1);
                watch.spent(cost);
            }
            stopped = watch.token(&step, state.row()).is_break();
        }
        Ok(Outcome::of_one(finish(self, state, stopped), cost))
    }

    /// Each token is the first of the most probable block of the next k.
    fn look_ahead(
        &self,
        k: usize,
        budget: usize,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        let mut tree = Tree::new(self, state, watch);
        let mut root = tree.root(state)?;
        let (mut proven, mut stopped) = (true, false);
        while !stopped && self.finish(state).is_none() {
            let found = tree.most_probable(root.clone(), k, budget)?;
            proven &= found.proven;
            let token = found.block.tokens[state.tokens.len()];
            let step = decided(state.row(), token)?;
            stopped = tree.watch.token(&step, state.row()).is_break();
            state.tokens.push(token);
            if !stopped && self.finish(state).is_none() {
                root = tree.grow(vec![root.with(token)])?.remove(0);
                state.take(root.cache.clone(), root.row.clone());
            }
        }
        let outcome = Outcome::of_one(finish(self, state, stopped), tree.cost);
        Ok(Outcome { proven: Some(proven), ..outcome })
    }

    /// The most probable text of `len` tokens.
    fn most_probable(
        &self,
        len: usize,
        budget: usize,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        if let Some(finish) = self.finish(state) {
            return Ok(Outcome::of_one(finish, Cost::default()));
        }
        let mut tree = Tree::new(self, state, watch);
        let root = tree.root(state)?;
        let found = tree.most_probable(root, len, budget)?;
        let (cost, text) = (tree.cost, found.block.text(&tree, found.block.logprob));
        let outcome = Outcome { proven: Some(found.proven), bound: Some(found.bound), ..Outcome::of(vec![text], cost) };
        self.tell_all(state, &outcome.chosen().tokens, watch)?;
        Ok(outcome)
    }

    /// Tells a text that was found as a whole: each of its tokens with the model's row that it stands against.
    fn tell_all(
        &self,
        state: &mut State<M::Cache>,
        tokens: &[TokenId],
        watch: &mut dyn Watch,
    ) -> Result<(), DecodeError> {
        self.tell(state, tokens, watch, |row, token, _| decided(row, token))
    }

    /// The same, where the steps may be known already.
    fn tell(
        &self,
        state: &mut State<M::Cache>,
        tokens: &[TokenId],
        watch: &mut dyn Watch,
        step: impl Fn(&[f32], TokenId, usize) -> Result<Step, DecodeError>,
    ) -> Result<(), DecodeError> {
        let start = state.tokens.len();
        let mut left = tokens;
        while !left.is_empty() {
            let (some, rest) = left.split_at(TOLD.min(left.len()));
            // The row after the very last token is nobody's.
            let fed = if rest.is_empty() { &some[..some.len() - 1] } else { some };
            let rows = match fed {
                [] => Vec::new(),
                _ => self.model.feed(&mut state.cache, fed, Want::All)?.into_inner(),
            };
            let first = std::mem::take(&mut state.row);
            let mut rows = rows.chunks_exact(self.model.vocab());
            let mut row = &first[..];
            for &token in some {
                let step = step(row, token, state.tokens.len() - start)?;
                state.tokens.push(token);
                if watch.token(&step, row).is_break() {
                    self.model.rewind(&mut state.cache, state.tokens.len() - 1);
                    state.row = row.to_vec();
                    return Ok(());
                }
                // After a whole piece it is the row that the next one begins with.
                row = rows.next().unwrap_or(row);
            }
            state.row = row.to_vec();
            left = rest;
        }
        Ok(())
    }
}

/// Why a text ended that is over.
fn finish<M: LanguageModel>(decoder: &Decoder<'_, M>, state: &State<M::Cache>, stopped: bool) -> Finish {
    if stopped { Finish::Stop } else { decoder.finish(state).unwrap_or(Finish::Stop) }
}

/// The step of a token that was decided on rather than drawn: temperature 0, the only one kept.
fn decided(row: &[f32], token: TokenId) -> Result<Step, DecodeError> {
    let stats = EntropyStats::of(&Logits::new(row).map_err(|source| DecodeError::Row { position: 0, source })?);
    let logprob = stats.logprob(row[token as usize]);
    Ok(Step {
        token,
        logprob,
        sampled_logprob: 0.0,
        entropy: stats.entropy(),
        varentropy: stats.varentropy(),
        temperature: 0.0,
        kept: 1,
        kept_mass: libm::exp(logprob),
        kept_entropy: 0.0,
        gap: None,
    })
}
