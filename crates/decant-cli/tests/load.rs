//! A short load on the server; `cargo xtask load` puts a long one on the release build.

#[path = "../../../xtask/src/load/mod.rs"]
mod load;

use load::Load;
use std::path::Path;
use std::time::Duration;

#[test]
fn nobody_is_told_a_wrong_byte_under_load() {
    let load = Load { streams: 40, time: Duration::from_secs(5), pool: 40, seed: 7 };
    let figures = load::run(Path::new(assert_cmd::cargo::cargo_bin!("decant")), &load);
    println!("{}", figures.unwrap_or_else(|error| panic!("{error:#}")));
}
