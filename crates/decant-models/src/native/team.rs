//! The threads that multiply.

use decant_kernels::Isa;
use decant_kernels::attention::{self, Scratch};
use decant_kernels::weights::{Activations, ColumnsMut, Weights, multiply};
use rayon::prelude::*;

use super::EngineOptions;
use crate::LoadError;

/// Multiply-adds below which a thread's start would cost more than it saves.
const GRAIN: usize = 1 << 20;

/// One thread, or a pool of several. Work is split over outputs only, never over the terms of a sum.
#[derive(Debug)]
pub(super) struct Team {
    pub isa: Isa,
    pool: Option<rayon::ThreadPool>,
}

impl Team {
    pub(super) fn new(EngineOptions { threads, isa, .. }: EngineOptions) -> Result<Self, LoadError> {
        let threads = threads.get();
        let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build()).transpose();
        Ok(Team { isa, pool: pool.map_err(|source| LoadError::Threads { threads, source })? })
    }

    /// Runs `f`, whose largest piece of work is `work`: if that will be shared, on a thread of the pool, from where the
    /// others are quickly called.
    pub(super) fn run<R: Send>(&self, work: usize, f: impl FnOnce() -> R + Send) -> R {
        match self.shared(work) {
            Some((pool, _)) => pool.install(f),
            None => f(),
        }
    }

    /// Several products with the same activations, as one piece of work.
    pub(super) fn multiply<const N: usize>(&self, x: &Activations, products: [(Weights<'_>, ColumnsMut<'_>); N]) {
        let row_work = x.rows() * x.cols();
        let total: usize = products.iter().map(|(weights, _)| weights.rows() * row_work).sum();
        let Some((pool, tasks)) = self.shared(total) else {
            return products.into_iter().for_each(|(weights, out)| multiply(weights, x, out));
        };
        let rows = (total / tasks).div_ceil(row_work);
        let mut pieces = Vec::with_capacity(tasks + N);
        for (mut weights, mut out) in products {
            while weights.rows() > rows {
                let (weights_piece, weights_rest) = weights.split_at(rows);
                let (out_piece, out_rest) = out.split_at(rows);
                pieces.push((weights_piece, out_piece));
                (weights, out) = (weights_rest, out_rest);
            }
            pieces.push((weights, out));
        }
        pool.install(|| pieces.into_par_iter().for_each(|(weights, out)| multiply(weights, x, out)));
    }

    /// Calls `f(index, piece, scratch)` for every piece of `len` numbers of `out`; `work` is that of all.
    pub(super) fn each_piece(
        &self,
        out: &mut [f32],
        len: usize,
        work: usize,
        f: impl Fn(usize, &mut [f32], &mut attention::Scratch) + Sync,
    ) {
        match self.shared(work) {
            None => {
                let mut scratch = Scratch::default();
                out.chunks_exact_mut(len).enumerate().for_each(|(index, piece)| f(index, piece, &mut scratch));
            }
            Some((pool, _)) => pool.install(|| {
                let pieces = out.par_chunks_exact_mut(len).enumerate();
                pieces.for_each_init(Scratch::default, |scratch, (index, piece)| f(index, piece, scratch));
            }),
        }
    }

    /// Who shares so much work, and in how many tasks; `None` if it is best done here.
    fn shared(&self, work: usize) -> Option<(&rayon::ThreadPool, usize)> {
        let pool = self.pool.as_ref()?;
        Some((pool, (work / GRAIN).min(4 * pool.current_num_threads()))).filter(|&(_, tasks)| tasks > 1)
    }
}
