//! `GET /health`: whether the server answers.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// How the server is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ready`, `loading` or `draining`.
    status: &'static str,
}

/// Tells whether the server answers. It is open without a key.
#[utoipa::path(get, path = super::HEALTH, tag = "server", responses(
    (status = 200, description = "`ready`", body = Health),
    (status = 503, description = "`loading` or `draining`", body = Health),
))]
pub async fn health(State(app): State<App>) -> Response {
    let (code, status) = match (app.traffic.is_draining(), app.serving.get()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, None) => (StatusCode::SERVICE_UNAVAILABLE, "loading"),
        (false, Some(_)) => (StatusCode::OK, "ready"),
    };
    (code, Json(Health { status })).into_response()
}
