//! From quality and diversity to a frontier.

use super::bootstrap::{Losses, interval, means, resampled};
use crate::study::Table;
use serde::Serialize;

/// What samplers can do for creation: which settings no other one beats in both respects, and how much ground each family
/// commands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// How many prompts it rests on.
    pub prompts: usize,
    /// The families, the one that commands most first.
    pub families: Vec<FamilyScore>,
    /// Every setting, in the order tried.
    pub settings: Vec<Setting>,
    /// The family that commands more than every other in at least 97.5 % of the resamples.
    pub winner: Option<String>,
}

/// A family of samplers, at its tuning budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyScore {
    /// The family.
    pub family: String,
    /// The area below its own frontier, above the least quality and diversity that any setting has, as a share of the
    /// whole square between the least and the greatest (the hypervolume of two objectives).
    pub area: f64,
    /// The 95 % interval of it.
    pub interval: [f64; 2],
    /// Whether the sample does not tell it from the best one.
    pub tied: bool,
}

/// A sampler that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its family.
    pub family: String,
    /// The sampler.
    pub sampler: String,
    /// Mean log-probability of a token under the model, in nats.
    pub quality: f64,
    /// 1 - self-BLEU.
    pub diversity: f64,
    /// Distinct-1 and distinct-2.
    pub distinct: [f64; 2],
    /// Whether no other setting is better in both respects.
    pub on_frontier: bool,
    /// The tokens of its first text on the first prompt.
    pub example: Vec<u32>,
}

impl Outlook {
    /// The outlook that a table of a [`Frontier`](super::Frontier) gives.
    pub fn of(table: &Table) -> Self {
        let groups = table.groups("sampler");
        let column = |name: &str, of: fn(f64) -> f64| -> Losses {
            let prompt =
                |rows: Vec<crate::study::TableRow<'_>>| rows.iter().map(|row| vec![of(row.number(name))]).collect();
            table.groups("prompt").into_iter().map(|(_, rows)| prompt(rows)).collect()
        };
        // Both columns in one, so that resamples pair them.
        let both: Losses = column("quality", |x| x)
            .into_iter()
            .zip(column("self_bleu", |x| 1.0 - x))
            .map(|(quality, diversity)| quality.into_iter().chain(diversity).collect())
            .collect();
        let count = groups.len();
        let families: Vec<&str> = groups.iter().map(|(_, rows)| rows[0].text("family")).collect();
        let means_of = |name: &str| means(&column(name, |x| x));
        let (found, one, two) = (points(&means(&both), count), means_of("distinct_1"), means_of("distinct_2"));
        let settings = groups.iter().enumerate().map(|(i, (sampler, rows))| Setting {
            family: families[i].to_owned(),
            sampler: (*sampler).to_owned(),
            quality: found[i].1,
            diversity: found[i].0,
            distinct: [one[i], two[i]],
            on_frontier: !found
                .iter()
                .any(|other| other.0 >= found[i].0 && other.1 >= found[i].1 && *other != found[i]),
            example: rows[0].text("text").split(' ').filter_map(|id| id.parse().ok()).collect(),
        });
        let rounds: Vec<Vec<(f64, f64)>> = resampled(&both).iter().map(|means| points(means, count)).collect();
        let scores = score(&families, &found, &rounds);
        let tied = |scores: &[FamilyScore]| scores.iter().filter(|score| score.tied).count();
        Outlook {
            prompts: both.len(),
            settings: settings.collect(),
            winner: (tied(&scores) == 1).then(|| scores[0].family.clone()),
            families: scores,
        }
    }

    /// The outlook in words.
    pub fn sentence(&self) -> String {
        let tied: Vec<&str> = self.families.iter().filter(|f| f.tied).map(|family| family.family.as_str()).collect();
        match &self.winner {
            Some(winner) => format!("For creative, {winner} commands most ground between likelihood and diversity."),
            None => format!("For creative, {} prompts do not tell these apart: {}.", self.prompts, tied.join(", ")),
        }
    }
}

/// (diversity, quality) of each setting, from the means of both columns.
fn points(means: &[f64], count: usize) -> Vec<(f64, f64)> {
    (0..count).map(|i| (means[count + i], means[i])).collect()
}

fn score(families: &[&str], found: &[(f64, f64)], rounds: &[Vec<(f64, f64)>]) -> Vec<FamilyScore> {
    let mut names: Vec<&str> = families.to_vec();
    names.dedup();
    // The same square for all resamples, so that areas are of one measure.
    let bounds = [|p: &(f64, f64)| p.0, |p: &(f64, f64)| p.1].map(|of| {
        let all = || found.iter().map(of);
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
    });
    let areas = |points: &[(f64, f64)]| -> Vec<f64> {
        let own =
            |name: &str| points.iter().zip(families).filter(|(_, family)| **family == name).map(|(p, _)| *p).collect();
        names.iter().map(|name| area(own(name), bounds)).collect()
    };
    let (found, rounds): (_, Vec<_>) = (areas(found), rounds.iter().map(|round| areas(round)).collect());
    let best = (0..names.len()).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap_or(0);
    let mut scores: Vec<FamilyScore> = (0..names.len())
        .map(|i| FamilyScore {
            family: names[i].to_owned(),
            area: found[i],
            interval: interval(rounds.iter().map(|areas| areas[i]).collect()),
            tied: interval(rounds.iter().map(|areas| areas[best] - areas[i]).collect())[0] <= 0.0,
        })
        .collect();
    scores.sort_by(|a, b| b.area.total_cmp(&a.area));
    scores
}

/// The share of a box that lies below and left of some of the points.
fn area(mut points: Vec<(f64, f64)>, [x, y]: [(f64, f64); 2]) -> f64 {
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut area, mut height) = (0.0, y.0);
    for (px, py) in points {
        let (px, py) = (px.clamp(x.0, x.1), py.clamp(y.0, y.1));
        area += (px - x.0) * (py - height).max(0.0);
        height = height.max(py);
    }
    area / ((x.1 - x.0) * (y.1 - y.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_by_hand() {
        let unit = [(0.0, 1.0), (0.0, 1.0)];
        assert_eq!(area(vec![(0.5, 0.5)], unit), 0.25);
        assert_eq!(area(vec![(0.25, 1.0), (1.0, 0.5), (0.2, 0.2)], unit), 0.5 + 0.125);
        assert_eq!(area(vec![(2.0, 2.0)], unit), 1.0);
    }
}
