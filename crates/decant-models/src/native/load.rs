//! From tensors by name to the weights of the graph, every shape checked.

use super::rope::Rope;
use super::team::Team;
use super::{EngineOptions, Layer, Linear, NativeModel};
use crate::LoadError;
use crate::weights::{ModelConfig, Part, RopeScaling, Shape, Tensor, TensorSource};

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
    let output_norm = loader.vector(Part::OutputNorm, 0, dim)?;
    // Grows layer by layer: a file that claims 2^31 of them fails at the first that it lacks.
    let mut layers = Vec::new();
    for index in 0..config.layers {
        layers.push(loader.layer(index)?);
    }
    let factors = match config.rope_scaling {
        RopeScaling::Factors => Some(loader.vector(Part::RopeFactors, 0, config.head_dim / 2)?),
        _ => None,
    };
    let rope = Rope::new(&config, factors.as_deref());
    let team = Team::new(options)?;
    Ok(NativeModel { config, options, team, rope, embedding, layers, output_norm, output })
}

impl Loader<'_> {
    fn layer(&self, index: usize) -> Result<Layer, LoadError> {
        let ModelConfig { dim, hidden, heads, kv_heads, head_dim, qk_norm, .. } = *self.config;
        let (query, kv) = (heads * head_dim, kv_heads * head_dim);
        let head_norm = |part| qk_norm.then(|| self.vector(part, index, head_dim)).transpose();
        Ok(Layer {
            attention_norm: self.vector(Part::AttentionNorm, index, dim)?,
            query: self.biased(Part::Query, Part::QueryBias, index, query)?,
            key: self.biased(Part::Key, Part::KeyBias, index, kv)?,
            value: self.biased(Part::Value, Part::ValueBias, index, kv)?,
            query_norm: head_norm(Part::QueryNorm)?,
            key_norm: head_norm(Part::KeyNorm)?,
            attention_output: self.linear(Part::AttentionOutput, index, dim, query)?,
            feed_forward_norm: self.vector(Part::FeedForwardNorm, index, dim)?,
            gate: self.linear(Part::Gate, index, hidden, dim)?,
            up: self.linear(Part::Up, index, hidden, dim)?,
            down: self.linear(Part::Down, index, dim, hidden)?,
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

    fn matrix(&self, part: Part, layer: usize, rows: usize, cols: usize) -> Result<Tensor, LoadError> {
        let name = self.config.naming.name(part, layer);
        let tensor = self.source.tensor(&name)?;
        let (expected, found) = (Shape { rows, cols }, tensor.shape());
        if found != expected {
            return Err(LoadError::TensorShape { name, expected, found });
        }
        Ok(tensor)
    }

    fn vector(&self, part: Part, layer: usize, len: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.matrix(part, layer, 1, len)?;
        let mut numbers = vec![0.0; len];
        tensor.weights().dequantise(0, &mut numbers);
        Ok(numbers)
    }
}
