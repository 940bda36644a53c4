//! `GET /v1/samplers`: what a sampler can be made of.

use axum::Json;
use decant_sampling::{Field, SamplerSpec, SpecValue, StageInfo, catalog};
use serde::Serialize;
use utoipa::ToSchema;

/// The catalog, and the schema that a `sampler` is held to.
#[derive(Serialize, ToSchema)]
pub struct Samplers {
    stages: Vec<Stage>,
    #[schema(value_type = Object)]
    schema: SpecValue,
}

/// A stage, before it has values.
#[derive(Serialize, ToSchema)]
#[schema(as = StageInfo)]
struct Stage {
    name: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
    role: &'static str,
    /// Where it stands if the request does not say.
    rank: u32,
    source: &'static str,
    keeps_argmax: bool,
    fields: Vec<Parameter>,
}

/// One of its parameters; the main one is called `value`.
#[derive(Serialize, ToSchema)]
struct Parameter {
    name: &'static str,
    aliases: &'static [&'static str],
    /// Names by which it may stand beside the stage.
    flat: &'static [&'static str],
    summary: &'static str,
    /// What it may be, in words; the schema says it to machines.
    kind: String,
    /// Absent if it must be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    /// Values that switch the stage off.
    neutral: &'static [f64],
}

/// Tells what a sampler can be made of.
#[utoipa::path(get, path = "/v1/samplers", tag = "sampling", responses(
    (status = 200, description = "the catalog of stages, and the JSON Schema of a `sampler`", body = Samplers),
))]
pub async fn samplers() -> Json<Samplers> {
    Json(Samplers { stages: catalog().iter().map(Stage::new).collect(), schema: SamplerSpec::json_schema() })
}

impl Stage {
    fn new(info: &StageInfo) -> Self {
        Stage {
            name: info.name,
            aliases: info.aliases,
            summary: info.summary,
            role: info.role.name(),
            rank: info.rank,
            source: info.source,
            keeps_argmax: info.keeps_argmax,
            fields: info.fields.iter().map(Parameter::new).collect(),
        }
    }
}

impl Parameter {
    fn new(field: &Field) -> Self {
        Parameter {
            name: field.name,
            aliases: field.aliases,
            flat: field.flat,
            summary: field.summary,
            kind: field.kind.to_string(),
            default: field.default_text(),
            neutral: field.kind.neutral(),
        }
    }
}
