//! A tile of queries, and how it reads a head's keys and values segment by segment.

use std::ops::Range;

use super::page::{KvView, PAGE, padded};
use super::partial::{clear, merge, partial_len, set_softmax};
use crate::Isa;
use crate::lanes::{LANES, Lanes, dispatch};
use crate::rows::exp_lanes;
use crate::vectors::tanh_lanes;
use crate::weights::WeightLanes;

/// Positions in a segment: enough that merging costs little, few enough that a tile's scores stay in cache.
pub const SEGMENT: usize = 8 * PAGE;

/// How a score comes out of a query and a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// What q·k is multiplied with: 1 / √head_dim, unless the model says otherwise.
    pub scale: f32,
    /// The score s becomes c · tanh(s / c) (Gemma 2).
    pub softcap: Option<f32>,
}

/// The queries of neighbouring tokens that share a key-value head.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// The position of the first token.
    pub position: usize,
    /// How many tokens.
    pub tokens: usize,
    /// How many positions a token sees, itself among them; `None`: all before it, too.
    pub window: Option<usize>,
    /// Query heads that share the key-value head.
    pub group: usize,
    /// Token i's queries `[group, head_dim]` begin at `i * stride`.
    pub queries: &'a [f32],
    /// See `queries`.
    pub stride: usize,
}

impl Tile<'_> {
    /// The segments of which its tokens see something.
    pub fn segments(&self) -> Range<usize> {
        self.seen(0).start / SEGMENT..(self.position + self.tokens).div_ceil(SEGMENT)
    }

    /// The positions that a token sees.
    fn seen(&self, token: usize) -> Range<usize> {
        let end = self.position + token + 1;
        end.saturating_sub(self.window.unwrap_or(end))..end
    }

    /// The part of `among` that a token sees, counted from the start of `among`.
    fn seen_among(&self, token: usize, among: &Range<usize>) -> Range<usize> {
        let Range { start, end } = self.seen(token);
        let start = start.clamp(among.start, among.end) - among.start;
        start..(end.clamp(among.start, among.end) - among.start).max(start)
    }

    /// The tokens that see some of the positions: neighbours, for both ends of what is seen move on with the token.
    fn tokens_seeing(&self, positions: &Range<usize>) -> Range<usize> {
        let mut tokens = 0..self.tokens;
        while !tokens.is_empty() && self.seen(tokens.start).end <= positions.start {
            tokens.start += 1;
        }
        while !tokens.is_empty() && self.seen(tokens.end - 1).start >= positions.end {
            tokens.end -= 1;
        }
        tokens
    }
}

/// Memory for [`attend`], to be used again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The tile's queries times the scale, [rows, head_dim].
    queries: Vec<f32>,
    /// Scores, then weights, of one segment: [rows, SEGMENT].
    weights: Vec<f32>,
    /// Partials of one segment, [rows].
    partials: Vec<f32>,
    /// Keys or values of one page's head, widened.
    room: Vec<f32>,
}

/// For each query of the tile, in order of tokens and then of heads: the partial over those of the positions in `segments`
/// that it sees, to `partials`, which has [`partial_len`] floats for each (and may have more, left alone).
///
/// # Panics
/// If what the tile sees of `segments` is not in the pages, or the lengths do not fit.
pub fn attend(
    isa: Isa,
    kv: KvView<'_>,
    scoring: Scoring,
    tile: Tile<'_>,
    segments: Range<usize>,
    scratch: &mut Scratch,
    partials: &mut [f32],
) {
    let dim = kv.head_dim();
    let rows = tile.tokens * tile.group;
    assert!(tile.window != Some(0) && (tile.tokens - 1) * tile.stride + tile.group * dim <= tile.queries.len());
    let partials = &mut partials[..rows * partial_len(dim)];
    partials.chunks_exact_mut(partial_len(dim)).for_each(clear);
    scratch.queries.clear();
    for queries in tile.queries.chunks(tile.stride).take(tile.tokens) {
        scratch.queries.extend(queries[..tile.group * dim].iter().map(|q| q * scoring.scale));
    }
    scratch.weights.resize(rows * SEGMENT, 0.0);
    scratch.partials.resize(partials.len(), 0.0);
    scratch.room.resize(PAGE * padded(dim), 0.0);
    let softcap = scoring.softcap;
    dispatch!(isa => by_segments(
        kv: KvView<'_>, softcap: Option<f32>, tile: Tile<'_>, segments: Range<usize>, scratch: &mut Scratch,
        partials: &mut [f32],
    ));
}

