//! The best of several drawn texts.

use super::beam::sort;
use super::spec::By;
use super::{Candidate, Cost, Loss, Outcome, Watch};
use crate::{DecodeError, Decoder, Finish, LanguageModel, State};
use decant_sampling::Step;

/// A text that was drawn, with what was seen on the way.
struct Drawn<C> {
    state: State<C>,
    steps: Vec<Step>,
    /// Of its rows, summed.
    certainty: f64,
    stopped: bool,
}

/// Texts that were drawn in one batch, and what that took.
struct Texts<C> {
    drawn: Vec<Drawn<C>>,
    cost: Cost,
}

impl<M: LanguageModel> Decoder<'_, M> {
    /// Draws n texts that go on from a prefilled one, in one batch; text i has the coins of the text's stream + i. They come
    /// in this order, with their ln P as score, and with what they took together.
    ///
    /// # Errors
    /// The model's, or a row that is not one of logits.
    pub fn draw_many(&self, n: usize, state: &State<M::Cache>) -> Result<(Vec<Candidate>, Cost), DecodeError> {
        let Texts { drawn, cost } = self.draw_texts(n, false, state, &mut ())?;
        let scored = |candidate: Candidate| Candidate { score: candidate.logprob, ..candidate };
        Ok((drawn.iter().map(|text| scored(self.candidate(text))).collect(), cost))
    }

    pub(super) fn best_of(
        &self,
        n: usize,
        by: By,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        let Texts { drawn, cost } = self.draw_texts(n, by == By::SelfCertainty, state, watch)?;
        let score = |text: &Drawn<_>, candidate: &Candidate| {
            let mean = |sum: f64| sum / candidate.tokens.len().max(1) as f64;
            match by {
                By::Logprob => mean(candidate.logprob),
                By::Entropy => -candidate.entropy,
                By::SelfCertainty => mean(text.certainty),
            }
        };
        let candidates = drawn.iter().map(|text| {
            let candidate = self.candidate(text);
            Candidate { score: score(text, &candidate), ..candidate }
        });
        let outcome = ranked(candidates.collect(), cost);
        self.tell_drawn(state, drawn, &outcome, watch)?;
        Ok(outcome)
    }

    pub(super) fn minimum_bayes_risk(
        &self,
        n: usize,
        loss: Loss,
        state: &mut State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DecodeError> {
        let Texts { drawn, cost } = self.draw_texts(n, false, state, watch)?;
        let mut candidates: Vec<Candidate> = drawn.iter().map(|text| self.candidate(text)).collect();
        for guess in 0..n {
            let others = (0..n).filter(|truth| *truth != guess);
            let losses = others.map(|truth| loss.between(&candidates[truth].tokens, &candidates[guess].tokens));
            let risk = losses.sum::<f64>() / (n - 1) as f64;
            (candidates[guess].risk, candidates[guess].score) = (Some(risk), -risk);
        }
        let outcome = ranked(candidates, cost);
        self.tell_drawn(state, drawn, &outcome, watch)?;
        Ok(outcome)
    }

    /// Draws n texts by the sampler, in one batch: text i has the coins of the text's stream + i.
    fn draw_texts(
        &self,
        n: usize,
        certainty: bool,
        state: &State<M::Cache>,
        watch: &mut dyn Watch,
    ) -> Result<Texts<M::Cache>, DecodeError> {
        let fork = |i: usize| {
            let state = state.clone().with_stream(state.stream.wrapping_add(i as u32));
            Drawn { state, steps: Vec::new(), certainty: 0.0, stopped: false }
        };
        let mut drawn: Vec<Drawn<M::Cache>> = (0..n).map(fork).collect();
        let mut cost = Cost::default();
        loop {
            let mut live: Vec<&mut Drawn<M::Cache>> =
                drawn.iter_mut().filter(|text| !text.stopped && self.finish(&text.state).is_none()).collect();
            if live.is_empty() {
                return Ok(Texts { drawn, cost });
            }
            let mut states: Vec<&mut State<M::Cache>> = live.iter_mut().map(|text| &mut text.state).collect();
            let fed = self.feed_pending(&mut states)?;
            cost.count(u64::from(fed > 0), fed);
            watch.spent(cost);
            for text in live {
                text.steps.push(self.draw(&mut text.state)?);
                text.certainty += if certainty { self_certainty(text.state.row()) } else { 0.0 };
                text.stopped = watch.stops(text.state.generated());
            }
        }
    }

    fn candidate(&self, text: &Drawn<M::Cache>) -> Candidate {
        let tokens: Vec<_> = text.steps.iter().map(|step| step.token).collect();
        let total = |of: fn(&Step) -> f64| text.steps.iter().map(of).sum::<f64>();
        let length = tokens.len().max(1) as f64;
        Candidate {
            finish: if text.stopped { Finish::Stop } else { self.finish(&text.state).unwrap_or(Finish::Length) },
            logprob: total(|step| step.logprob),
            entropy: total(|step| step.entropy) / length,
            tokens,
            score: 0.0,
            risk: None,
            inclusion: None,
        }
    }

    /// Tells the chosen text with the steps of its draws.
    fn tell_drawn(
        &self,
        state: &mut State<M::Cache>,
        drawn: Vec<Drawn<M::Cache>>,
        outcome: &Outcome,
        watch: &mut dyn Watch,
    ) -> Result<(), DecodeError> {
        let tokens = &outcome.chosen().tokens;
        let said = |text: &&Drawn<_>| text.steps.iter().map(|step| step.token).eq(tokens.iter().copied());
        let steps = drawn.iter().find(said).map_or(&[][..], |text| &text.steps);
        self.tell(state, tokens, watch, |_, _, place| Ok(steps[place]))
    }
}

fn ranked(mut candidates: Vec<Candidate>, cost: Cost) -> Outcome {
    sort(&mut candidates);
    Outcome::of(candidates, cost)
}

/// KL(uniform ‖ p) over the tokens that the row allows, in nats.
fn self_certainty(row: &[f32]) -> f64 {
    let allowed = || row.iter().filter(|logit| **logit > f32::NEG_INFINITY).map(|logit| f64::from(*logit));
    let support = allowed().count() as f64;
    let most = allowed().fold(f64::NEG_INFINITY, f64::max);
    let log_z = most + libm::log(allowed().map(|logit| libm::exp(logit - most)).sum());
    log_z - allowed().sum::<f64>() / support - libm::log(support)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_certainty_is_the_divergence_from_the_uniform_row() {
        assert!(self_certainty(&[1.5; 7]).abs() < 1e-12);
        let p: [f64; 3] = [0.7, 0.2, 0.1];
        let row = [p[0].ln() as f32, f32::NEG_INFINITY, p[1].ln() as f32, p[2].ln() as f32];
        let expected: f64 = p.iter().map(|p| (1.0 / (3.0 * p)).ln() / 3.0).sum();
        assert!((self_certainty(&row) - expected).abs() < 1e-6);
    }
}
