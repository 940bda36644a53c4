//! The twins of the stages that bend the row and of those that learn from what was drawn.

use super::Twin;
use decant_sampling::stages::{AdaptiveP, Dynatemp, Edt, Mirostat, Smoothing};
use decant_sampling::{EntropyStats, Logits, SamplerSpec, Signals, Stage, TokenId};
use std::collections::BTreeMap;

/// What a text has taught its stages, each by its place in the spec.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    memory: BTreeMap<usize, f64>,
    /// The place of the stage that runs now.
    pub place: usize,
    /// What each stage that learns found: the survivors and their probabilities.
    found: BTreeMap<usize, Vec<(TokenId, f64)>>,
}

impl Twin {
    /// What the stages know after this step, if it drew `token` from `row`.
    pub fn learn(self, spec: &SamplerSpec, row: &[f32], token: TokenId) -> Learning {
        let signals = EntropyStats::of(&Logits::new(row).unwrap()).signals();
        let Learning { mut memory, found, .. } = self.learning;
        for (place, survivors) in &found {
            let p = survivors.iter().find(|(other, _)| *other == token).unwrap().1;
            let old = memory[place];
            let new = match &spec.0[*place] {
                Stage::Mirostat(stage) => old - stage.eta.at(&signals) * (-p.log2() - stage.tau.at(&signals)),
                Stage::AdaptiveP(stage) => {
                    let decay = stage.decay.at(&signals);
                    decay * old + (1.0 - decay) * p
                }
                other => panic!("{other:?} does not learn"),
            };
            memory.insert(*place, new);
        }
        Learning { memory, ..Learning::default() }
    }

    /// What the running stage remembers, having looked at the survivors.
    fn memory(&mut self, start: f64) -> f64 {
        let survivors = self.tokens.iter().zip(self.probabilities()).map(|((token, _), p)| (*token, p)).collect();
        self.learning.found.insert(self.learning.place, survivors);
        *self.learning.memory.entry(self.learning.place).or_insert(start)
    }

    /// Gives every survivor the logit that `shape` makes of its ln (p / p_max).
    fn reshape(&mut self, shape: impl Fn(f64) -> f64) {
        let top = self.tokens[0].1;
        self.cooled_by = 1.0;
        // A row holds f32, and no infinity.
        let logit = |x: f64| f64::from(shape(x).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32);
        self.tokens.iter_mut().for_each(|(_, l)| *l = logit(*l - top));
        self.tokens.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
    }

    pub(super) fn dynatemp(&mut self, stage: &Dynatemp, signals: &Signals) {
        let (low, high) = (stage.low.at(signals), stage.high.at(signals));
        let n = self.tokens.len();
        let norm = if n == 1 { 0.0 } else { self.entropy() / (n as f64).ln() };
        self.heat(low + (high - low) * norm.powf(stage.exponent.at(signals)));
    }

    pub(super) fn edt(&mut self, stage: &Edt, signals: &Signals) {
        let theta = stage.theta.at(signals);
        let power = if theta == 0.0 { 0.0 } else { theta / self.entropy() };
        self.heat(stage.t0.at(signals) * stage.base.at(signals).powf(power));
    }

    pub(super) fn smoothing(&mut self, stage: &Smoothing, signals: &Signals) {
        let (factor, curve) = (stage.factor.at(signals), stage.curve.at(signals));
        if factor != 0.0 {
            let (k, s) = ((3.0 - curve) / 2.0, (curve - 1.0) / 2.0);
            self.reshape(|d| -(k * factor * d.powi(2)) + (s * factor * d.powi(3)));
        }
    }

    pub(super) fn mirostat(&mut self, stage: &Mirostat, signals: &Signals) {
        let mu = self.memory(2.0 * stage.tau.at(signals));
        let log_p = self.log_probabilities();
        let keep = match stage.version.at(signals).round() {
            0.0 => return,
            1.0 => {
                let (mut products, mut squares) = (0.0, 0.0);
                for i in 0..99.min(log_p.len() - 1) {
                    let (t, b) = (((i + 2) as f64 / (i + 1) as f64).ln(), log_p[i] - log_p[i + 1]);
                    products += t * b;
                    squares += t * t;
                }
                let (s, n) = (products / squares, log_p.len() as f64);
                let k = ((s - 1.0) * mu.exp2() / (1.0 - n.powf(1.0 - s))).powf(1.0 / s);
                self.at_most(k.round(), k);
                k as usize
            }
            _ => (0..log_p.len()).find(|i| !self.at_most(-log_p[*i] / 2f64.ln(), mu)).unwrap_or(log_p.len()),
        };
        self.keep(keep, stage.min_tokens_to_keep.at(signals));
    }

    pub(super) fn adaptive_p(&mut self, stage: &AdaptiveP, signals: &Signals) {
        let target = stage.target.at(signals);
        let mean = self.memory(target);
        if target >= 0.0 {
            let (aim, max_prob) = ((2.0 * target - mean).clamp(0.0, 1.0), self.probabilities()[0]);
            self.reshape(|x| {
                let d = (max_prob * x.exp() - aim).abs() / 0.3;
                5.0 - 10.0 * d * d / (1.0 + d)
            });
        }
    }
}