#[inline(always)]
fn by_segments<L: WeightLanes>(
    kv: KvView<'_>,
    softcap: Option<f32>,
    tile: Tile<'_>,
    segments: Range<usize>,
    scratch: &mut Scratch,
    partials: &mut [f32],
) {
    for segment in segments {
        let segment = segment * SEGMENT..(segment + 1) * SEGMENT;
        let tokens = tile.tokens_seeing(&segment);
        if tokens.is_empty() {
            continue;
        }
        let part = Part { kv, tile, tokens, segment };
        part.score::<L>(scratch);
        part.soften::<L>(softcap, scratch);
        part.mix::<L>(scratch);
        part.merge::<L>(scratch, partials);
    }
}

/// Runs `$body` for neighbouring rows together, as many as registers hold: `$row` is the first, `$count` a constant.
macro_rules! by_rows {
    ($lanes:ident, $rows:expr, $row:ident, $count:ident => $body:block) => {
        let mut $row = 0;
        if $lanes::REGISTERS >= 32 {
            by_rows!(@each $rows, $row, $count, 8, $body);
        }
        by_rows!(@each $rows, $row, $count, 4, $body);
        by_rows!(@each $rows, $row, $count, 2, $body);
        by_rows!(@each $rows, $row, $count, 1, $body);
    };
    (@each $rows:expr, $row:ident, $count:ident, $number:literal, $body:block) => {
        {
            const $count: usize = $number;
            while $row + $count <= $rows {
                $body
                $row += $count;
            }
        }
    };
}

/// A tile's work on one segment.
struct Part<'a> {
    kv: KvView<'a>,
    tile: Tile<'a>,
    /// The tokens that see something of it.
    tokens: Range<usize>,
    /// Its positions.
    segment: Range<usize>,
}

