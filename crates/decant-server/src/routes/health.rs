//! `GET /health`: whether the server answers.

use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// 200 `ready`; 503 while it is `loading` or `draining`.
pub async fn health(State(app): State<App>) -> Response {
    let (code, status) = match (app.traffic.is_draining(), app.serving.get()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, None) => (StatusCode::SERVICE_UNAVAILABLE, "loading"),
        (false, Some(_)) => (StatusCode::OK, "ready"),
    };
    (code, Json(json!({ "status": status }))).into_response()
}
