//! What fuzzing has found stays found: every file of `fuzz/regressions` runs through the body of its target.

#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/rows.rs"]
mod rows;
#[path = "../../../fuzz/bodies/spec.rs"]
mod spec;

use replay::replay;

#[test]
fn spec_regressions() {
    assert!(replay("spec", spec::run) > 0);
}

#[test]
fn row_regressions() {
    assert!(replay("rows", rows::run) > 0);
}
