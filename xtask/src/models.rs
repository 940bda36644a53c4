//! Decant's engine beside transformers: `check_models.py` makes the models and compares.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The part of `cargo metadata` that says where programs are built.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// Builds `decant` and compares its logits with those of transformers, if there is a Python that has it.
pub fn check(root: &Path) -> Result<()> {
    let Some(mut python) = crate::python("torch, transformers") else {
        println!("SKIPPED: no Python with torch and transformers (set PYTHON to one); no model was compared");
        return Ok(());
    };
    let decant = decant(root, "dev")?;
    let status = python.arg(root.join("xtask/check_models.py")).arg(decant).status()?;
    ensure!(status.success(), "the models' logits differ");
    Ok(())
}

/// Builds `decant` with a profile, `dev` or `release`, and says where it is.
pub fn decant(root: &Path, profile: &str) -> Result<PathBuf> {
    let build = ["build", "--package=decant-cli", "--profile", profile];
    let status = crate::cargo(root).args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "decant does not build");
    let mut metadata = crate::cargo(root);
    metadata.args(["metadata", "--format-version=1", "--no-deps"]);
    let metadata: Metadata = serde_json::from_str(&crate::output(&mut metadata, "cargo metadata")?)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(metadata.target_directory.join(folder).join(format!("decant{}", std::env::consts::EXE_SUFFIX)))
}
