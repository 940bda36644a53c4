//! The fields of a request's body, each read as what it should be.

use super::Field;
use crate::error::ApiError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The fields of a JSON object that nobody has taken yet. A field that is null counts as absent, as OpenAI has it.
#[derive(Debug)]
pub struct Object<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'b> Object<'b> {
    /// The fields of a body.
    ///
    /// # Errors
    /// [`ApiError::Json`] if it is no object; [`ApiError::Field`] if one is given twice.
    pub fn parse(body: &'b [u8]) -> Result<Self, ApiError> {
        let fields: Object<'_> =
            serde_json::from_slice(body).map_err(|error| ApiError::Json { reason: error.to_string() })?;
        let mut names: Vec<&str> = fields.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ApiError::field(pair[0], format_args!("{} is given twice", pair[0]))),
            None => Ok(Object(fields.0.into_iter().filter(|(_, value)| value.get() != "null").collect())),
        }
    }

    /// The names of the fields that are left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Takes a field, if it is there.
    ///
    /// # Errors
    /// As [`take_as`](Self::take_as).
    pub fn take<T: Deserialize<'b> + PartialEq>(&mut self, field: &Field) -> Result<Option<T>, ApiError> {
        self.take_as(field, Some)
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// As [`take_as`](Self::take_as), and where it is not.
    pub fn need<T: Deserialize<'b> + PartialEq>(&mut self, field: &Field) -> Result<T, ApiError> {
        let missing = || ApiError::field(field.name, format_args!("{} must be given: {}", field.name, field.expected));
        self.take(field)?.ok_or_else(missing)
    }

    /// Takes a field whose value is the text of something that reads itself, or lies in a range: what `read` makes of it.
    /// Front-ends send it by all its names at once: then they must agree.
    ///
    /// # Errors
    /// [`ApiError::Field`] if it is of another type, `read` makes nothing of it, or two names disagree.
    pub fn take_as<T: Deserialize<'b>, U: PartialEq>(
        &mut self,
        field: &Field,
        read: impl Fn(T) -> Option<U>,
    ) -> Result<Option<U>, ApiError> {
        let mut taken: Option<(&str, U)> = None;
        for name in field.names() {
            let Some(place) = self.names().position(|known| known == name) else { continue };
            let (_, given) = self.0.remove(place);
            let value = serde_json::from_str(given.get()).ok().and_then(&read);
            let value = value.ok_or_else(|| wrong(name, field.expected, given.get()))?;
            match &taken {
                Some((first, other)) if *other != value => {
                    return Err(ApiError::field(name, format_args!("{name} and {first} mean the same, but differ")));
                }
                _ => taken = Some((name, value)),
            }
        }
        Ok(taken.map(|(_, value)| value))
    }

    /// Refuses a field that asks for what is not built; values that ask for nothing are taken and forgotten.
    ///
    /// # Errors
    /// [`ApiError::Field`] where it asks for something.
    pub fn refuse(&mut self, field: &Field) -> Result<(), ApiError> {
        let schema = (field.schema)();
        // 1 and 1.0 are one number.
        let same = |one: &Value, other: &Value| one == other || (one.is_number() && one.as_f64() == other.as_f64());
        let is_nothing =
            |value: &Value| schema["enum"].as_array().is_some_and(|all| all.iter().any(|one| same(one, value)));
        match self.take::<Value>(field)?.is_some_and(|value| !is_nothing(&value)) {
            true => Err(ApiError::field(field.name, format_args!("{} is not supported by this server", field.name))),
            false => Ok(()),
        }
    }

    /// Forgets the fields whose names do not pass.
    pub fn retain(&mut self, passes: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| passes(name));
    }

    /// The fields that are left.
    ///
    /// # Errors
    /// [`ApiError::Field`] for one whose value is not a `T`.
    pub fn rest<T: Deserialize<'b>>(self, expected: &str) -> Result<Vec<(String, T)>, ApiError> {
        let read = |(name, value): (Cow<'b, str>, &'b RawValue)| match serde_json::from_str(value.get()) {
            Ok(value) => Ok((name.into_owned(), value)),
            Err(_) => Err(wrong(&name, expected, value.get())),
        };
        self.0.into_iter().map(read).collect()
    }
}

