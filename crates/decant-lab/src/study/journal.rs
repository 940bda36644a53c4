//! The cells finished so far, a line each: what a killed run leaves to the next one.

use super::StudyError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    cell: usize,
    rows: Vec<Vec<String>>,
}

/// Opens a journal, or makes an empty one, for this process alone.
///
/// # Errors
/// [`StudyError::Busy`] if another process has it open.
pub(super) fn lock(path: &Path) -> Result<File, StudyError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = open.map_err(StudyError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StudyError::Busy { folder: path.parent().unwrap_or(Path::new("")).to_owned() })
        }
        Err(TryLockError::Error(source)) => Err(StudyError::io(path)(source)),
    }
}

/// The finished cells, in memory and in the file alike. Nobody else writes the file as long as this lives.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    cells: BTreeMap<usize, Vec<Vec<String>>>,
}

impl Journal {
    /// Opens the journal of a study of so many cells and columns, and reads what it holds. A last line that is not whole
    /// was being written when its run was killed: it is dropped.
    ///
    /// # Errors
    /// As [`lock`]; [`StudyError::Foreign`] for a line that is none of this study.
    pub fn open(path: &Path, cells: usize, columns: usize) -> Result<Self, StudyError> {
        let io = || StudyError::io(path);
        let mut file = lock(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io())?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let mut journal = Journal { file, path: path.to_owned(), cells: BTreeMap::new() };
        for (number, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
            let foreign =
                |reason| StudyError::Foreign { path: path.to_owned(), reason: format!("line {} {reason}", number + 1) };
            let line: Line = serde_json::from_slice(line).map_err(|error| foreign(format!("is no cell: {error}")))?;
            if line.cell >= cells || line.rows.iter().any(|row| row.len() != columns) {
                return Err(foreign("is no cell of this study".to_owned()));
            }
            journal.cells.insert(line.cell, line.rows);
        }
        journal.file.set_len(whole as u64).map_err(io())?;
        journal.file.seek(SeekFrom::End(0)).map_err(io())?;
        Ok(journal)
    }

    /// Keeps a finished cell: its line is whole in the file before this returns.
    pub fn push(&mut self, cell: usize, rows: Vec<Vec<String>>) -> Result<(), StudyError> {
        let line = Line { cell, rows };
        let mut json = serde_json::to_vec(&line).expect("texts and numbers are always JSON");
        json.push(b'\n');
        self.file.write_all(&json).map_err(StudyError::io(&self.path))?;
        self.cells.insert(cell, line.rows);
        Ok(())
    }

    /// The finished cells, in order.
    pub fn cells(&self) -> &BTreeMap<usize, Vec<Vec<String>>> {
        &self.cells
    }

    /// All rows, the cells in order.
    pub fn into_rows(self) -> Vec<Vec<String>> {
        self.cells.into_values().flatten().collect()
    }
}
