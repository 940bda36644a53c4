//! Which token a piece of text came from.

use decant_decode::{TextStream, Trace, Utf8Stream};
use std::collections::VecDeque;

/// Text as [`TextStream`] gives it, dealt out to the tokens that it came from. A code point that is split over tokens
/// belongs to the last of them.
#[derive(Debug, Default)]
pub struct Spans {
    text: TextStream,
    utf8: Utf8Stream,
    tokens: usize,
    /// Tokens whose text is not out yet, with its length in bytes.
    held: VecDeque<(usize, usize)>,
}

/// Some text of one token.
#[derive(Debug, PartialEq)]
pub struct Span {
    /// Index of the token, from 0.
    pub token: usize,
    /// Never empty.
    pub text: String,
}

impl Spans {
    /// A text that ends before any of the strings.
    pub fn new(stops: &[String]) -> Self {
        Spans { text: TextStream::new(stops), ..Spans::default() }
    }

    /// The whole text of a trace.
    pub fn of(trace: &Trace) -> Vec<Span> {
        let mut spans = Spans::new(&trace.header.stop);
        let mut all: Vec<Span> = trace.steps.iter().flat_map(|step| spans.push(step.piece.bytes())).collect();
        all.extend(spans.finish());
        all
    }

    /// Takes the bytes of the next token and returns the text that is certain by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Span> {
        self.held.push_back((self.tokens, self.utf8.push(bytes).len()));
        self.tokens += 1;
        let certain = self.text.push(bytes);
        self.deal(&certain)
    }

    /// Ends the text and returns what was held back.
    pub fn finish(&mut self) -> Vec<Span> {
        self.held.push_back((self.tokens.saturating_sub(1), self.utf8.finish().len()));
        let rest = self.text.finish();
        self.deal(&rest)
    }

    /// Whether a stop string has ended the text.
    pub fn stopped(&self) -> bool {
        self.text.stopped()
    }

    fn deal(&mut self, mut certain: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        while let Some((token, len)) = self.held.pop_front() {
            let (own, rest) = certain.split_at(len.min(certain.len()));
            certain = rest;
            if !own.is_empty() {
                spans.push(Span { token, text: own.to_owned() });
            }
            if own.len() < len {
                self.held.push_front((token, len - own.len()));
                break;
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dealt(tokens: &[Vec<u8>], stops: &[String]) -> Vec<Span> {
        let mut spans = Spans::new(stops);
        let mut all: Vec<Span> = tokens.iter().flat_map(|token| spans.push(token)).collect();
        all.extend(spans.finish());
        all
    }

    proptest! {
        #[test]
        fn the_spans_are_the_text_and_in_order(
            tokens in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'a'), Just(0xc3), Just(0xa9)], 0..4), 0..9),
            stops in prop::collection::vec("[aé]{1,3}", 0..2),
        ) {
            let mut stream = TextStream::new(&stops);
            let mut text: String = tokens.iter().map(|token| stream.push(token)).collect();
            text += &stream.finish();
            let spans = dealt(&tokens, &stops);
            prop_assert!(spans.is_sorted_by_key(|span| span.token));
            prop_assert_eq!(spans.into_iter().map(|span| span.text).collect::<String>(), text);
        }
    }

    #[test]
    fn held_back_text_keeps_its_token() {
        let tokens = ["a", "b\n", "c", "\n\n", "d"].map(|token| token.as_bytes().to_vec());
        let span = |token, text: &str| Span { token, text: text.to_owned() };
        let expected = [span(0, "a"), span(1, "b"), span(1, "\n"), span(2, "c")];
        assert_eq!(dealt(&tokens, &["\n\n".to_owned()]), expected);
        let split = [b"\xc3".to_vec(), b"\xa9!".to_vec(), b"\xe2".to_vec()];
        assert_eq!(dealt(&split, &[]), [span(1, "é!"), span(2, "\u{fffd}")]);
    }
}
