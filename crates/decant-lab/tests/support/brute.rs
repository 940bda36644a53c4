//! The naive twin of the lab's laws: everything by its definition, over the list of all sequences.

use decant_lab::chain::{Chain, Decoder, Joint, Loss};
use decant_sampling::{Schedule, Signals, Stage, TopHRule};

/// Relative difference within which numbers are equal.
const TIE: f64 = 1e-12;

type Text = Vec<u32>;

/// P(next | prefix).
type Next = Box<dyn Fn(&[u32]) -> Vec<f64>>;

pub struct Brute {
    vocab: usize,
    length: usize,
    /// All sequences in lexicographic order.
    texts: Vec<Text>,
    next: Next,
}

/// What a decoder says: a text, or the probability of every text.
pub enum Said {
    Text(Text),
    Drawn(Vec<f64>),
}

fn texts(vocab: usize, length: usize) -> Vec<Text> {
    (0..length).fold(vec![vec![]], |texts: Vec<Text>, _| {
        texts.iter().flat_map(|text| (0..vocab as u32).map(move |v| [&text[..], &[v]].concat())).collect()
    })
}

/// The first index whose value is the largest, but for rounding.
fn first_best(values: &[f64]) -> usize {
    let best = values.iter().copied().fold(f64::MIN, f64::max);
    values.iter().position(|value| *value >= best - best.abs() * TIE).unwrap()
}

pub fn loss(loss: Loss, truth: &[u32], guess: &[u32]) -> f64 {
    let n = match loss {
        Loss::Exact => truth.len(),
        Loss::Hamming => 1,
        Loss::Ngram(n) => n,
        Loss::CrossEntropy => unreachable!(),
    };
    let wrong = (0..=truth.len() - n).filter(|&t| truth[t..t + n] != guess[t..t + n]).count();
    wrong as f64 / (truth.len() - n + 1) as f64
}

impl Brute {
    pub fn of_chain(chain: &Chain) -> Self {
        let (vocab, length, chain) = (chain.vocab(), chain.length(), chain.clone());
        let next = move |prefix: &[u32]| match prefix.last() {
            None => chain.start().to_vec(),
            Some(&last) => chain.transition()[last as usize].clone(),
        };
        Brute { vocab, length, texts: texts(vocab, length), next: Box::new(next) }
    }

    pub fn of_joint(joint: &Joint, vocab: usize, length: usize) -> Self {
        let joint = joint.clone();
        let mass = move |prefix: &[u32]| -> f64 {
            joint.entries().iter().filter(|entry| entry.sequence.starts_with(prefix)).map(|entry| entry.p).sum()
        };
        let next = move |prefix: &[u32]| {
            let whole = mass(prefix);
            let share = |v| if whole > 0.0 { mass(&[prefix, &[v]].concat()) / whole } else { 0.0 };
            (0..vocab as u32).map(share).collect()
        };
        Brute { vocab, length, texts: texts(vocab, length), next: Box::new(next) }
    }

    /// ln of the probability of going on with `block` after `prefix`, where `change` acts on every row of ln p.
    fn log_probability(&self, prefix: &[u32], block: &[u32], change: &dyn Fn(&[f64]) -> Vec<f64>) -> f64 {
        let mut total = 0.0;
        for i in 0..block.len() {
            let row: Vec<f64> = (self.next)(&[prefix, &block[..i]].concat()).iter().map(|p| p.ln()).collect();
            match change(&row)[block[i] as usize] {
                f64::NEG_INFINITY => return f64::NEG_INFINITY,
                log_p => total += log_p,
            }
        }
        total
    }

    fn probability(&self, text: &[u32]) -> f64 {
        self.log_probability(&[], text, &<[f64]>::to_vec).exp()
    }

    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    fn law(&self) -> Vec<f64> {
        self.texts.iter().map(|text| self.probability(text)).collect()
    }

    /// The most probable block of `k` tokens after a prefix.
    fn best_block(&self, prefix: &[u32], k: usize) -> Text {
        let blocks = texts(self.vocab, k);
        let ps: Vec<f64> =
            blocks.iter().map(|block| self.log_probability(prefix, block, &<[f64]>::to_vec).exp()).collect();
        blocks[first_best(&ps)].clone()
    }