impl Part<'_> {
    /// Their rows in the tile.
    #[inline(always)]
    fn rows(&self) -> Range<usize> {
        self.tokens.start * self.tile.group..self.tokens.end * self.tile.group
    }

    /// The pages of the sequence of which some token sees something.
    #[inline(always)]
    fn pages(&self) -> Range<usize> {
        let first = self.tile.seen(self.tokens.start).start.max(self.segment.start);
        let end = self.tile.seen(self.tokens.end - 1).end.min(self.segment.end);
        first / PAGE..end.div_ceil(PAGE)
    }

    /// The score of each query with every position of the pages, also with those that it does not see.
    #[inline(always)]
    fn score<L: WeightLanes>(&self, Scratch { queries, weights, room, .. }: &mut Scratch) {
        let rows = self.rows();
        let pages = self.pages();
        for page in pages.clone() {
            // What is read next; the weights have driven it from the cache since the last token.
            match page + 1 < pages.end {
                true => self.kv.prefetch_keys::<L>(page + 1),
                false => self.kv.prefetch_values::<L>(pages.start),
            }
            let keys = self.kv.keys::<L>(page, room);
            let at = page * PAGE - self.segment.start;
            let queries = &queries[rows.start * keys.len()..rows.end * keys.len()];
            let weights = &mut weights[rows.start * SEGMENT..rows.end * SEGMENT];
            by_rows!(L, rows.len(), row, H => {
                scores::<L, H>(&queries[row * keys.len()..], keys, &mut weights[row * SEGMENT + at..]);
            });
        }
    }

    /// From scores to weights: e^(score - largest) where a position is seen, else 0.
    #[inline(always)]
    fn soften<L: Lanes>(&self, softcap: Option<f32>, Scratch { weights, partials, .. }: &mut Scratch) {
        let partial_len = partial_len(self.kv.head_dim());
        for token in self.tokens.clone() {
            let seen = self.tile.seen_among(token, &self.segment);
            for row in token * self.tile.group..(token + 1) * self.tile.group {
                let weights = &mut weights[row * SEGMENT..][..SEGMENT];
                if let Some(cap) = softcap {
                    cap_scores::<L>(cap, weights.as_chunks_mut().0);
                }
                weights[..seen.start].fill(f32::NEG_INFINITY);
                weights[seen.end..].fill(f32::NEG_INFINITY);
                let (largest, sum) = softmax::<L>(weights.as_chunks_mut().0);
                set_softmax(&mut partials[row * partial_len..][..partial_len], largest, sum);
            }
        }
    }

    /// The sum of values by weight, over the positions that each query sees.
    #[inline(always)]
    fn mix<L: WeightLanes>(&self, Scratch { weights, partials, room, .. }: &mut Scratch) {
        let partial_len = partial_len(self.kv.head_dim());
        let lanes = padded(self.kv.head_dim()) / LANES;
        let rows = self.rows();
        for row in rows.clone() {
            partials[row * partial_len..][..lanes * LANES].fill(0.0);
        }
        let pages = self.pages();
        for page in pages.clone() {
            match page + 1 < pages.end {
                true => self.kv.prefetch_values::<L>(page + 1),
                false => self.kv.prefetch_keys::<L>(page + 1),
            }
            let values = self.kv.values::<L>(page, room);
            let positions = page * PAGE..(page + 1) * PAGE;
            let at = positions.start - self.segment.start;
            let (first, last) = (self.tokens.start, self.tokens.end - 1);
            let whole = 0..PAGE;
            // What a query does not see does not touch it, be it NaN. Where all see all, all share the reading.
            let together =
                self.tile.seen_among(first, &positions) == whole && self.tile.seen_among(last, &positions) == whole;
            let tokens = if together { self.tokens.len() } else { 1 };
            for token in self.tokens.clone().step_by(tokens) {
                let rows = token * self.tile.group..(token + tokens) * self.tile.group;
                let values = Values { values, lanes, positions: self.tile.seen_among(token, &positions) };
                values.mix::<L>(
                    &weights[rows.start * SEGMENT + at..],
                    &mut partials[rows.start * partial_len..rows.end * partial_len],
                    rows.len(),
                );
            }
        }
    }

    #[inline(always)]
    fn merge<L: Lanes>(&self, scratch: &Scratch, partials: &mut [f32]) {
        let len = partial_len(self.kv.head_dim());
        let rows = self.rows().start * len..self.rows().end * len;
        for (into, from) in partials[rows.clone()].chunks_exact_mut(len).zip(scratch.partials[rows].chunks_exact(len)) {
            merge::<L>(into, from);
        }
    }
}

/// The scores of `H` queries with a page: one sum a position, over elements in order. Those of a query lie [`SEGMENT`] after
/// those of the query before.
#[inline(always)]
fn scores<L: Lanes, const H: usize>(queries: &[f32], keys: &[[f32; PAGE]], out: &mut [f32]) {
    if L::REGISTERS >= 32 {
        scores_of::<L, H, 2>(queries, keys, out);
    } else {
        scores_of::<L, H, 1>(queries, keys, out);
    }
}

