//! What fuzzing has found stays found, and good requests stay good seeds: every file of `fuzz/regressions/requests` is sent.

#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/requests.rs"]
mod requests;

#[test]
fn request_regressions() {
    assert!(replay::replay("requests", requests::run) > 0);
}
