//! Instructions a row, counted by callgrind: seconds are too noisy for CI, counts are the same on every run.
//!
//! Callgrind is called directly, without a harness: one small program (this one, in release), one number a call, and
//! nothing to install but valgrind.

mod program;

use anyhow::{Context, Result, ensure};
use decant_sampling::{Isa, IsaName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The counts that are held to.
const COUNTS: &str = "crates/decant-sampling/benches/instructions.toml";

/// By how much a count may exceed the committed one, where the compiler is the one it was made by, and where it is another.
const TOLERANCES: [f64; 2] = [0.03, 0.15];

/// Valgrind knows no wider one, and every CI machine has it.
const ISA: IsaName = IsaName::Avx2;

/// The function that is counted, as callgrind calls it.
const MEASURED: &str = "xtask::instructions::program::measured";

/// The committed counts.
#[derive(Debug, Deserialize, PartialEq)]
struct Counts {
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

/// Counts, and commits to what was counted.
pub fn write(root: &Path) -> Result<()> {
    let counts = count(root)?;
    fs::write(root.join(COUNTS), counts.to_toml()).with_context(|| format!("cannot write {COUNTS}"))?;
    println!("wrote {COUNTS}: {} counts", counts.instructions.len());
    Ok(())
}

/// Counts, and fails where a sampler has become dearer than the tolerance allows.
pub fn check(root: &Path) -> Result<()> {
    if Isa::new(ISA).is_none() {
        println!("SKIPPED: the counts are of {ISA}, which this machine does not have");
        return Ok(());
    }
    let text = fs::read_to_string(root.join(COUNTS)).with_context(|| format!("cannot read {COUNTS}"))?;
    let held: Counts = toml::from_str(&text).with_context(|| format!("cannot understand {COUNTS}"))?;
    let (complaints, notes) = compare(&held, &count(root)?);
    for note in notes {
        println!("{note}");
    }
    let hint = "run `cargo xtask instructions write` if that is meant";
    ensure!(complaints.is_empty(), "{}\n{hint}", complaints.join("\n"));
    println!("{} counts hold", held.instructions.len());
    Ok(())
}

/// What is wrong, and what is worth telling.
fn compare(held: &Counts, now: &Counts) -> (Vec<String>, Vec<String>) {
    let (mut complaints, mut notes) = (Vec::new(), Vec::new());
    let mut tolerance = TOLERANCES[0];
    if held.rustc != now.rustc {
        tolerance = TOLERANCES[1];
        notes.push(format!("the counts are {}'s, this is {}: {tolerance} more is allowed", held.rustc, now.rustc));
    }
    for (name, &count) in &now.instructions {
        let Some(&before) = held.instructions.get(name) else {
            complaints.push(format!("{name}: not in {COUNTS}"));
            continue;
        };
        let change = count as f64 / before as f64 - 1.0;
        let told = format!("{name}: {before} -> {count} instructions ({:+.1} %)", 100.0 * change);
        if change > tolerance {
            complaints.push(told);
        } else if change < -tolerance {
            notes.push(told);
        }
    }
    let gone = held.instructions.keys().filter(|name| !now.instructions.contains_key(*name));
    complaints.extend(gone.map(|name| format!("{name}: in {COUNTS}, and no longer measured")));
    (complaints, notes)
}

impl Counts {
    fn to_toml(&self) -> String {
        let mut text = format!(
            "# Written by `cargo xtask instructions write`: instructions for one row of 32,000 logits, {ISA}.\n\
             # Regime, what the caller observes, sampler.\n\
             rustc = \"{}\"\n\n[instructions]\n",
            self.rustc
        );
        for (name, count) in &self.instructions {
            let _ = writeln!(text, "\"{name}\" = {count}");
        }
        text
    }
}

/// What runs under callgrind.
pub fn run() -> Result<()> {
    program::run(Isa::new(ISA).with_context(|| format!("this machine has no {ISA}"))?)
}

/// Builds the program that is measured and runs it under callgrind.
fn count(root: &Path) -> Result<Counts> {
    let program = build(root)?;
    let folder = program.with_extension("counts");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut valgrind = Command::new("valgrind");
    // One dump a call, numbered in order.
    valgrind.arg("--tool=callgrind").args([format!("--toggle-collect={MEASURED}"), format!("--dump-after={MEASURED}")]);
    valgrind.arg(format!("--callgrind-out-file={}", folder.join("counts").display()));
    let names = crate::output(valgrind.arg(program).args(["instructions", "run"]), "valgrind")?;
    let mut instructions = BTreeMap::new();
    for (number, name) in (1..).zip(names.lines()) {
        let dump = folder.join(format!("counts.{number}"));
        let dump = fs::read_to_string(&dump).with_context(|| format!("cannot read {}", dump.display()))?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).context("a dump ends with totals")?;
        instructions.insert(name.to_owned(), total.trim().parse()?);
    }
    ensure!(!instructions.is_empty(), "nothing was measured");
    let rustc = crate::output(Command::new("rustc").arg("--version"), "rustc")?.trim().to_owned();
    Ok(Counts { rustc, instructions })
}

/// The path of the measured program.
fn build(root: &Path) -> Result<PathBuf> {
    let mut cargo = crate::cargo(root);
    let messages =
        crate::output(cargo.args(["build", "--release", "--package=xtask", "--message-format=json"]), "cargo build")?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo tells of no executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rustc: &str, counts: &[(&str, u64)]) -> Counts {
        let instructions = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { rustc: rustc.to_owned(), instructions }
    }

    #[test]
    fn what_becomes_dearer_is_told() {
        let held = counts("1", &[("a", 1000), ("b", 1000), ("c", 1000)]);
        assert_eq!(compare(&held, &held), (vec![], vec![]));
        let now = counts("1", &[("a", 1029), ("b", 1031), ("c", 900)]);
        let (complaints, notes) = compare(&held, &now);
        assert_eq!(complaints, ["b: 1000 -> 1031 instructions (+3.1 %)"]);
        assert_eq!(notes, ["c: 1000 -> 900 instructions (-10.0 %)"]);
    }

    #[test]
    fn another_compiler_is_allowed_more() {
        let held = counts("1", &[("a", 1000), ("b", 1000)]);
        let (complaints, notes) = compare(&held, &counts("2", &[("a", 1149), ("b", 1151)]));
        assert_eq!(complaints, ["b: 1000 -> 1151 instructions (+15.1 %)"]);
        assert_eq!(notes, ["the counts are 1's, this is 2: 0.15 more is allowed"]);
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        let (complaints, _) = compare(&counts("1", &[("old", 1)]), &counts("1", &[("new", 1)]));
        assert_eq!(complaints.len(), 2);
    }

    #[test]
    fn the_file_reads_as_it_was_written() {
        let held = counts("rustc 1.95.0", &[("flat nothing temp=by_entropy(0.5..4->0.3..1.8)", 7), ("x", 8)]);
        assert_eq!(toml::from_str::<Counts>(&held.to_toml()).unwrap(), held);
    }
}
