//! Tokens that a stage finds in the text so far.

use super::Ranked;
use crate::TokenId;
use std::mem;
use std::ops::RangeInclusive;

/// Buffers, kept from row to row.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookback {
    tally: Tally,
    /// See [`measure_repeats`].
    lengths: Vec<usize>,
}

impl Ranked<'_> {
    /// Gives every survivor that stands in `text` another logit: `change` takes how often it stands there and its logit.
    pub fn change_seen(&mut self, text: &[TokenId], change: impl Fn(usize, f64) -> f64) {
        let mut lookback = self.take_lookback();
        for &token in text {
            lookback.tally.update(token, |count| count + 1);
        }
        lookback.tally.drain(|token, count| self.change(token, |logit| change(count as usize, logit)));
        self.buffers.lookback = lookback;
    }

    /// Gives every survivor that would go on with a repetition another logit: the last tokens of `text`, so many as
    /// `lengths` says, have stood in it before and this one came next. `change` takes the token, the length of the longest
    /// repetition that it would go on with, counted no further than `lengths` goes, and its logit.
    pub fn change_repeats(
        &mut self,
        text: &[TokenId],
        lengths: RangeInclusive<usize>,
        change: impl Fn(TokenId, usize, f64) -> f64,
    ) {
        let mut lookback = self.take_lookback();
        measure_repeats(text, &mut lookback.lengths);
        for (&token, &length) in text.iter().rev().zip(&lookback.lengths) {
            if length >= *lengths.start() {
                let length = length.min(*lengths.end()) as u32;
                // One more than the length, since 0 says that a token is not there.
                lookback.tally.update(token, |longest| longest.max(length + 1));
            }
        }
        lookback.tally.drain(|token, longest| {
            self.change(token, |logit| change(token, longest as usize - 1, logit));
        });
        self.buffers.lookback = lookback;
    }

    /// The buffers, to be put back.
    fn take_lookback(&mut self) -> Lookback {
        let mut lookback = mem::take(&mut self.buffers.lookback);
        lookback.tally.numbers.resize(self.given.len(), 0);
        lookback
    }
}

/// A number for each of some tokens of the vocabulary.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// By token; 0 for all others.
    numbers: Vec<u32>,
    tokens: Vec<TokenId>,
}

impl Tally {
    /// Takes a token's number to a new one, above 0. What is no token of the vocabulary is passed over.
    fn update(&mut self, token: TokenId, update: impl FnOnce(u32) -> u32) {
        let Some(number) = self.numbers.get_mut(token as usize) else { return };
        if *number == 0 {
            self.tokens.push(token);
        }
        *number = update(*number);
    }

    /// Hands out every token with its number and forgets them.
    fn drain(&mut self, mut each: impl FnMut(TokenId, u32)) {
        for token in self.tokens.drain(..) {
            each(token, mem::take(&mut self.numbers[token as usize]));
        }
    }
}

/// For every token of the text, from the last one back: how many tokens before it are the same as the last ones of the
/// text. In linear time: the Z-algorithm (Gusfield 1997, section 1.3) on the reversed text.
fn measure_repeats(text: &[TokenId], lengths: &mut Vec<usize>) {
    let from_end = |place: usize| text[text.len() - 1 - place];
    lengths.clear();
    // The places, counted from the end of the text, of the repetition found that reaches furthest back.
    let (mut near, mut far) = (0, 0);
    for start in 1..=text.len() {
        // Inside of it, whatever begins here has begun nearer to the end as well.
        let mut length = if start < far { lengths[start - near - 1].min(far - start) } else { 0 };
        while start + length < text.len() && from_end(length) == from_end(start + length) {
            length += 1;
        }
        if start + length > far {
            (near, far) = (start, start + length);
        }
        lengths.push(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn repeats_are_as_long_as_comparing_says(text in prop::collection::vec(0u32..3, 0..40)) {
            let mut lengths = vec![7; 3];
            measure_repeats(&text, &mut lengths);
            let compared = |end: usize| {
                let pairs = text[..end].iter().rev().zip(text.iter().rev());
                pairs.take_while(|(a, b)| a == b).count()
            };
            prop_assert_eq!(lengths, (0..text.len()).rev().map(compared).collect::<Vec<_>>());
        }
    }

    #[test]
    fn long_loops_take_no_longer_than_other_texts() {
        // A quadratic comparison of these 10^6 tokens would take hours.
        let mut lengths = Vec::new();
        measure_repeats(&vec![5; 1_000_000], &mut lengths);
        assert!(lengths.iter().rev().copied().eq(0..1_000_000));
    }
}
