//! Many rows at once.

use crate::{Coins, History, Memory, Row, RowError, Sampler, Scratch, Step};
#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// One row of a batch: what [`Sampler::pick`] takes.
#[derive(Debug)]
pub struct Pick<'a> {
    /// This row's own sampler.
    pub sampler: &'a Sampler,
    /// Logits, shape `[vocab]`. A batch in one piece is cut by [`Row::split`].
    pub row: Row<'a>,
    /// Prompt and text so far.
    pub history: History<'a>,
    /// This step's coins.
    pub coins: Coins,
    /// What this text has taught the stages that learn.
    pub memory: &'a mut Memory,
}

/// What [`Sampler::pick_batch`] reuses from batch to batch, a [`Scratch`] for each thread.
#[derive(Clone, Debug, Default)]
pub struct BatchScratch {
    threads: Vec<Scratch>,
}

impl Sampler {
    /// Picks for every row of a batch, each with a sampler of its own. The rows are shared out over the threads of the
    /// current rayon pool (without the feature `rayon` there is one thread); the steps are those of row by row, bit for bit,
    /// however many there are. `steps` is cleared first and then holds one result per row, in order.
    ///
    /// ```
    /// use decant_sampling::{BatchScratch, History, Memory, Pick, Row, Sampler, Seed};
    /// let sampler = Sampler::new(&"temp=0.8,top_h=0.4".parse()?, 4)?;
    /// let rows = [2.0, 1.0, 0.5, 0.0, 0.1, 0.2, 3.0, 0.4];
    /// let mut memories = [Memory::default(), Memory::default()];
    /// let mut batch: Vec<Pick> = Row::F32(&rows)
    ///     .split(4)
    ///     .zip(&mut memories)
    ///     .zip(0..)
    ///     .map(|((row, memory), stream)| {
    ///         let (history, coins) = (History::default(), Seed(7).coins(stream, 0));
    ///         Pick { sampler: &sampler, row, history, coins, memory }
    ///     })
    ///     .collect();
    /// let mut steps = Vec::new();
    /// Sampler::pick_batch(&mut batch, &mut BatchScratch::default(), &mut steps);
    /// assert_eq!(steps.len(), 2);
    /// # Ok::<(), decant_sampling::SpecError>(())
    /// ```
    pub fn pick_batch(batch: &mut [Pick<'_>], scratch: &mut BatchScratch, steps: &mut Vec<Result<Step, RowError>>) {
        steps.clear();
        // A row never looked at is an empty one; every row is looked at below.
        steps.resize(batch.len(), Err(RowError::Empty));
        let share = batch.len().div_ceil(threads()).max(1);
        let shares = batch.len().div_ceil(share);
        scratch.threads.resize_with(scratch.threads.len().max(shares), Scratch::default);
        #[cfg(feature = "rayon")]
        batch
            .par_chunks_mut(share)
            .zip(steps.par_chunks_mut(share))
            .zip(&mut scratch.threads[..shares])
            .for_each(|((picks, steps), scratch)| pick_all(picks, steps, scratch));
        #[cfg(not(feature = "rayon"))]
        for scratch in &mut scratch.threads[..shares] {
            pick_all(batch, steps, scratch);
        }
    }
}

/// How many threads share a batch.
fn threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}

fn pick_all(batch: &mut [Pick<'_>], steps: &mut [Result<Step, RowError>], scratch: &mut Scratch) {
    for (Pick { sampler, row, history, coins, memory }, step) in batch.iter_mut().zip(steps) {
        *step = sampler.pick(*row, *history, *coins, memory, scratch);
    }
}
