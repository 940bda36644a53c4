//! `GET /v1/models`: the model that is served.

use crate::app::{App, Serving};
use crate::error::{ApiError, ErrorBody};
use axum::Json;
use axum::extract::{Path, State};
use decant_decode::LanguageModel;
use serde::Serialize;
use std::time::UNIX_EPOCH;
use utoipa::ToSchema;

/// The models that are served: one.
#[derive(Serialize, ToSchema)]
pub struct Models {
    /// `list`.
    object: &'static str,
    data: Vec<Model>,
}

/// A model.
#[derive(Serialize, ToSchema)]
pub struct Model {
    /// What clients call it.
    id: String,
    /// `model`.
    object: &'static str,
    /// When it was loaded, in seconds since 1970.
    created: u64,
    owned_by: &'static str,
    /// How many tokens its context has room for.
    max_model_len: usize,
    decant: About,
}

/// What the model's files say.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelFiles)]
struct About {
    architecture: String,
    format: String,
    /// A digest of its files.
    hash: String,
}

/// Tells which models there are.
#[utoipa::path(get, path = "/v1/models", tag = "models", operation_id = "list_models", responses(
    (status = 200, description = "the one model", body = Models),
))]
pub async fn list(State(app): State<App>) -> Result<Json<Models>, ApiError> {
    Ok(Json(Models { object: "list", data: vec![Model::new(app.serving()?)] }))
}

/// Tells what is known of a model.
#[utoipa::path(get, path = "/v1/models/{*name}", tag = "models", operation_id = "retrieve_model",
    params(("name" = String, Path, description = "the model's id")),
    responses(
        (status = 200, description = "the model", body = Model),
        (status = 404, description = "there is no model of that name", body = ErrorBody),
    ),
)]
pub async fn one(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Model>, ApiError> {
    let serving = app.serving()?;
    match name == serving.name {
        true => Ok(Json(Model::new(serving))),
        false => Err(ApiError::NoModel { model: name, served: serving.name.clone() }),
    }
}

impl Model {
    fn new(serving: &Serving) -> Self {
        let info = &serving.model.info;
        Model {
            id: serving.name.clone(),
            object: "model",
            created: serving.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            owned_by: "decant",
            max_model_len: serving.model.engine.context(),
            decant: About {
                architecture: info.architecture.clone(),
                format: info.format.to_string(),
                hash: info.hash.clone(),
            },
        }
    }
}
