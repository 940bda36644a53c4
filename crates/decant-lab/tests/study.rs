//! Studies stopped, cut off and resumed give the files of an undisturbed run.

use decant_lab::plot::{Axis, Mark, Panel, Picture, Series};
use decant_lab::study::{Outcome, Progress, Row, Study, StudyError, Table, Task, discard, row, run};
use decant_sampling::Seed;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An empty folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("study-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Cell i has i % 3 rows of coins, and keeps count of who was asked to run.
#[derive(Default)]
struct Coins {
    asked: Mutex<Vec<usize>>,
    bad: Option<usize>,
}

const CELLS: usize = 24;

impl Study for Coins {
    fn parameters(&self) -> serde_json::Value {
        serde_json::json!({"sides": 2})
    }

    fn columns(&self) -> &'static [&'static str] {
        &["cell", "coin", "note"]
    }

    fn cells(&self) -> usize {
        CELLS
    }

    fn run(&self, cell: usize, seed: Seed) -> Result<Vec<Row>, StudyError> {
        self.asked.lock().unwrap().push(cell);
        if self.bad == Some(cell) {
            return Err(StudyError::cell(cell, "the coin stands on its edge"));
        }
        let coin = |lane: usize| seed.coins(cell as u32, 0).uniform(lane as u32);
        Ok((0..cell % 3).map(|lane| row![cell, coin(lane), "a, \"b\""]).collect())
    }

    fn picture(&self, table: &Table) -> Picture {
        let points = table.rows().map(|row| (row.number("cell"), row.number("coin")));
        let axes = Panel::new("", Axis::linear("cell"), Axis::linear("coin"));
        Picture::new("Coins").with(axes.with(Series::new("coins", Mark::Points, points)))
    }
}

fn task(study: &Coins, seed: u64) -> Task<'_> {
    Task { name: "coins", study, seed: Seed(seed) }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Every file of a folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect()
}

fn undisturbed(seed: u64) -> BTreeMap<String, String> {
    let folder = Folder::new();
    let outcome = run(&task(&Coins::default(), seed), &folder.0, &go_on).unwrap();
    assert_eq!(outcome, Outcome::Finished { resumed: 0 });
    files(&folder.0)
}

