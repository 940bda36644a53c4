//! A spec made ready for a vocabulary.

use crate::context::Context;
use crate::effect::Effect;
use crate::ranked::{Buffers, Ranked};
use crate::row::{Row, RowMut, narrow_bf16, narrow_f16};
use crate::{Coins, History, Isa, Memory, RowError, SamplerSpec, Signals, SpecError, Stage, StageInfo, TokenId};
use decant_kernels::rows::Want;
use serde::{Deserialize, Serialize};

/// A spec made ready for a vocabulary. Immutable, shared by threads, pure.
///
/// ```
/// use decant_sampling::{Memory, Sampler, SamplerSpec, Scratch, Seed};
/// let spec: SamplerSpec = "temp=0.8,top_h=0.4".parse()?;
/// let sampler = Sampler::new(&spec, 4)?;
/// let row = [2.0, 1.0, 0.5, f32::NEG_INFINITY];
/// let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
/// let step = sampler.pick(&row, &[], Seed(7).coins(0, 0), &mut memory, &mut scratch)?;
/// assert!(step.token < 3 && step.kept_entropy <= 0.4 * step.entropy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    /// The spec's stages without the neutral ones.
    stages: Vec<Stage>,
    vocab: usize,
    isa: Isa,
    /// Whether some number follows the raw row's uncertainty.
    follows_entropy: bool,
    /// What a pass over the row is to sum for the stages.
    want: Want,
}

/// Buffers that `pick` and `mask` reuse, so that the steady state allocates nothing. Nothing in them reaches a later
/// row's result; after a call they tell which tokens it kept ([`kept`](Self::kept)).
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    buffers: Buffers,
    /// Of the last row, if some number follows them.
    signals: Option<Signals>,
    /// The last row of half precision.
    widened: Vec<f32>,
    /// What a mask leaves of such a row, before it is rounded.
    masked: Vec<f32>,
}

impl Scratch {
    /// The tokens that the last [`Sampler::pick`] with this scratch kept of `row`, ascending.
    pub fn kept<'s>(&'s self, row: impl Into<Row<'s>>) -> impl Iterator<Item = TokenId> + 's {
        self.buffers.survivors(row.into().or_widened(&self.widened)).map(|(token, _)| token)
    }

    /// What a mask leaves of the widened row, which itself stays: a learning stage may yet ask what it was.
    fn mask_widened(&mut self, beta: f64) -> &[f32] {
        self.masked.clone_from(&self.widened);
        self.buffers.write(&mut self.masked, beta);
        &self.masked
    }
}

/// One drawn token and what the sampler saw. Entropies in nats, logprobs natural.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The token drawn.
    pub token: TokenId,
    /// ln p of the token in the model's own row: T = 1, before any stage.
    pub logprob: f64,
    /// ln p of the token in the distribution drawn from: what all stages together left.
    pub sampled_logprob: f64,
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
    /// Where `top_h` certifies (`certify=true`): how much more probability than the prefix it kept some other set of tokens
    /// could have under the same limit on entropy, at most; a share of what the stage saw, and the largest if several do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
}

/// What a mask left of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// See [`Step::temperature`].
    pub temperature: f64,
    /// See [`Step::kept`].
    pub kept: u32,
}

impl Sampler {
    /// Makes a spec ready for rows of `vocab` logits, on the fastest instruction set of this machine.
    ///
    /// # Errors
    /// A stage whose numbers are out of range (a spec built by hand, not parsed), or that names a token outside of the
    /// vocabulary.
    pub fn new(spec: &SamplerSpec, vocab: usize) -> Result<Self, SpecError> {
        spec.check()?;
        let effective = spec.effective();
        effective.check_vocab(vocab)?;
        Ok(Sampler::of(effective.0, vocab, Isa::best()))
    }

