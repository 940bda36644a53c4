//! Instances as JSON.

use super::{EcmmError, Row};
use serde_json::{Map, Value};

/// Why a text holds no instances.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstancesError {
    /// It is not JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is another JSON value.
    #[error(r#"expected a list: [{{"p":[..],"alpha":0.4}}, ..]"#)]
    NoList,
    /// An entry has another form.
    #[error("entry {entry}: {field}: {expected}")]
    Form {
        /// Which, from 0.
        entry: usize,
        /// The field in question.
        field: String,
        /// What ought to stand there.
        expected: &'static str,
    },
    /// An entry's numbers are no instance.
    #[error("entry {entry}: {source}")]
    Numbers {
        /// Which, from 0.
        entry: usize,
        /// What is wrong with them.
        source: EcmmError,
    },
}

/// The instances of a JSON text, `[{"p":[..],"alpha":0.4}, ..]`, p in token order.
///
/// # Errors
/// [`InstancesError`], naming entry and field.
pub fn instances(json: &str) -> Result<Vec<Row>, InstancesError> {
    let Value::Array(entries) = serde_json::from_str(json)? else { return Err(InstancesError::NoList) };
    entries.iter().enumerate().map(|(entry, value)| instance(entry, value)).collect()
}

fn instance(entry: usize, value: &Value) -> Result<Row, InstancesError> {
    let wrong = |field: String, expected| InstancesError::Form { entry, field, expected };
    let Some(fields) = value.as_object() else {
        return Err(wrong("the entry".to_owned(), r#"expected {"p":[..],"alpha":0.4}"#));
    };
    if let Some(field) = fields.keys().find(|field| !["p", "alpha"].contains(&field.as_str())) {
        return Err(wrong(field.clone(), "unknown field, expected p and alpha"));
    }
    let Some(p) = fields.get("p").and_then(Value::as_array) else {
        return Err(wrong("p".to_owned(), "expected a list of probabilities"));
    };
    let number =
        |(index, p): (usize, &Value)| p.as_f64().ok_or_else(|| wrong(format!("p[{index}]"), "expected a number"));
    let p = p.iter().enumerate().map(number).collect::<Result<Vec<f64>, _>>()?;
    let alpha = alpha(fields).ok_or_else(|| wrong("alpha".to_owned(), "expected a number from 0 to 1"))?;
    Row::new(&p, alpha).map_err(|source| InstancesError::Numbers { entry, source })
}

fn alpha(fields: &Map<String, Value>) -> Option<f64> {
    fields.get("alpha")?.as_f64()
}