    fn lookahead(&self, k: usize) -> Text {
        (0..self.length).fold(vec![], |text, t| {
            let first = self.best_block(&text, k.min(self.length - t))[0];
            [&text[..], &[first]].concat()
        })
    }

    fn modes(&self) -> Text {
        let law = self.law();
        let marginal = |t: usize, v: u32| -> f64 {
            self.texts.iter().zip(&law).filter(|(text, _)| text[t] == v).map(|(_, p)| p).sum()
        };
        let mode = |t| first_best(&(0..self.vocab as u32).map(|v| marginal(t, v)).collect::<Vec<_>>()) as u32;
        (0..self.length).map(mode).collect()
    }

    fn beam(&self, width: usize) -> Text {
        let mut beam: Vec<Text> = vec![vec![]];
        for _ in 0..self.length {
            let mut longer: Vec<Text> =
                beam.iter().flat_map(|text| (0..self.vocab as u32).map(move |v| [&text[..], &[v]].concat())).collect();
            longer.sort();
            // One after the other, the first of the best that are left.
            beam.clear();
            while beam.len() < width && !longer.is_empty() {
                let ps: Vec<f64> = longer.iter().map(|text| self.probability(text)).collect();
                let best = first_best(&ps);
                if ps[best] == 0.0 {
                    break;
                }
                beam.push(longer.remove(best));
            }
        }
        beam.swap_remove(0)
    }

    pub fn say(&self, decoder: &Decoder, of: Loss) -> Said {
        let drawn = |change: &dyn Fn(&[f64]) -> Vec<f64>| {
            Said::Drawn(self.texts.iter().map(|text| self.log_probability(&[], text, change)).collect())
        };
        match decoder {
            Decoder::Greedy | Decoder::Temp(0.0) => Said::Text(self.lookahead(1)),
            Decoder::Lookahead(k) => Said::Text(self.lookahead(k.get())),
            Decoder::Map => Said::Text(self.best_block(&[], self.length)),
            Decoder::Modes => Said::Text(self.modes()),
            Decoder::Beam(width) => Said::Text(self.beam(width.get())),
            Decoder::Mbr if of == Loss::CrossEntropy => drawn(&<[f64]>::to_vec),
            Decoder::Mbr => Said::Text(self.optimum(of).1.unwrap()),
            Decoder::Sample => drawn(&<[f64]>::to_vec),
            Decoder::Temp(t) => drawn(&|row| temperature(row, *t)),
            Decoder::Sampler(spec) => drawn(&|row| {
                let signals = signals(&row.iter().map(|log_p| log_p.exp()).collect::<Vec<_>>());
                spec.0.iter().fold(row.to_vec(), |row, stage| apply(&row, stage, &signals))
            }),
        }
    }

    pub fn risk(&self, said: &Said, of: Loss) -> f64 {
        let law = self.law();
        let against =
            |guess: &Text| -> f64 { self.texts.iter().zip(&law).map(|(truth, p)| p * loss(of, truth, guess)).sum() };
        match (said, of) {
            (Said::Drawn(logs), Loss::CrossEntropy) => {
                law.iter().zip(logs).filter(|(p, _)| **p > 0.0).map(|(p, log)| -p * log).sum()
            }
            (Said::Text(text), Loss::CrossEntropy) => {
                let missed = self.texts.iter().zip(&law).any(|(truth, p)| truth != text && *p > 0.0);
                if missed { f64::INFINITY } else { 0.0 }
            }
            (Said::Text(text), _) => against(text),
            (Said::Drawn(logs), _) => self
                .texts
                .iter()
                .zip(logs)
                .filter(|(_, log)| log.exp() > 0.0)
                .map(|(guess, log)| log.exp() * against(guess))
                .sum(),
        }
    }

    /// The least risk of all texts and the first that has it, or of drawing from the law.
    pub fn optimum(&self, of: Loss) -> (f64, Option<Text>) {
        if of == Loss::CrossEntropy {
            return (self.risk(&self.say(&Decoder::Sample, of), of), None);
        }
        let risks: Vec<f64> = self.texts.iter().map(|text| self.risk(&Said::Text(text.clone()), of)).collect();
        let best = first_best(&risks.iter().map(|risk| 1.0 - risk).collect::<Vec<_>>());
        (risks[best], Some(self.texts[best].clone()))
    }
}