    fn of(stages: Vec<Stage>, vocab: usize, isa: Isa) -> Self {
        let follows_entropy = stages.iter().any(Stage::follows_entropy);
        let want = stages.iter().map(Stage::want).fold(Want::default(), Want::or);
        Sampler { stages, vocab, isa, follows_entropy, want }
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

    /// Draws the next token by inverse CDF in token order with coin lane [`Coins::DRAW`], and tells what there is to see.
    ///
    /// `row` has shape `[vocab]`, in f32, f16 or bf16; `history` is the prompt and the text so far, for stages that look
    /// back; `memory` is what stages that learn have learned in this text, and they go on learning.
    pub fn pick<'s>(
        &self,
        row: impl Into<Row<'s>>,
        history: impl Into<History<'s>>,
        coins: Coins,
        memory: &mut Memory,
        scratch: &'s mut Scratch,
    ) -> Result<Step, RowError> {
        let row = row.into();
        let (mut ranked, run) = self.run(row, history.into(), coins, memory, true, scratch)?;
        let raw = ranked.raw();
        let kept_entropy = ranked.entropy();
        let token = ranked.draw(coins.uniform(Coins::DRAW));
        let step = Step {
            token,
            logprob: ranked.raw_logprob(token),
            sampled_logprob: ranked.logprob(token),
            entropy: raw.entropy(),
            varentropy: raw.varentropy(),
            temperature: run.temperature,
            kept: ranked.len() as u32,
            kept_mass: run.kept_mass,
            kept_entropy,
            gap: ranked.gap,
        };
        self.learn(row, token, memory, scratch);
        Ok(step)
    }

    /// Draws the very token that [`pick`](Self::pick) draws and computes nothing that only an observer would want.
    pub fn draw<'s>(
        &self,
        row: impl Into<Row<'s>>,
        history: impl Into<History<'s>>,
        coins: Coins,
        memory: &mut Memory,
        scratch: &'s mut Scratch,
    ) -> Result<TokenId, RowError> {
        let row = row.into();
        let (mut ranked, _) = self.run(row, history.into(), coins, memory, false, scratch)?;
        let token = ranked.draw(coins.uniform(Coins::DRAW));
        self.learn(row, token, memory, scratch);
        Ok(token)
    }

    /// Writes the distribution that `pick` would draw from back into the row, as logits: dropped tokens become -inf,
    /// the others are divided by the temperature. For engines that draw themselves; where a stage learns, tell it the
    /// token with [`learn`](Self::learn). On an error the row is as it was.
    ///
    /// In a row of half precision each logit is rounded to its type once, at the end, and stays finite: so close logits may
    /// become one, and what the temperature carries beyond the type's range meets there. A row that no stage changes is not
    /// written.
    pub fn mask<'r>(
        &self,
        row: impl Into<RowMut<'r>>,
        history: History<'_>,
        coins: Coins,
        memory: &mut Memory,
        scratch: &mut Scratch,
    ) -> Result<Kept, RowError> {
        let row = row.into();
        let (ranked, run) = self.run(row.as_row(), history, coins, memory, false, scratch)?;
        // However low the temperature, the top logit must not meet the others at the end of f32.
        let bearable = 0.5 * f64::from(f32::MAX) / ranked.top_logit().abs();
        let (beta, kept) = (ranked.beta() * bearable.min(1.0), ranked.len() as u32);
        if !(beta == 1.0 && scratch.buffers.is_untouched()) {
            match row {
                RowMut::F32(row) => scratch.buffers.write(row, beta),
                RowMut::F16(row) => narrow_f16(scratch.mask_widened(beta), row),
                RowMut::Bf16(row) => narrow_bf16(scratch.mask_widened(beta), row),
            }
        }
        Ok(Kept { temperature: run.temperature, kept })
    }

    /// Tells the stages that learn which token was drawn from the row that `scratch` was last used for. `row` is that row
    /// as the model gave it. ([`pick`](Self::pick) and [`draw`](Self::draw) have done so themselves.)
    ///
    /// # Panics
    /// If the token is not in the vocabulary, or the row or the memory is another one.
    pub fn learn<'r>(&self, row: impl Into<Row<'r>>, token: TokenId, memory: &mut Memory, scratch: &'r Scratch) {
        let row = row.into().or_widened(&scratch.widened);
        let signals = scratch.signals.unwrap_or(Signals::UNKNOWN);
        for (stage, p) in scratch.buffers.found(row, token) {
            if let (Some(learner), Some(memory)) = (self.stages[stage].learner(), &mut memory.0[stage]) {
                *memory = learner.learn(&signals, *memory, p);
            }
        }
    }

    /// A sampler for rows of another `vocab`, with some of the stages: those that name tokens must not be among them unless
    /// the tokens are the same.
    #[must_use]
    pub fn with_only(&self, vocab: usize, keep: impl Fn(&StageInfo) -> bool) -> Self {
        let stages = self.stages.iter().filter(|stage| keep(stage.info())).cloned().collect();
        Sampler::of(stages, vocab, self.isa)
    }

    /// Whether no stage acts: draws are from the row as it is.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether no stage can ever drop or demote the most probable token.
    pub fn keeps_argmax(&self) -> bool {
        self.stages.iter().all(|stage| stage.info().keeps_argmax)
    }

    /// Runs the stages in order.
    fn run<'s>(
        &self,
        row: Row<'s>,
        history: History<'s>,
        coins: Coins,
        memory: &mut Memory,
        observe: bool,
        scratch: &'s mut Scratch,
    ) -> Result<(Ranked<'s>, Run), RowError> {
        if row.len() != self.vocab && !row.is_empty() {
            return Err(RowError::Length { vocab: self.vocab, given: row.len() });
        }
        let context = Context { history, coins, memory: f64::NAN, nth: 0 };
        let want = Want { first: self.want.first || observe, ..self.want };
        let Scratch { buffers, signals, widened, .. } = scratch;
        let mut ranked = Ranked::new(row.widen(self.isa, widened), self.isa, want, context, buffers)?;
        if observe {
            ranked.raw();
        }
        *signals = self.follows_entropy.then(|| ranked.signals());
        memory.0.resize(self.stages.len(), None);

        let mut run = Run { temperature: 1.0, kept_mass: 1.0 };
        for (place, stage) in self.stages.iter().enumerate() {
            ranked.begin_stage()?;
            if let Some(learner) = stage.learner() {
                ranked.context.memory = *memory.0[place].get_or_insert_with(|| learner.start(&mut ranked));
                ranked.take_note(place);
            }
            let same_kind = self.stages[..place].iter().filter(|before| before.info().name == stage.info().name);
            ranked.context.nth = same_kind.count() as u32;
            run.apply(stage.effect(), &mut ranked, observe)?;
        }
        Ok((ranked, run))
    }
}

