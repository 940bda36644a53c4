//! Twins of the stages that look back at the text so far, and of `logit_bias`.

use super::{Numbers, Twin};
use decant_sampling::stages::{
    Dry, FrequencyPenalty, LogitBias, NoRepeatNgram, PresencePenalty, RepetitionPenalty, Window,
};
use decant_sampling::{Phrase, Signals, TokenId};

impl Twin {
    pub(super) fn logit_bias(&mut self, stage: &LogitBias) {
        self.change(|token, l| l + stage.biases.get(&token).unwrap_or(&0.0));
    }

    pub(super) fn repetition_penalty(&mut self, stage: &RepetitionPenalty, signals: &Signals) {
        let (text, r) = (self.view(&stage.window, signals), stage.penalty.at(signals));
        self.change(|token, l| match count(&text, token) {
            0 => l,
            _ if l > 0.0 => l / r,
            _ => l * r,
        });
    }

    pub(super) fn frequency_penalty(&mut self, stage: &FrequencyPenalty, signals: &Signals) {
        let (text, f) = (self.view(&stage.window, signals), stage.penalty.at(signals));
        self.change(|token, l| l - f * count(&text, token) as f64);
    }

    pub(super) fn presence_penalty(&mut self, stage: &PresencePenalty, signals: &Signals) {
        let (text, pr) = (self.view(&stage.window, signals), stage.penalty.at(signals));
        self.change(|token, l| if text.contains(&token) { l - pr } else { l });
    }

    pub(super) fn no_repeat_ngram(&mut self, stage: &NoRepeatNgram, signals: &Signals) {
        let (text, n) = (self.view(&stage.window, signals), stage.n.at(signals).round() as usize);
        let completes = |token: TokenId| {
            let Some(start) = (text.len() + 1).checked_sub(n) else { return false };
            let ngram = [&text[start..], &[token]].concat();
            text.windows(n).any(|said| said == ngram)
        };
        if n > 0 {
            self.change(|token, l| if completes(token) { f64::NEG_INFINITY } else { l });
        }
    }

    pub(super) fn dry(&mut self, stage: &Dry, signals: &Signals) {
        let (text, multiplier) = (self.view(&stage.window, signals), stage.multiplier.at(signals));
        let (base, allowed) = (stage.base.at(signals), stage.allowed.at(signals).round() as usize);
        let breaks =
            |tokens: &[TokenId]| stage.breakers.iter().any(|breaker| *breaker == Phrase::Tokens(tokens.into()));
        // What stands after the breaker that begins last, the longest of those.
        let after = |start: usize| (start + 1..=text.len()).rev().find(|end| breaks(&text[start..*end]));
        let unbroken = &text[(0..text.len()).rev().find_map(after).unwrap_or(0)..];
        let repeated =
            |before: &[TokenId]| before.iter().rev().zip(unbroken.iter().rev()).take_while(|(a, b)| a == b).count();
        self.change(|token, l| {
            let places = (0..text.len()).filter(|place| text[*place] == token);
            match places.map(|place| repeated(&text[..place])).max() {
                Some(m) if m >= allowed && !breaks(&[token]) => l - multiplier * base.powf((m - allowed) as f64),
                _ => l,
            }
        });
    }

    /// The tokens that a window shows.
    fn view(&self, window: &Window, signals: &Signals) -> Vec<TokenId> {
        let text = if window.prompt { &self.text } else { &self.text[self.prompt..] };
        let n = window.last_n.at(signals).round();
        let n = if n < 0.0 { text.len() } else { text.len().min(n as usize) };
        text[text.len() - n..].to_vec()
    }

    /// Changes logits one by one; -inf forbids a token. A row holds f32, before its temperature.
    fn change(&mut self, change: impl Fn(TokenId, f64) -> f64) {
        for (token, logit) in &mut self.tokens {
            let changed = change(*token, *logit);
            if changed != *logit {
                *logit = f64::from((changed * self.cooled_by) as f32) / self.cooled_by;
            }
        }
        self.tokens.retain(|(_, logit)| *logit > f64::NEG_INFINITY);
        self.tokens.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
    }
}

fn count(text: &[TokenId], token: TokenId) -> usize {
    text.iter().filter(|other| **other == token).count()
}

/// A text with repetitions: phrases of a small vocabulary, said again and again with slips; some ids are no tokens.
pub fn text(numbers: &mut Numbers, vocab: usize, len: usize) -> Vec<TokenId> {
    let mut token = || (numbers.unit() * (vocab as f64 * 1.05 + 1.0).min(40.0)) as TokenId;
    let mut text: Vec<TokenId> = (0..3).map(|_| token()).collect();
    while text.len() < len {
        let (from, many) = (token() as usize % text.len(), token() as usize % 9 + 1);
        text.extend_from_within(from..text.len().min(from + many));
        text.push(token());
    }
    text.truncate(len);
    text
}
