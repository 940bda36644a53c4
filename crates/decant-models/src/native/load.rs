//! From tensors by name to the weights of the graph, every shape checked.

use std::sync::Arc;

use super::cache::KvLayout;
use super::rope::Rope;
use super::team::Team;
use super::{EngineOptions, Layer, Linear, NativeModel};
use crate::LoadError;
use crate::weights::{ModelConfig, Part, QkNorm, RopeConfig, RopeFactors, RopeScaling, Shape, Tensor, TensorSource};

struct Loader<'a> {
    config: &'a ModelConfig,
    source: &'a dyn TensorSource,
}

/// Loads a model whose configuration was checked.
pub(super) fn load(
    config: ModelConfig,
    source: &dyn TensorSource,
    options: EngineOptions,
) -> Result<NativeModel, LoadError> {
    let loader = Loader { config: &config, source };
    let ModelConfig { dim, vocab, .. } = config;
    let embedding = loader.matrix(Part::Embedding, 0, vocab, dim)?;
    let output = match config.tied_embeddings {
        true => Linear { weight: embedding.clone(), bias: None },
        false => loader.linear(Part::Output, 0, vocab, dim)?,
    };
    let output_norm = loader.norm(Part::OutputNorm, 0, dim)?;
    // Grows layer by layer: a file that claims 2^31 of them fails at the first that it lacks.
    let mut layers = Vec::new();
    for index in 0..config.layers {
        layers.push(loader.layer(index)?);
    }
    let ropes = [Some(&config.rope), config.local_rope.as_ref()];
    let ropes = ropes.into_iter().flatten().map(|rope| loader.rope(rope)).collect::<Result<_, _>>()?;
    let team = Team::new(options)?;
    let layout = Arc::new(KvLayout::new(&config, options.kv));
    Ok(NativeModel {
        config,
        options,
        team,
        workspaces: Default::default(),
        layout,
        ropes,
        embedding,
        layers,
        output_norm,
        output,
    })
}

impl Loader<'_> {
    fn layer(&self, index: usize) -> Result<Layer, LoadError> {
        let config = self.config;
        let ModelConfig { dim, hidden, heads, kv_heads, head_dim, norms, .. } = *config;
        let (query_dim, kv_dim) = (heads * head_dim, kv_heads * head_dim);
        let norm = |part, wanted: bool| wanted.then(|| self.norm(part, index, dim)).transpose();
        let [query, key, value] = match config.fused {
            true => self.fused(Part::FusedQueryKeyValue, index, [query_dim, kv_dim, kv_dim])?,
            false => [
                self.biased(Part::Query, Part::QueryBias, index, query_dim)?,
                self.biased(Part::Key, Part::KeyBias, index, kv_dim)?,
                self.biased(Part::Value, Part::ValueBias, index, kv_dim)?,
            ],
        };
        let [gate, up] = match config.fused {
            true => self.fused(Part::FusedGateUp, index, [hidden, hidden])?,
            false => [self.linear(Part::Gate, index, hidden, dim)?, self.linear(Part::Up, index, hidden, dim)?],
        };
        Ok(Layer {
            rope: config.roped.contains(index).then(|| usize::from(config.turns_locally(index))),
            attention_norm: norm(Part::AttentionNorm, norms.before())?,
            query,
            key,
            value,
            query_norm: self.head_norm(Part::QueryNorm, index, heads)?,
            key_norm: self.head_norm(Part::KeyNorm, index, kv_heads)?,
            attention_output: self.linear(Part::AttentionOutput, index, dim, query_dim)?,
            attention_post_norm: norm(Part::AttentionPostNorm, norms.after())?,
            feed_forward_norm: norm(Part::FeedForwardNorm, norms.before())?,
            gate,
            up,
            down: self.linear(Part::Down, index, dim, hidden)?,
            feed_forward_post_norm: norm(Part::FeedForwardPostNorm, norms.after())?,
        })
    }

    fn rope(&self, rope: &RopeConfig) -> Result<Rope, LoadError> {
        let (context, dim) = (self.config.context, self.config.rope_dim);
        let factors = match &rope.scaling {
            RopeScaling::Factors(factors) => Some(factors),
            RopeScaling::LongRope { long, original_context, .. } if context > *original_context => Some(long),
            RopeScaling::LongRope { short, .. } => Some(short),
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Llama3 { .. } => None,
        };
        Ok(match factors {
            None => Rope::new(rope, dim, None),
            Some(RopeFactors::Listed(factors)) => Rope::new(rope, dim, Some(factors)),
            Some(RopeFactors::Stored(part)) => Rope::new(rope, dim, Some(&self.vector(*part, 0, dim / 2)?)),
        })
    }

    /// Q, K or V, with its bias if the model has them.
    fn biased(&self, weight: Part, bias: Part, layer: usize, outputs: usize) -> Result<Linear, LoadError> {
        let bias = self.config.qkv_bias.then(|| self.vector(bias, layer, outputs)).transpose()?;
        Ok(Linear { bias, ..self.linear(weight, layer, outputs, self.config.dim)? })
    }

    fn linear(&self, weight: Part, layer: usize, outputs: usize, inputs: usize) -> Result<Linear, LoadError> {
        Ok(Linear { weight: self.matrix(weight, layer, outputs, inputs)?, bias: None })
    }

    /// Layers that read the stream and lie one below the other in one matrix.
    fn fused<const N: usize>(&self, part: Part, layer: usize, outputs: [usize; N]) -> Result<[Linear; N], LoadError> {
        let all = outputs.iter().fold(0usize, |sum, outputs| sum.saturating_add(*outputs));
        let matrix = self.matrix(part, layer, all, self.config.dim)?;
        let mut start = 0;
        Ok(outputs.map(|outputs| {
            let weight = matrix.rows(start..start + outputs);
            start += outputs;
            Linear { weight, bias: None }
        }))
    }

    fn matrix(&self, part: Part, layer: usize, rows: usize, cols: usize) -> Result<Tensor, LoadError> {
        let name = self.config.naming.name(part, layer);
        let tensor = self.source.tensor(&name)?;
        let (expected, found) = (Shape { rows, cols }, tensor.shape());
        if found != expected {
            return Err(LoadError::TensorShape { name, expected, found });
        }
        Ok(tensor)
    }

    /// The norm of the heads of Q or K, if the model has them.
    fn head_norm(&self, part: Part, layer: usize, heads: usize) -> Result<Option<Vec<f32>>, LoadError> {
        let head_dim = self.config.head_dim;
        let len = self.config.qk_norm.map(|over| match over {
            QkNorm::ByHead => head_dim,
            QkNorm::AllHeads => heads * head_dim,
        });
        len.map(|len| self.norm(part, layer, len)).transpose()
    }

    /// The weights of a norm, as it multiplies with them.
    fn norm(&self, part: Part, layer: usize, len: usize) -> Result<Vec<f32>, LoadError> {
        let mut weights = self.vector(part, layer, len)?;
        weights.iter_mut().for_each(|weight| *weight += self.config.norm_offset);
        Ok(weights)
    }

    fn vector(&self, part: Part, layer: usize, len: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.matrix(part, layer, 1, len)?;
        let mut numbers = vec![0.0; len];
        tensor.weights().dequantise(0, &mut numbers);
        Ok(numbers)
    }
}
