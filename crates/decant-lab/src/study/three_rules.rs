//! The study `three-rules`: what the three rules called Top-H keep of real rows.

use super::parameters::at_least_one;
use super::{Material, Row, Settings, Study, StudyError, Table, row};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::rows::rows_met;
use decant_decode::{LanguageModel, Limits};
use decant_sampling::{Coins, Memory, Sampler, SamplerSpec, Scratch, Seed};
use serde::{Deserialize, Serialize};

/// The stream of coins by which rows are met.
const STREAM: u32 = 0;

/// The rules, and the control that knows no entropy.
const RULES: [&str; 4] = ["paper", "ref", "hf", "top_k=100"];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// Rows a prompt, at most: those that plain sampling meets.
    tokens: usize,
    alphas: Vec<f64>,
    temperatures: Vec<f64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            tokens: 32,
            alphas: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
            temperatures: vec![1.0, 1.5, 2.0],
        }
    }
}

/// A cell for each prompt: its rows at every temperature, cut by every rule at every alpha.
struct ThreeRules<'m, M> {
    parameters: Parameters,
    material: Material<'m, M>,
    heats: Vec<Heat>,
}

/// A temperature and what is done at it.
struct Heat {
    t: f64,
    /// Heats alone.
    plain: Sampler,
    cuts: Vec<Cut>,
}

/// A rule at an alpha, which means nothing to the control.
struct Cut {
    rule: &'static str,
    alpha: f64,
    sampler: Sampler,
}

/// The study of a model's rows.
pub(super) fn study<'m, M: LanguageModel + Sync>(
    settings: &Settings,
    material: Material<'m, M>,
) -> Result<Box<dyn Study + 'm>, StudyError> {
    let parameters: Parameters = settings.read()?;
    at_least_one("tokens", parameters.tokens as u64)?;
    if parameters.temperatures.contains(&0.0) {
        return Err(StudyError::parameter("temperatures: 0 leaves nothing to cut"));
    }
    let sampler = |text: String| {
        let spec: SamplerSpec = text.parse().map_err(|error| StudyError::parameter(format!("`{text}`: {error}")))?;
        material.sampler(&spec)
    };
    let mut heats = Vec::new();
    for &t in &parameters.temperatures {
        let mut cuts = Vec::new();
        for rule in RULES {
            for &alpha in &parameters.alphas {
                let cut = if rule.contains('=') { rule.to_owned() } else { format!("top_h={alpha}:rule={rule}") };
                cuts.push(Cut { rule, alpha, sampler: sampler(format!("temp={t},{cut}"))? });
            }
        }
        heats.push(Heat { t, plain: sampler(format!("temp={t}"))?, cuts });
    }
    Ok(Box::new(ThreeRules { parameters, material, heats }))
}

/// Sums over the rows of a prompt.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    tokens: f64,
    mass: f64,
    /// H(q) / H(p).
    share: f64,
    /// Rows with H(q) > alpha · H(p).
    beyond: u32,
}

impl<M: LanguageModel + Sync> Study for ThreeRules<'_, M> {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!({ "model": self.material.id, "prompts": self.material.prompts, "grid": self.parameters })
    }

    fn columns(&self) -> &'static [&'static str] {
        &["prompt", "temperature", "rule", "alpha", "rows", "kept", "mass", "entropy_share", "beyond"]
    }

    fn cells(&self) -> usize {
        self.material.prompts.len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let Material { model, ends, prompts, .. } = &self.material;
        let limits = Limits { max_tokens: self.parameters.tokens, ends: ends.to_vec(), ignore_eos: false };
        // A prompt's coins are those of its own seed.
        let seed = Seed(seed.0.wrapping_add(cell as u64));
        let mut rows = Vec::new();
        rows_met(*model, &prompts[cell], limits, (seed, STREAM), |row| rows.push(row.to_vec()))
            .map_err(|error| StudyError::cell(cell, error))?;
        let mut lines = Vec::new();
        for Heat { t, plain, cuts } in &self.heats {
            for Cut { rule, alpha, sampler } in cuts {
                let kept = sum(&rows, plain, sampler, *alpha).map_err(|error| StudyError::cell(cell, error))?;
                let n = rows.len().max(1) as f64;
                let means = [kept.tokens / n, kept.mass / n, kept.share / n];
                lines.push(row![cell, *t, *rule, *alpha, rows.len(), means[0], means[1], means[2], kept.beyond]);
            }
        }
        Ok(lines)
    }

    fn picture(&self, table: &Table) -> Picture {
        let mut picture = Picture::new("What the three rules called Top-H keep").columns(self.heats.len());
        for (column, y) in
            [("kept", Axis::log("tokens kept, mean")), ("entropy_share", Axis::linear("H(q) / H(p), mean"))]
        {
            for t in &self.parameters.temperatures {
                let mut panel = Panel::new(format!("T = {t}"), Axis::linear("alpha"), y.clone());
                for rule in RULES {
                    let point = |alpha: &f64| (*alpha, mean(table, column, *t, rule, *alpha));
                    panel = panel.with(Series::new(rule, Mark::Line, self.parameters.alphas.iter().map(point)));
                }
                if column == "entropy_share" {
                    let bound = self.parameters.alphas.iter().map(|alpha| (*alpha, *alpha));
                    panel = panel.with(Series::new("alpha", Mark::Line, bound));
                }
                picture = picture.with(panel);
            }
        }
        picture
    }
}

/// What a sampler keeps of rows, added up.
fn sum(rows: &[Vec<f32>], plain: &Sampler, sampler: &Sampler, alpha: f64) -> Result<Kept, decant_sampling::RowError> {
    let mut sum = Kept::default();
    let mut scratch = Scratch::default();
    for row in rows {
        // Nothing here depends on what is drawn.
        let mut pick =
            |sampler: &Sampler| sampler.pick(row, &[], Coins::fixed(0.5), &mut Memory::default(), &mut scratch);
        let (whole, cut) = (pick(plain)?.kept_entropy, pick(sampler)?);
        sum.tokens += f64::from(cut.kept);
        sum.mass += cut.kept_mass;
        sum.share += if whole > 0.0 { cut.kept_entropy / whole } else { 0.0 };
        sum.beyond += u32::from(cut.kept_entropy > alpha * whole * (1.0 + 1e-6));
    }
    Ok(sum)
}

/// The mean of a column over all rows of all prompts.
fn mean(table: &Table, column: &str, t: f64, rule: &str, alpha: f64) -> f64 {
    let cells = table.rows().filter(|row| row.text("rule") == rule);
    let cells = cells.filter(|row| row.number("temperature") == t && row.number("alpha") == alpha);
    let sums = cells.fold([0.0; 2], |[sum, rows], row| {
        let n = row.number("rows");
        [sum + n * row.number(column), rows + n]
    });
    sums[0] / sums[1]
}
