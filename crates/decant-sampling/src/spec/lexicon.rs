//! From texts in a spec to the tokens that spell them.

use super::SamplerSpec;
use super::build::{Param, Params};
use super::phrases::Phrase;
use crate::TokenId;
use crate::stages::Stage;
use std::borrow::Cow;

/// What a spec needs to know of a tokenizer.
pub trait Lexicon {
    /// One more than the highest id.
    fn vocab(&self) -> usize;

    /// The bytes that a token adds to a text; for a control token, which adds none, whatever it goes by.
    fn bytes(&self, token: TokenId) -> Cow<'_, [u8]>;

    /// The tokens of a text that stands inside of another; `None` where there is no telling.
    fn inside(&self, text: &str) -> Option<Vec<TokenId>>;
}

impl SamplerSpec {
    /// The same spec with every text in it as the token sequences that spell it, so that it can act: on token ids alone a
    /// text cannot be found. What a run is called by is the spec as it was; what this gives depends on the tokenizer and
    /// may be thousands of ids long.
    ///
    /// A text stands in a token whose bytes contain it, or where a token's last bytes begin it and the tokens of what is
    /// left of it follow (as llama.cpp finds the breakers of dry). Where the tokenizer splits what is left otherwise, because
    /// more text follows, it is missed.
    #[must_use]
    pub fn resolve(&self, lexicon: &dyn Lexicon) -> SamplerSpec {
        let resolve = |param: Param| match param {
            Param::Phrases(phrases) => {
                Param::Phrases(phrases.iter().flat_map(|phrase| spell(phrase, lexicon)).collect())
            }
            other => other,
        };
        let stage = |stage: &Stage| {
            let params = stage.write().0.into_iter().map(|(name, param)| (name, resolve(param)));
            Stage::read(stage.info(), &Params(params.collect()))
        };
        SamplerSpec(self.0.iter().map(stage).collect())
    }

    /// The texts that cannot act as long as no tokenizer has [resolved](Self::resolve) them.
    pub fn unresolved(&self) -> Vec<String> {
        let params = self.effective().0.into_iter().flat_map(|stage| stage.write().0);
        let texts = |param: Param| match param {
            Param::Phrases(phrases) => phrases.texts().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        params.flat_map(|(_, param)| texts(param)).collect()
    }
}

/// The token sequences that spell a phrase.
fn spell(phrase: &Phrase, lexicon: &dyn Lexicon) -> Vec<Phrase> {
    let Phrase::Text(text) = phrase else { return vec![phrase.clone()] };
    let tokens = 0..lexicon.vocab() as TokenId;
    tokens.flat_map(|token| spellings_from(token, text, lexicon)).map(Phrase::Tokens).collect()
}

/// The token sequences that spell a text and begin it in this token.
fn spellings_from(token: TokenId, text: &str, lexicon: &dyn Lexicon) -> Vec<Vec<TokenId>> {
    let (bytes, wanted) = (lexicon.bytes(token), text.as_bytes());
    if bytes.windows(wanted.len()).any(|part| part == wanted) {
        return vec![vec![token]];
    }
    let rest = |begun: usize| text.get(begun..).filter(|_| bytes.ends_with(&wanted[..begun]));
    let with_rest = |rest: &str| Some([vec![token], lexicon.inside(rest)?].concat());
    (1..wanted.len()).filter_map(rest).filter_map(with_rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Pieces by id; the inside of a text is one token a byte where there is one.
    struct Toy {
        pieces: Vec<&'static str>,
        asked: RefCell<Vec<String>>,
    }

    impl Lexicon for Toy {
        fn vocab(&self) -> usize {
            self.pieces.len()
        }

        fn bytes(&self, token: TokenId) -> Cow<'_, [u8]> {
            self.pieces[token as usize].as_bytes().into()
        }

        fn inside(&self, text: &str) -> Option<Vec<TokenId>> {
            self.asked.borrow_mut().push(text.to_owned());
            let id = |c: char| self.pieces.iter().position(|piece| *piece == c.to_string()).map(|id| id as TokenId);
            text.chars().map(id).collect()
        }
    }

    fn spelled(spec: &str, pieces: &[&'static str]) -> (String, Vec<String>) {
        let toy = Toy { pieces: pieces.to_vec(), asked: RefCell::default() };
        let spec: SamplerSpec = spec.parse().unwrap();
        assert!(!spec.unresolved().is_empty());
        let resolved = spec.resolve(&toy);
        assert!(resolved.unresolved().is_empty() && resolved.resolve(&toy) == resolved);
        (resolved.to_string(), toy.asked.into_inner())
    }

    #[test]
    fn a_text_is_in_every_token_that_contains_it_and_over_their_borders() {
        let pieces = ["a", "b", "c", "xab", "ab", "bc", "abc.", "", "ca"];
        let (spec, asked) = spelled(r#"dry=0.8:breakers=("abc",7)"#, &pieces);
        // What ends in a goes on with b, c; what ends in ab with c. The tokens of the rest are the tokenizer's: not bc.
        assert_eq!(spec, "dry=0.8:breakers=(0 1 2,3 2,4 2,6,7,8 1 2)");
        assert_eq!(asked, ["bc", "c", "c", "bc"]);
    }

    #[test]
    fn a_text_that_overlaps_itself_begins_in_a_token_in_every_way() {
        let (spec, _) = spelled(r#"dry=0.8:breakers=("aab")"#, &["a", "b", "xaa"]);
        assert_eq!(spec, "dry=0.8:breakers=(0 0 1,2 0 1,2 1)");
    }

    #[test]
    fn what_cannot_be_spelled_is_left_out() {
        let (spec, asked) = spelled(r#"temp=0.5,dry=0.8:breakers=("zé")"#, &["z", "y", "é"]);
        assert_eq!((spec.as_str(), asked.len()), ("temp=0.5,dry=0.8:breakers=(0 2)", 1));
        assert_eq!(spelled(r#"dry=1:breakers=("q")"#, &["z"]).0, "dry=1:breakers=()");
    }
}
