//! An allocator that counts, for benchmarks and tests that claim a steady state allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The system's allocator. While [`count`] runs it counts what all threads ask for; else it only looks at a flag that
/// nobody writes, which costs nothing that can be measured.
///
/// It counts only where a program has made it its `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Runs `work` and tells how many allocations (and reallocations) all threads of the program made meanwhile.
///
/// One count at a time: one inside another, or beside it in a second thread, would spoil both.
pub fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Relaxed);
    COUNTS.store(true, Relaxed);
    work();
    COUNTS.store(false, Relaxed);
    COUNT.load(Relaxed) - before
}

impl CountingAllocator {
    #[inline]
    fn note(&self) {
        if COUNTS.load(Relaxed) {
            COUNT.fetch_add(1, Relaxed);
        }
    }
}

// SAFETY: everything is the system's allocator; the count is beside it.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.note();
        // SAFETY: the caller's promises are passed on; so in every function below.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.note();
        // SAFETY: see `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: see `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.note();
        // SAFETY: see `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
