//! Risks of decoders on a model's prompts, as a study: a cell is a prompt.

use super::{Contender, Effort, Goal};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::row;
use crate::study::{Material, Row, Study, StudyError, Table};
use decant_decode::{DecodeError, DecodeSpec, Decoder, LanguageModel, Limits, Loss, State, TokenId, Want, Watch};
use decant_sampling::{
    Coins, EntropyStats, History, Logits, Memory, RowError, Sampler, SamplerSpec, Scratch, Seed, Step,
};
use serde_json::json;
use std::ops::ControlFlow;

/// The columns of the table: the loss of a decoder against one reference of a prompt, averaged over its draws; what a
/// text costs it; and, in the first row of each decoder, the tokens of its first text.
const COLUMNS: [&str; 7] = ["prompt", "decoder", "reference", "loss", "calls", "tokens", "text"];

/// Sets the references' coins apart from those of the decoders.
const REFERENCES: u64 = 0x9E37_79B9_7F4A_7C15;

/// How many streams of coins a text may take: a strategy that draws n texts takes n.
const STREAMS: u32 = 1 << 12;

/// Whatever goes wrong in a cell.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The loss of every decoder against every reference of every prompt.
pub struct Risks<'m, M> {
    material: Material<'m, M>,
    goal: Goal,
    effort: Effort,
    contenders: Vec<(Contender, Sampler)>,
    plain: Sampler,
}

/// What a decoder said on one prompt.
struct Said {
    texts: Vec<Text>,
    /// A text's mean number of model calls, and of tokens fed.
    calls: f64,
    tokens: f64,
}

/// A text with its ln P in the model's own rows.
#[derive(Default)]
struct Text {
    tokens: Vec<TokenId>,
    logprob: f64,
}

impl Watch for Text {
    fn token(&mut self, step: &Step, _row: &[f32]) -> ControlFlow<()> {
        self.tokens.push(step.token);
        self.logprob += step.logprob;
        ControlFlow::Continue(())
    }
}

impl<'m, M: LanguageModel + Sync> Risks<'m, M> {
    /// The study of these decoders on a model. `goal` is not [`Goal::Creative`], which has no risk.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for a sampler that does not fit the model, an effort of nothing, or a decoder without a law
    /// of its own where the goal asks for one.
    pub fn new(
        material: Material<'m, M>,
        goal: Goal,
        effort: Effort,
        contenders: Vec<Contender>,
    ) -> Result<Self, StudyError> {
        check(effort)?;
        let lawless = |contender: &&Contender| goal == Goal::Mimic && !has_law(&contender.decode);
        if let Some(contender) = contenders.iter().find(lawless) {
            let reason = format!("{contender}: nobody can say with what probability it says a text, as mimic needs");
            return Err(StudyError::parameter(reason));
        }
        let plain = material.sampler(&SamplerSpec::default())?;
        let made = contenders.into_iter().map(|contender| {
            let sampler = material.sampler(&contender.sampler)?;
            Ok((contender, sampler))
        });
        let contenders = made.collect::<Result<_, StudyError>>()?;
        Ok(Risks { material, goal, effort, contenders, plain })
    }

    fn limits(&self) -> Limits {
        Limits { max_tokens: self.effort.len, ends: self.material.ends.to_vec(), ignore_eos: false }
    }

