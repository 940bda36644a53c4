//! Chores of the workspace, run as `cargo xtask <task>`:
//!
//! - `generate write` makes the files that follow from the catalog of stages and the server's routes; `generate check` fails
//!   where one is stale;
//! - `architecture` fails on an edge between crates that the design does not have, and on a source file that is too long;
//! - `instructions write` counts, under callgrind, what each sampler costs; `instructions check` fails where one became dearer;
//! - `bench-peers samplers` and `bench-peers engine` time Decant beside what people run today and write the tables of
//!   `docs/benchmarks.md`;
//! - `load [--streams N] [--seconds S] [--seed N] [--program FILE]` puts a load on the server and compares every byte;
//! - `check-models` compares the engine's logits with transformers', on random models of every architecture;
//! - `check` is `generate check` and `architecture`. It is a unit test too.

mod architecture;
mod engines;
mod generate;
mod instructions;
mod load;
mod models;
mod pages;
mod peers;

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["generate", "write"] => generate::write(root()),
        ["generate", "check"] => generate::check(root()),
        ["instructions", "write"] => instructions::write(root()),
        ["instructions", "check"] => instructions::check(root()),
        ["instructions", "run"] => instructions::run(),
        ["bench-peers", "samplers"] => peers::bench(root()),
        ["bench-peers", "engine"] => engines::bench(root()),
        ["load", args @ ..] => under_load(args),
        ["check-models"] => models::check(root()),
        ["architecture"] => architecture::check(root()),
        ["check"] => {
            generate::check(root())?;
            architecture::check(root())
        }
        _ => bail!(
            "usage: cargo xtask generate write|check | instructions write|check | bench-peers samplers|engine | check-models | \
             load [--streams N] [--seconds S] [--seed N] [--program FILE] | architecture | check"
        ),
    }
}

/// Puts a load on the release build, or on another program, and prints what came of it.
fn under_load(args: &[&str]) -> Result<()> {
    let mut load = load::Load { streams: 200, time: Duration::from_secs(60), pool: 300, seed: 1 };
    let mut program = None;
    for pair in args.chunks(2) {
        match pair {
            ["--streams", streams] => load.streams = streams.parse()?,
            ["--seconds", seconds] => load.time = Duration::try_from_secs_f64(seconds.parse()?)?,
            ["--seed", seed] => load.seed = seed.parse()?,
            ["--program", file] => program = Some(PathBuf::from(file)),
            other => bail!("load takes --streams N, --seconds S, --seed N and --program FILE, not {other:?}"),
        }
    }
    let program = program.map_or_else(|| models::decant(root(), "release"), Ok)?;
    println!("{}", load::run(&program, &load)?);
    Ok(())
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root of the repository")
}

/// Puts a text between the marker lines of a page.
fn splice(page: &str, name: &str, [begin, end]: [&str; 2], text: &str) -> Result<String> {
    let Some((before, rest)) = page.split_once(begin) else { bail!("{name} has no line {begin}") };
    let Some((_, after)) = rest.split_once(end) else { bail!("{name} has no line {end} after {begin}") };
    Ok(format!("{before}{begin}\n{text}{end}{after}"))
}

/// Cargo in the workspace, without what the cargo that runs us has set for us: build scripts that watch it (ring's does) would
/// have everything above them built again.
fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// The Python that `PYTHON` names, or else `python3`, if it can import these modules.
fn python(modules: &str) -> Option<Command> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    found.is_ok_and(|output| output.status.success()).then(|| Command::new(python))
}

/// Standard output of a command that must succeed.
fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {what}"))?;
    ensure!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).with_context(|| format!("{what} prints no text"))
}
