//! From losses to advice.

use super::Goal;
use super::bootstrap::{Losses, interval, means, resampled};
use crate::study::Table;
use serde::{Serialize, Serializer};

/// Which decoder to use for a goal, and how sure that is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The goal, as it is written.
    pub goal: String,
    /// The unit of the risks.
    pub unit: &'static str,
    /// How many prompts they rest on.
    pub prompts: usize,
    /// The decoders, least risk first.
    pub ranking: Vec<Ranked>,
    /// The decoder whose risk is less than that of every other in at least 97.5 % of the resamples.
    pub winner: Option<String>,
    /// Of the decoders that cannot be told from the best one (itself among them), the one that costs least.
    pub cheapest: String,
}

/// A decoder's place in the ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// The decoder.
    pub decoder: String,
    /// Its estimated risk; null in JSON where it is infinite.
    #[serde(serialize_with = "finite")]
    pub risk: f64,
    /// The 95 % interval of it.
    #[serde(serialize_with = "both_finite")]
    pub interval: [f64; 2],
    /// The share of references against which its loss is infinite.
    pub infinite: f64,
    /// Model calls that a text takes.
    pub calls: f64,
    /// Tokens that are fed for it.
    pub tokens: f64,
    /// Whether the sample does not tell it from the best one.
    pub tied: bool,
    /// The tokens of its first text on the first prompt.
    pub example: Vec<u32>,
}

impl Advice {
    /// The advice that a table of [`Risks`](super::Risks) gives.
    pub fn of(goal: Goal, table: &Table) -> Self {
        let (names, losses) = read(table);
        let (risks, rounds) = (means(&losses), resampled(&losses));
        let mut ranking: Vec<Ranked> = names
            .iter()
            .enumerate()
            .map(|(decoder, name)| {
                let own = || table.rows().filter(|row| row.text("decoder") == *name);
                let infinite =
                    own().filter(|row| row.number("loss").is_infinite()).count() as f64 / own().count() as f64;
                let mean = |column: &str| own().map(|row| row.number(column)).sum::<f64>() / own().count() as f64;
                let ids = own().next().map_or("", |row| row.text("text"));
                Ranked {
                    decoder: (*name).to_owned(),
                    risk: risks[decoder],
                    interval: interval(rounds.iter().map(|means| means[decoder]).collect()),
                    infinite,
                    calls: mean("calls"),
                    tokens: mean("tokens"),
                    tied: false,
                    example: ids.split(' ').filter_map(|id| id.parse().ok()).collect(),
                }
            })
            .collect();
        let best = best(&ranking);
        for (decoder, ranked) in ranking.iter_mut().enumerate() {
            // Infinite less infinite is no difference that could be told.
            let more =
                rounds.iter().map(|means| means[decoder] - means[best]).map(|d| if d.is_nan() { 0.0 } else { d });
            ranked.tied = interval(more.collect())[0] <= 0.0;
        }
        ranking.sort_by(order);
        let tied = || ranking.iter().filter(|ranked| ranked.tied);
        let cheapest = tied().min_by(|a, b| a.calls.total_cmp(&b.calls)).or(ranking.first());
        Advice {
            goal: goal.to_string(),
            unit: goal.unit(),
            prompts: losses.len(),
            winner: (tied().count() == 1).then(|| ranking[0].decoder.clone()),
            cheapest: cheapest.map(|ranked| ranked.decoder.clone()).unwrap_or_default(),
            ranking,
        }
    }

    /// The advice in words.
    pub fn sentence(&self) -> String {
        let tied: Vec<&str> = self.ranking.iter().filter(|r| r.tied).map(|ranked| ranked.decoder.as_str()).collect();
        match &self.winner {
            Some(winner) => format!("For {}, use {winner}: no other decoder compared has as low a risk.", self.goal),
            None => format!(
                "For {}, {} prompts do not tell these apart: {}. The cheapest of them is {}.",
                self.goal,
                self.prompts,
                tied.join(", "),
                self.cheapest
            ),
        }
    }
}

/// Least risk first; of infinite ones the one that is infinite less often; then the cheaper.
fn order(a: &Ranked, b: &Ranked) -> std::cmp::Ordering {
    let key = |ranked: &Ranked| [ranked.risk, ranked.infinite, ranked.calls];
    key(a)
        .iter()
        .zip(key(b))
        .map(|(a, b)| a.total_cmp(&b))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

fn best(ranking: &[Ranked]) -> usize {
    (0..ranking.len()).min_by(|&a, &b| order(&ranking[a], &ranking[b])).unwrap_or(0)
}

/// The decoders in the order of the table, and their losses by prompt.
fn read(table: &Table) -> (Vec<&str>, Losses) {
    let names: Vec<&str> = table.groups("decoder").into_iter().map(|(name, _)| name).collect();
    let losses = table.groups("prompt").into_iter().map(|(_, rows)| {
        let mut prompt = vec![Vec::new(); names.len()];
        for row in rows {
            if let Some(decoder) = names.iter().position(|name| *name == row.text("decoder")) {
                prompt[decoder].push(row.number("loss"));
            }
        }
        prompt
    });
    let losses = losses.collect();
    (names, losses)
}

/// JSON has no infinity.
fn finite<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*number).filter(|number| number.is_finite()).serialize(serializer)
}

fn both_finite<S: Serializer>(numbers: &[f64; 2], serializer: S) -> Result<S::Ok, S::Error> {
    numbers.map(|number| Some(number).filter(|number| number.is_finite())).serialize(serializer)
}
