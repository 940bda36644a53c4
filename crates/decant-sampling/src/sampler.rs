//! A spec made ready for a vocabulary.

use crate::catalog::Effect;
use crate::ranked::{Buffers, Ranked};
use crate::{Coins, Isa, RowError, SamplerSpec, SpecError, Stage, TokenId};
use serde::{Deserialize, Serialize};

/// A spec made ready for a vocabulary. Immutable, shared by threads, pure.
///
/// ```
/// use decant_sampling::{Sampler, SamplerSpec, Scratch, Seed};
/// let spec: SamplerSpec = "temp=0.8,top_h=0.4".parse()?;
/// let sampler = Sampler::new(&spec, 4)?;
/// let row = [2.0, 1.0, 0.5, f32::NEG_INFINITY];
/// let step = sampler.pick(&row, &[], Seed(7).coins(0, 0), &mut Scratch::default())?;
/// assert!(step.token < 3 && step.kept_entropy <= 0.4 * step.entropy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    /// The spec's stages without the neutral ones.
    stages: Vec<Stage>,
    vocab: usize,
    isa: Isa,
}

/// Buffers that `pick` and `mask` reuse, so that the steady state allocates nothing. Nothing in them reaches a later
/// row's result; after a call they tell which tokens it kept ([`kept`](Self::kept)).
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    buffers: Buffers,
}

impl Scratch {
    /// The tokens that the last [`Sampler::pick`] with this scratch kept of `row`, ascending.
    pub fn kept<'s>(&'s self, row: &'s [f32]) -> Box<dyn Iterator<Item = TokenId> + 's> {
        match self.buffers.listed() {
            Some(kept) => Box::new(kept.iter().map(|candidate| candidate.token)),
            None => Box::new((0..).zip(row).filter(|(_, logit)| **logit > f32::NEG_INFINITY).map(|(token, _)| token)),
        }
    }
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

/// One row of a batch: what [`Sampler::pick`] takes.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// This row's own sampler.
    pub sampler: &'a Sampler,
    /// Logits, shape `[vocab]`.
    pub row: &'a [f32],
    /// Prompt and text so far.
    pub history: &'a [TokenId],
    /// This step's coins.
    pub coins: Coins,
}

impl Sampler {
    /// Makes a spec ready for rows of `vocab` logits, on the fastest instruction set of this machine.
    ///
    /// # Errors
    /// A stage whose numbers are out of range (a spec built by hand, not parsed).
    pub fn new(spec: &SamplerSpec, vocab: usize) -> Result<Self, SpecError> {
        spec.check()?;
        let stages = spec.0.iter().filter(|stage| !stage.is_neutral()).cloned().collect();
        Ok(Sampler { stages, vocab, isa: Isa::best() })
    }

    /// The same sampler on a given tier of instructions: same bits, other speed.
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Self {
        Sampler { isa, ..self }
    }

    /// The vocabulary it was made for.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Draws the next token by inverse CDF in token order with coin lane [`Coins::DRAW`].
    ///
    /// `row` has shape `[vocab]`; `history` is the prompt and the text so far, for stages that look back.
    pub fn pick(
        &self,
        row: &[f32],
        history: &[TokenId],
        coins: Coins,
        scratch: &mut Scratch,
    ) -> Result<Step, RowError> {
        let (ranked, kept) = self.run(row, history, &mut scratch.buffers)?;
        let token = ranked.draw(coins.uniform(Coins::DRAW));
        let Kept { entropy, varentropy, temperature, kept, kept_mass, kept_entropy } = kept;
        let logprob = ranked.raw_logprob(token);
        Ok(Step { token, logprob, entropy, varentropy, temperature, kept, kept_mass, kept_entropy })
    }

    /// Picks for every row of a batch, each with a sampler of its own; the same answers as row by row. `steps` is
    /// cleared first and then holds one result per row, in order.
    pub fn pick_batch(batch: &[Pick<'_>], scratch: &mut Scratch, steps: &mut Vec<Result<Step, RowError>>) {
        steps.clear();
        steps.extend(batch.iter().map(|pick| pick.sampler.pick(pick.row, pick.history, pick.coins, scratch)));
    }

    /// Writes the distribution that `pick` would draw from back into the row, as logits: dropped tokens become -inf,
    /// the others are divided by the temperature. For engines that draw themselves. On an error the row is as it was.
    pub fn mask(&self, row: &mut [f32], history: &[TokenId], scratch: &mut Scratch) -> Result<Kept, RowError> {
        let (ranked, kept) = self.run(row, history, &mut scratch.buffers)?;
        let beta = ranked.beta();
        // Clamped, for +inf would be no logit: a tiny temperature may lead beyond f32.
        let cooled = |logit: f32| (f64::from(logit) * beta).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        match scratch.buffers.listed() {
            Some(kept) => {
                row.fill(f32::NEG_INFINITY);
                for candidate in kept {
                    row[candidate.token as usize] = cooled(candidate.logit);
                }
            }
            None if beta != 1.0 => {
                for logit in row.iter_mut().filter(|logit| **logit > f32::NEG_INFINITY) {
                    *logit = cooled(*logit);
                }
            }
            None => {}
        }
        Ok(kept)
    }

    /// Whether no stage can ever drop or demote the most probable token.
    pub fn keeps_argmax(&self) -> bool {
        self.stages.iter().all(|stage| stage.info().keeps_argmax)
    }

    /// Runs the stages in order.
    fn run<'s>(
        &self,
        row: &'s [f32],
        _history: &[TokenId],
        buffers: &'s mut Buffers,
    ) -> Result<(Ranked<'s>, Kept), RowError> {
        if row.len() != self.vocab && !row.is_empty() {
            return Err(RowError::Length { vocab: self.vocab, given: row.len() });
        }
        let mut ranked = Ranked::new(row, self.isa, buffers)?;

        let (mut temperature, mut kept_mass) = (1.0, 1.0);
        for stage in &self.stages {
            match stage.effect() {
                Effect::Temperature(t) => {
                    let t = t.at(ranked.signals());
                    temperature *= t;
                    if t > 0.0 {
                        ranked.set_temperature(t);
                    } else {
                        kept_mass *= ranked.cut(1);
                    }
                }
                Effect::Truncation(rule) => kept_mass *= ranked.truncate(rule),
            }
        }
        let kept = Kept {
            entropy: ranked.raw().entropy(),
            varentropy: ranked.raw().varentropy(),
            temperature,
            kept: ranked.stats().support(),
            kept_mass,
            kept_entropy: ranked.stats().entropy(),
        };
        Ok((ranked, kept))
    }
}
