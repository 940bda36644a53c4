//! Attention of one token over the keys and values of its sequence, which lie in pages.
//!
//! Softmax(q·k · scale)·v by head, with the scores of a query in memory but never a matrix of them. Pages are aligned to
//! absolute positions and every sum runs over positions in one order, so the bits do not depend on how a prompt was
//! chunked, nor on other sequences.

mod format;

use std::ops::Range;
use std::sync::Arc;

use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};
use crate::rows::exp_lanes;
use crate::vectors::tanh_lanes;
pub use format::KvFormat;

/// Positions in a page.
pub const PAGE: usize = 32;

/// What keys and values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Layers that have their own.
    pub layers: usize,
    /// Key and value heads a layer.
    pub heads: usize,
    /// Elements a head.
    pub head_dim: usize,
}

impl KvShape {
    /// Elements of a head's value, filled up to whole lanes.
    fn padded(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }
}

/// Keys and values of [`PAGE`] positions, for all layers and heads, in f32.
///
/// Of one head first the keys, [head_dim, PAGE], so that a register holds neighbouring positions; then the values,
/// [PAGE, head_dim filled up to whole lanes], so that it holds neighbouring elements.
#[derive(Clone, Debug)]
pub struct KvPage {
    shape: KvShape,
    data: Vec<f32>,
}

impl KvPage {
    /// A page of zeros.
    pub fn new(shape: KvShape) -> Self {
        let head = PAGE * (shape.head_dim + shape.padded());
        KvPage { shape, data: vec![0.0; shape.layers * shape.heads * head] }
    }

    fn head(&self, layer: usize, head: usize) -> Range<usize> {
        let len = PAGE * (self.shape.head_dim + self.shape.padded());
        let start = (layer * self.shape.heads + head) * len;
        start..start + len
    }

    /// Writes one position's key and value of one head, `[head_dim]` each.
    ///
    /// # Panics
    /// If there is no such place in the page, or the lengths differ from `head_dim`.
    pub fn write(&mut self, layer: usize, head: usize, position: usize, key: &[f32], value: &[f32]) {
        let dim = self.shape.head_dim;
        assert!(position < PAGE && key.len() == dim && value.len() == dim, "a place in the page");
        let range = self.head(layer, head);
        let (keys, values) = self.data[range].split_at_mut(dim * PAGE);
        for (element, positions) in key.iter().zip(keys.chunks_exact_mut(PAGE)) {
            positions[position] = *element;
        }
        values[position * self.shape.padded()..][..dim].copy_from_slice(value);
    }

    /// Keys as `[head_dim]` of [PAGE] positions, values as [PAGE] rows of whole lanes.
    #[inline(always)]
    fn read(&self, layer: usize, head: usize) -> (&[[f32; PAGE]], &[[f32; LANES]]) {
        let (keys, values) = self.data[self.head(layer, head)].split_at(self.shape.head_dim * PAGE);
        (keys.as_chunks().0, values.as_chunks().0)
    }
}

/// One key-value head of one layer, over the positions that a query sees.
#[derive(Clone, Debug)]
pub struct KvView<'a> {
    /// The sequence's pages from position 0 on.
    pub pages: &'a [Arc<KvPage>],
    /// Which layer.
    pub layer: usize,
    /// Which key-value head.
    pub head: usize,
    /// The positions seen; never empty.
    pub positions: Range<usize>,
}

/// How a score comes out of a query and a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// What q·k is multiplied with: 1 / √head_dim, unless the model says otherwise.
    pub scale: f32,
    /// The score s becomes c · tanh(s / c) (Gemma 2).
    pub softcap: Option<f32>,
}

/// For each query `[head_dim]` in `queries` that shares the head of `kv`: the mean of the values it sees, weighted by
/// softmax of its scores, to the same place of `out`. `scratch` is memory to use again.
///
/// # Panics
/// If `positions` is empty or reaches beyond the pages, or the lengths do not fit.
pub fn attend(isa: Isa, kv: KvView<'_>, scoring: Scoring, queries: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
    assert!(!kv.positions.is_empty() && kv.positions.end <= kv.pages.len() * PAGE, "positions lie in the pages");
    let dim = kv.pages[0].shape.head_dim;
    assert!(queries.len() == out.len() && queries.len().is_multiple_of(dim), "whole queries");
    dispatch!(isa => by_pairs(
        kv: KvView<'_>, scoring: Scoring, dim: usize, queries: &[f32], scratch: &mut Scratch, out: &mut [f32]
    ));
}

/// Memory for [`attend`]: scores, then weights, of up to two queries a page.
#[derive(Debug, Default)]
pub struct Scratch(Vec<[[f32; PAGE]; 2]>);

#[inline(always)]
fn by_pairs<L: Lanes>(
    kv: KvView<'_>,
    scoring: Scoring,
    dim: usize,
    queries: &[f32],
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    // Two queries at a time share what they load; each one's operations are the same as alone.
    let two = 2 * dim;
    let mut queries_by_two = queries.chunks_exact(two);
    let mut out_by_two = out.chunks_exact_mut(two);
    for (queries, out) in (&mut queries_by_two).zip(&mut out_by_two) {
        attend_heads::<L, 2>(&kv, scoring, queries, scratch, out);
    }
    let (query, out) = (queries_by_two.remainder(), out_by_two.into_remainder());
    if !query.is_empty() {
        attend_heads::<L, 1>(&kv, scoring, query, scratch, out);
    }
}

