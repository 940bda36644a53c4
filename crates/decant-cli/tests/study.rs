//! `decant lab study`: studies by name, killed and resumed.

mod common;

use common::Place;
use std::collections::BTreeMap;
use std::fs;

const PROMPTS: &str = "Once upon a time\n\nThe old bear\nOne day, a girl\n";

/// Of the study `entropies`: 24 texts by the embedded model.
const ENTROPIES: [&str; 8] = ["--prompts", "prompts.txt", "--set", "texts=8", "--set", "tokens=50", "--seed", "5"];

fn place() -> Place {
    let place = Place::new();
    place.write("prompts.txt", PROMPTS);
    place
}

#[test]
fn the_studies_are_listed() {
    let place = place();
    let list = place.ok(&["lab", "study"]);
    assert_eq!(place.ok(&["lab", "study", "--list"]), list);
    for name in ["schedules", "lookahead-hamming", "consistency", "hidden-prefix", "temperature-tradeoff", "entropies"]
    {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{list}");
    }
    assert!(place.err(2, &["lab", "study", "nonsense"]).contains("there is no study nonsense; there are "));
}

/// Kills a study twice on its way, lets it go on, and compares its files with those of an undisturbed run.
fn is_resumed(place: &Place, name: &str, args: &[&str]) -> BTreeMap<String, String> {
    let into = |folder, more: &[&'static str]| [&["lab", "study", name, "--out", folder], args, more].concat();
    place.ok(&into("whole", &[]));
    let journal = format!("killed/{name}.journal.jsonl");
    place.kill_at(2, &journal, &into("killed", &["--threads", "1"]));
    assert!(!place.path("killed").join(format!("{name}.csv")).exists());
    // Once more, and the line that was being written is torn.
    let left = place.read(&journal);
    place.write(&journal, &left[..left.len() - 9]);
    place.kill_at(4, &journal, &into("killed", &["--threads", "1"]));

    let output = place.run(&into("killed", &[]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("went on after "), "{told}");
    let files = place.files("killed");
    assert_eq!(files, place.files("whole"));
    assert_eq!(files.len(), 3);
    files
}

#[test]
fn a_killed_study_goes_on_and_leaves_the_files_of_an_undisturbed_one() {
    let files = is_resumed(&place(), "entropies", &ENTROPIES);
    assert!(files["entropies.csv"].starts_with("text,position,entropy\n0,0,"));
    assert_eq!(files["entropies.csv"].lines().last().unwrap().split(',').next(), Some("23"));
}

#[test]
fn so_does_one_of_chains() {
    let files = is_resumed(&Place::new(), "lookahead-hamming", &["--set", "chains=300", "--seed", "5"]);
    assert!(files["lookahead-hamming.svg"].contains("Where K-lookahead"));
}

#[test]
fn threads_do_not_change_a_study() {
    let place = place();
    for (threads, folder) in [("1", "one"), ("2", "two")] {
        place.ok(&[&["lab", "study", "entropies", "--out", folder, "--threads", threads], &ENTROPIES[..]].concat());
    }
    assert_eq!(place.files("one"), place.files("two"));
}

#[test]
fn a_folder_holds_one_study() {
    let place = place();
    let study = ["lab", "study", "schedules"];
    let with = |more: &[&'static str]| study.iter().chain(more).copied().collect::<Vec<_>>();
    place.ok(&study);
    let first = place.files("schedules");
    place.ok(&study);
    assert_eq!(place.files("schedules"), first);
    let error = place.err(1, &with(&["--set", "points=9"]));
    assert!(error.contains("schedules holds another study: its points is 241, asked is 9"), "{error}");
    fs::write(place.path("schedules/mine.txt"), "kept").unwrap();
    place.ok(&with(&["--set", "points=9", "--force"]));
    let second = place.files("schedules");
    assert_eq!(second["schedules.csv"].lines().count(), 1 + 5 * 9);
    assert_eq!(second["mine.txt"], "kept");
}

#[test]
fn parameters_are_checked() {
    let place = place();
    for (study, set, told) in [
        ("schedules", "poins=9", "unknown field `poins`"),
        ("schedules", "points=1", "points is 1"),
        ("schedules", "points", "`points` is not NAME=VALUE"),
        ("schedules", "schedules=[\"by_entropy(\"]", "no closing parenthesis"),
        ("entropies", "tokens=0", "tokens is 0"),
        ("entropies", "sampler=nope", "nope"),
    ] {
        let error = place.err(2, &["lab", "study", study, "--set", set, "--prompts", "prompts.txt"]);
        assert!(error.contains(told), "{error}");
    }
    assert!(place.err(2, &["lab", "study", "entropies"]).contains("--prompts FILE"));
    place.write("empty.txt", "\n \n");
    assert!(place.err(1, &["lab", "study", "entropies", "--prompts", "empty.txt"]).contains("holds no prompt"));
    assert_eq!(place.files(".").len(), 2, "nothing was begun");
}