/// ln p, renormalised.
fn normalised(row: &[f64]) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|log_p| (log_p - top).exp()).sum();
    row.iter().map(|log_p| log_p - top - sum.ln()).collect()
}

fn temperature(row: &[f64], t: f64) -> Vec<f64> {
    if t == 0.0 {
        let first = first_best(&row.iter().map(|log_p| log_p.exp()).collect::<Vec<_>>());
        return (0..row.len()).map(|v| if v == first { 0.0 } else { f64::NEG_INFINITY }).collect();
    }
    normalised(&row.iter().map(|log_p| log_p / t).collect::<Vec<_>>())
}

fn entropy(ps: &[f64]) -> f64 {
    ps.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

fn signals(row: &[f64]) -> Signals {
    let entropy = entropy(row);
    let possible = row.iter().filter(|p| **p > 0.0);
    let varentropy = possible.clone().map(|p| p * (-p.ln() - entropy).powi(2)).sum();
    let max_prob = row.iter().copied().fold(0.0, f64::max);
    Signals { entropy, varentropy, max_prob, support: possible.count() as u32 }
}

/// One stage on one row of ln p, renormalised.
fn apply(row: &[f64], stage: &Stage, signals: &Signals) -> Vec<f64> {
    // Tokens in falling probability, one after the other the first of the largest that are left.
    let mut left: Vec<usize> = (0..row.len()).filter(|v| row[*v] > f64::NEG_INFINITY).collect();
    let mut ranked = vec![];
    while !left.is_empty() {
        ranked.push(left.remove(first_best(&left.iter().map(|v| row[*v].exp()).collect::<Vec<_>>())));
    }
    let n = ranked.len();
    let p: Vec<f64> = ranked.iter().map(|v| row[*v].exp()).collect();
    let reaches = |a: f64, b: f64| a >= b - b.abs() * TIE;
    let mass = |k: usize| p[..k].iter().sum::<f64>();
    let (keep, least): (usize, &Schedule) = match stage {
        Stage::Temp(stage) => return temperature(row, stage.t.at(signals)),
        Stage::TopK(stage) => match stage.k.at(signals).round() {
            k if k < 1.0 => (n, &stage.min_tokens_to_keep),
            k => (k as usize, &stage.min_tokens_to_keep),
        },
        Stage::TopP(stage) => {
            let bound = stage.p.at(signals);
            let k = (1..=n).find(|k| bound < 1.0 && reaches(mass(*k), bound));
            (k.unwrap_or(n), &stage.min_tokens_to_keep)
        }
        Stage::MinP(stage) => {
            let bound = stage.ratio.at(signals) * p[0];
            ((0..n).find(|i| !reaches(p[*i], bound)).unwrap_or(n), &stage.min_tokens_to_keep)
        }
        Stage::TopH(stage) => {
            let (alpha, limit) = (stage.alpha.at(signals), (stage.n.at(signals) as usize).min(n));
            let renormalised = |k: usize| p[..k].iter().map(|p| p / mass(k)).collect::<Vec<_>>();
            let (value, bound): (Box<dyn Fn(usize) -> f64>, f64) = match stage.rule {
                TopHRule::Paper => (Box::new(|k| entropy(&renormalised(k))), entropy(&p)),
                TopHRule::Ref => (Box::new(|k| entropy(&p[..k])), entropy(&p[..limit])),
                TopHRule::Hf => {
                    let top = renormalised(limit);
                    let whole = entropy(&top);
                    (Box::new(move |k| entropy(&top[..k])), whole)
                }
            };
            let limit = if stage.rule == TopHRule::Paper { n } else { limit };
            let k = (2..=limit).find(|k| !reaches(alpha * bound, value(*k))).map_or(limit, |k| k - 1);
            (if alpha < 1.0 { k } else { n }, &stage.min_tokens_to_keep)
        }
        other => panic!("{other:?} is not worked out"),
    };
    let keep = keep.max(least.at(signals).round() as usize).clamp(1, n);
    let kept = |v: usize| if ranked[..keep].contains(&v) { row[v] } else { f64::NEG_INFINITY };
    normalised(&(0..row.len()).map(kept).collect::<Vec<_>>())
}
