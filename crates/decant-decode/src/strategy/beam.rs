//! Beam search, and what is made of its finished beams.

use super::spec::{Beam, Last, Rerank};
use super::tree::{Branch, Tree};
use super::{Candidate, Outcome, Watch};
use crate::{DecodeError, Decoder, LanguageModel, State};
use decant_sampling::{History, Memory, Role, Scratch, StageInfo};

impl<M: LanguageModel> Decoder<'_, M> {
    pub(super) fn beam(
        &self,
        beam: &Beam,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        if let Some(finish) = self.finish(state) {
            return Ok(Outcome::of_one(finish, Default::default()));
        }
        let mut tree = Tree::new(self, state, watch);
        let root = tree.root(state)?;
        let end = root.tokens.len() + tree.longest();
        let beams = tree.beams(root, beam, end)?;
        let mut finished = beams.iter().map(|beam| beam.branch.text(&tree, beam.score)).collect::<Vec<_>>();
        rerank(&mut finished, beam);
        let outcome = Outcome::of(finished, tree.cost);
        let outcome = match beam.last {
            Last::Best => outcome,
            Last::Sample => {
                let chosen = self.draw_one(&outcome.candidates, state)?;
                outcome.choosing(chosen)
            }
        };
        self.tell_all(state, &outcome.chosen().tokens, watch)?;
        Ok(outcome)
    }

    /// Draws one of the candidates from the row of their scores, by the sampler's stages that know nothing of tokens, with
    /// the coins of the text's first token.
    fn draw_one(&self, candidates: &[Candidate], state: &State<M::Cache>) -> Result<usize, DecodeError> {
        let row: Vec<f32> = candidates.iter().map(|candidate| candidate.score as f32).collect();
        let sampler = self.sampler.with_only(row.len(), |info: &StageInfo| info.role != Role::Adjustment);
        let coins = state.seed.coins(state.stream, 0);
        sampler
            .draw(&row, History::default(), coins, &mut Memory::default(), &mut Scratch::default())
            .map(|chosen| chosen as usize)
            .map_err(|source| DecodeError::Row { position: 0, source })
    }
}

/// A finished text and its score.
pub(super) struct Finished<C> {
    pub branch: Branch<C>,
    pub score: f64,
}

impl<M: LanguageModel> Tree<'_, '_, M> {
    /// The best `width` texts that have finished by the position `end`, best score first. Expansion goes by probability alone.
    pub(super) fn beams(
        &mut self,
        root: Branch<M::Cache>,
        beam: &Beam,
        end: usize,
    ) -> Result<Vec<Finished<M::Cache>>, DecodeError> {
        let mut live = vec![root];
        let mut finished: Vec<Finished<M::Cache>> = Vec::new();
        while !live.is_empty() {
            let mut grown = Vec::new();
            for branch in &live {
                let next = branch.likeliest(2 * beam.width, f64::NEG_INFINITY);
                grown.extend(next.into_iter().map(|token| (branch.logprob + branch.logprob_of(token), branch, token)));
            }
            grown.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (&a.1.tokens, a.2).cmp(&(&b.1.tokens, b.2))));
            let mut next = Vec::new();
            // Texts that end must be among the best `width` to count; those that go on fill the beam up.
            for (rank, (_, branch, token)) in grown.into_iter().enumerate() {
                if next.len() == beam.width {
                    break;
                }
                let branch = branch.with(token);
                if branch.tokens.len() < end && self.finish(&branch.tokens).is_none() {
                    next.push(branch);
                } else if rank < beam.width {
                    finished.push(Finished { score: self.score(&branch, beam), branch });
                }
            }
            finished.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.branch.tokens.cmp(&b.branch.tokens)));
            finished.truncate(beam.width);
            next.retain(|branch| {
                finished.len() < beam.width || self.hope(branch, beam) >= finished[beam.width - 1].score
            });
            live = self.grow(next)?;
        }
        Ok(finished)
    }

    /// ln P / length^penalty.
    fn score(&self, branch: &Branch<M::Cache>, beam: &Beam) -> f64 {
        let length = (branch.tokens.len() - self.prompt) as f64;
        branch.logprob / libm::pow(length, beam.length_penalty)
    }

    /// The highest score that a live text may yet come to: ln P can only fall, and the length that flatters it most is the
    /// longest (the shortest, for a penalty below 0).
    fn hope(&self, branch: &Branch<M::Cache>, beam: &Beam) -> f64 {
        let shortest = branch.tokens.len() + 1 - self.prompt;
        let length = if beam.length_penalty > 0.0 { self.longest().max(shortest) } else { shortest };
        branch.logprob / libm::pow(length as f64, beam.length_penalty)
    }
}

/// Ranks finished texts again, by what is asked for.
fn rerank(finished: &mut [Candidate], beam: &Beam) {
    for text in &mut *finished {
        text.score = match beam.rerank {
            Rerank::None => text.score,
            Rerank::Entropy => -text.entropy,
            Rerank::Penalised => text.score - beam.weight * text.entropy,
        };
    }
    sort(finished);
}

/// Best score first; among equals the lexicographically smaller.
pub(super) fn sort(texts: &mut [Candidate]) {
    texts.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tokens.cmp(&b.tokens)));
}
