//! Is a configuration one that the graph can run?

use std::fmt::Display;

use crate::LoadError;
use crate::weights::{ModelConfig, RopeScaling};

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
    positive("rope_theta", c.rope_theta)?;
    match c.rope_scaling {
        RopeScaling::None | RopeScaling::Factors => {}
        RopeScaling::Linear { factor } => positive("rope_scaling.factor", factor)?,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            positive("rope_scaling.factor", factor)?;
            positive("rope_scaling.low_freq_factor", low_freq_factor)?;
            positive("rope_scaling.high_freq_factor", high_freq_factor)?;
            require(
                high_freq_factor > low_freq_factor,
                "rope_scaling.high_freq_factor",
                high_freq_factor,
                format_args!("more than the low_freq_factor of {low_freq_factor}"),
            )?;
            require(original_context >= 1, "rope_scaling.original_context", original_context, "at least 1")?;
        }
    }
    require(c.sliding_window != Some(0), "sliding_window", 0, "at least 1")
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
