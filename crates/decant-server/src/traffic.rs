//! The requests under way, and whether more are let in.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

/// The requests under way, and whether more are let in.
#[derive(Debug, Default)]
pub struct Traffic {
    draining: AtomicBool,
    running: watch::Sender<usize>,
    /// Begins the ids of this server's requests, so that those of another run are others.
    prefix: RandomState,
    ids: AtomicU64,
}

impl Traffic {
    /// An id that no other request has.
    pub fn new_id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{number}", self.prefix.hash_one(()) >> 32)
    }

    /// Whether no more requests are let in.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Lets no more requests in.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Lets a request in, unless the server is draining. It is under way until its pass is dropped.
    pub fn enter(self: &Arc<Self>) -> Option<Pass> {
        // Counted first: who waits for the last of them sees this one, or it sees that the server drains.
        let pass = Pass(self.clone());
        self.running.send_modify(|running| *running += 1);
        (!self.is_draining()).then_some(pass)
    }

    /// How many are under way.
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Waits until none is under way.
    pub async fn ended(&self) {
        let _ = self.running.subscribe().wait_for(|&running| running == 0).await; // an error is: nobody counts any more
    }
}

/// Held as long as a request is under way, its response's body included.
#[derive(Debug)]
pub struct Pass(Arc<Traffic>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}
