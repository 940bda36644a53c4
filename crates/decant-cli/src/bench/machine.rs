//! What the machine can do at most: the engine's yardstick.

use decant_models::native::peaks;
use decant_sampling::Isa;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

/// How much memory is read: so much that no cache holds a share of it that counts.
const BYTES: usize = 1 << 30;
/// How often it is read, and every peak taken: of all the best is kept.
const TIMES: usize = 5;
/// A peak is taken for so long at least.
const SHORTEST: Duration = Duration::from_millis(10);

/// Peaks of so many threads, in units of 10^9 a second.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub threads: NonZeroUsize,
    /// Bytes read from memory.
    pub read: f64,
    /// Operations on f32, two for a multiply-add.
    pub floats: f64,
    /// Operations on bytes, two for a product that is added to a sum.
    pub bytes: f64,
}

/// Measures the machine with each number of threads, in the instructions of a tier.
pub fn measure(isa: Isa, threads: &[NonZeroUsize]) -> Vec<Machine> {
    // Written, not only asked for: pages that nobody has written are all the same one.
    let memory: Vec<u8> = vec![1; BYTES];
    let machine = |&threads: &NonZeroUsize| Machine {
        threads,
        read: best(|| read(isa, threads, &memory)),
        floats: peak(threads, |rounds| _ = black_box(peaks::multiply_floats(isa, rounds))),
        bytes: peak(threads, |rounds| _ = black_box(peaks::multiply_bytes(isa, rounds))),
    };
    threads.iter().map(machine).collect()
}

fn best(rate: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(rate).take(TIMES).fold(0.0, f64::max)
}

/// Each thread reads its share. The time is that of the slowest.
fn read(isa: Isa, threads: NonZeroUsize, memory: &[u8]) -> f64 {
    let shares = memory.chunks(memory.len().div_ceil(threads.get()));
    let seconds = together(shares.map(|share| move || _ = black_box(peaks::read(isa, black_box(share)))));
    memory.len() as f64 / seconds / 1e9
}

/// Operations of `work`, whose rounds are of [`peaks::ROUND`] multiply-adds, on every thread.
fn peak(threads: NonZeroUsize, work: impl Fn(usize) + Sync) -> f64 {
    let mut rounds = 1;
    while seconds(|| work(rounds)) < SHORTEST.as_secs_f64() {
        rounds *= 2;
    }
    let operations = (2 * threads.get() * rounds * peaks::ROUND) as f64;
    best(|| operations / together((0..threads.get()).map(|_| || work(rounds))) / 1e9)
}

/// The seconds that it takes to run all of these, each on its own thread.
fn together<W: FnOnce() + Send>(work: impl Iterator<Item = W>) -> f64 {
    let mut work: Vec<W> = work.collect();
    let here = work.pop();
    seconds(|| {
        thread::scope(|scope| {
            work.into_iter().for_each(|work| drop(scope.spawn(work)));
            here.into_iter().for_each(|work| work());
        });
    })
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