/// Names the field, what is allowed, and the beginning of what was given.
fn wrong(name: &str, expected: &str, given: &str) -> ApiError {
    const LONGEST: usize = 60;
    let mut shown: String = given.chars().take(LONGEST).collect();
    if shown.len() < given.len() {
        shown.push('…');
    }
    ApiError::field(name, format_args!("{name} must be {expected}; given {shown}"))
}

impl<'b> Deserialize<'b> for Object<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'b> Visitor<'b> for ObjectVisitor {
    type Value = Object<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Object<'b>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry::<Name<'b>, _>()? {
            fields.push((field.0.0, field.1));
        }
        Ok(Object(fields))
    }
}

/// A key, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'b>(#[serde(borrow)] Cow<'b, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::field;

    fn message(error: ApiError) -> (String, String) {
        match error {
            ApiError::Field { param, message } => (param, message),
            other => (String::new(), other.to_string()),
        }
    }

    #[test]
    fn fields_are_taken_once_and_null_is_nothing() {
        let mut fields = Object::parse(br#"{"n": 2, "stop": null, "a\u0062": true}"#).unwrap();
        assert_eq!(fields.take::<u32>(&field::N).unwrap(), Some(2));
        assert_eq!(fields.take::<u32>(&field::N).unwrap(), None);
        assert_eq!(fields.take::<u32>(&field::STOP).unwrap(), None);
        assert_eq!(fields.rest::<bool>("true or false").unwrap(), [("ab".to_owned(), true)]);
    }

    #[test]
    fn bodies_that_are_none() {
        let deep = "[".repeat(100_000);
        for body in ["", "{", "[]", "3", "{\"a\":}", "{\"a\":1} x", "\u{feff}{}", &format!("{{\"a\":{deep}")] {
            assert!(matches!(Object::parse(body.as_bytes()), Err(ApiError::Json { .. })), "{body:.20}");
        }
        assert!(matches!(Object::parse(b"{\"a\": \"\xff\"}"), Err(ApiError::Json { .. })));
        let (param, message) = message(Object::parse(br#"{"n":1,"m":1,"n":1}"#).unwrap_err());
        assert_eq!((param.as_str(), message.as_str()), ("n", "n is given twice"));
    }

    #[test]
    fn a_fault_names_the_field_and_what_is_allowed() {
        let body = format!(r#"{{"n": "{}"}}"#, "é".repeat(200));
        let mut fields = Object::parse(body.as_bytes()).unwrap();
        let (param, message) = message(fields.take::<u32>(&field::N).unwrap_err());
        assert_eq!(
            (param.as_str(), message),
            ("n", format!("n must be an integer in 1..=128; given \"{}…", "é".repeat(59)))
        );
    }

    #[test]
    fn names_for_one_thing_must_agree() {
        let take = |body: &str| {
            let mut fields = Object::parse(body.as_bytes()).unwrap();
            fields.take::<u32>(&field::MAX_TOKENS).map_err(message)
        };
        assert_eq!(take("{}"), Ok(None));
        assert_eq!(take(r#"{"n_predict": 3}"#), Ok(Some(3)));
        assert_eq!(take(r#"{"n_predict": 3, "max_tokens": 3}"#), Ok(Some(3)));
        let differ = "n_predict and max_tokens mean the same, but differ".to_owned();
        assert_eq!(take(r#"{"n_predict": 3, "max_tokens": 4}"#), Err(("n_predict".to_owned(), differ)));
    }

    #[test]
    fn what_is_not_built_is_refused_where_it_asks_for_something() {
        let refuse = |body: &str| Object::parse(body.as_bytes()).unwrap().refuse(&field::SUFFIX);
        for body in ["{}", r#"{"suffix": null}"#, r#"{"suffix": ""}"#] {
            assert_eq!(refuse(body), Ok(()));
        }
        assert!(refuse(r#"{"suffix": "."}"#).is_err());
    }

    #[test]
    fn what_must_be_given() {
        let mut fields = Object::parse(br#"{"prompt": null}"#).unwrap();
        assert_eq!(message(fields.need::<String>(&field::PROMPT).unwrap_err()).0, "prompt");
    }
}