#[test]
fn a_run_leaves_three_files() {
    let files = undisturbed(7);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["coins.csv", "coins.svg", "manifest.json"]);
    let csv: Vec<&str> = files["coins.csv"].lines().collect();
    assert_eq!(csv.len(), 1 + CELLS);
    assert!(csv[0] == "cell,coin,note" && csv[1].starts_with("1,0.") && csv[1].ends_with(",\"a, \"\"b\"\"\""));
    assert_ne!(undisturbed(8)["coins.csv"], files["coins.csv"]);
    let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    assert_eq!((&manifest["study"], &manifest["seed"], &manifest["cells"]), (&"coins".into(), &7.into(), &24.into()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn stopped_after_any_cell_and_cut_at_any_byte(seed: u64, stop in 1usize..CELLS, cut: prop::sample::Index) {
        let folder = Folder::new();
        let until = |progress: Progress| match progress.done < stop {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let outcome = run(&task(&Coins::default(), seed), &folder.0, &until).unwrap();
        prop_assert_eq!(outcome, Outcome::Stopped);
        prop_assert!(!folder.0.join("coins.csv").exists());

        // As a kill might leave it: torn anywhere, and with files that were being written.
        let journal = folder.0.join("coins.journal.jsonl");
        let lines = fs::read(&journal).unwrap();
        let left = &lines[..cut.index(lines.len() + 1)];
        fs::write(&journal, left).unwrap();
        fs::write(folder.0.join("coins.csv.part"), "cell,co").unwrap();
        let whole = left.iter().filter(|&&byte| byte == b'\n').count();

        let study = Coins::default();
        let outcome = run(&task(&study, seed), &folder.0, &go_on).unwrap();
        prop_assert_eq!(outcome, Outcome::Finished { resumed: whole });
        prop_assert_eq!(study.asked.lock().unwrap().len(), CELLS - whole, "nothing is computed twice");
        prop_assert_eq!(files(&folder.0), undisturbed(seed));
    }

    #[test]
    fn any_journal_is_resumed_or_refused(
        lines in prop::collection::vec("[{}\\[\\]\":,0-9a-z]{0,12}|\\{\"cell\":[0-9]{1,2},\"rows\":\\[\\]\\}", 0..4), end: bool,
    ) {
        let folder = Folder::new();
        let journal = folder.0.join("coins.journal.jsonl");
        fs::write(&journal, lines.join("\n") + if end { "\n" } else { "" }).unwrap();
        let outcome = run(&task(&Coins::default(), 1), &folder.0, &go_on);
        let expected = matches!(outcome, Ok(Outcome::Finished { .. }) | Err(StudyError::Foreign { .. }));
        prop_assert!(expected, "{:?}", outcome);
    }
}

#[test]
fn a_finished_study_is_not_run_again() {
    let folder = Folder::new();
    run(&task(&Coins::default(), 1), &folder.0, &go_on).unwrap();
    let study = Coins::default();
    let outcome = run(&task(&study, 1), &folder.0, &go_on).unwrap();
    assert_eq!(outcome, Outcome::Finished { resumed: CELLS });
    assert!(study.asked.lock().unwrap().is_empty());
    // A kill between the table and the picture.
    fs::remove_file(folder.0.join("coins.svg")).unwrap();
    run(&task(&study, 1), &folder.0, &go_on).unwrap();
    assert_eq!(files(&folder.0), undisturbed(1));
}

#[test]
fn an_error_loses_nothing() {
    let folder = Folder::new();
    let bad = Coins { bad: Some(5), ..Coins::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let error = pool.install(|| run(&task(&bad, 1), &folder.0, &go_on)).unwrap_err();
    assert_eq!(error.to_string(), "cell 5: the coin stands on its edge");
    let Outcome::Finished { resumed } = run(&task(&Coins::default(), 1), &folder.0, &go_on).unwrap() else {
        panic!("nobody stopped it");
    };
    assert_eq!(resumed, bad.asked.lock().unwrap().len() - 1);
    assert_eq!(files(&folder.0), undisturbed(1));
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let folder = Folder::new();
    let study = Coins::default();
    run(&task(&study, 1), &folder.0, &go_on).unwrap();
    let error = |task: &Task<'_>| run(task, &folder.0, &go_on).unwrap_err().to_string();
    assert!(error(&task(&study, 2)).contains("its seed is 1, asked is 2"));
    let other = Task { name: "dice", ..task(&study, 1) };
    assert!(error(&other).contains("its study is \"coins\", asked is \"dice\""));
    let manifest = fs::read_to_string(folder.0.join("manifest.json")).unwrap();
    for (wrong, told) in [
        (manifest.replace("\"sides\": 2", "\"sides\": 3"), "its sides is 3, asked is 2"),
        (manifest.replace("2\n", &format!("\"{}\"\n", "x".repeat(99))), "xxx.., asked is 2"),
        (manifest.replace("\"version\": \"", "\"version\": \"0."), "its version is \"0."),
        (manifest[1..].to_owned(), "is no manifest"),
    ] {
        fs::write(folder.0.join("manifest.json"), wrong).unwrap();
        assert!(error(&task(&study, 1)).contains(told), "{}", error(&task(&study, 1)));
    }
    discard("coins", &folder.0).unwrap();
    assert!(files(&folder.0).is_empty());
    run(&task(&study, 2), &folder.0, &go_on).unwrap();
    assert_eq!(files(&folder.0), undisturbed(2));
}

#[test]
fn a_journal_of_something_else_is_refused() {
    let study = Coins::default();
    for line in ["{}", "{\"cell\":24,\"rows\":[]}", "{\"cell\":1,\"rows\":[[\"1\"]]}", "\u{0}"] {
        let folder = Folder::new();
        fs::write(folder.0.join("coins.journal.jsonl"), format!("{line}\n")).unwrap();
        let error = run(&task(&study, 1), &folder.0, &go_on).unwrap_err().to_string();
        assert!(error.contains("coins.journal.jsonl: line 1 is no cell"), "{error}");
    }
    assert!(study.asked.lock().unwrap().is_empty());
}

#[test]
fn two_runs_do_not_write_one_folder() {
    let folder = Folder::new();
    let within = |progress: Progress| {
        if progress.done == 1 {
            let error = run(&task(&Coins::default(), 1), &folder.0, &go_on).unwrap_err();
            assert!(matches!(error, StudyError::Busy { .. }), "{error}");
        }
        ControlFlow::Continue(())
    };
    run(&task(&Coins::default(), 1), &folder.0, &within).unwrap();
    assert_eq!(files(&folder.0), undisturbed(1));
}
