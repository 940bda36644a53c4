//! The study `entropies`: generating texts, and keeping the entropy of every row.

use super::{Entropies, picture};
use crate::plot::Picture;
use crate::study::{Material, Row, Settings, Study, StudyError, Table, row};
use decant_decode::{Decoder, LanguageModel, Limits};
use decant_sampling::{SamplerSpec, Seed};
use serde::{Deserialize, Serialize};

/// How texts are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// How their tokens are drawn.
    pub sampler: SamplerSpec,
    /// How many tokens a text has at most; an end token ends it before.
    pub tokens: usize,
    /// How many texts go on from each prompt.
    pub texts: usize,
}

impl Default for Plan {
    /// A text of 64 tokens for each prompt, by plain random sampling: what the model itself would write.
    fn default() -> Self {
        let sampler = "temp=1".parse().expect("plain sampling is a spec");
        Plan { sampler, tokens: 64, texts: 1 }
    }
}

/// The study: a cell for each text, and in its table a row for each token.
pub struct Measure<'m, M: LanguageModel> {
    plan: Plan,
    material: Material<'m, M>,
    decoder: Decoder<'m, M>,
}

impl<'m, M: LanguageModel> Measure<'m, M> {
    /// What its files are called.
    pub const NAME: &'static str = "entropies";

    /// Texts of a model.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for a plan without texts or tokens, or with a sampler that does not fit the model.
    pub fn new(plan: Plan, material: Material<'m, M>) -> Result<Self, StudyError> {
        for (name, number) in [("tokens", plan.tokens), ("texts", plan.texts)] {
            if number == 0 {
                return Err(StudyError::parameter(format!("{name} is 0; it must be 1 or more")));
            }
        }
        let limits = Limits { max_tokens: plan.tokens, ends: material.ends.to_vec(), ignore_eos: false };
        let decoder = Decoder::new(material.model, material.sampler(&plan.sampler)?, limits)
            .map_err(|error| StudyError::parameter(error.to_string()))?;
        Ok(Measure { plan, material, decoder })
    }
}

/// The study with its [`Plan`] as settings.
pub(crate) fn study<'m, M: LanguageModel + Sync>(
    settings: &Settings,
    material: Material<'m, M>,
) -> Result<Box<dyn Study + 'm>, StudyError> {
    Ok(Box::new(Measure::new(settings.read()?, material)?))
}

impl<M: LanguageModel + Sync> Study for Measure<'_, M> {
    fn parameters(&self) -> serde_json::Value {
        let Plan { sampler, tokens, texts } = &self.plan;
        let Material { id, prompts, .. } = &self.material;
        serde_json::json!({"model": id, "sampler": sampler, "tokens": tokens, "texts": texts, "prompts": prompts})
    }

    fn columns(&self) -> &'static [&'static str] {
        &["text", "position", "entropy"]
    }

    fn cells(&self) -> usize {
        self.material.prompts.len() * self.plan.texts
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let prompt = &self.material.prompts[cell / self.plan.texts];
        let failed = |error| StudyError::cell(cell, error);
        let mut state = self.decoder.start(prompt, seed, cell as u32).map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(step) = self.decoder.step(&mut state).map_err(failed)? {
            rows.push(row![cell, rows.len(), step.entropy]);
        }
        Ok(rows)
    }

    fn picture(&self, table: &Table) -> Picture {
        picture(&Entropies::of_table(table), None)
    }
}
