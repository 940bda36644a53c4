//! Profiles: a sampler in a file, and what its thresholds were measured from.

use anyhow::{Context, Result};
use decant_sampling::{SamplerSpec, SpecError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What a profile's file holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Profile<Measured> {
    sampler: String,
    /// What the thresholds were taken from: for people to read, not for samplers.
    #[serde(default)]
    measured: Measured,
}

/// A profile whose field does not hold what it should: as wrong as a wrong spec on the command line.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{file}: {reason}")]
    Toml { file: String, reason: String },
    #[error("{file}: sampler: {source}")]
    Spec { file: String, source: SpecError },
}

/// The sampler of a profile.
pub fn read(path: &Path) -> Result<SamplerSpec> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read profile {file}"))?;
    let profile: Profile<toml::Table> = toml::from_str(&text)
        .map_err(|error| ProfileError::Toml { file: file.clone(), reason: error.message().replace('\n', " ") })?;
    Ok(profile.sampler.parse().map_err(|source| ProfileError::Spec { file, source })?)
}

/// Writes a profile, as a whole or not at all.
pub fn write<Measured: Serialize>(path: &Path, sampler: &SamplerSpec, measured: Measured) -> Result<()> {
    let profile = toml::to_string(&Profile { sampler: sampler.to_string(), measured })?;
    let text =
        format!("# A sampler for `decant generate --profile`, and what its thresholds were measured from.\n{profile}");
    let beside = path.with_added_extension("part");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}
