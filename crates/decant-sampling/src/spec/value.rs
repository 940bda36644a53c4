//! What borders hand in: JSON, keyword arguments, TOML.

use super::error::excerpt;
use crate::TokenId;
use crate::schedule::Number;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

/// A value as JSON knows it, but with every key of an object kept in its order, so that a repeated one can be refused.
#[derive(Clone, Debug, PartialEq)]
pub enum SpecValue {
    /// A number.
    Number(f64),
    /// true or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<SpecValue>),
    /// An object.
    Object(Vec<(String, SpecValue)>),
}

impl SpecValue {
    /// An object of these keys, in this order.
    pub fn object<K: Into<String>>(pairs: impl IntoIterator<Item = (K, SpecValue)>) -> Self {
        SpecValue::Object(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value as a token id, as a number or as text.
    pub(super) fn to_token(&self) -> Option<TokenId> {
        match self {
            SpecValue::Number(id) if id.fract() == 0.0 && (0.0..=f64::from(TokenId::MAX)).contains(id) => {
                Some(*id as TokenId)
            }
            SpecValue::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as it stands in a text.
    pub(super) fn plain(&self) -> String {
        match self {
            SpecValue::Text(text) => text.clone(),
            other => other.excerpt(),
        }
    }

    /// A short form of the value for messages.
    pub(crate) fn excerpt(&self) -> String {
        match self {
            SpecValue::Number(value) => Number(*value).to_string(),
            SpecValue::Bool(value) => value.to_string(),
            SpecValue::Text(text) => excerpt(text),
            SpecValue::List(_) => "a list".into(),
            SpecValue::Object(pairs) => {
                let keys: Vec<&str> = pairs.iter().take(8).map(|(key, _)| key.as_str()).collect();
                format!("an object with {} keys: {}", pairs.len(), excerpt(&keys.join(", ")))
            }
        }
    }
}

impl From<f64> for SpecValue {
    fn from(value: f64) -> Self {
        SpecValue::Number(value)
    }
}

impl From<bool> for SpecValue {
    fn from(value: bool) -> Self {
        SpecValue::Bool(value)
    }
}

impl From<&str> for SpecValue {
    fn from(text: &str) -> Self {
        SpecValue::Text(text.to_owned())
    }
}

impl From<String> for SpecValue {
    fn from(text: String) -> Self {
        SpecValue::Text(text)
    }
}

impl<T: Into<SpecValue>> FromIterator<T> for SpecValue {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        SpecValue::List(items.into_iter().map(Into::into).collect())
    }
}

impl Serialize for SpecValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // 40, not 40.0: as people write it.
            SpecValue::Number(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                serializer.serialize_i64(*value as i64)
            }
            SpecValue::Number(value) => serializer.serialize_f64(*value),
            SpecValue::Bool(value) => serializer.serialize_bool(*value),
            SpecValue::Text(text) => serializer.serialize_str(text),
            SpecValue::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            SpecValue::Object(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for SpecValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = SpecValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, true, false, a list or an object")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<SpecValue, E> {
        Ok(SpecValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<SpecValue, E> {
        Ok(SpecValue::Number(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<SpecValue, E> {
        Ok(SpecValue::Number(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<SpecValue, E> {
        Ok(SpecValue::Number(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SpecValue, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SpecValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(SpecValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SpecValue, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(SpecValue::Object(pairs))
    }
}
