//! The twins of the truncations by floor, by distance and by shape, each from its definition.

use super::Twin;
use decant_sampling::stages::{Epsilon, Eta, MinK, PLess, Tfs, TopA, TopB, TopNSigma, Typical, Xtc};
use decant_sampling::{Coins, Signals};

impl Twin {
    /// Keeps p_i >= bound, and in any case the top token and its equals.
    fn floor(&mut self, bound: f64, min: f64) {
        let p = self.probabilities();
        let equals = self.tokens.iter().filter(|(_, logit)| *logit == self.tokens[0].1).count();
        let below = (equals..p.len()).find(|k| !self.at_most(bound, p[*k]));
        self.keep(below.unwrap_or(p.len()), min);
    }

    pub fn epsilon(&mut self, stage: &Epsilon, signals: &Signals) {
        self.floor(stage.eps.at(signals), stage.min_tokens_to_keep.at(signals));
    }

    pub fn eta(&mut self, stage: &Eta, signals: &Signals) {
        let eps = stage.eps.at(signals);
        self.floor(eps.min(eps.sqrt() * (-self.entropy()).exp()), stage.min_tokens_to_keep.at(signals));
    }

    pub fn top_a(&mut self, stage: &TopA, signals: &Signals) {
        let top = self.probabilities()[0];
        self.floor(stage.a.at(signals) * top * top, stage.min_tokens_to_keep.at(signals));
    }

    pub fn top_b(&mut self, stage: &TopB, signals: &Signals) {
        let (p, v) = (self.probabilities(), self.tokens.len() as f64);
        if v > 1.0 {
            let bound = p[0] * (1.0 - stage.b.at(signals) * (1.0 + self.entropy() / v.ln()));
            self.floor(bound, stage.min_tokens_to_keep.at(signals));
        }
    }

    pub fn p_less(&mut self, stage: &PLess, signals: &Signals) {
        if !stage.on {
            return;
        }
        let (p, v) = (self.probabilities(), self.tokens.len() as f64);
        let agree: f64 = p.iter().rev().map(|p| p * p).sum();
        let bound = match stage.norm {
            false => agree,
            true if v > 1.0 => (v * agree - 1.0) / (v - 1.0),
            true => 0.0,
        };
        self.floor(bound, stage.min_tokens_to_keep.at(signals));
    }

    pub fn top_n_sigma(&mut self, stage: &TopNSigma, signals: &Signals) {
        let (n, logits) = (stage.n.at(signals), self.logits());
        if n <= 0.0 {
            return;
        }
        let mean = logits.iter().sum::<f64>() / logits.len() as f64;
        let variance = logits.iter().map(|l| (l - mean) * (l - mean)).sum::<f64>() / logits.len() as f64;
        let below = (0..logits.len()).find(|k| !self.at_most(logits[0] - logits[*k], n * variance.sqrt()));
        self.keep(below.unwrap_or(logits.len()), stage.min_tokens_to_keep.at(signals));
    }

    pub fn min_k(&mut self, stage: &MinK, signals: &Signals) {
        let logits: Vec<f64> = self.logits().iter().map(|l| l * self.cooled_by).collect();
        let range = logits[0] - logits[logits.len() - 1];
        if range == 0.0 {
            return;
        }
        let slopes: Vec<f64> = (1..logits.len()).map(|i| (logits[i - 1] - logits[i]) / (range * i as f64)).collect();
        let mut best = 0;
        for (i, slope) in slopes.iter().enumerate() {
            if *slope > slopes[best] {
                best = i;
            }
        }
        for (i, slope) in slopes.iter().enumerate() {
            if i != best {
                self.at_most(*slope, slopes[best]);
            }
        }
        let flat = stage.tau.at(signals) / range;
        if flat.round() > (best + 1) as f64 {
            self.at_most(flat.round(), flat);
        }
        self.keep((flat.floor() as usize).max(best + 1), stage.min_tokens_to_keep.at(signals));
    }

    pub fn tfs(&mut self, stage: &Tfs, signals: &Signals) {
        let (z, p) = (stage.z.at(signals), self.probabilities());
        let bends: Vec<f64> = p.windows(3).map(|p| (p[0] - 2.0 * p[1] + p[2]).abs()).collect();
        let total: f64 = bends.iter().sum();
        if z >= 1.0 || total == 0.0 {
            return;
        }
        let mut sum = 0.0;
        let passed = bends.iter().position(|bend| {
            sum += bend;
            !self.at_most(sum, z * total)
        });
        self.keep(passed.unwrap_or(p.len()), stage.min_tokens_to_keep.at(signals));
    }

    pub fn typical(&mut self, stage: &Typical, signals: &Signals) {
        let (tau, entropy) = (stage.tau.at(signals), self.entropy());
        if tau >= 1.0 {
            return;
        }
        let log_p = self.log_probabilities();
        let mut ranked: Vec<(f64, usize)> = (0..).zip(&log_p).map(|(i, log_p)| ((-log_p - entropy).abs(), i)).collect();
        ranked.sort_by(|(a, i), (b, j)| a.total_cmp(b).then(self.tokens[*i].0.cmp(&self.tokens[*j].0)));
        let (mut mass, mut keep) = (0.0, 0);
        while keep < ranked.len() {
            mass += log_p[ranked[keep].1].exp();
            keep += 1;
            if self.at_most(tau, mass) {
                break;
            }
        }
        keep = keep.max(stage.min_tokens_to_keep.at(signals).round() as usize).min(ranked.len());
        // Tokens of another logit that are as far off as the last one could as well stand on its other side.
        let (distance, last) = ranked[keep - 1];
        for (other, i) in &ranked {
            if self.tokens[*i].1 != self.tokens[last].1 {
                let scale = distance.max(*other).max(entropy);
                self.margin = self.margin.min((other - distance).abs() / scale);
            }
        }
        let mut kept: Vec<usize> = ranked[..keep].iter().map(|(_, i)| *i).collect();
        kept.sort_unstable();
        self.kept_mass *= kept.iter().rev().map(|i| log_p[*i].exp()).sum::<f64>();
        self.tokens = kept.into_iter().map(|i| self.tokens[i]).collect();
    }

    pub fn xtc(&mut self, stage: &Xtc, signals: &Signals) {
        if stage.probability == 0.0.into() {
            return;
        }
        let coin = self.coins.uniform(Coins::XTC + self.xtcs);
        self.xtcs += 1;
        if self.at_most(stage.probability.at(signals), coin) {
            return;
        }
        let (p, threshold) = (self.probabilities(), stage.threshold.at(signals));
        let reached = (0..p.len()).find(|k| !self.at_most(threshold, p[*k])).unwrap_or(p.len());
        let dropped = reached.saturating_sub(1);
        if p.len() - dropped >= stage.min_tokens_to_keep.at(signals).round() as usize {
            self.tokens.drain(..dropped);
        }
    }
}
