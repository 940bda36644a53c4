//! Survivors in a list of their own.

use crate::TokenId;
use decant_kernels::{Isa, rows};

/// Tokens in token order, each with its logit and its weight beside the top token's 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    pub(super) tokens: Vec<TokenId>,
    pub(super) logits: Vec<f32>,
    /// e^x with x = beta (l - l\[top\]).
    pub(super) weights: Vec<f32>,
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Fills the list with the row's tokens whose logits lie in the window.
    pub(super) fn gather(&mut self, isa: Isa, row: &[f32], blocks: &rows::Blocks, window: [f32; 2]) {
        rows::gather(isa, row, blocks, window, &mut self.tokens, &mut self.logits);
    }

    /// Weighs every token again.
    pub(super) fn weigh(&mut self, isa: Isa, top: f32, beta: f32) {
        rows::weights(isa, &self.logits, top, beta, &mut self.weights);
    }

    /// Keeps the tokens that `stays` says yes to.
    pub(super) fn retain(&mut self, stays: impl Fn(f32, TokenId) -> bool) {
        let mut kept = 0;
        for i in 0..self.len() {
            let (token, logit, weight) = (self.tokens[i], self.logits[i], self.weights[i]);
            (self.tokens[kept], self.logits[kept], self.weights[kept]) = (token, logit, weight);
            kept += usize::from(stays(logit, token));
        }
        self.tokens.truncate(kept);
        self.logits.truncate(kept);
        self.weights.truncate(kept);
    }
}
