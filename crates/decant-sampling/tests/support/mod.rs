//! The naive f64 twin: every rule straight from its definition, on a sorted list, with no shortcut.

#![allow(dead_code)] // each test file uses its part

pub mod agreement;
mod chance;
pub mod history;
mod learning;
mod truncation;

pub use learning::Learning;

use decant_sampling::{Coins, EntropyStats, History, Logits, SamplerSpec, Stage, TokenId, TopHRule};

/// A decision closer than this, relatively, may fall either way.
pub const MARGIN: f64 = 1e-6;

/// The survivors as the twin sees them, sorted: falling probability, of equals the lower id first.
#[derive(Clone, Debug)]
pub struct Twin {
    pub tokens: Vec<(TokenId, f64)>,
    pub temperature: f64,
    pub kept_mass: f64,
    /// What the certified stages miss at most, the largest of it.
    pub gap: Option<f64>,
    /// What the logits have been divided by since they were last given anew.
    pub cooled_by: f64,
    pub coins: Coins,
    /// How many `xtc` stages have been met.
    xtcs: u32,
    /// The closest decision that any rule took, relative.
    pub margin: f64,
    /// What the text has taught its stages so far.
    pub learning: Learning,
    /// The text so far, of which the first `prompt` tokens are the prompt.
    text: Vec<TokenId>,
    prompt: usize,
}

/// ln softmax of logits in falling order. The others are summed from the smallest up, apart from the top one's 1, or a
/// peaked row's whole tail would be rounded away.
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let rest: f64 = logits[1..].iter().rev().map(|l| (l - logits[0]).exp()).sum();
    logits.iter().map(|l| l - logits[0] - rest.ln_1p()).collect()
}

/// -Σ p ln p from ln p, in falling order.
pub fn entropy(log_p: &[f64]) -> f64 {
    // + 0.0 makes one of the two zeros.
    log_p.iter().rev().map(|log_p| -log_p.exp() * log_p).sum::<f64>() + 0.0
}

impl Twin {
    pub fn of(row: &[f32]) -> Self {
        let mut tokens: Vec<(TokenId, f64)> =
            (0..).zip(row).filter(|(_, l)| l.is_finite()).map(|(id, l)| (id, f64::from(*l))).collect();
        tokens.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        Twin {
            tokens,
            temperature: 1.0,
            kept_mass: 1.0,
            gap: None,
            cooled_by: 1.0,
            coins: Coins::fixed(0.5),
            xtcs: 0,
            margin: f64::INFINITY,
            learning: Learning::default(),
            text: Vec::new(),
            prompt: 0,
        }
    }

    fn logits(&self) -> Vec<f64> {
        self.tokens.iter().map(|(_, logit)| *logit).collect()
    }

    pub fn log_probabilities(&self) -> Vec<f64> {
        log_softmax(&self.logits())
    }

    pub fn probabilities(&self) -> Vec<f64> {
        self.log_probabilities().iter().map(|log_p| log_p.exp()).collect()
    }

    pub fn entropy(&self) -> f64 {
        entropy(&self.log_probabilities())
    }

    /// Whether `value <= bound`, remembering how close it was.
    fn at_most(&mut self, value: f64, bound: f64) -> bool {
        let scale = value.abs().max(bound.abs());
        if scale > 0.0 {
            self.margin = self.margin.min((value - bound).abs() / scale);
        }
        value <= bound
    }

    fn keep(&mut self, rule: usize, min: f64) {
        let p = self.probabilities();
        let keep = rule.max(1).max(min.round() as usize).min(p.len());
        self.kept_mass *= p[..keep].iter().sum::<f64>();
        self.tokens.truncate(keep);
    }

    /// Divides the logits by a temperature; 0 is greedy.
    fn heat(&mut self, t: f64) {
        self.temperature *= t;
        if t == 0.0 {
            self.keep(1, 1.0);
        } else {
            // However cold, the inverse temperature stays within f32.
            let t = t.max(1.0 / (self.cooled_by * f64::from(f32::MAX)));
            self.tokens.iter_mut().for_each(|(_, l)| *l /= t);
            self.cooled_by *= t;
        }
    }

