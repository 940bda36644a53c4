//! What fuzzing has found stays found, and good files stay good seeds: every file of `fuzz/regressions` runs through the
//! body of its target.

#[path = "../../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../../fuzz/bodies/gguf.rs"]
mod gguf;

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
fn gguf_regressions() {
    assert!(replay("gguf", gguf::run) > 0);
}

#[test]
fn folder_regressions() {
    assert!(replay("folder", folder::run) > 0);
}
