//! `GET /openapi.json`: this server's API, for machines.

use axum::Json;
use serde_json::Value;

/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi() -> Json<Value> {
    Json(crate::document())
}
