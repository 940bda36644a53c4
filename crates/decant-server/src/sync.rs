//! What threads meet by. The scheduler takes it from here, so that `tests/interleavings.rs` can compile it over a model of threads.

pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub use std::thread::sleep;

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A thread that has nothing to tell in the end.
pub type Thread = JoinHandle<()>;

/// Starts one.
///
/// # Panics
/// If the system gives none.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Thread {
    Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started")
}

/// What a mutex holds when this does not hold of it any more, or after so long.
pub fn wait_while<'a, T>(
    mutex: &'a Mutex<T>,
    wake: &Condvar,
    longest: Duration,
    holds: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    wake.wait_timeout_while(lock(mutex), longest, holds).unwrap_or_else(PoisonError::into_inner).0
}

/// What a mutex holds, whatever became of its last holder: nothing is left half done behind the scheduler's.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
