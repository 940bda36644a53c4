//! What to do, as data.

use std::fmt;
use std::str::FromStr;

/// An ordered list of stages. Its canonical text (`Display`) is a run's identity.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerSpec(pub Vec<()>);

/// Why a text, list or object is not a spec: names the field, the allowed range and what was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {}

impl FromStr for SamplerSpec {
    type Err = SpecError;
    fn from_str(_: &str) -> Result<Self, SpecError> {
        todo!()
    }
}

impl fmt::Display for SamplerSpec {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
// Deserialize accepts the text, the list and the object; Serialize writes the canonical text.
