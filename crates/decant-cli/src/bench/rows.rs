//! Rows to measure on: a few, or so many that they come from memory.

use decant_sampling::yardstick::Regime;
use std::fs;

/// How many rows differ; a larger batch and rows from memory are copies of these.
const DIFFERENT: usize = 8;

/// Rows of one regime, shape `[rows, vocab]`: as many as a batch has, but no more than a few. None where the vocabulary is
/// too small for the regime.
pub fn different_rows(regime: Regime, vocab: usize, batch: usize) -> Option<Vec<f32>> {
    let rows: Option<Vec<_>> = (0..batch.min(DIFFERENT) as u32).map(|number| regime.row(vocab, number)).collect();
    Some(rows?.concat())
}

/// Copies of `rows`, in turn, that fill at least so many bytes and whole batches of `batch` numbers.
pub fn copies(rows: &[f32], batch: usize, bytes: usize) -> Vec<f32> {
    let len = bytes.div_ceil(size_of::<f32>()).next_multiple_of(batch).max(batch);
    let mut copies = Vec::with_capacity(len);
    while copies.len() < len {
        copies.extend_from_slice(&rows[..rows.len().min(len - copies.len())]);
    }
    copies
}

/// So many bytes that rows which go round them come from memory: twice the last cache, 64 MiB where it is unknown, and
/// at most 1 GiB.
pub fn beyond_the_caches() -> usize {
    const MIB: usize = 1 << 20;
    (2 * last_cache().unwrap_or(32 * MIB)).clamp(64 * MIB, 1024 * MIB)
}

/// The size of the largest cache that the kernel tells of, in bytes.
fn last_cache() -> Option<usize> {
    let caches = fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?.flatten();
    let sizes = caches.filter_map(|cache| {
        let size = fs::read_to_string(cache.path().join("size")).ok()?;
        size.trim().strip_suffix('K')?.parse::<usize>().ok()?.checked_mul(1024)
    });
    sizes.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_fill_whole_batches() {
        let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(copies(&rows, 4, 36), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(copies(&rows, 2, 0), [0.0, 1.0]);
        assert_eq!(copies(&rows, 8, 4), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0]);
    }
}
