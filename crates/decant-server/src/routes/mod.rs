//! The routes beside OpenAI's completions.

mod health;
mod metrics;
mod models;
mod next;
mod openapi;
mod samplers;
mod tokens;

use crate::app::App;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// All of them.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(health::health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(models::list))
        .routes(routes!(models::one))
        .routes(routes!(samplers::samplers))
        .routes(routes!(next::next))
        .routes(routes!(tokens::tokenize))
        .routes(routes!(tokens::detokenize))
        .routes(routes!(tokens::info))
}

/// Asked by whoever watches the server: open without a key, answered while it drains.
pub const HEALTH: &str = "/health";

/// Asked by Prometheus: answered while the server drains.
pub const METRICS: &str = "/metrics";
