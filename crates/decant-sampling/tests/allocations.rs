//! Once its buffers have grown, a sampler allocates nothing.

mod support;

use decant_sampling::{Memory, Sampler, Scratch, Seed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::rows;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is the system's allocator; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn the_steady_state_allocates_nothing() {
    let specs = [
        "",
        "temp=0",
        "temp=0.8,top_h=0.4",
        "top_h=0.4:rule=hf",
        "top_p=0.95",
        "top_k=40,min_p=0.05,temp=1.3",
        "typical=0.8",
        "epsilon=1e-3,eta=1e-2,top_a=0.2",
        "top_n_sigma=1,p_less",
        "min_k=3",
        "top_b=0.3",
        "tfs=0.9",
        "xtc=1:threshold=0.01",
    ];
    for (name, row) in rows(1) {
        for spec in specs {
            let sampler = Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
            let (mut memory, mut scratch, mut masked) = (Memory::default(), Scratch::default(), row.clone());
            let mut round = || {
                let coins = Seed(1).coins(0, 0);
                sampler.pick(&row, &[], coins, &mut memory, &mut scratch).unwrap();
                sampler.draw(&row, &[], coins, &mut memory, &mut scratch).unwrap();
                masked.copy_from_slice(&row);
                sampler.mask(&mut masked, (&[]).into(), coins, &mut memory, &mut scratch).unwrap();
            };
            round();
            let before = ALLOCATIONS.get();
            assert!(before > 0, "the allocator counts");
            round();
            assert_eq!(ALLOCATIONS.get(), before, "{name}, `{spec}`");
        }
    }
}