#[inline(always)]
fn attend_heads<L: Lanes, const H: usize>(
    kv: &KvView<'_>,
    scoring: Scoring,
    queries: &[f32],
    Scratch(weights): &mut Scratch,
    out: &mut [f32],
) {
    let dim = queries.len() / H;
    let queries: [&[f32]; H] = std::array::from_fn(|h| &queries[h * dim..][..dim]);
    let first_page = kv.positions.start / PAGE;
    let pages = &kv.pages[first_page..kv.positions.end.div_ceil(PAGE)];
    // The positions seen, counted from the first page on.
    let seen = kv.positions.start - first_page * PAGE..kv.positions.end - first_page * PAGE;

    weights.clear();
    let mut largest = [L::splat(f32::NEG_INFINITY); H];
    for (index, page) in pages.iter().enumerate() {
        let next = pages.get(index + 1).unwrap_or(&pages[0]);
        let mut scores =
            scores::<L, H>(scoring, queries, page.read(kv.layer, kv.head).0, next.read(kv.layer, kv.head).0);
        let here = seen_in_page(&seen, index);
        for h in 0..H {
            scores[h][..here.start].fill(f32::NEG_INFINITY);
            scores[h][here.end..].fill(f32::NEG_INFINITY);
            for sixteen in scores[h].as_chunks().0 {
                largest[h] = largest[h].max(L::load(sixteen));
            }
        }
        weights.push(scores);
    }

    let mut sums = [L::splat(0.0); H];
    for h in 0..H {
        let top = L::splat(largest[h].largest());
        for weights in weights.iter_mut() {
            for sixteen in weights[h].as_chunks_mut().0 {
                let weight = exp_lanes(L::load(sixteen).sub(top));
                sums[h] = sums[h].add(weight);
                *sixteen = weight.store();
            }
        }
    }

    let mut factors = [0.0; H];
    for (factor, sum) in factors.iter_mut().zip(sums) {
        *factor = 1.0 / sum.sum();
    }
    let lanes = dim.div_ceil(LANES);
    let mut lane = 0;
    while lane + 2 <= lanes {
        mix::<L, H, 2>(kv, pages, &seen, weights, (lane, lanes), factors, out);
        lane += 2;
    }
    if lane < lanes {
        mix::<L, H, 1>(kv, pages, &seen, weights, (lane, lanes), factors, out);
    }
}

/// The part of `seen` that lies in page `index`, counted from that page's start.
#[inline(always)]
fn seen_in_page(seen: &Range<usize>, index: usize) -> Range<usize> {
    let start = index * PAGE;
    seen.start.saturating_sub(start)..(seen.end - start).min(PAGE)
}

/// The score of each query with every key of a page: one sum a position, over elements in order. Meanwhile the next keys
/// are called into the cache, from which the weights have driven them since the last token.
#[inline(always)]
fn scores<L: Lanes, const H: usize>(
    scoring: Scoring,
    queries: [&[f32]; H],
    keys: &[[f32; PAGE]],
    next_keys: &[[f32; PAGE]],
) -> [[f32; PAGE]; 2] {
    let mut sums = [[L::splat(0.0); PAGE / LANES]; H];
    for (element, positions) in keys.iter().enumerate() {
        let positions = positions.as_chunks::<LANES>().0;
        for sixteen in next_keys[element].as_chunks::<LANES>().0 {
            L::prefetch(sixteen);
        }
        for h in 0..H {
            let q = L::splat(queries[h][element]);
            for i in 0..PAGE / LANES {
                sums[h][i] = q.mul_add(L::load(&positions[i]), sums[h][i]);
            }
        }
    }
    let scale = L::splat(scoring.scale);
    let mut scores = [[0.0; PAGE]; 2];
    for h in 0..H {
        for (i, sixteen) in scores[h].as_chunks_mut().0.iter_mut().enumerate() {
            let score = sums[h][i].mul(scale);
            *sixteen = match scoring.softcap {
                None => score,
                Some(cap) => tanh_lanes(score.div(L::splat(cap))).mul(L::splat(cap)),
            }
            .store();
        }
    }
    scores
}

