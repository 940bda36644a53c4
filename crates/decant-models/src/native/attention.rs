//! Attention of the tokens of one pass: who works together, and on what.

use std::ops::Range;

use decant_decode::Feed;
use decant_kernels::attention::{Scoring, Scratch, Tile, attend, finish, partial_len};

use super::forward::Place;
use super::{KvCache, NativeModel};
use crate::weights::ModelConfig;

/// Queries in a tile: enough that reading a page costs little, few enough that their scores stay in cache.
const TILE_ROWS: usize = 64;

/// The memory of attention, used again layer after layer.
#[derive(Debug, Default)]
pub(super) struct Attention {
    pieces: Vec<Piece>,
    partials: Vec<f32>,
    /// One for each thread.
    scratches: Vec<Scratch>,
}

/// What one thread does at a time: neighbouring tokens of one sequence, one key-value head, some segments.
#[derive(Debug)]
struct Piece {
    /// The tokens, as places in the pass.
    tokens: Range<usize>,
    head: usize,
    segments: Range<usize>,
}

impl Attention {
    /// For the queries of a pass `[places, heads, head_dim]`: the weighted means of the values that they see, to `mixed`.
    pub(super) fn run(
        &mut self,
        model: &NativeModel,
        layer: usize,
        places: &[Place],
        batch: &[Feed<'_, KvCache>],
        queries: &[f32],
        mixed: &mut Vec<f32>,
    ) {
        let ModelConfig { heads, kv_heads, head_dim, attention_scale: scale, attention_softcap: softcap, .. } =
            model.config;
        // Grouped queries (Ainslie et al. 2023): neighbouring query heads share a head of keys and values.
        let (group, stride, window) = (heads / kv_heads, heads * head_dim, model.config.window(layer));
        let tile = |piece: &Piece| {
            let Range { start, end } = piece.tokens;
            let queries = &queries[start * stride + piece.head * group * head_dim..end * stride];
            Tile { position: places[start].position, tokens: end - start, window, group, queries, stride }
        };
        mixed.resize(queries.len(), 0.0);
        self.plan(places, kv_heads, (TILE_ROWS / group).max(1), |piece| tile(piece).segments());

        let tokens = self.pieces.iter().map(|piece| piece.tokens.len()).max().unwrap_or(0);
        let len = tokens * group * partial_len(head_dim);
        self.partials.resize(self.pieces.len() * len, 0.0);
        let scoring = Scoring { scale, softcap };
        let seen = places.iter().map(|place| window.unwrap_or(usize::MAX).min(place.position + 1));
        let work = 2 * heads * head_dim * seen.sum::<usize>();
        model.team.each_piece(&mut self.partials, len, work, &mut self.scratches, |index, partials, scratch| {
            let piece = &self.pieces[index];
            let kv = batch[places[piece.tokens.start].sequence].cache.view(layer, piece.head);
            attend(model.team.isa, kv, scoring, tile(piece), piece.segments.clone(), scratch, partials);
        });
        // Pieces of one tile lie side by side.
        let mut partials = self.partials.as_mut_slice();
        for pieces in self.pieces.chunk_by(|a, b| a.tokens == b.tokens && a.head == b.head) {
            let (these, rest) = partials.split_at_mut(pieces.len() * len);
            for (i, token) in pieces[0].tokens.clone().enumerate() {
                let from = i * group * partial_len(head_dim);
                let out = &mut mixed[token * stride + pieces[0].head * group * head_dim..][..group * head_dim];
                finish(model.team.isa, &mut these[from..], len, head_dim, out);
            }
            partials = rest;
        }
    }

    /// Cuts a pass into pieces. Tiles have up to `tokens` tokens; if all have but one, each segment is a piece, so that many
    /// threads can share one long sequence. The bits are the same either way.
    fn plan(&mut self, places: &[Place], heads: usize, tokens: usize, segments: impl Fn(&Piece) -> Range<usize>) {
        self.pieces.clear();
        let alone = places.windows(2).all(|pair| pair[0].sequence != pair[1].sequence);
        let mut start = 0;
        for run in places.chunk_by(|a, b| a.sequence == b.sequence) {
            for tile in run.chunks(tokens) {
                let tokens = start..start + tile.len();
                start = tokens.end;
                for head in 0..heads {
                    let mut piece = Piece { tokens: tokens.clone(), head, segments: 0..0 };
                    piece.segments = segments(&piece);
                    if alone {
                        let each = piece.segments.clone().map(|segment| Piece {
                            tokens: tokens.clone(),
                            head,
                            segments: segment..segment + 1,
                        });
                        self.pieces.extend(each);
                    } else {
                        self.pieces.push(piece);
                    }
                }
            }
        }
    }
}
