//! Laws from JSON.

use super::{Chain, ChainError, Entry, Joint, Law};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Why a text holds no laws. Laws count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// It is no JSON array.
    #[error("{reason}{near}")]
    Json {
        /// What the parser says.
        reason: String,
        /// The text up to the place, if there is one.
        near: String,
    },
    /// A field is missing, unknown, or of another type.
    #[error("chain {chain}: {field}: {reason}")]
    Field {
        /// Which law.
        chain: usize,
        /// Which field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The fields are no law.
    #[error("chain {chain}: {source}")]
    Chain {
        /// Which law.
        chain: usize,
        /// What is wrong.
        source: ChainError,
    },
}

/// Reads an array of chains, `{"start":[..],"transition":[[..],..],"length":T}`, and of tables,
/// `{"joint":[{"sequence":[..],"p":..},..],"vocab":V}`.
///
/// ```
/// use decant_lab::chain::instances;
/// let laws = instances(r#"[{"start":[0.5,0.5],"transition":[[1,0],[0,1]],"length":3},
///                          {"joint":[{"sequence":[0,1],"p":1}],"vocab":2}]"#)?;
/// assert_eq!(laws.len(), 2);
/// let error = instances(r#"[{"start":[0.5,0.6],"transition":[[1,0],[0,1]],"length":3}]"#).unwrap_err();
/// assert_eq!(error.to_string(), "chain 0: start: the probabilities sum to 1.1, not to 1 (within 1e-6)");
/// # Ok::<(), decant_lab::chain::InstanceError>(())
/// ```
///
/// # Errors
/// [`InstanceError`].
pub fn instances(text: &str) -> Result<Vec<Law>, InstanceError> {
    let items: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or("");
        let read: Vec<char> = line.chars().take(error.column()).collect();
        let near: String = read[read.len().saturating_sub(40)..].iter().collect();
        let near = if near.is_empty() { near } else { format!(", at the end of `{near}`") };
        InstanceError::Json { reason: error.to_string(), near }
    })?;
    items.into_iter().enumerate().map(|(chain, fields)| Fields { chain, fields }.law()).collect()
}

/// The fields of a law that nobody has read yet.
struct Fields {
    chain: usize,
    fields: Map<String, Value>,
}

impl Fields {
    fn law(mut self) -> Result<Law, InstanceError> {
        let chain = self.chain;
        let law = if self.fields.contains_key("joint") {
            let (joint, vocab) = (self.take::<Vec<Entry>>("joint")?, self.take("vocab")?);
            self.end("joint, vocab")?;
            Joint::new(joint, vocab).and_then(|joint| joint.law())
        } else {
            let (start, transition, length) = (self.take("start")?, self.take("transition")?, self.take("length")?);
            self.end("start, transition, length, or joint and vocab")?;
            Chain::new(start, transition, length).and_then(|chain| chain.law())
        };
        law.map_err(|source| InstanceError::Chain { chain, source })
    }

    fn take<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, InstanceError> {
        let wrong = |reason| InstanceError::Field { chain: self.chain, field: field.to_owned(), reason };
        let value = self.fields.remove(field).ok_or_else(|| wrong("is missing".to_owned()))?;
        serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
    }

    fn end(self, known: &str) -> Result<(), InstanceError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(field) => {
                let reason = format!("is none of {known}");
                Err(InstanceError::Field { chain: self.chain, field: field.clone(), reason })
            }
        }
    }
}
