//! Rows side by side: the steps of row by row, bit for bit, under any number of threads, and nothing allocated.

#![cfg(feature = "rayon")]

mod support;

use decant_sampling::{BatchScratch, Coins, History, Memory, Pick, Row, RowError, Sampler, Scratch, Seed, Step};
use rayon::ThreadPool;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::{Numbers, rows};

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

const SPECS: [&str; 7] = [
    "",
    "temp=0.8,top_h=0.4",
    "top_p=0.9,mirostat=2:tau=3",
    "top_k=7,temp=1.4",
    "adaptive_p=0.3",
    "smoothing=0.2,min_p=0.05",
    "temp=by_entropy(0.5..4.0->0.3..1.8),mirostat=1",
];

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn coins(stream: usize, position: u64) -> Coins {
    Seed(3).coins(stream as u32, position)
}

/// What three steps of every text are in a batch under so many threads, and what the texts have learned.
fn in_batch(rows: &[Vec<f32>], samplers: &[Sampler], threads: usize) -> (Vec<Result<Step, RowError>>, Vec<Memory>) {
    let mut memories = vec![Memory::default(); rows.len()];
    let (mut scratch, mut steps, mut all) = (BatchScratch::default(), Vec::new(), Vec::new());
    let pool = pool(threads);
    for position in 0..3 {
        let texts = rows.iter().zip(samplers).zip(&mut memories).enumerate();
        let mut picks: Vec<Pick> = texts
            .map(|(stream, ((row, sampler), memory))| {
                let (row, coins) = (row.into(), coins(stream, position));
                Pick { sampler, row, history: History::default(), coins, memory }
            })
            .collect();
        pool.install(|| Sampler::pick_batch(&mut picks, &mut scratch, &mut steps));
        all.append(&mut steps);
    }
    (all, memories)
}

fn alone(rows: &[Vec<f32>], samplers: &[Sampler]) -> (Vec<Result<Step, RowError>>, Vec<Memory>) {
    let mut memories = vec![Memory::default(); rows.len()];
    let mut all = Vec::new();
    for position in 0..3 {
        for (stream, ((row, sampler), memory)) in rows.iter().zip(samplers).zip(&mut memories).enumerate() {
            all.push(sampler.pick(row, &[], coins(stream, position), memory, &mut Scratch::default()));
        }
    }
    (all, memories)
}

/// A batch in one piece. The same coins and nothing learned: after a few rounds every thread's buffers have grown.
#[test]
fn the_steady_state_allocates_nothing() {
    let (vocab, mut numbers) = (5000, Numbers(4));
    let whole: Vec<f32> = (0..16).flat_map(|_| numbers.zipf(vocab, 1.0)).collect();
    let specs = ["", "temp=0.8,top_h=0.4", "mirostat=2:tau=3:eta=0", "top_k=7,temp=1.4", "smoothing=0.2,min_p=0.05"];
    let samplers = specs.map(|spec| Sampler::new(&spec.parse().unwrap(), vocab).unwrap());
    let mut memories = vec![Memory::default(); 16];
    let texts = Row::F32(&whole).split(vocab).zip(samplers.iter().cycle()).zip(&mut memories).enumerate();
    let mut picks: Vec<Pick> = texts
        .map(|(stream, ((row, sampler), memory))| {
            let (history, coins) = (History::default(), coins(stream, 0));
            Pick { sampler, row, history, coins, memory }
        })
        .collect();
    assert_eq!(picks.len(), 16);
    let (mut scratch, mut steps) = (BatchScratch::default(), Vec::new());
    let pool = pool(3);
    // What the pool's own threads have allocated: the steps are theirs, from the first row to the last.
    let allocations = || pool.broadcast(|_| ALLOCATIONS.get()).iter().sum::<usize>();
    let mut rounds = |count| {
        pool.install(|| (0..count).for_each(|_| Sampler::pick_batch(&mut picks, &mut scratch, &mut steps)));
        allocations()
    };
    let before = rounds(20);
    assert!(before > 0, "the allocator counts");
    // A thread may yet take work from another for the first time, for which rayon sets something up, once.
    assert!(rounds(200) <= before + 3);
}

#[test]
fn a_batch_is_its_rows() {
    let mut rows: Vec<Vec<f32>> = rows(11).into_iter().map(|(_, row)| row).collect();
    rows.insert(5, vec![f32::NEG_INFINITY; 9]);
    let sampler = |(row, spec): (&Vec<f32>, &&str)| Sampler::new(&spec.parse().unwrap(), row.len()).unwrap();
    let samplers: Vec<Sampler> = rows.iter().zip(SPECS.iter().cycle()).map(sampler).collect();
    let expected = alone(&rows, &samplers);
    assert!(expected.0.iter().filter(|step| step.is_err()).count() == 3);
    for threads in [1, 2, 3, 7, 64] {
        assert_eq!(in_batch(&rows, &samplers, threads), expected, "{threads} threads");
    }
    Sampler::pick_batch(&mut [], &mut BatchScratch::default(), &mut Vec::new());
}
