//! The graph: embedding, blocks of attention and gated feed-forward, norm, output.

use std::sync::{Mutex, PoisonError};

use decant_decode::{Feed, Rows, TokenId};
use decant_kernels::vectors::{geglu, rms_norm, softcap, swiglu};
use decant_kernels::weights::{Activations, ColumnsMut};

use super::attention::Attention;
use super::rope::{halves_of_pairs, rotate};
use super::{KvCache, Layer, Linear, NativeModel};
use crate::weights::{Activation, ModelConfig, RowOrder};

/// Tokens that go through the graph together: enough to read each weight for many, few enough to stay in cache.
const MAX_TOGETHER: usize = 64;

/// One token on its way.
pub(super) struct Place {
    /// Index of its sequence in the batch.
    pub sequence: usize,
    token: TokenId,
    pub position: usize,
    /// Whether its row of logits is wanted.
    wanted: bool,
}

/// Feeds a batch that was checked.
pub(super) fn feed_all(model: &NativeModel, batch: &mut [Feed<'_, KvCache>]) -> Vec<Rows> {
    let mut places = Vec::new();
    for (sequence, feed) in batch.iter_mut().enumerate() {
        if feed.tokens.is_empty() {
            continue;
        }
        let start = feed.cache.append(feed.tokens);
        let first_wanted = feed.cache.len() - feed.want.rows(feed.tokens.len());
        places.extend(feed.cache.tokens().iter().enumerate().skip(start).map(|(position, &token)| Place {
            sequence,
            token,
            position,
            wanted: position >= first_wanted,
        }));
    }
    let mut logits = vec![Vec::new(); batch.len()];
    let mut workspace = model.workspaces.take();
    for together in places.chunks(MAX_TOGETHER) {
        workspace.pass(model, together, batch, &mut logits);
    }
    model.workspaces.put(workspace);
    logits.into_iter().map(|logits| Rows::new(logits, model.config.vocab)).collect()
}

/// Workspaces of a model that nobody uses now. Only their memory is used again: nothing that was computed in it.
#[derive(Debug, Default)]
pub(super) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    fn take(&self) -> Workspace {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put(&self, workspace: Workspace) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}

/// The memory of passes through the graph; matrices have one row a token.
#[derive(Debug, Default)]
struct Workspace {
    /// The residual stream, [tokens, dim].
    stream: Vec<f32>,
    /// The stream normalised; then what a block adds to it.
    side: Vec<f32>,
    /// That normalised.
    addend: Vec<f32>,
    /// Of each of the model's ropes, cosine and sine of every frequency for each token.
    angles: Vec<Vec<(f32, f32)>>,
    /// The input of the next linear layers.
    input: Activations,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attention: Attention,
    /// What attention took from the values.
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// The rows of the stream whose logits are wanted, and these.
    wanted: Vec<f32>,
    logits: Vec<f32>,
}

impl Workspace {
    fn pass(
        &mut self,
        model: &NativeModel,
        places: &[Place],
        batch: &mut [Feed<'_, KvCache>],
        logits: &mut [Vec<f32>],
    ) {
        for run in places.chunk_by(|a, b| a.sequence == b.sequence) {
            let end = run[0].position + run.len();
            batch[run[0].sequence].cache.extend(end);
        }
        self.embed(model, places);
        self.turn_to(model, places);
        for (index, layer) in model.layers.iter().enumerate() {
            self.attention(model, index, places, batch);
            self.feed_forward(model, layer);
        }
        self.output(model, places, logits);
    }

    fn embed(&mut self, model: &NativeModel, places: &[Place]) {
        let ModelConfig { dim, embedding_scale, .. } = model.config;
        self.stream.resize(places.len() * dim, 0.0);
        for (place, row) in places.iter().zip(self.stream.chunks_exact_mut(dim)) {
            model.embedding.weights().dequantise(place.token as usize, row);
        }
        if embedding_scale != 1.0 {
            self.stream.iter_mut().for_each(|x| *x *= embedding_scale);
        }
    }

    fn turn_to(&mut self, model: &NativeModel, places: &[Place]) {
        self.angles.resize_with(model.ropes.len(), Vec::new);
        for (rope, angles) in model.ropes.iter().zip(&mut self.angles) {
            angles.clear();
            places.iter().for_each(|place| rope.turn_to(place.position, angles));
        }
    }

    fn attention(&mut self, model: &NativeModel, index: usize, places: &[Place], batch: &mut [Feed<'_, KvCache>]) {
        let ModelConfig { dim, heads, kv_heads, head_dim, .. } = model.config;
        let layer = &model.layers[index];
        let read = normed(model, &self.stream, layer.attention_norm.as_deref(), &mut self.side);
        let layers =
            [(&layer.query, &mut self.queries), (&layer.key, &mut self.keys), (&layer.value, &mut self.values)];
        linear(model, &mut self.input, read, dim, layers);

        let angles = layer.rope.map(|rope| (model.ropes[rope].angles(), self.angles[rope].as_slice()));
        turn(model, &mut self.queries, heads, layer.query_norm.as_deref(), angles, &mut self.side);
        turn(model, &mut self.keys, kv_heads, layer.key_norm.as_deref(), angles, &mut self.side);
        let keys = self.keys.chunks_exact(kv_heads * head_dim);
        let values = self.values.chunks_exact(kv_heads * head_dim);
        for ((place, keys), values) in places.iter().zip(keys).zip(values) {
            batch[place.sequence].cache.write(index, place.position, keys, values);
        }
        self.attention.run(model, index, places, batch, &self.queries, &mut self.mixed);
        linear(model, &mut self.input, &self.mixed, heads * head_dim, [(&layer.attention_output, &mut self.side)]);
        let addend = normed(model, &self.side, layer.attention_post_norm.as_deref(), &mut self.addend);
        add(&mut self.stream, addend);
    }

    fn feed_forward(&mut self, model: &NativeModel, layer: &Layer) {
        let ModelConfig { dim, hidden, activation, .. } = model.config;
        let read = normed(model, &self.stream, layer.feed_forward_norm.as_deref(), &mut self.side);
        linear(model, &mut self.input, read, dim, [(&layer.gate, &mut self.gate), (&layer.up, &mut self.up)]);
        match activation {
            Activation::Silu => swiglu(model.team.isa, &mut self.gate, &self.up),
            Activation::Gelu => geglu(model.team.isa, &mut self.gate, &self.up),
        }
        linear(model, &mut self.input, &self.gate, hidden, [(&layer.down, &mut self.side)]);
        let addend = normed(model, &self.side, layer.feed_forward_post_norm.as_deref(), &mut self.addend);
        add(&mut self.stream, addend);
    }

    /// Appends the wanted rows to the logits of their sequences.
    fn output(&mut self, model: &NativeModel, places: &[Place], logits: &mut [Vec<f32>]) {
        let ModelConfig { dim, vocab, logit_softcap, .. } = model.config;
        self.wanted.clear();
        for (place, row) in places.iter().zip(self.stream.chunks_exact(dim)) {
            if place.wanted {
                self.wanted.extend_from_slice(row);
            }
        }
        if self.wanted.is_empty() {
            return;
        }
        let read = normed(model, &self.wanted, Some(&model.output_norm), &mut self.side);
        linear(model, &mut self.input, read, dim, [(&model.output, &mut self.logits)]);
        if let Some(cap) = logit_softcap {
            softcap(model.team.isa, &mut self.logits, cap);
        }
        let wanted = places.iter().filter(|place| place.wanted);
        for (place, row) in wanted.zip(self.logits.chunks_exact(vocab)) {
            logits[place.sequence].extend_from_slice(row);
        }
    }
}

/// The RMS norm of each row, in `out`; the rows themselves where there is none.
fn normed<'a>(model: &NativeModel, rows: &'a [f32], weight: Option<&[f32]>, out: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(weight) = weight else { return rows };
    out.resize(rows.len(), 0.0);
    for (row, out) in rows.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        rms_norm(model.team.isa, row, weight, model.config.norm_eps, out);
    }
    out
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

/// Brings the heads of every row into the order of halves, normalises them if the model does, and turns them if the layer
/// does: `angles` are how many a row has, and those of all rows. `stored` is memory to use.
fn turn(
    model: &NativeModel,
    rows: &mut [f32],
    heads: usize,
    weight: Option<&[f32]>,
    angles: Option<(usize, &[(f32, f32)])>,
    stored: &mut Vec<f32>,
) {
    let ModelConfig { head_dim, row_order, norm_eps, .. } = model.config;
    stored.resize(heads * head_dim, 0.0);
    for (index, row) in rows.chunks_exact_mut(heads * head_dim).enumerate() {
        if row_order == RowOrder::Pairs {
            stored.copy_from_slice(row);
            for (stored, head) in stored.chunks_exact(head_dim).zip(row.chunks_exact_mut(head_dim)) {
                halves_of_pairs(stored, head);
            }
        }
        if let Some(weight) = weight {
            stored.copy_from_slice(row);
            for (stored, out) in stored.chunks_exact(weight.len()).zip(row.chunks_exact_mut(weight.len())) {
                rms_norm(model.team.isa, stored, weight, norm_eps, out);
            }
        }
        if let Some((count, angles)) = angles {
            row.chunks_exact_mut(head_dim).for_each(|head| rotate(head, &angles[index * count..][..count]));
        }
    }
}
