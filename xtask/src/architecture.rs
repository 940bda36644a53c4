//! The shape of the house: which crate may know which, and how long a file may be.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Every edge that may exist between crates: a crate, and what it may depend on, be it for tests only.
const EDGES: [(&str, &[&str]); 10] = [
    ("decant-kernels", &[]),
    ("decant-sampling", &["decant-kernels"]),
    ("decant-decode", &["decant-sampling"]),
    ("decant-models", &["decant-kernels", "decant-sampling", "decant-decode"]),
    ("decant-lab", &["decant-sampling", "decant-decode"]),
    ("decant-eval", &["decant-sampling", "decant-decode"]),
    ("decant-server", &["decant-sampling", "decant-decode", "decant-models"]),
    (
        "decant-cli",
        &["decant-sampling", "decant-decode", "decant-models", "decant-server", "decant-lab", "decant-eval"],
    ),
    ("decant-capi", &["decant-sampling"]),
    ("decant-python", &["decant-sampling", "decant-decode"]),
];

/// Chores stand outside the house and may look at all of it.
const CHORES: &str = "xtask";

/// The most lines a source file may have.
const LONGEST_FILE: usize = 500;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Set for dependencies on crates of the workspace.
    path: Option<PathBuf>,
}

/// Fails on a forbidden edge and on a file that is too long.
pub fn check(root: &Path) -> Result<()> {
    let forbidden = forbidden(&metadata(root)?);
    ensure!(forbidden.is_empty(), "edges that the design does not have: {}", forbidden.join(", "));
    let long = long_files(root)?;
    ensure!(long.is_empty(), "files over {LONGEST_FILE} lines: {}", long.join(", "));
    Ok(())
}

fn metadata(root: &Path) -> Result<Metadata> {
    let output = crate::cargo(root)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
}

fn forbidden(metadata: &Metadata) -> Vec<String> {
    let allowed = |from: &str, to: &str| EDGES.iter().any(|(name, edges)| *name == from && edges.contains(&to));
    let crates = metadata.packages.iter().filter(|package| package.name != CHORES);
    let edges = crates.flat_map(|package| {
        let inside = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        inside.map(|dependency| (package.name.as_str(), dependency.name.as_str()))
    });
    edges.filter(|(from, to)| !allowed(from, to)).map(|(from, to)| format!("{from} -> {to}")).collect()
}

fn long_files(root: &Path) -> Result<Vec<String>> {
    let mut long = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "xtask", "fuzz", "peers"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let lines = fs::read_to_string(&path)?.lines().count();
                if lines > LONGEST_FILE {
                    long.push(format!("{} ({lines})", path.strip_prefix(root)?.display()));
                }
            }
        }
    }
    Ok(long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn the_house_has_only_the_edges_of_the_design() {
        assert_eq!(forbidden(&metadata(root()).unwrap()), [""; 0]);
    }

    #[test]
    fn files_are_short() {
        assert_eq!(long_files(root()).unwrap(), [""; 0]);
    }

    #[test]
    fn a_wrong_edge_is_seen() {
        let dependency = |name: &str, path: Option<&str>| Dependency { name: name.into(), path: path.map(Into::into) };
        let package = |name: &str, dependencies| Package { name: name.into(), dependencies };
        let packages = vec![
            package("decant-sampling", vec![dependency("decant-kernels", Some("k")), dependency("serde", None)]),
            package("decant-kernels", vec![dependency("decant-models", Some("m"))]),
            package("decant-stranger", vec![dependency("decant-kernels", Some("k"))]),
            package(CHORES, vec![dependency("decant-sampling", Some("s"))]),
        ];
        let found = forbidden(&Metadata { packages });
        assert_eq!(found, ["decant-kernels -> decant-models", "decant-stranger -> decant-kernels"]);
    }
}
