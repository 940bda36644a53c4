//! The file of the model that is measured.

use super::args::Measured;
use crate::model::Model;
use anyhow::{Context, Result};
use decant_models::ModelSource;
use decant_models::random::{Mix, Size, write_model};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// The seed of random models: everybody measures the same.
const SEED: u64 = 0;

/// A file to measure on, which goes away again if it was made for that.
pub struct ModelFile {
    pub source: ModelSource,
    random: Option<(Size, Mix)>,
    temporary: Option<PathBuf>,
}

impl ModelFile {
    /// The model that was asked for; one of random weights is written first.
    pub fn of(args: &Measured) -> Result<Self> {
        let Some(size) = args.shape else {
            return Ok(ModelFile { source: args.model.clone(), random: None, temporary: None });
        };
        let temporary = std::env::temp_dir().join(format!("decant-bench-{}.gguf", std::process::id()));
        let path = args.keep.clone().unwrap_or_else(|| temporary.clone());
        let file = ModelFile {
            source: ModelSource::Path(path.clone()),
            random: Some((size, args.mix)),
            temporary: args.keep.is_none().then_some(temporary),
        };
        write_random(size, args.mix, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(file)
    }

    /// What it is called.
    pub fn name(&self, model: &Model) -> String {
        match self.random {
            Some((size, mix)) => format!("random {size} {mix}"),
            None => model.info().name.clone(),
        }
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // What cannot be removed lies in the folder for such files.
            let _ = fs::remove_file(path);
        }
    }
}

fn write_random(size: Size, mix: Mix, path: &Path) -> io::Result<()> {
    write_model(size, mix, SEED, &mut BufWriter::with_capacity(1 << 20, File::create(path)?))
}
