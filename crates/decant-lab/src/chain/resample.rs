//! Samplers on rows that are known exactly: the law of what they draw.
//!
//! The rules are those of `decant-sampling`, here in f64. A decision within 1e-12, relatively, counts as one between
//! equals, so that nine of ten equal tokens hold a mass of 0.9 whatever their sum is rounded to.

use super::scaled::{TIE, reaches, sort_falling};
use super::{ChainError, Edge, Law};
use decant_sampling::stages::TopH;
use decant_sampling::{SamplerSpec, Schedule, Signals, Stage, TopHRule};

/// The law of sampling from another one, with the stages of a sampler applied to every row, renormalised after each.
pub(crate) fn resample(law: &Law, spec: &SamplerSpec) -> Result<Law, ChainError> {
    let stages = spec.effective().0;
    if stages.is_empty() {
        return Ok(law.clone());
    }
    law.map_rows(|edges| {
        // Beyond the last position there is no row.
        let Some(mut row) = Row::of(edges) else { return Ok(Vec::new()) };
        let signals = row.signals();
        stages.iter().try_for_each(|stage| row.apply(stage, &signals))?;
        Ok(row.edges())
    })
}

/// Checks that every stage that acts is one whose law is known, on the row of one token.
pub(crate) fn check_stages(spec: &SamplerSpec) -> Result<(), ChainError> {
    let certain = Edge { token: 0, p: 1.0, log_p: 0.0, to: 0 };
    let mut row = Row { kept: vec![certain] };
    let signals = row.signals();
    spec.effective().0.iter().try_for_each(|stage| row.apply(stage, &signals))
}

/// What is left of a row: tokens in falling probability, of equals the lower first. Never empty.
struct Row {
    kept: Vec<Edge>,
}

impl Row {
    fn of(edges: &[Edge]) -> Option<Self> {
        let mut kept = edges.to_vec();
        sort_falling(&mut kept, |edge| edge.log_p, |a, b| a >= b - TIE);
        let mut row = (!kept.is_empty()).then_some(Row { kept })?;
        row.normalise();
        Some(row)
    }

    /// The edges in rising order of tokens.
    fn edges(mut self) -> Vec<Edge> {
        self.kept.sort_by_key(|edge| edge.token);
        self.kept
    }

    /// All prefixes, from the first token alone to everything.
    fn prefixes(&self) -> Vec<Prefix> {
        let top = self.kept[0].log_p;
        let longer = |prefix: &mut Prefix, edge: &Edge| {
            let (x, weight) = (edge.log_p - top, libm::exp(edge.log_p - top));
            *prefix = Prefix { rest: prefix.rest + weight, first: prefix.first + x * weight };
            Some(*prefix)
        };
        let alone = Prefix { rest: 0.0, first: 0.0 };
        std::iter::once(alone).chain(self.kept[1..].iter().scan(alone, longer)).collect()
    }

    fn whole(&self) -> Prefix {
        self.prefixes()[self.kept.len() - 1]
    }

    /// What a schedule may follow, of a row that no stage has touched.
    fn signals(&self) -> Signals {
        let entropy = self.whole().entropy();
        let square = |x: f64| x * x;
        Signals {
            entropy,
            varentropy: self.kept.iter().map(|edge| edge.p * square(-edge.log_p - entropy)).sum(),
            max_prob: self.kept[0].p,
            support: self.kept.len() as u32,
        }
    }

    fn apply(&mut self, stage: &Stage, signals: &Signals) -> Result<(), ChainError> {
        let all = self.kept.len();
        let (keep, least): (usize, &Schedule) = match stage {
            Stage::Temp(stage) => {
                self.cool(stage.t.at(signals));
                return Ok(());
            }
            Stage::TopK(stage) => match stage.k.count_at(signals) {
                0 => (all, &stage.min_tokens_to_keep),
                k => (k, &stage.min_tokens_to_keep),
            },
            Stage::TopP(stage) => (self.top_p(stage.p.at(signals)), &stage.min_tokens_to_keep),
            Stage::MinP(stage) => (self.min_p(stage.ratio.at(signals)), &stage.min_tokens_to_keep),
            Stage::TopH(stage) => (self.top_h(stage, signals), &stage.min_tokens_to_keep),
            other => return Err(ChainError::Stage(other.info().name)),
        };
        self.kept.truncate(keep.max(least.count_at(signals)).clamp(1, all));
        self.normalise();
        Ok(())
    }

    fn cool(&mut self, t: f64) {
        match t {
            0.0 => self.kept.truncate(1),
            t => self.kept.iter_mut().for_each(|edge| edge.log_p /= t),
        }
        self.normalise();
    }

    fn top_p(&self, p: f64) -> usize {
        let (prefixes, whole) = (self.prefixes(), self.whole().weight());
        let reached = prefixes.iter().position(|prefix| p < 1.0 && reaches(prefix.weight() / whole, p));
        reached.map_or(prefixes.len(), |last| last + 1)
    }

    fn min_p(&self, ratio: f64) -> usize {
        let bound = self.kept[0].log_p + libm::log(ratio) - TIE;
        self.kept.iter().take_while(|edge| edge.log_p >= bound).count()
    }

    fn top_h(&self, stage: &TopH, signals: &Signals) -> usize {
        let (mut prefixes, alpha) = (self.prefixes(), stage.alpha.at(signals));
        let all = self.whole();
        if alpha >= 1.0 {
            return prefixes.len();
        }
        if stage.rule != TopHRule::Paper {
            prefixes.truncate(stage.n.count_at(signals).max(1));
        }
        let top = prefixes[prefixes.len() - 1];
        let value = |prefix: &Prefix| match stage.rule {
            TopHRule::Paper => prefix.entropy(),
            TopHRule::Ref => prefix.partial_entropy(&all),
            TopHRule::Hf => prefix.partial_entropy(&top),
        };
        let bound = alpha * value(&top) * (1.0 + TIE);
        prefixes.iter().skip(1).take_while(|prefix| value(prefix) <= bound).count() + 1
    }

    /// Divides what is left by its sum.
    fn normalise(&mut self) {
        let (top, log_weight) = (self.kept[0].log_p, self.whole().log_weight());
        for edge in &mut self.kept {
            edge.log_p = edge.log_p - top - log_weight;
            edge.p = libm::exp(edge.log_p);
        }
    }
}

/// The first tokens of a row by their sums: with x = ln p - ln p_1, Σe^x and Σx·e^x over all of them but the top one,
/// whose 1 the others of a peaked row would be lost in (as in `decant_sampling::EntropyStats`).
#[derive(Clone, Copy)]
struct Prefix {
    rest: f64,
    first: f64,
}

impl Prefix {
    fn weight(&self) -> f64 {
        1.0 + self.rest
    }

    fn log_weight(&self) -> f64 {
        libm::log1p(self.rest)
    }

    /// H of the prefix renormalised.
    fn entropy(&self) -> f64 {
        self.log_weight() - self.first / self.weight()
    }

    /// -Σ p ln p over the prefix, p as shares of a longer prefix.
    fn partial_entropy(&self, of: &Prefix) -> f64 {
        self.weight() / of.weight() * (self.entropy() + of.log_weight() - self.log_weight())
    }
}
