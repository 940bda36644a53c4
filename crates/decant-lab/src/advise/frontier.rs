//! Quality against diversity: what samplers can do, each with as many settings tried, as a study: a cell is a prompt.

use super::risks::{check, ids};
use super::{Effort, Outlook};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::row;
use crate::study::{Material, Row, Study, StudyError, Table};
use decant_decode::{Candidate, Decoder, LanguageModel, Limits, Loss, TokenId};
use decant_sampling::{Sampler, SamplerSpec, Seed};
use serde_json::json;
use std::collections::BTreeSet;

/// The columns of the table: one row for a prompt and a sampler.
const COLUMNS: [&str; 8] = ["prompt", "family", "sampler", "quality", "self_bleu", "distinct_1", "distinct_2", "text"];

/// Samplers of one kind, with the settings that are tried of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// What they have in common.
    pub name: String,
    /// The settings; every family has the same number, so none is tuned harder than another.
    pub settings: Vec<SamplerSpec>,
}

/// What is tried of each family, from the most careful to the most daring: the parameter's place stands as `{}`.
const FAMILIES: [(&str, &str, [&str; 5]); 9] = [
    ("temp", "temp={}", ["0.4", "0.6", "0.8", "1", "1.2"]),
    ("top_k", "temp=1,top_k={}", ["3", "8", "20", "50", "150"]),
    ("top_p", "temp=1,top_p={}", ["0.4", "0.6", "0.8", "0.9", "0.97"]),
    ("min_p", "temp=1,min_p={}", ["0.4", "0.2", "0.1", "0.05", "0.01"]),
    ("typical", "temp=1,typical={}", ["0.4", "0.6", "0.8", "0.9", "0.97"]),
    ("eta", "temp=1,eta={}", ["0.1", "0.03", "0.01", "0.002", "0.0002"]),
    ("top_h", "temp=1,top_h={}", ["0.2", "0.3", "0.4", "0.6", "0.8"]),
    ("hot top_h", "temp=1.5,top_h={}", ["0.2", "0.3", "0.4", "0.6", "0.8"]),
    ("temp by entropy", "temp=by_entropy(0.5..4->{})", ["0.8..0.2", "0.9..0.4", "1..0.6", "1.1..0.8", "1.2..1"]),
];

impl Family {
    /// The families that are usually compared.
    pub fn usual() -> Vec<Family> {
        let family = |(name, spec, settings): &(&str, &str, [&str; 5])| Family {
            name: (*name).to_owned(),
            settings: settings.iter().filter_map(|value| spec.replace("{}", value).parse().ok()).collect(),
        };
        FAMILIES.iter().map(family).collect()
    }
}

/// Likelihood and diversity of texts by many samplers, on every prompt.
pub struct Frontier<'m, M> {
    material: Material<'m, M>,
    effort: Effort,
    settings: Vec<(String, SamplerSpec, Sampler)>,
}

impl<'m, M: LanguageModel + Sync> Frontier<'m, M> {
    /// The study of these families on a model.
    ///
    /// # Errors
    /// [`StudyError::Parameter`] for a sampler that does not fit the model, families of different sizes, or an effort of nothing.
    pub fn new(material: Material<'m, M>, effort: Effort, families: Vec<Family>) -> Result<Self, StudyError> {
        check(effort)?;
        if families.windows(2).any(|pair| pair[0].settings.len() != pair[1].settings.len()) {
            return Err(StudyError::parameter("families must have equally many settings: that is their tuning budget"));
        }
        let named = families
            .into_iter()
            .flat_map(|Family { name, settings }| settings.into_iter().map(move |setting| (name.clone(), setting)));
        let settings = named.map(|(family, spec)| {
            let sampler = material.sampler(&spec)?;
            Ok((family, spec, sampler))
        });
        let settings = settings.collect::<Result<_, StudyError>>()?;
        Ok(Frontier { material, effort, settings })
    }
}

