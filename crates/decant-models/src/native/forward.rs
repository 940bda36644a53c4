//! The graph: embedding, blocks of attention and gated feed-forward, norm, output.

use decant_decode::{Feed, Rows, TokenId};
use decant_kernels::attention::{KvView, Scoring, attend};
use decant_kernels::vectors::{rms_norm, swiglu};
use decant_kernels::weights::{Activations, ColumnsMut};

use super::rope::Angles;
use super::{KvCache, Layer, Linear, NativeModel};
use crate::weights::ModelConfig;

/// Tokens that go through the graph together: enough to read each weight for many, few enough to stay in cache.
const MAX_TOGETHER: usize = 64;

/// One token on its way.
struct Place {
    /// Index of its sequence in the batch.
    sequence: usize,
    token: TokenId,
    position: usize,
    /// Whether its row of logits is wanted.
    wanted: bool,
}

/// Feeds a batch that was checked.
pub(super) fn feed_all(model: &NativeModel, batch: &mut [Feed<'_, KvCache>]) -> Vec<Rows> {
    let mut places = Vec::new();
    for (sequence, feed) in batch.iter_mut().enumerate() {
        let (start, fed) = (feed.cache.len(), feed.tokens.len());
        let first_wanted = fed - feed.want.rows(fed);
        places.extend(feed.tokens.iter().enumerate().map(|(i, &token)| Place {
            sequence,
            token,
            position: start + i,
            wanted: i >= first_wanted,
        }));
        feed.cache.grow(fed, model.kv_shape());
    }
    let mut logits = vec![Vec::new(); batch.len()];
    let mut workspace = Workspace::default();
    for together in places.chunks(MAX_TOGETHER) {
        workspace.pass(model, together, batch, &mut logits);
    }
    logits.into_iter().map(|logits| Rows::new(logits, model.config.vocab)).collect()
}

/// The memory of passes through the graph; matrices have one row a token.
#[derive(Default)]
struct Workspace {
    /// The residual stream, [tokens, dim].
    stream: Vec<f32>,
    /// The stream normalised; then what a block adds to it.
    side: Vec<f32>,
    /// The input of the next linear layers.
    input: Activations,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// What attention took from the values.
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Workspace {
    fn pass(
        &mut self,
        model: &NativeModel,
        places: &[Place],
        batch: &mut [Feed<'_, KvCache>],
        logits: &mut [Vec<f32>],
    ) {
        let dim = model.config.dim;
        self.stream.resize(places.len() * dim, 0.0);
        for (place, row) in places.iter().zip(self.stream.chunks_exact_mut(dim)) {
            model.embedding.weights().dequantise(place.token as usize, row);
        }
        let angles: Vec<Angles> = places.iter().map(|place| model.rope.angles(place.position)).collect();
        for (index, layer) in model.layers.iter().enumerate() {
            self.attention(model, index, places, &angles, batch);
            self.feed_forward(model, layer);
        }
        self.output(model, places, logits);
    }

    fn attention(
        &mut self,
        model: &NativeModel,
        index: usize,
        places: &[Place],
        angles: &[Angles],
        batch: &mut [Feed<'_, KvCache>],
    ) {
        let ModelConfig { dim, heads, kv_heads, head_dim, .. } = model.config;
        let layer = &model.layers[index];
        norm(model, &self.stream, &layer.attention_norm, &mut self.side);
        let layers =
            [(&layer.query, &mut self.queries), (&layer.key, &mut self.keys), (&layer.value, &mut self.values)];
        linear(model, &mut self.input, &self.side, dim, layers);

        turn(model, &mut self.queries, heads, layer.query_norm.as_deref(), angles);
        turn(model, &mut self.keys, kv_heads, layer.key_norm.as_deref(), angles);
        let keys = self.keys.chunks_exact(kv_heads * head_dim);
        let values = self.values.chunks_exact(kv_heads * head_dim);
        for ((place, keys), values) in places.iter().zip(keys).zip(values) {
            let cache = &mut batch[place.sequence].cache;
            for (head, (key, value)) in keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim)).enumerate() {
                cache.write(index, head, place.position, key, value);
            }
        }

        let scoring = Scoring { scale: 1.0 / (head_dim as f32).sqrt(), softcap: None };
        // Grouped queries (Ainslie et al. 2023): neighbouring query heads share a head of keys and values.
        let group = heads / kv_heads * head_dim;
        let window = model.config.window(index);
        let seen = |place: &Place| {
            let end = place.position + 1;
            end.saturating_sub(window.unwrap_or(end))..end
        };
        let work: usize = places.iter().map(|place| 2 * heads * head_dim * seen(place).len()).sum();
        let (batch, queries) = (&*batch, &self.queries);
        self.mixed.resize(queries.len(), 0.0);
        model.team.each_piece(&mut self.mixed, group, work, |piece, mixed, scratch| {
            let (place, head) = (&places[piece / kv_heads], piece % kv_heads);
            let pages = batch[place.sequence].cache.pages();
            let kv = KvView { pages, layer: index, head, positions: seen(place) };
            attend(model.team.isa, kv, scoring, &queries[piece * group..][..group], scratch, mixed);
        });
        linear(model, &mut self.input, &self.mixed, heads * head_dim, [(&layer.attention_output, &mut self.side)]);
        add(&mut self.stream, &self.side);
    }

    fn feed_forward(&mut self, model: &NativeModel, layer: &Layer) {
        let ModelConfig { dim, hidden, .. } = model.config;
        norm(model, &self.stream, &layer.feed_forward_norm, &mut self.side);
        linear(model, &mut self.input, &self.side, dim, [(&layer.gate, &mut self.gate), (&layer.up, &mut self.up)]);
        swiglu(model.team.isa, &mut self.gate, &self.up);
        linear(model, &mut self.input, &self.gate, hidden, [(&layer.down, &mut self.side)]);
        add(&mut self.stream, &self.side);
    }

    /// Appends the wanted rows to the logits of their sequences.
    fn output(&mut self, model: &NativeModel, places: &[Place], logits: &mut [Vec<f32>]) {
        let ModelConfig { dim, vocab, .. } = model.config;
        let wanted = places.iter().zip(self.stream.chunks_exact(dim)).filter(|(place, _)| place.wanted);
        let (wanted, rows): (Vec<&Place>, Vec<&[f32]>) = wanted.unzip();
        if wanted.is_empty() {
            return;
        }
        norm(model, &rows.concat(), &model.output_norm, &mut self.side);
        let mut together = Vec::new();
        linear(model, &mut self.input, &self.side, dim, [(&model.output, &mut together)]);
        for (place, row) in wanted.into_iter().zip(together.chunks_exact(vocab)) {
            logits[place.sequence].extend_from_slice(row);
        }
    }
}

/// The RMS norm of each row.
fn norm(model: &NativeModel, rows: &[f32], weight: &[f32], out: &mut Vec<f32>) {
    out.resize(rows.len(), 0.0);
    for (row, out) in rows.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        rms_norm(model.team.isa, row, weight, model.config.norm_eps, out);
    }
}

/// Linear layers that share their input, rows of `cols`, each with where its output goes.
fn linear<const N: usize>(
    model: &NativeModel,
    input: &mut Activations,
    rows: &[f32],
    cols: usize,
    mut layers: [(&Linear, &mut Vec<f32>); N],
) {
    input.set(model.team.isa, rows, cols, layers.iter().map(|(layer, _)| layer.weight.format()));
    let mut products = layers.each_mut().map(|(layer, out)| {
        let outputs = layer.weight.shape().rows;
        out.resize(input.rows() * outputs, 0.0);
        (layer.weight.weights(), ColumnsMut::new(out, outputs))
    });
    model.team.multiply(input, &mut products);
    for (layer, out) in layers {
        if let Some(bias) = &layer.bias {
            out.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
        }
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

/// Brings the heads of every row into the order of halves, normalises them if the model does, and turns them.
fn turn(model: &NativeModel, rows: &mut [f32], heads: usize, weight: Option<&[f32]>, angles: &[Angles]) {
    let dim = model.config.head_dim;
    let mut in_halves = vec![0.0; dim];
    for (row, angles) in rows.chunks_exact_mut(heads * dim).zip(angles) {
        for head in row.chunks_exact_mut(dim) {
            model.rope.in_halves(head, &mut in_halves);
            match weight {
                Some(weight) => rms_norm(model.team.isa, &in_halves, weight, model.config.norm_eps, head),
                None => head.copy_from_slice(&in_halves),
            }
            model.rope.rotate(head, angles);
        }
    }
}