    /// Runs a whole spec on a row, with coins that show 0.5.
    pub fn run(spec: &SamplerSpec, row: &[f32]) -> Self {
        Self::run_with(spec, row, History::default(), Coins::fixed(0.5))
    }

    /// Runs a whole spec on the row that stands after a text, or up to the stage that forbids every token.
    pub fn run_with(spec: &SamplerSpec, row: &[f32], text: History<'_>, coins: Coins) -> Self {
        let prompt = text.all().len() - text.generated().len();
        Twin { text: text.all().to_vec(), prompt, coins, ..Twin::of(row) }.run_on(spec, row)
    }

    /// Runs a whole spec on a row of a text that has taught its stages something.
    pub fn run_after(spec: &SamplerSpec, row: &[f32], learning: Learning) -> Self {
        Twin { learning, ..Twin::of(row) }.run_on(spec, row)
    }

    fn run_on(mut self, spec: &SamplerSpec, row: &[f32]) -> Self {
        let signals = EntropyStats::of(&Logits::new(row).unwrap()).signals();
        for (place, stage) in spec.0.iter().enumerate() {
            self.learning.place = place;
            self.apply(stage, &signals);
            if self.tokens.is_empty() {
                break;
            }
        }
        self
    }

    fn apply(&mut self, stage: &Stage, signals: &decant_sampling::Signals) {
        let p = self.probabilities();
        let n = p.len();
        let cumulated: Vec<f64> = p
            .iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .collect();
        match stage {
            Stage::Temp(stage) => {
                self.heat(stage.t.at(signals));
            }
            Stage::TopK(stage) => {
                let k = stage.k.at(signals).round();
                if k >= 1.0 {
                    self.keep(k as usize, stage.min_tokens_to_keep.at(signals));
                }
            }
            Stage::TopP(stage) => {
                let bound = stage.p.at(signals);
                if bound < 1.0 {
                    let reached = (0..n).find(|k| self.at_most(bound, cumulated[*k]));
                    self.keep(reached.map_or(n, |k| k + 1), stage.min_tokens_to_keep.at(signals));
                }
            }
            Stage::MinP(stage) => {
                let bound = stage.ratio.at(signals) * p[0];
                let below = (0..n).find(|k| !self.at_most(bound, p[*k]));
                self.keep(below.unwrap_or(n), stage.min_tokens_to_keep.at(signals));
            }
            Stage::TopH(stage) => {
                let alpha = stage.alpha.at(signals);
                if alpha < 1.0 {
                    let limit = stage.n.at(signals).round() as usize;
                    let keep = self.top_h(alpha, stage.rule, limit, &p);
                    if stage.certify && stage.rule == TopHRule::Paper {
                        let missed = self.missed(keep, alpha * self.entropy());
                        self.gap = Some(self.gap.map_or(missed, |gap| gap.max(missed)));
                    }
                    self.keep(keep, stage.min_tokens_to_keep.at(signals));
                }
            }
            Stage::Typical(stage) => self.typical(stage, signals),
            Stage::Epsilon(stage) => self.epsilon(stage, signals),
            Stage::Eta(stage) => self.eta(stage, signals),
            Stage::TopNSigma(stage) => self.top_n_sigma(stage, signals),
            Stage::PLess(stage) => self.p_less(stage, signals),
            Stage::MinK(stage) => self.min_k(stage, signals),
            Stage::TopB(stage) => self.top_b(stage, signals),
            Stage::TopA(stage) => self.top_a(stage, signals),
            Stage::Tfs(stage) => self.tfs(stage, signals),
            Stage::Xtc(stage) => self.xtc(stage, signals),
            Stage::Dynatemp(stage) => self.dynatemp(stage, signals),
            Stage::Edt(stage) => self.edt(stage, signals),
            Stage::Smoothing(stage) => self.smoothing(stage, signals),
            Stage::Mirostat(stage) => self.mirostat(stage, signals),
            Stage::AdaptiveP(stage) => self.adaptive_p(stage, signals),
            Stage::LogitBias(stage) => self.logit_bias(stage),
            Stage::RepetitionPenalty(stage) => self.repetition_penalty(stage, signals),
            Stage::FrequencyPenalty(stage) => self.frequency_penalty(stage, signals),
            Stage::PresencePenalty(stage) => self.presence_penalty(stage, signals),
            Stage::NoRepeatNgram(stage) => self.no_repeat_ngram(stage, signals),
            Stage::Dry(stage) => self.dry(stage, signals),
            other => panic!("the twin does not know {other:?}"),
        }
    }