impl<M: LanguageModel + Sync> Study for Frontier<'_, M> {
    fn parameters(&self) -> serde_json::Value {
        json!({
            "model": self.material.id,
            "prompts": self.material.prompts,
            "effort": self.effort,
            "samplers": self.settings.iter().map(|(_, spec, _)| spec).collect::<Vec<_>>(),
        })
    }

    fn columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    fn cells(&self) -> usize {
        self.material.prompts.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let mut rows = Vec::new();
        for (family, spec, sampler) in &self.settings {
            let limits = Limits { max_tokens: self.effort.len, ends: self.material.ends.to_vec(), ignore_eos: false };
            let texts = Decoder::new(self.material.model, sampler.clone(), limits).and_then(|decoder| {
                // The same coins for every sampler.
                let stream = (self.effort.references * cell) as u32;
                let mut state = decoder.start(&self.material.prompts[cell], seed, stream)?;
                decoder.prefill(&mut state, |_, _| ())?;
                Ok(decoder.draw_many(self.effort.references, &state)?.0)
            });
            let texts = texts.map_err(|error| StudyError::cell(cell, error))?;
            let said: Vec<&[TokenId]> = texts.iter().map(|text| &text.tokens[..]).collect();
            let [one, two] = [1, 2].map(|n| distinct(&said, n));
            let spec = spec.to_string();
            rows.push(row![cell, family.as_str(), spec, quality(&texts), self_bleu(&said), one, two, ids(said[0])]);
        }
        Ok(rows)
    }

    fn picture(&self, table: &Table) -> Picture {
        let outlook = Outlook::of(table);
        let diversity = Axis::linear("diversity: 1 - self-BLEU");
        let mut panel = Panel::new("", diversity, Axis::linear("quality: mean ln p of a token"));
        for family in &outlook.families {
            let own: Vec<_> = outlook.settings.iter().filter(|setting| setting.family == family.family).collect();
            let points = own.iter().map(|setting| (setting.diversity, setting.quality));
            panel = panel.with(Series::new(family.family.clone(), Mark::Line, points));
        }
        Picture::new("Goal creative: what each sampler can do").with(panel)
    }
}

/// The mean log-probability of a token under the model, over all tokens of the texts, in nats.
fn quality(texts: &[Candidate]) -> f64 {
    let tokens: usize = texts.iter().map(|text| text.tokens.len()).sum();
    texts.iter().map(|text| text.logprob).sum::<f64>() / tokens.max(1) as f64
}

/// The mean BLEU of a text against another one: 1 if all are equal (Zhu et al. 2018, "Texygen", section 3.2, there against all
/// others at once).
fn self_bleu(texts: &[&[TokenId]]) -> f64 {
    let others = |i: usize| (0..texts.len()).filter(move |j| *j != i);
    let pairs = (0..texts.len()).flat_map(|i| others(i).map(move |j| 1.0 - Loss::Bleu.between(texts[j], texts[i])));
    pairs.sum::<f64>() / (texts.len() * (texts.len() - 1)) as f64
}

/// The share of runs of n tokens that are different (Li et al. 2016, arXiv 1510.03055, "distinct-n").
fn distinct(texts: &[&[TokenId]], n: usize) -> f64 {
    let runs = || texts.iter().flat_map(|text| text.windows(n));
    runs().collect::<BTreeSet<_>>().len() as f64 / runs().count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_families_are_tuned_equally() {
        let families = Family::usual();
        assert!(families.len() == FAMILIES.len() && families.iter().all(|family| family.settings.len() == 5));
    }

    #[test]
    fn measures_of_diversity_by_hand() {
        let texts: [&[TokenId]; 2] = [&[1, 2, 3], &[1, 2, 4]];
        assert_eq!((distinct(&texts, 1), distinct(&texts, 2)), (4.0 / 6.0, 3.0 / 4.0));
        assert!((self_bleu(&[&[1, 2, 3], &[1, 2, 3]]) - 1.0).abs() < 1e-12);
        assert!(self_bleu(&texts) < 1.0);
    }
}