#[inline(always)]
fn scores_of<L: Lanes, const H: usize, const C: usize>(queries: &[f32], keys: &[[f32; PAGE]], out: &mut [f32]) {
    let dim = keys.len();
    let mut row_of: [&[f32]; H] = [&[]; H];
    for h in 0..H {
        row_of[h] = &queries[h * dim..][..dim];
    }
    let mut lane = 0;
    while lane < PAGE / LANES {
        let mut sums = [[L::splat(0.0); C]; H];
        for (element, positions) in keys.iter().enumerate() {
            let positions = positions.as_chunks::<LANES>().0;
            for h in 0..H {
                let q = L::splat(row_of[h][element]);
                for c in 0..C {
                    sums[h][c] = q.mul_add(L::load(&positions[lane + c]), sums[h][c]);
                }
            }
        }
        for h in 0..H {
            let out = out[h * SEGMENT + lane * LANES..].as_chunks_mut().0;
            for c in 0..C {
                out[c] = sums[h][c].store();
            }
        }
        lane += C;
    }
}

/// Makes every score s cap · tanh(s / cap).
#[inline(always)]
fn cap_scores<L: Lanes>(cap: f32, scores: &mut [[f32; LANES]]) {
    let cap = L::splat(cap);
    for scores in scores {
        *scores = tanh_lanes(L::load(scores).div(cap)).mul(cap).store();
    }
}

/// Makes scores weights; returns the largest score and the sum of weights.
#[inline(always)]
fn softmax<L: Lanes>(weights: &mut [[f32; LANES]]) -> (f32, f32) {
    let mut largest = L::splat(f32::NEG_INFINITY);
    for weights in weights.iter() {
        largest = largest.max(L::load(weights));
    }
    let largest = largest.largest();
    let mut sum = L::splat(0.0);
    for weights in weights {
        let weight = exp_lanes(L::load(weights).sub(L::splat(largest)));
        sum = sum.add(weight);
        *weights = weight.store();
    }
    (largest, sum.sum())
}

/// A page's values [PAGE, lanes], and which positions count.
struct Values<'a> {
    values: &'a [[f32; LANES]],
    lanes: usize,
    positions: Range<usize>,
}

impl Values<'_> {
    /// Adds to each of the `rows` partials the sum of values by weight: one sum a page, over positions in order.
    #[inline(always)]
    fn mix<L: Lanes>(&self, weights: &[f32], partials: &mut [f32], rows: usize) {
        let len = (self.lanes + 1) * LANES;
        by_rows!(L, rows, row, H => {
            self.mix_rows::<L, H>(&weights[row * SEGMENT..], &mut partials[row * len..][..H * len]);
        });
    }

    #[inline(always)]
    fn mix_rows<L: Lanes, const H: usize>(&self, weights: &[f32], partials: &mut [f32]) {
        let mut lane = 0;
        if L::REGISTERS >= 32 {
            while lane + 2 <= self.lanes {
                self.mix_lanes::<L, H, 2>(lane, weights, partials);
                lane += 2;
            }
        }
        while lane < self.lanes {
            self.mix_lanes::<L, H, 1>(lane, weights, partials);
            lane += 1;
        }
    }

    #[inline(always)]
    fn mix_lanes<L: Lanes, const H: usize, const C: usize>(&self, lane: usize, weights: &[f32], partials: &mut [f32]) {
        let mut weights_of = [&[0.0; PAGE]; H];
        for h in 0..H {
            weights_of[h] = weights[h * SEGMENT..].first_chunk().expect("weights of a page");
        }
        let mut sums = [[L::splat(0.0); C]; H];
        assert!(self.positions.end <= PAGE);
        for position in self.positions.clone() {
            let values = self.values[position * self.lanes + lane..].first_chunk::<C>().expect("lanes of a value");
            for h in 0..H {
                let weight = L::splat(weights_of[h][position]);
                for c in 0..C {
                    sums[h][c] = weight.mul_add(L::load(&values[c]), sums[h][c]);
                }
            }
        }
        for h in 0..H {
            let partial = partials[h * (self.lanes + 1) * LANES..].as_chunks_mut().0;
            for c in 0..C {
                partial[lane + c] = L::load(&partial[lane + c]).add(sums[h][c]).store();
            }
        }
    }
}
