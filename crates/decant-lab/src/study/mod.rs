//! Reproducible studies: a manifest, a CSV, a picture.
//!
//! A [`Study`] is a grid of independent *cells*, each a pure function of the study's parameters, the seed and its own
//! index. [`run`] computes them in parallel into a folder, keeps every finished cell in a journal, and at the end writes
//! the table and the picture made from it. Whoever is killed runs again: what is finished is not computed twice, and
//! the files come out the very same.
//!
//! ```
//! use decant_lab::plot::{Axis, Mark, Panel, Picture, Series};
//! use decant_lab::study::{self, Outcome, Row, Study, StudyError, Table, Task, row};
//! use decant_sampling::Seed;
//! use std::ops::ControlFlow;
//!
//! /// How far the mean of `coins` fair coins strays.
//! #[derive(serde::Serialize)]
//! struct Coins { tries: u64 }
//!
//! impl Study for Coins {
//!     fn parameters(&self) -> serde_json::Value { serde_json::json!(self) }
//!     fn columns(&self) -> &'static [&'static str] { &["coins", "deviation"] }
//!     fn cells(&self) -> usize { 8 }
//!
//!     fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
//!         let coins = 1u32 << cell;
//!         // A stream of coins for each cell: no cell depends on another.
//!         let mean = |position| {
//!             let coin = |lane| seed.coins(cell as u32, position).uniform(lane);
//!             (0..coins).map(coin).sum::<f64>() / f64::from(coins)
//!         };
//!         let deviation = (0..self.tries).map(|i| (mean(i) - 0.5).abs()).sum::<f64>() / self.tries as f64;
//!         Ok(vec![row![coins, deviation]])
//!     }
//!
//!     fn picture(&self, table: &Table) -> Picture {
//!         let points = table.rows().map(|row| (row.number("coins"), row.number("deviation")));
//!         let panel = Panel::new("", Axis::log("coins"), Axis::log("mean deviation"))
//!             .with(Series::new("measured", Mark::Line, points));
//!         Picture::new("The law of large numbers").with(panel)
//!     }
//! }
//!
//! # let folder = std::env::temp_dir().join(format!("decant-study-doc-{}", std::process::id()));
//! let task = Task { name: "coins", study: &Coins { tries: 100 }, seed: Seed(1) };
//! let outcome = study::run(&task, &folder, &|_| ControlFlow::Continue(()))?;
//! assert_eq!(outcome, Outcome::Finished { resumed: 0 });
//! assert!(std::fs::read_to_string(folder.join("coins.csv"))?.starts_with("coins,deviation\n1,0."));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catalog;
mod consistency;
mod folder;
mod hidden_prefix;
mod journal;
mod lookahead_hamming;
mod parameters;
mod schedules;
mod table;
mod temperature_tradeoff;
mod three_rules;
mod toph_lemmas;

pub use crate::row;
pub use catalog::{Entry, MakeAlone, MakeOfModel, Material, Settings, catalog};
pub use folder::{Manifest, Outcome, Progress, Task, discard, run, table};
pub use table::{Row, Table, TableRow, Value};

use crate::plot::Picture;
use decant_sampling::Seed;
use std::error::Error;
use std::path::{Path, PathBuf};

/// A question to be answered by a table of many independent cells, and a picture of it.
pub trait Study: Sync {
    /// Everything that the cells depend on besides the seed, as the manifest keeps it: equal parameters and seed make
    /// equal files.
    fn parameters(&self) -> serde_json::Value;

    /// The names of the table's columns.
    fn columns(&self) -> &'static [&'static str];

    /// How many cells there are.
    fn cells(&self) -> usize;

    /// The rows of a cell, from 0: a pure function of the parameters, the seed and the index. Cells run at the same
    /// time and in any order; each has streams of coins of its own ([`Seed::coins`] of a stream that only it uses).
    ///
    /// # Errors
    /// Whatever makes the cell impossible; the study stops there and can be resumed. [`StudyError::cell`] wraps errors
    /// of other kinds.
    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError>;

    /// What the finished table shows.
    fn picture(&self, table: &Table) -> Picture;
}

/// Why a study cannot be run, or cannot go on. What was finished stays in its folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A file of the folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder holds something else than this study, or not as this version of Decant would make it.
    #[error("{} holds another study: its {field} is {found}, asked is {asked}; choose another folder, or start over with --force", folder.display())]
    Other {
        /// The folder.
        folder: PathBuf,
        /// The first field of the manifest that differs.
        field: String,
        /// What the folder's manifest says.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// A file in the folder is not what a run of this study writes.
    #[error("{}: {reason}; start over with --force", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else writes into the folder now.
    #[error("another run is at work in {}", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The study has no such parameter, or not with such a value.
    #[error("parameters: {reason}")]
    Parameter {
        /// What is wrong, with the parameter's name.
        reason: String,
    },
    /// The study works on rows of a model, and none was given.
    #[error("the study {name} needs a model and prompts")]
    NoModel {
        /// The study.
        name: &'static str,
    },
    /// A cell failed.
    #[error("cell {cell}: {source}")]
    Cell {
        /// The cell, from 0.
        cell: usize,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A cell gave a row that does not fit the columns: a mistake of the study.
    #[error("cell {cell} gave a row of {found} values, the table has {columns} columns")]
    Shape {
        /// The cell, from 0.
        cell: usize,
        /// Values of the row.
        found: usize,
        /// Columns of the table.
        columns: usize,
    },
}

impl StudyError {
    /// The error of a cell.
    pub fn cell(cell: usize, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StudyError::Cell { cell, source: source.into() }
    }

    /// The error of a parameter.
    pub fn parameter(reason: impl Into<String>) -> Self {
        StudyError::Parameter { reason: reason.into() }
    }

    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| StudyError::Io { path, source }
    }
}
