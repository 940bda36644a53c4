//! Everywhere that a result must be the same: the tiers of this machine, threads.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Once;

use decant_kernels::{Isa, IsaName};
use decant_models::native::EngineOptions;

/// The plainest engine, which the others must agree with: one thread, no vector instructions.
pub fn plain() -> EngineOptions {
    EngineOptions { isa: Isa::new(IsaName::Scalar).expect("on every machine"), ..EngineOptions::default() }
}

/// Engines of every tier of this machine, on each of these numbers of threads. Says which tiers there are not, once.
pub fn engines(threads: impl IntoIterator<Item = usize>) -> Vec<EngineOptions> {
    static SAY: Once = Once::new();
    SAY.call_once(|| {
        for name in IsaName::ALL.into_iter().filter(|name| Isa::new(*name).is_none()) {
            // Past the harness, which keeps to itself what a passing test prints.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {name}, which this machine does not have");
        }
    });
    let threads = threads.into_iter().filter_map(NonZeroUsize::new);
    threads.flat_map(|threads| Isa::available().map(move |isa| EngineOptions { threads, isa, ..plain() })).collect()
}
