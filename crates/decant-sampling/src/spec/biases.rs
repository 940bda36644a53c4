//! Tokens with biases: `(15=-2.5,42=-inf)`; in JSON `{"15": -2.5}` or `[[15, -2.5]]`.

use super::error::excerpt;
use super::text::{items, split_pair};
use super::value::SpecValue;
use crate::TokenId;
use crate::schedule::Number;
use std::collections::BTreeMap;

/// What such a list looks like.
pub(crate) const FORM: &str = "token ids, each once, with finite biases or -inf, such as (15=-2.5,42=-inf)";

/// Reads any of the forms; else says what is wrong in it.
pub(super) fn read(value: SpecValue) -> Result<BTreeMap<TokenId, f64>, String> {
    let mut biases = BTreeMap::new();
    let wrong = value.excerpt();
    let pairs: Option<Vec<(SpecValue, SpecValue)>> = match value {
        SpecValue::Text(text) => items(&text).and_then(|items| items.into_iter().map(split_pair).collect()),
        SpecValue::Object(pairs) => Some(pairs.into_iter().map(|(token, bias)| (token.into(), bias)).collect()),
        SpecValue::List(pairs) => pairs.into_iter().map(pair).collect(),
        SpecValue::Number(_) | SpecValue::Bool(_) => None,
    };
    for (token, bias) in pairs.ok_or(wrong)? {
        let read = token.to_token().zip(number(&bias));
        let wrong = || excerpt(&format!("{}={}", token.plain(), bias.plain()));
        let (token, bias) = read.filter(|(_, bias)| is_bias(*bias)).ok_or_else(wrong)?;
        if biases.insert(token, bias).is_some() {
            return Err(wrong());
        }
    }
    Ok(biases)
}

/// Whether a number may be added to a logit; -inf forbids the token.
pub(super) fn is_bias(number: f64) -> bool {
    number.is_finite() || number == f64::NEG_INFINITY
}

pub(super) fn text(biases: &BTreeMap<TokenId, f64>) -> String {
    let pairs: Vec<String> = biases.iter().map(|(token, bias)| format!("{token}={}", Number(*bias))).collect();
    format!("({})", pairs.join(","))
}

pub(super) fn to_value(biases: &BTreeMap<TokenId, f64>) -> SpecValue {
    // JSON has no infinities.
    let bias = |bias: f64| if bias.is_finite() { bias.into() } else { Number(bias).to_string().into() };
    SpecValue::object(biases.iter().map(|(token, value)| (token.to_string(), bias(*value))))
}

/// `[15, -2.5]`.
fn pair(value: SpecValue) -> Option<(SpecValue, SpecValue)> {
    match value {
        SpecValue::List(items) => <[SpecValue; 2]>::try_from(items).ok().map(|[token, bias]| (token, bias)),
        _ => None,
    }
}

/// A bias; `false` forbids, as in llama.cpp.
fn number(value: &SpecValue) -> Option<f64> {
    match value {
        SpecValue::Number(number) => Some(*number),
        SpecValue::Text(text) => text.trim().parse().ok(),
        SpecValue::Bool(false) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
