//! The threads that multiply, and what they multiply with.

use decant_kernels::attention::Scratch;
use decant_kernels::weights::{Activations, Product};
use decant_kernels::{Isa, weights};

use super::EngineOptions;
use crate::LoadError;

/// Multiply-adds of a piece below which attention is not shared.
const GRAIN: usize = 1 << 16;

/// Threads and their instructions. Work is split over outputs only, never over the terms of a sum.
#[derive(Debug)]
pub(super) struct Team {
    pub isa: Isa,
    threads: decant_kernels::Team,
}

impl Team {
    pub(super) fn new(EngineOptions { threads, isa, .. }: EngineOptions) -> Result<Self, LoadError> {
        let team = decant_kernels::Team::new(threads);
        Ok(Team { isa, threads: team.map_err(|source| LoadError::Threads { threads: threads.get(), source })? })
    }

    /// Several products with the same activations, as one piece of work.
    pub(super) fn multiply(&self, x: &Activations, products: &mut [Product<'_>]) {
        weights::multiply(&self.threads, x, products);
    }

    /// Calls `f(index, piece, scratch)` for every piece of `len` numbers of `out`; `work` is that of all. Each thread has
    /// its own of `scratches`, which are made as needed.
    pub(super) fn each_piece(
        &self,
        out: &mut [f32],
        len: usize,
        work: usize,
        scratches: &mut Vec<Scratch>,
        f: impl Fn(usize, &mut [f32], &mut Scratch) + Sync,
    ) {
        scratches.resize_with(self.threads.threads(), Scratch::default);
        if work < GRAIN {
            let scratch = &mut scratches[0];
            return out.chunks_exact_mut(len).enumerate().for_each(|(index, piece)| f(index, piece, scratch));
        }
        self.threads.share_chunks(out, len, scratches, f);
    }
}
