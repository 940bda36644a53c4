//! Running a study into a folder: manifest, journal, table, picture.

use super::journal::{Journal, lock};
use super::{Study, StudyError, Table, Value};
use decant_sampling::Seed;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The name of a folder's manifest.
const MANIFEST: &str = "manifest.json";

/// A study to be run.
#[derive(Clone, Copy)]
pub struct Task<'s> {
    /// What its files are called.
    pub name: &'s str,
    /// The study.
    pub study: &'s dyn Study,
    /// Where all its randomness comes from.
    pub seed: Seed,
}

/// What a folder's files are made from, `manifest.json`. Equal manifests make equal files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The study's name.
    pub study: String,
    /// The version of Decant.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// [`Study::parameters`].
    pub parameters: serde_json::Value,
    /// [`Study::columns`].
    pub columns: Vec<String>,
    /// [`Study::cells`].
    pub cells: usize,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Cells that are finished, those of earlier runs among them.
    pub done: usize,
    /// Cells of the study.
    pub cells: usize,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All files are there; so many of the cells came from earlier runs.
    Finished {
        /// Cells that were not computed now.
        resumed: usize,
    },
    /// The caller wanted no more; the next run goes on from here.
    Stopped,
}

impl Manifest {
    /// The manifest of a task.
    pub fn of(task: &Task<'_>) -> Self {
        Manifest {
            study: task.name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: task.seed.0,
            parameters: task.study.parameters(),
            columns: task.study.columns().iter().map(|&name| name.to_owned()).collect(),
            cells: task.study.cells(),
        }
    }

    /// The first field in which another manifest differs, with both values, this one's first.
    fn difference(&self, other: &Manifest) -> Option<[String; 3]> {
        let [this, that] = [self, other].map(|manifest| serde_json::json!(manifest));
        let fields = ["study", "version", "seed", "parameters", "columns", "cells"];
        let field = fields.into_iter().find(|field| this[field] != that[field])?;
        let inside = match (&this[field], &that[field]) {
            (serde_json::Value::Object(these), serde_json::Value::Object(those)) => {
                these.keys().chain(those.keys()).find(|key| these.get(*key) != those.get(*key))
            }
            _ => None,
        };
        Some(match inside {
            Some(key) => [key.clone(), told(this[field].get(key)), told(that[field].get(key))],
            None => [field.to_owned(), told(this.get(field)), told(that.get(field))],
        })
    }
}

