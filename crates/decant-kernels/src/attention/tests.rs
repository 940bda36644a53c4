//! Attention against its definition in f64, and against itself: alone or in a tile, whole or in segments, on every tier.

use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::Isa;
use crate::testing::{Numbers, other_tiers, scalar};
use half::f16;

/// The head that is read; others are zero.
const LAYER: usize = 1;
const HEAD: usize = 2;
const HEADS: usize = 3;

/// Keys and values written to pages, and what the format makes of them.
struct Sequence {
    pages: Vec<Arc<KvPage>>,
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Sequence {
    fn random(numbers: &mut Numbers, format: KvFormat, head_dim: usize, len: usize) -> Self {
        let mut row = || -> Vec<f32> { (0..head_dim).map(|_| (numbers.unit() - 0.5) * 6.0).collect() };
        let (keys, values): (Vec<_>, Vec<_>) = (0..len).map(|_| (row(), row())).unzip();
        let shape = KvShape { layers: 2, heads: HEADS, head_dim, format };
        let mut pages = vec![KvPage::new(shape); len.div_ceil(PAGE)];
        for (position, (key, value)) in keys.iter().zip(&values).enumerate() {
            let [mut keys, mut values] = [(); 2].map(|()| vec![0.0; HEADS * head_dim]);
            keys[HEAD * head_dim..].copy_from_slice(key);
            values[HEAD * head_dim..].copy_from_slice(value);
            pages[position / PAGE].write(LAYER, position % PAGE, &keys, &values);
        }
        let [keys, values] = [keys, values].map(|rows| rows.iter().map(|row| rounded(format, row)).collect());
        Sequence { pages: pages.into_iter().map(Arc::new).collect(), keys, values }
    }

    /// The means of a tile's queries, its segments taken together or each by itself.
    fn attend(&self, isa: Isa, scoring: Scoring, tile: Tile<'_>, by_segment: bool) -> Vec<f32> {
        let head_dim = self.keys[0].len();
        let kv = KvView { pages: &self.pages, dropped: 0, layer: LAYER, head: HEAD };
        let len = tile.tokens * tile.group * partial_len(head_dim);
        let segments = tile.segments();
        let step = if by_segment { 1 } else { segments.len() };
        let mut partials = vec![f32::NAN; segments.len().div_ceil(step) * len];
        let mut scratch = Scratch::default();
        for (first, partials) in segments.step_by(step).zip(partials.chunks_exact_mut(len)) {
            attend(isa, kv, scoring, tile, first..first + step, &mut scratch, partials);
        }
        let mut out = vec![f32::NAN; tile.tokens * tile.group * head_dim];
        finish(isa, &mut partials, len, head_dim, &mut out);
        out
    }

    /// The definition, in f64.
    fn plainly(&self, positions: Range<usize>, scoring: Scoring, query: &[f32]) -> Vec<f64> {
        let score = |p: usize| {
            let dot: f64 = query.iter().zip(&self.keys[p]).map(|(q, k)| f64::from(*q) * k).sum();
            let score = dot * f64::from(scoring.scale);
            scoring.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
        };
        let scores: Vec<f64> = positions.clone().map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mean = |i: usize| positions.clone().zip(&weights).map(|(p, w)| w * self.values[p][i]).sum::<f64>();
        (0..query.len()).map(|i| mean(i) / total).collect()
    }
}

/// What a format makes of a key or a value.
fn rounded(format: KvFormat, row: &[f32]) -> Vec<f64> {
    match format {
        KvFormat::F32 => row.iter().copied().map(f64::from).collect(),
        KvFormat::F16 => row.iter().map(|x| f16::from_f32(*x).to_f64()).collect(),
        KvFormat::Q8_0 => row.chunks(32).flat_map(quantised).collect(),
    }
}

fn quantised(block: &[f32]) -> Vec<f64> {
    let largest = block.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let (factor, scale) = (127.0 / largest, largest / 127.0);
    block.iter().map(|x| f64::from((x * factor).round_ties_even()) * f64::from(scale)).collect()
}

fn scoring(head_dim: usize) -> Scoring {
    Scoring { scale: 1.0 / (head_dim as f32).sqrt(), softcap: None }
}

/// Everything that may not matter, and the definition.
fn check(numbers: &mut Numbers, sequence: &Sequence, scoring: Scoring, tile: (usize, usize, Option<usize>, usize)) {
    let (position, tokens, window, group) = tile;
    let head_dim = sequence.keys[0].len();
    // Between the queries of two tokens lies something else.
    let stride = (group + 1) * head_dim;
    let queries: Vec<f32> = (0..tokens * stride).map(|_| (numbers.unit() - 0.5) * 4.0).collect();
    let tile = Tile { position, tokens, window, group, queries: &queries, stride };
    let got = sequence.attend(scalar(), scoring, tile, false);
    assert_eq!(sequence.attend(scalar(), scoring, tile, true), got, "by segments");
    for isa in other_tiers() {
        for by_segment in [false, true] {
            assert_eq!(sequence.attend(isa, scoring, tile, by_segment), got, "{isa:?} {position} {tokens} {window:?}");
        }
    }
    for (row, got) in got.chunks(head_dim).enumerate() {
        let (token, head) = (row / group, row % group);
        let query = &queries[token * stride + head * head_dim..][..head_dim];
        let alone = Tile { position: position + token, tokens: 1, group: 1, queries: query, ..tile };
        assert_eq!(sequence.attend(Isa::best(), scoring, alone, false), got, "alone");
        let end = position + token + 1;
        let positions = end.saturating_sub(window.unwrap_or(end))..end;
        for (expected, got) in sequence.plainly(positions, scoring, query).into_iter().zip(got) {
            assert!((expected - f64::from(*got)).abs() < 4e-6, "{expected} {got}: {head_dim} {position} {window:?}");
        }
    }
}

#[test]
fn every_tile_on_every_tier_gives_the_definition_with_one_bit_pattern() {
    let mut numbers = Numbers(21);
    for format in KvFormat::ALL {
        for head_dim in [2, 16, 24, 64, 80] {
            let sequence = Sequence::random(&mut numbers, format, head_dim, 700);
            let tiles = [
                (0, 1, None, 1),
                (0, 40, None, 2),
                (31, 1, None, 4),
                (32, 2, None, 3),
                (250, 13, None, 5),
                (255, 1, None, 7),
                (256, 1, None, 8),
                (699, 1, None, 2),
                (640, 60, Some(40), 1),
                (500, 30, Some(1), 2),
                (511, 20, Some(256), 3),
                (300, 4, Some(5000), 1),
            ];
            for tile in tiles {
                check(&mut numbers, &sequence, scoring(head_dim), tile);
            }
            let capped = Scoring { softcap: Some(0.8), ..scoring(head_dim) };
            check(&mut numbers, &sequence, capped, (250, 13, None, 2));
            check(&mut numbers, &sequence, capped, (600, 2, Some(300), 2));
        }
    }
}

#[test]
fn far_sequences_keep_their_precision() {
    let mut numbers = Numbers(5);
    let sequence = Sequence::random(&mut numbers, KvFormat::F32, 32, 9000);
    check(&mut numbers, &sequence, scoring(32), (8995, 5, None, 2));
    // Scores so far apart that the running maximum must be rescaled again and again.
    check(&mut numbers, &sequence, Scoring { scale: 2.0, softcap: None }, (8000, 2, None, 2));
}

#[test]
fn what_is_not_seen_does_not_count() {
    let mut numbers = Numbers(4);
    for format in KvFormat::ALL {
        let mut sequence = Sequence::random(&mut numbers, format, 16, 400);
        let queries: Vec<f32> = (0..6 * 16).map(|_| numbers.unit()).collect();
        // The last token sees what the first does not, and the other way round.
        let tile = Tile { position: 290, tokens: 6, window: Some(37), group: 1, queries: &queries, stride: 16 };
        let expected = sequence.attend(Isa::best(), scoring(16), tile, false);
        for position in [0, 253, 296, 399] {
            let page = Arc::make_mut(&mut sequence.pages[position / PAGE]);
            page.write(LAYER, position % PAGE, &[f32::NAN; 48], &[f32::INFINITY; 48]);
        }
        for isa in Isa::available() {
            assert_eq!(sequence.attend(isa, scoring(16), tile, false), expected);
        }
        let page = Arc::make_mut(&mut sequence.pages[294 / PAGE]);
        page.write(LAYER, 294 % PAGE, &[0.0; 48], &[f32::NAN; 48]);
        let got = sequence.attend(Isa::best(), scoring(16), tile, false);
        assert_eq!(got[..4 * 16], expected[..4 * 16], "tokens before it");
        assert!(got[4 * 16..].iter().all(|x| x.is_nan()), "itself and the token after it");
    }
}

#[test]
fn what_a_format_cannot_hold_shows() {
    for format in KvFormat::ALL {
        let huge = if format == KvFormat::F16 { 70_000.0 } else { f32::INFINITY };
        // The key's score is -inf, its weight 0.
        for (key, value) in [(huge, 1.0), (0.0, huge), (f32::NAN, 1.0), (0.0, f32::NAN)] {
            let mut sequence = Sequence::random(&mut Numbers(3), format, 40, 10);
            let row = |x: f32| {
                let mut row = vec![0.0; HEADS * 40];
                row[HEAD * 40..].fill(x);
                row
            };
            Arc::make_mut(&mut sequence.pages[0]).write(LAYER, 4, &row(key), &row(value));
            let queries = [-1.0; 40];
            let tile = Tile { position: 9, tokens: 1, window: None, group: 1, queries: &queries, stride: 40 };
            for isa in Isa::available() {
                let got = sequence.attend(isa, scoring(40), tile, false);
                assert!(got.iter().all(|x| !x.is_finite()), "{format} {key} {value}: {got:?}");
            }
        }
    }
}

#[test]
fn memory_is_what_is_said() {
    for (format, head_dim, bytes) in [
        (KvFormat::F32, 64, 512),
        (KvFormat::F16, 64, 256),
        (KvFormat::Q8_0, 64, 144),
        (KvFormat::F32, 24, 4 * (24 + 32)),
        (KvFormat::F16, 24, 2 * (24 + 32)),
        (KvFormat::Q8_0, 24, 24 + 32 + 8),
        (KvFormat::Q8_0, 80, 80 + 80 + 24),
    ] {
        let shape = KvShape { layers: 3, heads: 2, head_dim, format };
        assert_eq!(shape.page_bytes(), 3 * 2 * PAGE * bytes, "{format} {head_dim}");
        assert_eq!(KvPage::new(shape).bytes(), shape.page_bytes());
    }
}
