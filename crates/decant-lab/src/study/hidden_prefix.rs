//! The study `hidden-prefix`: what an exact method must ask of a model, at worst.

use super::parameters::at_least_one;
use super::{Row, Settings, Study, StudyError, Table, row};
use crate::plot::{Axis, Mark, Panel, Picture, Series};
use crate::random::Draws;
use decant_decode::{DecodeSpec, Decoder, Feed, LanguageModel, Limits, ModelError, Rows};
use decant_sampling::{Sampler, SamplerSpec, Seed, TokenId};
use serde::{Deserialize, Serialize};

/// A cell for each vocabulary and length: the queries (rows of the model) that our own best-first search for the most
/// probable sequence makes until it is proven, over hidden prefixes: all of them, or the first, the last, and random ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HiddenPrefix {
    vocabs: Vec<usize>,
    /// The longest sequence that is tried, as far as `prefixes` allows.
    length: u32,
    /// Only lengths with so many prefixes of T - 1 tokens, at most.
    prefixes: usize,
    /// Of how many hidden prefixes the queries are counted, at most.
    trials: usize,
}

impl Default for HiddenPrefix {
    fn default() -> Self {
        HiddenPrefix { vocabs: vec![2, 3, 5, 10], length: 13, prefixes: 4096, trials: 64 }
    }
}

/// All conditionals are uniform but one: after `prefix`, token 0 is certain. So the most probable sequence is the prefix
/// and 0, and nothing but the row after the prefix tells.
struct Hidden {
    vocab: usize,
    prefix: Vec<TokenId>,
}

impl LanguageModel for Hidden {
    /// The tokens fed; the first stands for the beginning.
    type Cache = Vec<TokenId>;

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn context(&self) -> usize {
        self.prefix.len() + 2
    }

    fn empty(&self) -> Vec<TokenId> {
        Vec::new()
    }

    fn len(&self, cache: &Vec<TokenId>) -> usize {
        cache.len()
    }

    fn rewind(&self, cache: &mut Vec<TokenId>, len: usize) {
        cache.truncate(len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, Vec<TokenId>>]) -> Result<Vec<Rows>, ModelError> {
        batch.iter().try_for_each(|feed| feed.check(feed.cache.len(), self.vocab, self.context()))?;
        let rows = |feed: &mut Feed<'_, Vec<TokenId>>| {
            feed.cache.extend_from_slice(feed.tokens);
            let first = feed.cache.len() - feed.want.rows(feed.tokens.len());
            let mut rows = vec![0.0; (feed.cache.len() - first) * self.vocab];
            for (row, at) in rows.chunks_mut(self.vocab).zip(first..) {
                if feed.cache[1..=at] == self.prefix {
                    row[1..].fill(f32::NEG_INFINITY);
                }
            }
            Rows::new(rows, self.vocab)
        };
        Ok(batch.iter_mut().map(rows).collect())
    }
}

impl Hidden {
    /// The one whose prefix of `length - 1` tokens is of this rank in lexicographic order.
    fn new(vocab: usize, length: u32, rank: usize) -> Self {
        let digit = |place| (rank / vocab.pow(place) % vocab) as TokenId;
        Hidden { vocab, prefix: (0..length - 1).rev().map(digit).collect() }
    }

    /// How many rows the search for the most probable sequence asks for, the first one included.
    fn queries(&self) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        let length = self.prefix.len() + 1;
        let sampler = Sampler::new(&SamplerSpec::default(), self.vocab)?;
        let limits = Limits { max_tokens: length, ends: vec![], ignore_eos: true };
        let decoder = Decoder::new(self, sampler, limits)?;
        let mut state = decoder.start(&[0], Seed(0), 0)?;
        // There are fewer prefixes than half of that, and a proof may take half of the budget.
        let budget = 2 * self.vocab.pow(length as u32);
        let outcome = decoder.decode(&DecodeSpec::Map { len: length, budget }, &mut state, &mut ())?;
        let found = state.generated().strip_suffix(&[0]) == Some(&self.prefix);
        match (found, outcome.proven) {
            (true, Some(true)) => Ok(1 + outcome.cost.calls),
            _ => Err("the search did not find and prove the hidden sequence".into()),
        }
    }
}

impl HiddenPrefix {
    pub(super) fn study(settings: &Settings) -> Result<Box<dyn Study>, StudyError> {
        let study: HiddenPrefix = settings.read()?;
        at_least_one("trials", study.trials as u64)?;
        if let Some(vocab) = study.vocabs.iter().find(|vocab| **vocab < 2) {
            return Err(StudyError::parameter(format!("vocabs: {vocab} is below 2")));
        }
        if study.prefixes > 1 << 20 {
            return Err(StudyError::parameter(format!("prefixes: {} is above 2^20", study.prefixes)));
        }
        Ok(Box::new(study))
    }

    /// Vocabularies and lengths, and how many prefixes there are.
    fn sizes(&self) -> Vec<(usize, u32, usize)> {
        let size = |vocab: usize, length: u32| {
            let prefixes = vocab.checked_pow(length - 1).filter(|prefixes| *prefixes <= self.prefixes)?;
            Some((vocab, length, prefixes))
        };
        let lengths = |vocab: &usize| (2..=self.length).map_while(|length| size(*vocab, length)).collect::<Vec<_>>();
        self.vocabs.iter().flat_map(lengths).collect()
    }
}

impl Study for HiddenPrefix {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn columns(&self) -> &'static [&'static str] {
        &["vocab", "length", "prefixes", "mean_queries", "most_queries"]
    }

    fn cells(&self) -> usize {
        self.sizes().len()
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        let (vocab, length, prefixes) = self.sizes()[cell];
        let ranks: Vec<usize> = match prefixes <= self.trials {
            true => (0..prefixes).collect(),
            false => {
                let mut draws = Draws::new(seed, cell as u32, 0);
                let random = (2..self.trials).map(|_| draws.below(prefixes));
                [0, prefixes - 1].into_iter().chain(random).collect()
            }
        };
        let queries: Vec<u64> = ranks
            .iter()
            .map(|rank| Hidden::new(vocab, length, *rank).queries())
            .collect::<Result<_, _>>()
            .map_err(|error| StudyError::cell(cell, error))?;
        let mean = queries.iter().sum::<u64>() as f64 / queries.len() as f64;
        Ok(vec![row![vocab, length, prefixes, mean, queries.iter().copied().max().unwrap_or(0)]])
    }

    fn picture(&self, table: &Table) -> Picture {
        let panel = |title: &str, column: &str| {
            let panel = Panel::new(title, Axis::log("prefixes, V^(T-1)"), Axis::log("queries"));
            let ends = [1.0, self.prefixes as f64];
            let panel = panel.with(Series::new("V^(T-1)", Mark::Line, ends.map(|end| (end, end))));
            table.groups("vocab").into_iter().fold(panel, |panel, (vocab, rows)| {
                let points = rows.iter().map(|row| (row.number("prefixes"), row.number(column)));
                panel.with(Series::new(format!("V = {vocab}"), Mark::Points, points))
            })
        };
        let title = "Queries until the most probable sequence is proven, where one prefix hides it";
        Picture::new(title).with(panel("at most", "most_queries")).with(panel("on average", "mean_queries"))
    }
}
