//! The texts that a search looks at: forks of one cache, grown in batches.

use super::{Candidate, Cost, Watch};
use crate::alternatives::top;
use crate::{DecodeError, Decoder, Feed, Finish, LanguageModel, State, Want};
use decant_sampling::{
    Coins, EntropyStats, History, Logits, Memory, Role, RowError, Sampler, Scratch, Seed, StageInfo, TokenId,
};

/// A text that a search has come to.
#[derive(Clone, Debug)]
pub(super) struct Branch<C> {
    pub cache: C,
    /// Prompt and text.
    pub tokens: Vec<TokenId>,
    /// ln P of the text under the law that is searched.
    pub logprob: f64,
    /// The entropies of the model's rows along the text, summed.
    pub entropy: f64,
    /// The model's own row after the last token.
    pub row: Vec<f32>,
    /// The row that is searched, if it is another.
    adjusted: Option<Vec<f32>>,
    law: EntropyStats,
    own_entropy: f64,
}

impl<C: Clone> Branch<C> {
    /// A fork that goes on with a token; its row is still to come.
    pub fn with(&self, token: TokenId) -> Self {
        let mut tokens = Vec::with_capacity(self.tokens.len() + 1);
        tokens.extend_from_slice(&self.tokens);
        tokens.push(token);
        Branch {
            cache: self.cache.clone(),
            tokens,
            logprob: self.logprob + self.logprob_of(token),
            entropy: self.entropy + self.own_entropy,
            row: Vec::new(),
            adjusted: None,
            law: EntropyStats::EMPTY,
            own_entropy: 0.0,
        }
    }

    /// The row that is searched.
    pub fn law_row(&self) -> &[f32] {
        self.adjusted.as_deref().unwrap_or(&self.row)
    }

    /// ln p of a token as the next one.
    pub fn logprob_of(&self, token: TokenId) -> f64 {
        self.law.logprob(self.law_row()[token as usize])
    }

    /// The most probable next tokens, at most n, that bring the text's ln P to `floor` at least; in falling probability,
    /// lower id first among equals.
    pub fn likeliest(&self, n: usize, floor: f64) -> Vec<TokenId> {
        let above = |logit: f32| self.logprob + self.law.logprob(logit) >= floor;
        let mut top = top(self.law_row(), n);
        top.truncate(top.partition_point(|&(_, logit)| above(logit)));
        top.into_iter().map(|(token, _)| token).collect()
    }

    /// The finished text as a candidate.
    pub fn text<M: LanguageModel<Cache = C>>(&self, tree: &Tree<'_, '_, M>, score: f64) -> Candidate {
        let tokens = self.tokens[tree.prompt..].to_vec();
        Candidate {
            finish: tree.finish(&self.tokens).unwrap_or(Finish::Length),
            logprob: self.logprob,
            entropy: self.entropy / tokens.len().max(1) as f64,
            tokens,
            score,
            risk: None,
            inclusion: None,
        }
    }
}

/// A search in the making: what every step of it needs.
pub(super) struct Tree<'t, 'm, M> {
    decoder: &'t Decoder<'m, M>,
    /// The sampler's stages that change the logits of certain tokens, if it has any.
    adjust: Option<Sampler>,
    scratch: Scratch,
    /// Tokens of the prompt.
    pub prompt: usize,
    pub cost: Cost,
    pub watch: &'t mut dyn Watch,
}

impl<'t, 'm, M: LanguageModel> Tree<'t, 'm, M> {
    /// A search for the rest of a text.
    pub fn new(decoder: &'t Decoder<'m, M>, state: &State<M::Cache>, watch: &'t mut dyn Watch) -> Self {
        let adjust = decoder.sampler.with_only(decoder.model.vocab(), |info: &StageInfo| info.role == Role::Adjustment);
        Tree {
            decoder,
            adjust: (!adjust.is_empty()).then_some(adjust),
            scratch: Scratch::default(),
            prompt: state.prompt_len,
            cost: Cost::default(),
            watch,
        }
    }

    /// The text so far, all of which must have been fed.
    pub fn root(&mut self, state: &State<M::Cache>) -> Result<Branch<M::Cache>, DecodeError> {
        let root = Branch {
            cache: state.cache.clone(),
            tokens: state.tokens.clone(),
            logprob: 0.0,
            entropy: 0.0,
            row: Vec::new(),
            adjusted: None,
            law: EntropyStats::EMPTY,
            own_entropy: 0.0,
        };
        self.look(root, state.row.clone())
    }

    /// Feeds each branch its last token, all in one batch.
    pub fn grow(&mut self, mut branches: Vec<Branch<M::Cache>>) -> Result<Vec<Branch<M::Cache>>, DecodeError> {
        if branches.is_empty() {
            return Ok(branches);
        }
        let mut batch = Vec::with_capacity(branches.len());
        for Branch { cache, tokens, .. } in &mut branches {
            batch.push(Feed { cache, tokens: &tokens[tokens.len() - 1..], want: Want::Last });
        }
        let rows = self.decoder.model.feed_all(&mut batch)?;
        self.cost.count(1, branches.len());
        self.watch.spent(self.cost);
        branches.into_iter().zip(rows).map(|(branch, row)| self.look(branch, row.into_inner())).collect()
    }

    /// Takes in the row after a branch's last token.
    fn look(&mut self, mut branch: Branch<M::Cache>, row: Vec<f32>) -> Result<Branch<M::Cache>, DecodeError> {
        let position = branch.tokens.len() - self.prompt;
        let at = |source: RowError| DecodeError::Row { position, source };
        let own = EntropyStats::of(&Logits::new(&row).map_err(at)?);
        (branch.own_entropy, branch.law) = (own.entropy(), own);
        if let Some(adjust) = &self.adjust {
            let mut adjusted = row.clone();
            let (history, coins) = (History::new(&branch.tokens, self.prompt), no_coins());
            adjust.mask(&mut adjusted, history, coins, &mut Memory::default(), &mut self.scratch).map_err(at)?;
            branch.law = EntropyStats::of(&Logits::new(&adjusted).map_err(at)?);
            branch.adjusted = Some(adjusted);
        }
        branch.row = row;
        Ok(branch)
    }

    /// Why the text of these tokens, prompt included, has ended, if it has.
    pub fn finish(&self, tokens: &[TokenId]) -> Option<Finish> {
        let stopped = || self.watch.stops(&tokens[self.prompt..]).then_some(Finish::Stop);
        match self.decoder.finish_of(tokens, self.prompt) {
            Some(Finish::Eos) => Some(Finish::Eos),
            at_length => stopped().or(at_length),
        }
    }

    /// How many tokens a text may have at most, without its prompt.
    pub fn longest(&self) -> usize {
        self.decoder.limits.max_tokens.min(self.decoder.model.context().saturating_sub(self.prompt))
    }
}

/// Adjustments gamble on nothing.
fn no_coins() -> Coins {
    Seed(0).coins(0, 0)
}
