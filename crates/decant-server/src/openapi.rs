//! The OpenAPI document: routes and answers from the code that serves them, requests from the table of their fields and from
//! the catalog of stages.

mod remote;

use crate::api::field;
use crate::api::{Field, Fields};
use crate::{router, routes};
use decant_sampling::SamplerSpec;
pub(crate) use remote::{Outcome, Step};
use serde_json::{Map, Value, json};
use utoipa::openapi::{Ref, RefOr, Schema};

/// Where schemas stand that others refer to.
const SCHEMAS: &str = "#/components/schemas/";

/// The OpenAPI 3.1 document of the server.
pub fn document() -> Value {
    let mut document = json!(router::api().into_openapi());
    document["info"] = json!({
        "title": "Decant",
        "description": "A model's texts, and the uncertainty behind every token: an OpenAI-compatible server.",
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
    });
    document["components"]["securitySchemes"] = json!({"key": {"type": "http", "scheme": "bearer"}});
    let (spec, stages) = sampler_schemas();
    let own = [
        ("CompletionRequest", request(field::COMPLETIONS, &spec)),
        ("ChatRequest", request(field::CHAT, &spec)),
        ("Messages", (field::MESSAGES.schema)()),
        ("SamplerSpec", spec),
    ];
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(stages);
        schemas.extend(own.map(|(name, schema)| (name.to_owned(), schema)));
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        *paths = std::mem::take(paths)
            .into_iter()
            .map(|(path, item)| (path.replace("{*", "{"), told(&path, item)))
            .collect();
    }
    document
}

/// The schema of a sampler, for a field of one.
pub(crate) fn sampler() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name("SamplerSpec"))
}

/// The schema of a conversation, for a field of one.
pub(crate) fn messages() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name("Messages"))
}

/// A path with what every request may be told, and who may ask.
fn told(path: &str, mut item: Value) -> Value {
    for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if path == routes::HEALTH {
            continue;
        }
        // No key is wanted where none is set.
        operation["security"] = json!([{}, {"key": []}]);
        let mut refusals =
            vec![("401", "the key is missing or wrong"), ("503", "the model is loading, or the server ends")];
        if !operation["requestBody"].is_null() {
            operation["requestBody"]["required"] = true.into();
            refusals.extend([
                ("400", "a field is wrong: `param` names it"),
                ("413", "the body is too long"),
                ("415", "the body does not say that it is JSON"),
                ("429", "as many requests wait as may"),
            ]);
        }
        for (status, description) in refusals {
            let schema = json!({"$ref": format!("{SCHEMAS}Error")});
            operation["responses"][status] =
                json!({"description": description, "content": {"application/json": {"schema": schema}}});
        }
    }
    item
}

/// The schema of a spec, and those of the stages that it refers to.
fn sampler_schemas() -> (Value, Map<String, Value>) {
    let mut spec = relocated(json!(SamplerSpec::json_schema()));
    let stages = spec.as_object_mut().and_then(|spec| {
        spec.remove("$schema");
        spec.remove("$defs")
    });
    match stages {
        Some(Value::Object(stages)) => (spec, stages),
        _ => (spec, Map::new()),
    }
}

/// A schema whose definitions lie where the document has them.
fn relocated(schema: Value) -> Value {
    match schema {
        Value::String(text) => match text.strip_prefix("#/$defs/") {
            Some(name) => format!("{SCHEMAS}{name}").into(),
            None => text.into(),
        },
        Value::Array(items) => items.into_iter().map(relocated).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, relocated(value))).collect(),
        other => other,
    }
}

/// What a form takes: its own fields, and what the object form of a spec takes.
fn request(fields: Fields, spec: &Value) -> Value {
    let own = || fields.iter().copied().flatten();
    let stages = spec["anyOf"].as_array().into_iter().flatten().filter_map(|form| form["properties"].as_object());
    let mut properties: Map<String, Value> =
        stages.flatten().map(|(name, schema)| (name.clone(), schema.clone())).collect();
    properties.extend(own().flat_map(|field| field.names().map(|name| (name.to_owned(), described(field, name)))));
    let required: Vec<&str> = own().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn described(field: &Field, name: &str) -> Value {
    let mut schema = (field.schema)();
    schema["description"] = match name == field.name {
        true => field.meaning.into(),
        false => format!("the same as {}", field.name).into(),
    };
    schema
}
