//! Files that follow from the catalog of stages and from the server's routes. They are committed, and a test says when one is stale.

use crate::pages;
use anyhow::{Context, Result, ensure};
use decant_sampling::{SamplerSpec, catalog};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that holds generated pages and nothing else.
const PAGES: &str = "docs/samplers";
const SCHEMA: &str = "docs/schema/sampler.schema.json";
const OPENAPI: &str = "docs/openapi.json";
const README: &str = "README.md";
/// The lines of the README between which the table of stages stands.
const MARKERS: [&str; 2] = ["<!-- samplers:begin -->", "<!-- samplers:end -->"];

/// Writes what is stale and removes pages of stages that are gone.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in stale(root)? {
        let full = root.join(&path);
        match text {
            Some(text) => {
                fs::create_dir_all(full.parent().context("a file lies in a folder")?)?;
                fs::write(&full, text).with_context(|| format!("cannot write {}", full.display()))?;
                println!("wrote {}", path.display());
            }
            None => {
                fs::remove_file(&full).with_context(|| format!("cannot remove {}", full.display()))?;
                println!("removed {}", path.display());
            }
        }
    }
    Ok(())
}

/// Fails, naming the files, where one is not as `write` would leave it.
pub fn check(root: &Path) -> Result<()> {
    let stale: Vec<String> = stale(root)?.keys().map(|path| path.display().to_string()).collect();
    ensure!(stale.is_empty(), "not what the code says: {}; run `cargo xtask generate write`", stale.join(", "));
    Ok(())
}

/// The files that differ from what they should be, with the text they should have; none if they should not be.
fn stale(root: &Path) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let wanted = artefacts(root)?;
    let mut stale = BTreeMap::new();
    for entry in fs::read_dir(root.join(PAGES)).into_iter().flatten() {
        let path = Path::new(PAGES).join(entry?.file_name());
        if !wanted.contains_key(&path) {
            stale.insert(path, None);
        }
    }
    for (path, text) in wanted {
        if fs::read_to_string(root.join(&path)).ok().as_deref() != Some(text.as_str()) {
            stale.insert(path, Some(text));
        }
    }
    Ok(stale)
}

fn artefacts(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for info in catalog() {
        let source = root.join(format!("crates/decant-sampling/src/stages/{}.rs", info.name));
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let page = pages::stage(info, &text).with_context(|| format!("in {}", source.display()))?;
        files.insert(Path::new(PAGES).join(format!("{}.md", info.name)), page);
    }
    files.insert(Path::new(PAGES).join(README), pages::index(catalog()));
    files.insert(SCHEMA.into(), serde_json::to_string_pretty(&SamplerSpec::json_schema())? + "\n");
    files.insert(OPENAPI.into(), serde_json::to_string_pretty(&decant_server::document())? + "\n");
    let readme = fs::read_to_string(root.join(README)).with_context(|| format!("cannot read {README}"))?;
    files.insert(README.into(), crate::splice(&readme, README, MARKERS, &pages::table(catalog(), PAGES))?);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_what_the_catalog_says() {
        check(crate::root()).unwrap();
    }

    #[test]
    fn the_table_goes_between_the_markers_and_nowhere_else() {
        let readme = "# A\n<!-- samplers:begin -->\nold\n<!-- samplers:end -->\nB\n";
        let splice = |readme: &str, text: &str| crate::splice(readme, README, MARKERS, text);
        let new = splice(readme, "new\n").unwrap();
        assert_eq!(new, "# A\n<!-- samplers:begin -->\nnew\n<!-- samplers:end -->\nB\n");
        assert_eq!(splice(&new, "new\n").unwrap(), new);
        assert!(splice("# A\n", "new\n").is_err());
        assert!(splice("<!-- samplers:end --> <!-- samplers:begin -->", "new\n").is_err());
    }
}
