//! The keys and values of one sequence.

use std::sync::Arc;

use decant_decode::TokenId;
use decant_kernels::attention::{KvFormat, KvPage, KvShape, KvView, PAGE};

use crate::weights::ModelConfig;

/// Positions that a rewind may go back without a cost where a window has let pages go: what a decoder takes back that looks
/// a few tokens ahead.
const REWIND_MARGIN: usize = 64;

/// What the caches of a model look like: its layers in classes by window, for only layers that see equally far can let go
/// of the same positions.
#[derive(Debug)]
pub(super) struct KvLayout {
    classes: Vec<Class>,
    /// Of every layer: its class, and its index in that.
    places: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Class {
    window: Option<usize>,
    shape: KvShape,
}

impl KvLayout {
    pub(super) fn new(config: &ModelConfig, format: KvFormat) -> Self {
        let shape = KvShape { layers: 0, heads: config.kv_heads, head_dim: config.head_dim, format };
        let mut layout = KvLayout { classes: Vec::new(), places: Vec::new() };
        for window in (0..config.layers).map(|layer| config.window(layer)) {
            let class = layout.classes.iter().position(|class| class.window == window).unwrap_or_else(|| {
                layout.classes.push(Class { window, shape });
                layout.classes.len() - 1
            });
            let layers = &mut layout.classes[class].shape.layers;
            layout.places.push((class, *layers));
            *layers += 1;
        }
        layout
    }
}

/// The tokens of one sequence with their keys and values, in pages. A clone shares the pages; the last ones are copied when
/// one of the two goes on.
///
/// Where layers see only a window, pages that no token to come can see are let go. A rewind to where such a page would be
/// seen again (further back than 64 positions and what is left of a page) gives the right logits all the same: the cache
/// knows its tokens, and the next feed begins with them anew, at the cost of a prefill.
#[derive(Clone, Debug)]
pub struct KvCache {
    layout: Arc<KvLayout>,
    /// One run of pages for each class of layers.
    runs: Vec<Run>,
    tokens: Vec<TokenId>,
    /// How many of the tokens have keys and values: all, unless a rewind went too far back.
    written: usize,
}

/// Neighbouring pages of a sequence.
#[derive(Clone, Debug, Default)]
struct Run {
    /// Pages before them, let go.
    dropped: usize,
    pages: Vec<Arc<KvPage>>,
}

impl KvCache {
    /// A cache of no tokens.
    pub(super) fn new(layout: Arc<KvLayout>) -> Self {
        let runs = vec![Run::default(); layout.classes.len()];
        KvCache { layout, runs, tokens: Vec::new(), written: 0 }
    }

    /// How many positions it holds.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Bytes of its pages of keys and values, those that it shares with clones among them.
    pub fn bytes(&self) -> usize {
        let runs = self.runs.iter().zip(&self.layout.classes);
        runs.map(|(run, class)| run.pages.len() * class.shape.page_bytes()).sum()
    }

    /// Cuts it to its first `len` positions; no effect if it is not longer.
    pub(super) fn rewind(&mut self, len: usize) {
        self.tokens.truncate(len);
        self.written = self.written.min(self.tokens.len());
        let written = self.written;
        let gone = |(run, class): (&Run, &Class)| run.dropped * PAGE > first_seen(class.window, written);
        if self.runs.iter().zip(&self.layout.classes).any(gone) {
            self.written = 0;
            self.runs.fill(Run::default());
        }
        for run in &mut self.runs {
            run.pages.truncate(self.written.div_ceil(PAGE) - run.dropped);
        }
    }

    /// Takes `tokens`, and returns how many of all its tokens have keys and values: the caller computes the others'.
    pub(super) fn append(&mut self, tokens: &[TokenId]) -> usize {
        self.tokens.extend_from_slice(tokens);
        self.written
    }

    /// Its tokens.
    pub(super) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Makes room for the keys and values up to `len` positions, which the caller then writes, and lets go of what neither
    /// these nor later ones see.
    pub(super) fn extend(&mut self, len: usize) {
        for (run, class) in self.runs.iter_mut().zip(&self.layout.classes) {
            let unseen = first_seen(class.window, self.written.saturating_sub(REWIND_MARGIN)) / PAGE;
            let newly = unseen.saturating_sub(run.dropped);
            run.pages.drain(..newly);
            run.dropped += newly;
            run.pages.resize_with(len.div_ceil(PAGE) - run.dropped, || Arc::new(KvPage::new(class.shape)));
        }
        self.written = len;
    }

    /// Writes the keys and values `[kv_heads, head_dim]` of one layer at a position that there is room for.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let (class, index) = self.layout.places[layer];
        let run = &mut self.runs[class];
        let page = &mut run.pages[position / PAGE - run.dropped];
        Arc::make_mut(page).write(index, position % PAGE, keys, values);
    }

    /// A head of a layer.
    pub(super) fn view(&self, layer: usize, head: usize) -> KvView<'_> {
        let (class, index) = self.layout.places[layer];
        let Run { dropped, ref pages } = self.runs[class];
        KvView { pages, dropped, layer: index, head }
    }
}

/// The first position that a token at `position` sees.
fn first_seen(window: Option<usize>, position: usize) -> usize {
    window.map_or(0, |window| (position + 1).saturating_sub(window))
}
