//! What fuzzing has found stays found, and good files stay good seeds: every file of `fuzz/regressions` runs through the
//! body of its target.

#[path = "../../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../../fuzz/bodies/gguf.rs"]
mod gguf;
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn gguf_regressions() {
    assert!(replay("gguf", gguf::run) > 0);
}

#[test]
fn folder_regressions() {
    assert!(replay("folder", folder::run) > 0);
}
