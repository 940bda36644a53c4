//! What transformers' configuration classes assume where a file says nothing.

use serde_json::{Value, json};

/// The fields of `file` over the defaults of its class; a `null` of the file is a value, too.
///
/// Only what files do leave out is here: the first Gemma 3 files say little more than their sizes.
pub(super) fn filled(file: Value, model_type: &str) -> Value {
    let mut filled = defaults(model_type);
    match (filled.as_object_mut(), file) {
        (Some(fields), Value::Object(file)) => {
            fields.extend(file);
            filled
        }
        (_, file) => file,
    }
}

/// Of `Gemma3Config`, the outer one, they are those of the text model in it.
fn defaults(model_type: &str) -> Value {
    match model_type {
        "mistral" => json!({ "sliding_window": 4096 }),
        "qwen2" | "qwen3" => json!({ "max_window_layers": 28 }),
        "gemma2" => json!({
            "head_dim": 256,
            "hidden_activation": "gelu_pytorch_tanh",
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": true,
            "query_pre_attn_scalar": 256,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
            "sliding_window": 4096,
        }),
        "gemma3" | "gemma3_text" => json!({
            "model_type": "gemma3_text",
            "vocab_size": 262_208,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "hidden_activation": "gelu_pytorch_tanh",
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": true,
            "query_pre_attn_scalar": 256,
            "sliding_window": 4096,
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
        }),
        "phi3" => json!({ "original_max_position_embeddings": 4096 }),
        "smollm3" => json!({
            "num_key_value_heads": 4,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": true,
            "rope_theta": 2_000_000.0,
        }),
        _ => json!({}),
    }
}
