//! One measurement: a sampler and the floor, in turn, on the same rows.

use super::args::Observe;
use super::median;
use anyhow::Result;
use decant_sampling::yardstick::{count_allocations, floor};
use decant_sampling::{BatchScratch, History, Memory, Pick, Row, RowError, Sampler, Scratch, Seed, Step};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// A timed stretch of work lasts about this long at least, so that reading the clock costs nothing beside it.
const SHORTEST: Duration = Duration::from_micros(20);

/// How many batches allocations are counted over.
const COUNTED: usize = 15;

/// What was measured; times are medians, in microseconds for a batch.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub floor_us: f64,
    pub us: f64,
    /// Tokens that the last draw was among, on average over its batch.
    pub kept: u64,
    /// By a batch, once buffers have grown; a median, too.
    pub allocations: u64,
}

impl Measured {
    pub fn ratio(&self) -> f64 {
        self.us / self.floor_us
    }
}

/// A sampler and what it works on.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub sampler: &'a Sampler,
    pub observe: Observe,
    /// Shape `[batches, batch, vocab]`: batch after batch is sampled, round and round.
    pub rows: &'a [f32],
    pub batch: usize,
    pub threads: usize,
}

/// Measures so many times. Everything runs inside a pool of its own, over whose threads a batch is shared; the floor is
/// always taken on one.
pub fn measure(task: Task<'_>, runs: NonZeroUsize) -> Result<Measured> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(task.threads).build()?;
    pool.install(|| in_turn(task, runs))
}

fn in_turn(Task { sampler, observe, rows, batch, .. }: Task<'_>, runs: NonZeroUsize) -> Result<Measured> {
    let mut batches = rows.chunks_exact(batch * sampler.vocab()).cycle();
    let mut next = || batches.next().unwrap_or_default();
    let mut memories = vec![Memory::default(); batch];
    let mut worker = Worker::new(sampler, observe, &mut memories);

    let start = Instant::now();
    worker.sample(next())?;
    let first = start.elapsed();
    worker.sample(next())?;
    let repeat = (SHORTEST.as_nanos() / first.as_nanos().max(1)).clamp(1, 1000) as u32;

    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for _ in 0..runs.get() {
        let start = Instant::now();
        for _ in 0..repeat {
            for row in next().chunks_exact(sampler.vocab()) {
                black_box(floor(black_box(row)));
            }
        }
        let between = Instant::now();
        for _ in 0..repeat {
            worker.sample(next())?;
        }
        times.push(between.elapsed() / repeat);
        floors.push((between - start) / repeat);
    }
    // Every thread of the program is counted, and some other may allocate once in a while: hence the median here, too.
    let mut allocations = Vec::new();
    for _ in 0..COUNTED {
        let mut outcome = Ok(());
        allocations.push(count_allocations(|| outcome = worker.sample(next())));
        outcome?;
    }
    Ok(Measured {
        floor_us: microseconds(median(floors).unwrap_or_default()),
        us: microseconds(median(times).unwrap_or_default()),
        kept: worker.kept()?,
        allocations: median(allocations).unwrap_or_default(),
    })
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A sampler at work on batches, with all that it carries from one to the next.
struct Worker<'a> {
    observe: Observe,
    picks: Vec<Pick<'a>>,
    position: u64,
    scratch: Scratch,
    batch_scratch: BatchScratch,
    steps: Vec<Result<Step, RowError>>,
}

impl<'a> Worker<'a> {
    fn new(sampler: &'a Sampler, observe: Observe, memories: &'a mut [Memory]) -> Self {
        let pick = |memory| Pick {
            sampler,
            row: Row::F32(&[]),
            history: History::default(),
            coins: Seed(0).coins(0, 0),
            memory,
        };
        let picks: Vec<Pick<'a>> = memories.iter_mut().map(pick).collect();
        Worker {
            observe,
            picks,
            position: 0,
            scratch: Scratch::default(),
            batch_scratch: BatchScratch::default(),
            steps: Vec::new(),
        }
    }

    /// Samples every row of a batch, shape `[batch, vocab]`.
    fn sample(&mut self, rows: &'a [f32]) -> Result<(), RowError> {
        self.position += 1;
        let vocab = rows.len() / self.picks.len();
        for ((stream, pick), row) in (0..).zip(&mut self.picks).zip(rows.chunks_exact(vocab)) {
            (pick.row, pick.coins) = (row.into(), Seed(0).coins(stream, self.position));
        }
        match (self.observe, &mut self.picks[..]) {
            (Observe::Nothing, picks) => {
                for Pick { sampler, row, history, coins, memory } in picks {
                    black_box(sampler.draw(*row, *history, *coins, memory, &mut self.scratch)?);
                }
            }
            (Observe::Entropy, [Pick { sampler, row, history, coins, memory }]) => {
                black_box(sampler.pick(*row, *history, *coins, memory, &mut self.scratch)?);
            }
            (Observe::Entropy, picks) => Sampler::pick_batch(picks, &mut self.batch_scratch, &mut self.steps),
        }
        Ok(())
    }

    /// How many tokens a draw is among now, on average over the last batch.
    fn kept(mut self) -> Result<u64, RowError> {
        Sampler::pick_batch(&mut self.picks, &mut self.batch_scratch, &mut self.steps);
        let rows = self.steps.len() as u64;
        let kept: Result<u64, RowError> = self.steps.into_iter().map(|step| Ok(u64::from(step?.kept))).sum();
        Ok(kept? / rows)
    }
}
