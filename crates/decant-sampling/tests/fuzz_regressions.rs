//! What fuzzing has found stays found: every file of `fuzz/regressions` runs through the body of its target.

#[path = "../../../fuzz/bodies/rows.rs"]
mod rows;
#[path = "../../../fuzz/bodies/spec.rs"]
mod spec;

use std::fs;
use std::path::Path;

/// Runs the body on every file of the target and says how many there were.
fn replay(target: &str, body: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions").join(target);
    let files: Vec<_> = fs::read_dir(&folder).expect("the target has a folder").collect();
    for file in &files {
        let path = file.as_ref().expect("a readable entry").path();
        println!("{}", path.display());
        body(&fs::read(path).expect("a readable file"));
    }
    files.len()
}

#[test]
fn spec_regressions() {
    assert!(replay("spec", spec::run) > 0);
}

#[test]
fn row_regressions() {
    assert!(replay("rows", rows::run) > 0);
}
