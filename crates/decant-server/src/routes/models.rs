//! `GET /v1/models`: the model that is served.

use crate::app::{App, Serving};
use crate::error::ApiError;
use axum::Json;
use axum::extract::{Path, State};
use decant_decode::LanguageModel;
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

/// A list of one.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "object": "list", "data": [object(app.serving()?)] })))
}

/// The one of that name.
pub async fn one(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let serving = app.serving()?;
    match name == serving.name {
        true => Ok(Json(object(serving))),
        false => Err(ApiError::NoModel { model: name, served: serving.name.clone() }),
    }
}

fn object(serving: &Serving) -> Value {
    let info = &serving.model.info;
    json!({
        "id": serving.name,
        "object": "model",
        "created": serving.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        "owned_by": "decant",
        "max_model_len": serving.model.engine.context(),
        "decant": { "architecture": info.architecture, "format": info.format.to_string(), "hash": info.hash },
    })
}
