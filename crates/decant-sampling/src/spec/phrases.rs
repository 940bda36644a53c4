//! Phrases: `("\n",":",198,13 198)`, texts in quotes and token ids; in JSON `["\n", ":", 198, [13, 198]]`.

use super::text::items;
use super::value::SpecValue;
use crate::TokenId;

/// What a list of phrases looks like.
pub(crate) const FORM: &str = r#"texts in quotes or token ids, none empty, such as ("\n",":",198,13 198)"#;

/// Something that may stand in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phrase {
    /// As token ids.
    Tokens(Vec<TokenId>),
    /// As text, which only a tokenizer can find: see [`SamplerSpec::resolve`](crate::SamplerSpec::resolve).
    Text(String),
}

impl Phrase {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Phrase::Tokens(tokens) => tokens.is_empty(),
            Phrase::Text(text) => text.is_empty(),
        }
    }

    fn first(&self) -> Option<TokenId> {
        match self {
            Phrase::Tokens(tokens) => tokens.first().copied(),
            Phrase::Text(_) => None,
        }
    }
}

/// A set of phrases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrases(Vec<Phrase>);

impl FromIterator<Phrase> for Phrases {
    fn from_iter<I: IntoIterator<Item = Phrase>>(phrases: I) -> Self {
        let mut phrases: Vec<Phrase> = phrases.into_iter().collect();
        phrases.sort_unstable();
        phrases.dedup();
        Phrases(phrases)
    }
}

impl Phrases {
    /// The phrases in their order: token ids first, ascending, then texts.
    pub fn iter(&self) -> impl Iterator<Item = &Phrase> {
        self.0.iter()
    }

    /// The texts among them.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.iter().filter_map(|phrase| match phrase {
            Phrase::Tokens(_) => None,
            Phrase::Text(text) => Some(text.as_str()),
        })
    }

    /// The token ids in them.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = TokenId> {
        self.iter()
            .flat_map(|phrase| match phrase {
                Phrase::Tokens(tokens) => tokens.as_slice(),
                Phrase::Text(_) => &[],
            })
            .copied()
    }

    /// Those given as token ids that begin with this token.
    pub(crate) fn beginning_with(&self, token: TokenId) -> impl Iterator<Item = &[TokenId]> {
        let tokens = &self.0[..self.0.partition_point(|phrase| matches!(phrase, Phrase::Tokens(_)))];
        let start = tokens.partition_point(|phrase| phrase.first() < Some(token));
        tokens[start..].iter().map_while(move |phrase| match phrase {
            Phrase::Tokens(tokens) if tokens.first() == Some(&token) => Some(tokens.as_slice()),
            _ => None,
        })
    }
}

/// Reads either form; else says what is wrong in it.
pub(super) fn read(value: SpecValue) -> Result<Phrases, String> {
    let wrong = value.excerpt();
    let phrases: Option<Phrases> = match value {
        SpecValue::Text(text) => items(&text).and_then(|items| items.into_iter().map(phrase_of_text).collect()),
        SpecValue::List(items) => items.into_iter().map(phrase_of_value).collect(),
        _ => None,
    };
    phrases.ok_or(wrong)
}

pub(super) fn text(phrases: &Phrases) -> String {
    let phrases: Vec<String> = phrases
        .iter()
        .map(|phrase| match phrase {
            Phrase::Tokens(tokens) => tokens.iter().map(TokenId::to_string).collect::<Vec<_>>().join(" "),
            Phrase::Text(text) => quote(text),
        })
        .collect();
    format!("({})", phrases.join(","))
}

pub(super) fn to_value(phrases: &Phrases) -> SpecValue {
    let value = |phrase: &Phrase| match phrase {
        Phrase::Tokens(tokens) => tokens.iter().map(|token| f64::from(*token)).collect(),
        Phrase::Text(text) => SpecValue::from(text.as_str()),
    };
    phrases.iter().map(value).collect()
}

fn phrase_of_text(item: &str) -> Option<Phrase> {
    let phrase = match item.starts_with('"') {
        true => Phrase::Text(unquote(item)?),
        false => Phrase::Tokens(item.split_whitespace().map(|id| id.parse().ok()).collect::<Option<_>>()?),
    };
    (!phrase.is_empty()).then_some(phrase)
}

fn phrase_of_value(item: SpecValue) -> Option<Phrase> {
    let phrase = match &item {
        SpecValue::Text(text) => Phrase::Text(text.clone()),
        SpecValue::List(ids) => Phrase::Tokens(ids.iter().map(SpecValue::to_token).collect::<Option<_>>()?),
        id => Phrase::Tokens(vec![id.to_token()?]),
    };
    (!phrase.is_empty()).then_some(phrase)
}

/// A text in quotes, on one line, escaped as in JSON.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The inverse of [`quote`], for everything that JSON allows but surrogate pairs.
fn unquote(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut unquoted = String::new();
    while let Some(c) = rest.next() {
        unquoted.push(match c {
            '"' => return None,
            '\\' => match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                same @ ('"' | '\\' | '/') => same,
                _ => return None,
            },
            c => c,
        });
    }
    Some(unquoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quoted_texts_come_back(text: String) {
            prop_assert_eq!(unquote(&quote(&text)), Some(text));
        }

        #[test]
        fn what_begins_with_a_token_is_found(phrases in prop::collection::vec(prop::collection::vec(0u32..5, 1..4), 0..30)) {
            let texts = ["a", "b"].map(|text| Phrase::Text(text.to_owned()));
            let set: Phrases = phrases.iter().cloned().map(Phrase::Tokens).chain(texts).collect();
            for token in 0..6 {
                let mut expected: Vec<&[TokenId]> =
                    phrases.iter().map(Vec::as_slice).filter(|phrase| phrase[0] == token).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(set.beginning_with(token).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn escapes_that_are_none() {
        for text in ["\"", "\"\\\"", "\"a\"b\"", r#""\x""#, r#""\ud800""#, r#""\u12"#, "a"] {
            assert_eq!(unquote(text), None, "{text}");
        }
        assert_eq!(unquote(r#""\u0041\/\b""#), Some("A/\u{8}".to_owned()));
    }
}
