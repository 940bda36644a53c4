//! Is a configuration one that the graph can run?

use std::fmt::Display;

use crate::LoadError;
use crate::weights::{Layers, ModelConfig, QkNorm, RopeConfig, RopeFactors, RopeScaling, RowOrder};

/// More positions than this, and f32 could not count them.
const MAX_CONTEXT: usize = 1 << 24;

/// Checks what no tensor's shape can tell. What is left is bounded by the tensors: a file must hold what it claims.
pub(super) fn check(config: &ModelConfig) -> Result<(), LoadError> {
    let c = config;
    let sizes = [("layers", c.layers), ("dim", c.dim), ("hidden", c.hidden), ("heads", c.heads)];
    for (field, size) in sizes {
        require(size >= 1, field, size, "at least 1")?;
    }
    require(
        c.kv_heads >= 1 && c.heads.is_multiple_of(c.kv_heads),
        "kv_heads",
        c.kv_heads,
        format_args!("a divisor of the {} heads", c.heads),
    )?;
    require(c.head_dim >= 2 && c.head_dim.is_multiple_of(2), "head_dim", c.head_dim, "an even number from 2 on")?;
    require(c.heads.checked_mul(c.head_dim).is_some(), "head_dim", c.head_dim, "a width that memory can hold")?;
    require((1..=u32::MAX as usize).contains(&c.vocab), "vocab", c.vocab, "1 to 4294967295")?;
    require((1..=MAX_CONTEXT).contains(&c.context), "context", c.context, format_args!("1 to {MAX_CONTEXT}"))?;
    require(c.norm_eps.is_finite() && c.norm_eps >= 0.0, "norm_eps", c.norm_eps, "a number from 0 on")?;
    require(c.norm_offset.is_finite(), "norm_offset", c.norm_offset, "a number")?;
    positive("embedding_scale", c.embedding_scale)?;
    positive("attention_scale", c.attention_scale)?;
    c.attention_softcap.map_or(Ok(()), |cap| positive("attention_softcap", cap))?;
    c.logit_softcap.map_or(Ok(()), |cap| positive("logit_softcap", cap))?;
    require(c.sliding_window != Some(0), "sliding_window", 0, "at least 1")?;
    listed("windowed", &c.windowed, c.layers)?;
    listed("roped", &c.roped, c.layers)?;
    require(
        (2..=c.head_dim).contains(&c.rope_dim) && c.rope_dim.is_multiple_of(2),
        "rope_dim",
        c.rope_dim,
        format_args!("an even number from 2 to the head_dim of {}", c.head_dim),
    )?;
    require(!(c.fused && c.qkv_bias), "qkv_bias", true, "false where Q, K and V are fused")?;
    // Permuted rows are permuted head by head: a part of a head, or weights of all heads, would not fit them.
    let whole_heads = c.rope_dim == c.head_dim && c.qk_norm != Some(QkNorm::AllHeads);
    require(whole_heads || c.row_order == RowOrder::Halves, "row_order", "Pairs", "Halves")?;
    rope(&c.rope, c.rope_dim)?;
    c.local_rope.as_ref().map_or(Ok(()), |local| rope(local, c.rope_dim))
}

fn rope(RopeConfig { theta, scaling }: &RopeConfig, dim: usize) -> Result<(), LoadError> {
    positive("rope.theta", *theta)?;
    match scaling {
        RopeScaling::None => Ok(()),
        RopeScaling::Linear { factor } => positive("rope.scaling.factor", *factor),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            positive("rope.scaling.factor", *factor)?;
            positive("rope.scaling.low_freq_factor", *low_freq_factor)?;
            positive("rope.scaling.high_freq_factor", *high_freq_factor)?;
            require(
                high_freq_factor > low_freq_factor,
                "rope.scaling.high_freq_factor",
                high_freq_factor,
                format_args!("more than the low_freq_factor of {low_freq_factor}"),
            )?;
            require(*original_context >= 1, "rope.scaling.original_context", original_context, "at least 1")
        }
        RopeScaling::Factors(factors) => rope_factors(factors, dim),
        RopeScaling::LongRope { short, long, original_context, magnitude } => {
            rope_factors(short, dim)?;
            rope_factors(long, dim)?;
            require(*original_context >= 1, "rope.scaling.original_context", original_context, "at least 1")?;
            positive("rope.scaling.magnitude", *magnitude)
        }
    }
}

fn rope_factors(factors: &RopeFactors, dim: usize) -> Result<(), LoadError> {
    let RopeFactors::Listed(factors) = factors else { return Ok(()) };
    let (found, expected) = (factors.len(), dim / 2);
    require(found == expected, "rope.scaling.factors", format_args!("a list of {found}"), expected)?;
    factors.iter().try_for_each(|factor| positive("rope.scaling.factors", *factor))
}

/// A list of layers must speak of every one.
fn listed(field: &'static str, layers: &Layers, count: usize) -> Result<(), LoadError> {
    match layers {
        Layers::Listed(list) => require(list.len() == count, field, format_args!("a list of {}", list.len()), count),
        Layers::All | Layers::From(_) | Layers::AllButEvery(_) => Ok(()),
    }
}

fn positive(field: &'static str, value: f32) -> Result<(), LoadError> {
    require(value.is_finite() && value > 0.0, field, value, "a number above 0")
}

fn require(holds: bool, field: &'static str, found: impl Display, expected: impl Display) -> Result<(), LoadError> {
    if holds {
        return Ok(());
    }
    Err(LoadError::Config { field, found: found.to_string(), expected: expected.to_string() })
}