/// Elements of the weighted sum of values from lane block `lane` of `lanes` on, `C` blocks: one sum a page, over
/// positions in order; then over pages in order.
#[inline(always)]
fn mix<L: Lanes, const H: usize, const C: usize>(
    kv: &KvView<'_>,
    pages: &[Arc<KvPage>],
    seen: &Range<usize>,
    weights: &[[[f32; PAGE]; 2]],
    (lane, lanes): (usize, usize),
    factors: [f32; H],
    out: &mut [f32],
) {
    let mut totals = [[L::splat(0.0); C]; H];
    for (index, (page, weights)) in pages.iter().zip(weights).enumerate() {
        let values = page.read(kv.layer, kv.head).1;
        let next_values = pages.get(index + 1).unwrap_or(page).read(kv.layer, kv.head).1;
        let mut sums = [[L::splat(0.0); C]; H];
        for position in seen_in_page(seen, index) {
            let value = &values[position * lanes + lane..][..C];
            for sixteen in &next_values[position * lanes + lane..][..C] {
                L::prefetch(sixteen);
            }
            for h in 0..H {
                let weight = L::splat(weights[h][position]);
                for c in 0..C {
                    sums[h][c] = weight.mul_add(L::load(&value[c]), sums[h][c]);
                }
            }
        }
        for h in 0..H {
            for c in 0..C {
                totals[h][c] = totals[h][c].add(sums[h][c]);
            }
        }
    }
    let dim = out.len() / H;
    for ((totals, factor), out) in totals.into_iter().zip(factors).zip(out.chunks_exact_mut(dim)) {
        for (total, out) in totals.into_iter().zip(out[lane * LANES..].chunks_mut(LANES)) {
            let mean = total.mul(L::splat(factor)).store();
            out.copy_from_slice(&mean[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, other_tiers, scalar};

    const SHAPE: KvShape = KvShape { layers: 2, heads: 3, head_dim: 0 };

    /// Keys and values of `len` positions, written to pages and kept as rows; only head 1 of layer 1 is not zero.
    struct Sequence {
        pages: Vec<Arc<KvPage>>,
        keys: Vec<Vec<f32>>,
        values: Vec<Vec<f32>>,
    }

    impl Sequence {
        fn random(numbers: &mut Numbers, head_dim: usize, len: usize) -> Self {
            let mut row = || -> Vec<f32> { (0..head_dim).map(|_| (numbers.unit() - 0.5) * 6.0).collect() };
            let (keys, values): (Vec<_>, Vec<_>) = (0..len).map(|_| (row(), row())).unzip();
            let mut pages = vec![KvPage::new(KvShape { head_dim, ..SHAPE }); len.div_ceil(PAGE)];
            for (position, (key, value)) in keys.iter().zip(&values).enumerate() {
                pages[position / PAGE].write(1, 1, position % PAGE, key, value);
            }
            Sequence { pages: pages.into_iter().map(Arc::new).collect(), keys, values }
        }

        fn attend(&self, isa: Isa, positions: Range<usize>, queries: &[f32]) -> Vec<f32> {
            let mut out = vec![f32::NAN; queries.len()];
            let kv = KvView { pages: &self.pages, layer: 1, head: 1, positions };
            let scale = 1.0 / (self.keys[0].len() as f32).sqrt();
            attend(isa, kv, Scoring { scale, softcap: None }, queries, &mut Scratch::default(), &mut out);
            out
        }

        /// The definition, in f64.
        fn plainly(&self, positions: Range<usize>, query: &[f32]) -> Vec<f64> {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let scale = (query.len() as f64).sqrt();
            let weights: Vec<f64> = positions.clone().map(|p| (dot(query, &self.keys[p]) / scale).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mean = |i| positions.clone().zip(&weights).map(|(p, w)| w * f64::from(self.values[p][i])).sum::<f64>();
            (0..query.len()).map(|i| mean(i) / total).collect()
        }
    }

    #[test]
    fn every_tier_gives_the_definition_and_the_same_bits() {
        let mut numbers = Numbers(21);
        for head_dim in [2, 8, 16, 24, 32, 64, 80] {
            for (len, positions) in [(1, 0..1), (31, 0..31), (33, 0..32), (33, 0..33), (100, 0..97), (100, 35..64)] {
                let sequence = Sequence::random(&mut numbers, head_dim, len);
                for count in [1, 2, 3, 4] {
                    let queries: Vec<f32> = (0..count * head_dim).map(|_| (numbers.unit() - 0.5) * 4.0).collect();
                    let got = sequence.attend(scalar(), positions.clone(), &queries);
                    for isa in other_tiers() {
                        assert_eq!(sequence.attend(isa, positions.clone(), &queries), got);
                    }
                    for (query, got) in queries.chunks(head_dim).zip(got.chunks(head_dim)) {
                        assert_eq!(sequence.attend(scalar(), positions.clone(), query), got, "alone or in a pair");
                        for (expected, got) in sequence.plainly(positions.clone(), query).into_iter().zip(got) {
                            assert!((expected - f64::from(*got)).abs() < 3e-6, "{expected} {got}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_seen_does_not_count() {
        let mut numbers = Numbers(4);
        let mut sequence = Sequence::random(&mut numbers, 16, 70);
        let query: Vec<f32> = (0..16).map(|_| numbers.unit()).collect();
        let expected = sequence.attend(Isa::best(), 3..40, &query);
        for position in [0, 2, 40, 69] {
            Arc::make_mut(&mut sequence.pages[position / PAGE]).write(
                1,
                1,
                position % PAGE,
                &[f32::NAN; 16],
                &[f32::NAN; 16],
            );
        }
        for isa in Isa::available() {
            assert_eq!(sequence.attend(isa, 3..40, &query), expected);
        }
    }
}
