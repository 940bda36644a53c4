//! The keys and values of one sequence.

use std::sync::Arc;

use decant_kernels::attention::{KvPage, KvShape, PAGE};

/// The keys and values of one sequence, in pages. A clone shares the pages; the last one is copied when one of the two
/// goes on.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    pages: Vec<Arc<KvPage>>,
    len: usize,
}

impl KvCache {
    /// How many positions it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Cuts it to its first `len` positions; no effect if it is not longer.
    pub(super) fn rewind(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.truncate(self.len.div_ceil(PAGE));
    }

    /// Makes room for `more` positions, whose keys and values the caller then writes.
    pub(super) fn grow(&mut self, more: usize, shape: KvShape) {
        self.len += more;
        self.pages.resize_with(self.len.div_ceil(PAGE), || Arc::new(KvPage::new(shape)));
    }

    /// Writes the key and value of one head at a position that it holds.
    pub(super) fn write(&mut self, layer: usize, head: usize, position: usize, key: &[f32], value: &[f32]) {
        Arc::make_mut(&mut self.pages[position / PAGE]).write(layer, head, position % PAGE, key, value);
    }

    /// All pages from position 0 on.
    pub(super) fn pages(&self) -> &[Arc<KvPage>] {
        &self.pages
    }
}