    fn decoder(&self, sampler: &Sampler) -> Result<Decoder<'m, M>, DecodeError> {
        Decoder::new(self.material.model, sampler.clone(), self.limits())
    }

    /// The losses of a decoder: against each reference, or one where the loss can be had without them.
    fn losses(&self, said: &Said, references: &[Vec<TokenId>]) -> Vec<f64> {
        let mean = |loss: &dyn Fn(&Text) -> f64| said.texts.iter().map(loss).sum::<f64>() / said.texts.len() as f64;
        match self.goal.loss() {
            // The model itself says with what probability a text is the wanted one: no reference says it better.
            Some(Loss::Exact) => vec![mean(&|text| -libm::expm1(text.logprob))],
            Some(loss) => references.iter().map(|truth| mean(&|text| loss.between(truth, &text.tokens))).collect(),
            // A decoder that always says the same has a law of one text.
            None => references
                .iter()
                .map(|truth| mean(&|text| if text.tokens == *truth { 0.0 } else { f64::INFINITY }))
                .collect(),
        }
    }

    /// -ln Q of every reference under the law that each sampler draws texts by, infinite if it never says it:
    /// `[contender][reference]`; nothing for contenders that do not sample.
    fn surprises(&self, references: &[Vec<TokenId>], start: &State<M::Cache>) -> Result<Vec<Vec<f64>>, Failure> {
        let mut surprises = vec![Vec::new(); self.contenders.len()];
        for truth in references {
            let mut cache = start.cache().clone();
            let rows = match truth.len() {
                0 | 1 => Vec::new(),
                len => self.material.model.feed(&mut cache, &truth[..len - 1], Want::All)?.into_inner(),
            };
            let vocab = self.material.model.vocab();
            let rows = || [start.row()].into_iter().chain(rows.chunks_exact(vocab)).zip(truth.iter().copied());
            for ((contender, sampler), surprises) in self.contenders.iter().zip(&mut surprises) {
                if contender.decode.is_sample() {
                    surprises.push(Reader::new(sampler, start.prompt()).surprise(rows())?);
                }
            }
        }
        Ok(surprises)
    }

    fn say(&self, contender: &Contender, sampler: &Sampler, start: &State<M::Cache>) -> Result<Said, DecodeError> {
        let decoder = self.decoder(sampler)?;
        let draws = if contender.decode.is_random() { self.effort.draws } else { 1 };
        let mut said = Said { texts: Vec::new(), calls: 0.0, tokens: 0.0 };
        for draw in 0..draws {
            let mut text = Text::default();
            let mut state = start.clone().with_stream(start.stream() + STREAMS * draw as u32);
            let cost = decoder.decode(&contender.decode, &mut state, &mut text)?.cost;
            said.calls += cost.calls as f64 / draws as f64;
            said.tokens += cost.tokens as f64 / draws as f64;
            said.texts.push(text);
        }
        Ok(said)
    }

    fn cell(&self, prompt: usize, seed: Seed) -> Result<Vec<Row>, Failure> {
        let plain = self.decoder(&self.plain)?;
        let stream = STREAMS * (self.effort.draws.max(1) as u32) * prompt as u32;
        let mut start = plain.start(&self.material.prompts[prompt], Seed(seed.0 ^ REFERENCES), stream)?;
        plain.prefill(&mut start, |_, _| ())?;
        let references: Vec<Vec<TokenId>> =
            plain.draw_many(self.effort.references, &start)?.0.into_iter().map(|text| text.tokens).collect();
        let start = start.with_seed(seed);
        let mut rows = Vec::new();
        let surprises = match self.goal.loss() {
            Some(_) => vec![Vec::new(); self.contenders.len()],
            None => self.surprises(&references, &start)?,
        };
        for ((contender, sampler), surprises) in self.contenders.iter().zip(surprises) {
            let said = self.say(contender, sampler, &start)?;
            let losses = if surprises.is_empty() { self.losses(&said, &references) } else { surprises };
            for (reference, loss) in losses.into_iter().enumerate() {
                let text = if reference == 0 { ids(&said.texts[0].tokens) } else { String::new() };
                rows.push(row![prompt, contender.to_string(), reference, loss, said.calls, said.tokens, text]);
            }
        }
        Ok(rows)
    }
}