/// What the stages have done to a row as a whole.
#[derive(Clone, Copy, Debug)]
struct Run {
    temperature: f64,
    /// 1 unless somebody observes.
    kept_mass: f64,
}

impl Run {
    fn apply(&mut self, effect: Effect<'_>, ranked: &mut Ranked<'_>, observe: bool) -> Result<(), RowError> {
        match effect {
            Effect::Temperature(rule) => {
                let t = rule.temperature(ranked);
                self.temperature *= t;
                match t > 0.0 {
                    true => ranked.set_temperature(t),
                    false => self.cut(ranked, observe, |ranked| ranked.cut(1)),
                }
                Ok(())
            }
            Effect::Truncation(rule) => {
                self.cut(ranked, observe, |ranked| ranked.truncate(rule));
                Ok(())
            }
            Effect::Rewriting(rule) => {
                rule.rewrite(ranked);
                ranked.settle()
            }
        }
    }

    fn cut(&mut self, ranked: &mut Ranked<'_>, observe: bool, cut: impl FnOnce(&mut Ranked<'_>)) {
        let (len, top, log_weight) = (ranked.len(), ranked.top_logit(), observe.then(|| ranked.log_weight()));
        cut(ranked);
        if let Some(before) = log_weight
            && ranked.len() < len
        {
            // From top to top first: a cold row's logits would swallow the weights.
            self.kept_mass *= libm::exp(ranked.top_logit() - top + (ranked.log_weight() - before));
        }
    }
}
