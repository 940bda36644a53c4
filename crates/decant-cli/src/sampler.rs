//! From the command line to a sampler: a spec, or the profile that holds one.

use crate::args::SamplerArg;
use crate::session::Session;
use anyhow::{Context, Result};
use decant_sampling::{SamplerSpec, SpecError};
use serde::Deserialize;
use std::fs;
use std::path::Path;

impl SamplerArg {
    /// The spec that was asked for; what is odd in it is said on stderr.
    pub fn spec(&self, session: &Session) -> Result<SamplerSpec> {
        let spec = match &self.profile {
            Some(file) => read_profile(file)?,
            None => self.sampler.clone(),
        };
        spec.warnings().iter().for_each(|warning| session.warn(warning));
        Ok(spec)
    }
}

/// A profile: a sampler whose thresholds were measured, and the measurements.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    sampler: String,
    /// What the thresholds were taken from: for people to read, not used here.
    #[serde(default, rename = "measured")]
    _measured: toml::Table,
}

/// A profile whose field does not hold what it should: as wrong as a wrong spec on the command line.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{file}: {reason}")]
    Toml { file: String, reason: String },
    #[error("{file}: sampler: {source}")]
    Spec { file: String, source: SpecError },
}

fn read_profile(path: &Path) -> Result<SamplerSpec> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read profile {file}"))?;
    let profile: Profile = toml::from_str(&text)
        .map_err(|error| ProfileError::Toml { file: file.clone(), reason: error.message().replace('\n', " ") })?;
    Ok(profile.sampler.parse().map_err(|source| ProfileError::Spec { file, source })?)
}
