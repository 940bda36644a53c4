//! What files call their tensors.

use super::Norms;

/// A tensor's place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each is what it is called.
pub enum Part {
    Embedding,
    OutputNorm,
    Output,
    RopeFactors,
    ShortRopeFactors,
    LongRopeFactors,
    AttentionNorm,
    Query,
    Key,
    Value,
    /// Query, key and value, one below the other.
    FusedQueryKeyValue,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    AttentionOutput,
    /// Of what attention adds to the stream.
    AttentionPostNorm,
    FeedForwardNorm,
    Gate,
    Up,
    /// Gate and up, one below the other.
    FusedGateUp,
    Down,
    /// Of what the feed-forward layer adds to the stream.
    FeedForwardPostNorm,
}

/// What a file calls its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// llama.cpp's names.
    Gguf,
    /// Those of transformers' checkpoints.
    HuggingFace {
        /// What all names but the output layer's begin with: `model.`, or more where the model is a part of another.
        root: &'static str,
        /// Where norms stand: what `post_attention_layernorm` means depends on it.
        norms: Norms,
    },
}

impl Naming {
    /// The names of a text model's checkpoint.
    pub fn hugging_face(norms: Norms) -> Self {
        Naming::HuggingFace { root: "model.", norms }
    }

    /// The name of a tensor; `layer` counts for those that every layer has.
    ///
    /// ```
    /// use decant_models::weights::{Naming, Norms, Part};
    /// assert_eq!(Naming::Gguf.name(Part::Query, 3), "blk.3.attn_q.weight");
    /// let llama = Naming::hugging_face(Norms::Before);
    /// assert_eq!(llama.name(Part::Query, 3), "model.layers.3.self_attn.q_proj.weight");
    /// ```
    pub fn name(self, part: Part, layer: usize) -> String {
        match self {
            Naming::Gguf => gguf(part).replace("{}", &layer.to_string()),
            Naming::HuggingFace { .. } if part == Part::Output => "lm_head.weight".to_owned(),
            Naming::HuggingFace { root, norms } => {
                format!("{root}{}", hugging_face(part, norms).replace("{}", &layer.to_string()))
            }
        }
    }
}

fn gguf(part: Part) -> &'static str {
    match part {
        Part::Embedding => "token_embd.weight",
        Part::OutputNorm => "output_norm.weight",
        Part::Output => "output.weight",
        Part::RopeFactors => "rope_freqs.weight",
        Part::ShortRopeFactors => "rope_factors_short.weight",
        Part::LongRopeFactors => "rope_factors_long.weight",
        Part::AttentionNorm => "blk.{}.attn_norm.weight",
        Part::Query => "blk.{}.attn_q.weight",
        Part::Key => "blk.{}.attn_k.weight",
        Part::Value => "blk.{}.attn_v.weight",
        Part::FusedQueryKeyValue => "blk.{}.attn_qkv.weight",
        Part::QueryBias => "blk.{}.attn_q.bias",
        Part::KeyBias => "blk.{}.attn_k.bias",
        Part::ValueBias => "blk.{}.attn_v.bias",
        Part::QueryNorm => "blk.{}.attn_q_norm.weight",
        Part::KeyNorm => "blk.{}.attn_k_norm.weight",
        Part::AttentionOutput => "blk.{}.attn_output.weight",
        Part::AttentionPostNorm => "blk.{}.post_attention_norm.weight",
        Part::FeedForwardNorm => "blk.{}.ffn_norm.weight",
        Part::Gate => "blk.{}.ffn_gate.weight",
        Part::Up | Part::FusedGateUp => "blk.{}.ffn_up.weight",
        Part::Down => "blk.{}.ffn_down.weight",
        Part::FeedForwardPostNorm => "blk.{}.post_ffw_norm.weight",
    }
}

/// The name below the root.
fn hugging_face(part: Part, norms: Norms) -> &'static str {
    match part {
        Part::Embedding => "embed_tokens.weight",
        Part::OutputNorm => "norm.weight",
        Part::Output => "lm_head.weight",
        Part::RopeFactors => "rope_freqs.weight",
        Part::ShortRopeFactors => "rope_factors_short.weight",
        Part::LongRopeFactors => "rope_factors_long.weight",
        Part::AttentionNorm => "layers.{}.input_layernorm.weight",
        Part::Query => "layers.{}.self_attn.q_proj.weight",
        Part::Key => "layers.{}.self_attn.k_proj.weight",
        Part::Value => "layers.{}.self_attn.v_proj.weight",
        Part::FusedQueryKeyValue => "layers.{}.self_attn.qkv_proj.weight",
        Part::QueryBias => "layers.{}.self_attn.q_proj.bias",
        Part::KeyBias => "layers.{}.self_attn.k_proj.bias",
        Part::ValueBias => "layers.{}.self_attn.v_proj.bias",
        Part::QueryNorm => "layers.{}.self_attn.q_norm.weight",
        Part::KeyNorm => "layers.{}.self_attn.k_norm.weight",
        Part::AttentionOutput => "layers.{}.self_attn.o_proj.weight",
        Part::FeedForwardNorm if norms == Norms::Both => "layers.{}.pre_feedforward_layernorm.weight",
        Part::AttentionPostNorm | Part::FeedForwardNorm => "layers.{}.post_attention_layernorm.weight",
        Part::Gate => "layers.{}.mlp.gate_proj.weight",
        Part::Up => "layers.{}.mlp.up_proj.weight",
        Part::FusedGateUp => "layers.{}.mlp.gate_up_proj.weight",
        Part::Down => "layers.{}.mlp.down_proj.weight",
        Part::FeedForwardPostNorm => "layers.{}.post_feedforward_layernorm.weight",
    }
}
