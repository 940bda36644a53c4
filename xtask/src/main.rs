//! Chores of the workspace, run as `cargo xtask <task>`:
//!
//! - `generate write` makes the files that follow from the catalog of stages; `generate check` fails where one is stale;
//! - `architecture` fails on an edge between crates that the design does not have, and on a source file that is too long;
//! - `instructions write` counts, under callgrind, what each sampler costs; `instructions check` fails where one became dearer;
//! - `check` is `generate check` and `architecture`. It is a unit test too.

mod architecture;
mod generate;
mod instructions;
mod pages;

use anyhow::bail;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["generate", "write"] => generate::write(root()),
        ["generate", "check"] => generate::check(root()),
        ["instructions", "write"] => instructions::write(root()),
        ["instructions", "check"] => instructions::check(root()),
        ["instructions", "run"] => instructions::run(),
        ["architecture"] => architecture::check(root()),
        ["check"] => {
            generate::check(root())?;
            architecture::check(root())
        }
        _ => bail!("usage: cargo xtask generate write|check | instructions write|check | architecture | check"),
    }
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root of the repository")
}
