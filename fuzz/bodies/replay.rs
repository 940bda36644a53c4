//! Runs a target's body on every file of its regressions; tests of the crates include it.

use std::fs;
use std::path::Path;

/// Replays `regressions/<target>` and says how many files there were.
pub fn replay(target: &str, body: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions").join(target);
    let files: Vec<_> = fs::read_dir(&folder).expect("the target has a folder").collect();
    for file in &files {
        let path = file.as_ref().expect("a readable entry").path();
        println!("{}", path.display());
        body(&fs::read(path).expect("a readable file"));
    }
    files.len()
}