/// A value of a manifest as far as a sentence has room for it: prompts may be long.
fn told(value: Option<&serde_json::Value>) -> String {
    let Some(text) = value.map(ToString::to_string) else { return "missing".to_owned() };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// Runs a study into a folder, which is made if it is missing, and goes on where an earlier run of the same study was
/// stopped or killed. Cells run on rayon's current threads; `progress` is called when the run begins and after each cell.
///
/// In the end the folder holds `manifest.json`, `NAME.csv` and `NAME.svg`, whatever happened on the way. Until then
/// `NAME.journal.jsonl` holds the finished cells.
///
/// # Errors
/// [`StudyError::Other`] if the folder has another manifest; whatever a cell or the file system reports. What was finished
/// stays.
pub fn run(
    task: &Task<'_>,
    folder: &Path,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Outcome, StudyError> {
    let manifest = Manifest::of(task);
    fs::create_dir_all(folder).map_err(StudyError::io(folder))?;
    claim(&manifest, folder)?;
    let files = Files::of(task.name, folder);
    if files.are_finished() {
        return Ok(Outcome::Finished { resumed: manifest.cells });
    }
    let columns = task.study.columns();
    let journal = Journal::open(&files.journal, manifest.cells, columns.len())?;
    let resumed = journal.cells().len();
    let missing: Vec<usize> = (0..manifest.cells).filter(|cell| !journal.cells().contains_key(cell)).collect();
    if progress(Progress { done: resumed, cells: manifest.cells }).is_break() {
        return Ok(Outcome::Stopped);
    }
    let journal = Mutex::new(journal);
    let compute = |&cell: &usize| -> Result<(), Halt> {
        let rows = cell_rows(task, cell)?;
        // A thread that panicked has left whole lines, too.
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.push(cell, rows)?;
        match progress(Progress { done: journal.cells().len(), cells: manifest.cells }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Halt::Asked),
        }
    };
    match missing.par_iter().with_max_len(1).try_for_each(compute) {
        Ok(()) => {}
        Err(Halt::Asked) => return Ok(Outcome::Stopped),
        Err(Halt::Failed(error)) => return Err(error),
    }
    let table = Table::new(columns, journal.into_inner().unwrap_or_else(PoisonError::into_inner).into_rows());
    replace(&files.csv, &table.csv())?;
    replace(&files.svg, &task.study.picture(&table).svg())?;
    fs::remove_file(&files.journal).map_err(StudyError::io(&files.journal))?;
    Ok(Outcome::Finished { resumed })
}

/// The table of a study that has finished in a folder.
///
/// # Errors
/// [`StudyError::Io`] if it has not; [`StudyError::Foreign`] if the file is not this study's.
pub fn table(task: &Task<'_>, folder: &Path) -> Result<Table, StudyError> {
    let path = Files::of(task.name, folder).csv;
    let csv = fs::read_to_string(&path).map_err(StudyError::io(&path))?;
    Table::read(task.study.columns(), &csv).map_err(|reason| StudyError::Foreign { path, reason })
}

/// Removes what runs of the study called `name` have left in a folder, finished or not, and the folder's manifest,
/// whatever study it is of. Other files stay.
///
/// # Errors
/// [`StudyError::Busy`] while a run is at work there; what the file system reports.
pub fn discard(name: &str, folder: &Path) -> Result<(), StudyError> {
    if !folder.exists() {
        return Ok(());
    }
    let files = Files::of(name, folder);
    let _nobody_else = lock(&files.journal)?;
    // The manifest last: as long as it lies there, what else lies there is this study's.
    for path in [&files.csv, &files.svg, &files.journal, &folder.join(MANIFEST)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StudyError::io(path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Why no further cell is begun.
enum Halt {
    Asked,
    Failed(StudyError),
}

impl From<StudyError> for Halt {
    fn from(error: StudyError) -> Self {
        Halt::Failed(error)
    }
}

fn cell_rows(task: &Task<'_>, cell: usize) -> Result<Vec<Vec<String>>, StudyError> {
    let columns = task.study.columns().len();
    let rows = task.study.run(cell, task.seed)?;
    match rows.iter().find(|row| row.len() != columns) {
        Some(row) => Err(StudyError::Shape { cell, found: row.len(), columns }),
        None => Ok(rows.into_iter().map(|row| row.into_iter().map(Value::into_text).collect()).collect()),
    }
}

/// Where the files of a study lie.
struct Files {
    csv: PathBuf,
    svg: PathBuf,
    journal: PathBuf,
}

impl Files {
    fn of(name: &str, folder: &Path) -> Self {
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        Files { csv: file("csv"), svg: file("svg"), journal: file("journal.jsonl") }
    }

    /// Whether a run has come to its end here: the journal goes last.
    fn are_finished(&self) -> bool {
        self.csv.exists() && self.svg.exists() && !self.journal.exists()
    }
}

/// Makes the folder one of this manifest, if it is of none; else they must be equal.
fn claim(manifest: &Manifest, folder: &Path) -> Result<(), StudyError> {
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let json = serde_json::to_string_pretty(manifest).expect("a manifest is always JSON");
            return replace(&path, &(json + "\n"));
        }
        text => text.map_err(StudyError::io(&path))?,
    };
    let found: Manifest = serde_json::from_str(&text)
        .map_err(|error| StudyError::Foreign { path, reason: format!("is no manifest: {error}") })?;
    match found.difference(manifest) {
        None => Ok(()),
        Some([field, found, asked]) => Err(StudyError::Other { folder: folder.to_owned(), field, found, asked }),
    }
}

/// Writes a file as a whole: a kill leaves the old one or the new one.
fn replace(path: &Path, text: &str) -> Result<(), StudyError> {
    let beside = path.with_added_extension("part");
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(StudyError::io(path))
}