impl<M: LanguageModel + Sync> Study for Risks<'_, M> {
    fn parameters(&self) -> serde_json::Value {
        json!({
            "model": self.material.id,
            "prompts": self.material.prompts,
            "goal": self.goal.to_string(),
            "effort": self.effort,
            "decoders": self.contenders.iter().map(|(contender, _)| contender.to_string()).collect::<Vec<_>>(),
        })
    }

    fn columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    fn cells(&self) -> usize {
        self.material.prompts.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        self.cell(cell, seed).map_err(|error| StudyError::cell(cell, error))
    }

    fn picture(&self, table: &Table) -> Picture {
        let advice = super::Advice::of(self.goal, table);
        // What is right with small probability is told apart on a logarithmic axis only.
        let (y, height): (_, fn(f64) -> f64) = match self.goal {
            Goal::Exact => (Axis::log("probability that the text is the one wanted"), |risk| 1.0 - risk),
            goal => (Axis::linear(goal.unit()), |risk| risk),
        };
        let shown = || advice.ranking.iter().filter(|ranked| ranked.risk.is_finite());
        let points = Series::new("", Mark::Points, shown().map(|ranked| (ranked.calls, height(ranked.risk))));
        let points = points.labels(shown().map(|ranked| ranked.decoder.clone()));
        let panel = Panel::new("", Axis::log("model calls a text"), y).with(points);
        Picture::new(format!("Goal {}: decoders by cost", self.goal)).with(panel)
    }
}

/// An effort must be of something.
pub(super) fn check(effort: Effort) -> Result<(), StudyError> {
    let least = [("len", effort.len, 1), ("references", effort.references, 2), ("draws", effort.draws, 1)];
    let budget = ("budget", effort.budget, effort.len);
    match least.into_iter().chain([budget]).find(|(_, given, least)| given < least) {
        Some((name, given, least)) => {
            Err(StudyError::parameter(format!("{name} must be at least {least}; given {given}")))
        }
        None => Ok(()),
    }
}

/// Whether the probability with which it says a text can be told.
fn has_law(decode: &DecodeSpec) -> bool {
    decode.is_sample() || !decode.is_random()
}

/// Token ids with spaces between.
pub(super) fn ids(tokens: &[TokenId]) -> String {
    tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A text in the making that is read with a sampler's eyes.
struct Reader<'s> {
    sampler: &'s Sampler,
    text: Vec<TokenId>,
    prompt: usize,
    memory: Memory,
    scratch: Scratch,
}

/// A sampler whose stages gamble: what it keeps of a row is more than one law.
#[derive(Debug, thiserror::Error)]
#[error("a stage of the sampler gambles, so nobody can say with what probability it says a text, as mimic needs")]
struct Gambles;

impl<'s> Reader<'s> {
    fn new(sampler: &'s Sampler, prompt: &[TokenId]) -> Self {
        let (memory, scratch) = (Memory::default(), Scratch::default());
        Reader { sampler, text: prompt.to_vec(), prompt: prompt.len(), memory, scratch }
    }

    /// -ln of the probability with which the sampler says these tokens, each given with the row that it follows on.
    fn surprise<'r>(&mut self, tokens: impl Iterator<Item = (&'r [f32], TokenId)>) -> Result<f64, Failure> {
        let mut surprise = 0.0;
        for (row, token) in tokens {
            surprise -= self.read(row, token)?;
            if surprise == f64::INFINITY {
                break;
            }
        }
        Ok(surprise)
    }

    /// ln of the probability with which the sampler goes on with a token; -inf if it never does.
    fn read(&mut self, row: &[f32], token: TokenId) -> Result<f64, Failure> {
        let [law, other] = [0.0, 0.999].map(|u| self.law(row, Coins::fixed(u)));
        let law = law?;
        if other? != law {
            return Err(Gambles.into());
        }
        let logit = law[token as usize];
        if logit == f32::NEG_INFINITY {
            return Ok(f64::NEG_INFINITY);
        }
        self.sampler.learn(row, token, &mut self.memory, &self.scratch);
        self.text.push(token);
        Ok(EntropyStats::of(&Logits::new(&law)?).logprob(logit))
    }

    fn law(&mut self, row: &[f32], coins: Coins) -> Result<Vec<f32>, RowError> {
        let mut law = row.to_vec();
        let history = History::new(&self.text, self.prompt);
        self.sampler.mask(&mut law, history, coins, &mut self.memory, &mut self.scratch)?;
        Ok(law)
    }
}