    /// The three rules, each prefix's entropy from its definition.
    fn top_h(&mut self, alpha: f64, rule: TopHRule, n: usize, p: &[f64]) -> usize {
        let n = if rule == TopHRule::Paper { p.len() } else { n.min(p.len()) };
        // `hf` renormalises to the top n first; `ref` sums -p ln p as it stands.
        let logits = self.logits();
        let log_p = if rule == TopHRule::Hf { log_softmax(&logits[..n]) } else { log_softmax(&logits) };
        let bound = alpha * entropy(&log_p[..n]);
        for k in 2..=n {
            let value = match rule {
                TopHRule::Paper => entropy(&log_softmax(&logits[..k])),
                TopHRule::Ref | TopHRule::Hf => entropy(&log_p[..k]),
            };
            if !self.at_most(value, bound) {
                return k - 1;
            }
        }
        n
    }

    /// The mass of as much of the token after the first `keep` as the limit on entropy allows, by bisection.
    fn missed(&self, keep: usize, limit: f64) -> f64 {
        let p = self.probabilities();
        let Some(next) = p.get(keep) else { return 0.0 };
        let (mut fits, mut too_much) = (0.0, 1.0);
        for _ in 0..60 {
            let share = 0.5 * (fits + too_much);
            let terms = || p[..keep].iter().map(|p| (1.0, p)).chain([(share, next)]).filter(|(_, p)| **p > 0.0);
            let s: f64 = terms().map(|(share, p)| share * p).sum();
            let e: f64 = terms().map(|(share, p)| -share * p * p.ln()).sum();
            match s.ln() + e / s <= limit {
                true => fits = share,
                false => too_much = share,
            }
        }
        fits * next
    }
}

/// A small generator, so that a row can be asked for by seed: xorshift64*.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.unit() * (i + 1) as f64) as usize);
        }
    }

    /// scale · (0.5 N(0,1) - ln(rank + 1) + 12), shuffled: the shape of a language model's row.
    pub fn zipf(&mut self, vocab: usize, scale: f64) -> Vec<f32> {
        let mut row: Vec<f32> =
            (0..vocab).map(|rank| (scale * (0.5 * self.normal() - (rank as f64 + 1.0).ln() + 12.0)) as f32).collect();
        self.shuffle(&mut row);
        row
    }
}

/// Rows on which rules differ: random, peaked, flat, tied, masked, one token, one-hot.
pub fn rows(seed: u64) -> Vec<(&'static str, Vec<f32>)> {
    let mut numbers = Numbers(seed.wrapping_mul(2).wrapping_add(1));
    let mut rows = Vec::new();
    for vocab in [2, 10, 257, 5000] {
        rows.push(("random", (0..vocab).map(|_| (numbers.normal() * 3.0) as f32).collect()));
        rows.push(("peaked", numbers.zipf(vocab, 3.0)));
        rows.push(("medium", numbers.zipf(vocab, 1.2)));
        rows.push(("flat", numbers.zipf(vocab, 0.2)));
        rows.push(("tied", (0..vocab).map(|_| (numbers.unit() * 4.0).floor() as f32).collect()));
        let mut masked = numbers.zipf(vocab, 1.0);
        for logit in &mut masked[1..] {
            if numbers.unit() < 0.6 {
                *logit = f32::NEG_INFINITY;
            }
        }
        rows.push(("masked", masked));
        let mut one_hot = vec![f32::NEG_INFINITY; vocab];
        one_hot[vocab / 2] = -1.5;
        rows.push(("one-hot", one_hot));
        let mut dominated = numbers.zipf(vocab, 0.1);
        dominated[vocab / 2] += 12.0;
        rows.push(("one above many", dominated));
    }
    rows.push(("one token", vec![0.25]));
    rows
}
