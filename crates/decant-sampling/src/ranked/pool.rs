//! Survivors in a list of their own.

use super::order::EVERYTHING;
use crate::TokenId;
use crate::entropy::Sums;
use decant_kernels::Isa;
use decant_kernels::rows::{self, Blocks, Bound, List};

/// Tokens in token order, each with its logit and its weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    pub(super) tokens: Vec<TokenId>,
    pub(super) logits: Vec<f32>,
    /// e^x with x = beta (l - l\[top\]), but 0 for the top token: its 1 is kept apart, as in [`Sums`].
    pub(super) weights: Vec<f32>,
    /// Each block's share of the weights that were summed last.
    pub(super) block_sums: Vec<f64>,
    /// About which token the weights are, at which temperature.
    about: About,
}

/// What weights are relative to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    pub(super) isa: Isa,
    pub(super) top: TokenId,
    pub(super) top_logit: f32,
    pub(super) beta: f32,
}

impl About {
    /// beta (l - l\[top\]), rounded as the kernels round it.
    pub(super) fn x(&self, logit: f32) -> f32 {
        (logit - self.top_logit) * self.beta
    }
}

/// Some tokens of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) len: usize,
    pub(super) sums: Sums,
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Fills the list with the tokens inside the bound whose logits lie in `outer` but not in `inner`.
    pub(super) fn gather(
        &mut self,
        (row, blocks, bound): (&[f32], &Blocks, &Bound),
        outer: [f32; 2],
        inner: Option<[f32; 2]>,
        about: About,
    ) {
        let window = [outer[0].max(bound.until[0]), outer[1].min(bound.until[1])];
        rows::gather(about.isa, row, blocks, window, inner, &mut self.tokens, &mut self.logits);
        self.weigh(about);
        if window[0] == bound.until[0] && bound.until != bound.after {
            self.retain(|logit, token| bound.keeps(token, logit));
        }
    }

    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.logits.clear();
        self.weights.clear();
    }

    /// Makes one token the list.
    pub(super) fn only(&mut self, about: About) {
        self.clear();
        self.tokens.push(about.top);
        self.logits.push(about.top_logit);
        self.weigh(about);
    }

    /// Weighs every token anew.
    pub(super) fn weigh(&mut self, about: About) {
        self.about = about;
        rows::weights(about.isa, &self.logits, about.top_logit, about.beta, &mut self.weights);
        if let Some(top) = self.place_of_top() {
            self.weights[top] = 0.0;
        }
    }

    /// Where the top token stands, if it is in the list.
    pub(super) fn place_of_top(&self) -> Option<usize> {
        self.tokens.binary_search(&self.about.top).ok()
    }

    pub(super) fn get(&self, place: usize) -> (TokenId, f32, f32) {
        (self.tokens[place], self.logits[place], self.weights[place])
    }

    /// The sums of the tokens whose logits lie in the window.
    pub(super) fn sums(&mut self, window: [f32; 2]) -> Part {
        let About { isa, top_logit, beta, .. } = self.about;
        let list = List { logits: &self.logits, weights: &self.weights };
        let sums = rows::list_sums(isa, list, window, top_logit, beta, &mut self.block_sums);
        let top = window[0] <= top_logit && top_logit <= window[1] && self.place_of_top().is_some();
        Part { len: sums.len, sums: Sums { top, rest: sums.mass, first: sums.first } }
    }

    /// Σ weight², without the top token's 1.
    pub(super) fn squares(&self) -> f64 {
        self.weights.iter().map(|weight| f64::from(*weight) * f64::from(*weight)).sum()
    }

    /// Where the tokens stand whose logits lie in `outer` but not in `inner`.
    pub(super) fn places(&self, outer: [f32; 2], inner: Option<[f32; 2]>, places: &mut Vec<u32>) {
        rows::places(self.about.isa, &self.logits, outer, inner, places);
    }

    /// Keeps the tokens whose logits lie in the window.
    pub(super) fn retain_window(&mut self, window: [f32; 2]) {
        if window != EVERYTHING {
            rows::retain(self.about.isa, window, &mut self.tokens, &mut self.logits, &mut self.weights);
        }
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
