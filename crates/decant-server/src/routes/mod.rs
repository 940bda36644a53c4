//! The routes beside OpenAI's completions.

mod health;
mod metrics;
mod models;
mod next;
mod samplers;
mod tokens;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};

/// All of them.
pub fn router() -> Router<App> {
    Router::new()
        .route(HEALTH, get(health::health))
        .route(METRICS, get(metrics::metrics))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::one))
        .route("/v1/samplers", get(samplers::samplers))
        .route("/v1/next", post(next::next))
        .route("/tokenize", post(tokens::tokenize))
        .route("/detokenize", post(tokens::detokenize))
        .route("/tokenizer_info", get(tokens::info))
}

/// Asked by whoever watches the server: open without a key, answered while it drains.
pub const HEALTH: &str = "/health";

/// Asked by Prometheus: answered while the server drains.
pub const METRICS: &str = "/metrics";
