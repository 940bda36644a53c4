//! The OpenAPI document and the server say the same, of what is taken and of what is told.

mod served;

use axum::body::Body;
use axum::http::Request;
use decant_models::template::ChatTemplate;
use decant_sampling::catalog;
use decant_server::app::{App, Settings};
use decant_server::document;
use decant_server::scheduler::Options;
use serde_json::{Map, Value, json};
use served::{app, embedded, fine, post};
use std::sync::LazyLock;
use tower::ServiceExt;

const FORMS: [(&str, &str); 2] = [("/v1/completions", "CompletionRequest"), ("/v1/chat/completions", "ChatRequest")];

static APP: LazyLock<App> = LazyLock::new(|| {
    let mut model = embedded();
    model.template = Some(ChatTemplate::new("{% for m in messages %}{{ m.content }}{% endfor %}", []));
    app(model, Settings::default(), Options::default())
});

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The schema that another refers to, or itself.
fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap_or_else(|| panic!("nothing is at {reference}")),
        None => schema,
    }
}

/// A value that a schema allows: what it gives as an example or a default, or else the least.
fn sample(schema: &Value) -> Value {
    let given = [&schema["examples"][0], &schema["default"], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    let target = resolved(schema);
    // Of a stage's forms the object, which has all its parameters.
    if let Some(forms) = target["anyOf"].as_array() {
        return sample(forms.iter().find(|form| form["type"] == "object").unwrap_or(&forms[0]));
    }
    match target["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer" | "number") => target["minimum"].clone(),
        Some("object") => {
            let required = target["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
            Value::Object(required.map(|name| (name.to_owned(), sample(&target["properties"][name]))).collect())
        }
        _ => panic!("no example: {schema}"),
    }
}

/// The stage of a parameter that cannot stand without it, and its other parameters.
fn beside(name: &str) -> Option<(&'static str, Value)> {
    let fields = catalog().iter().flat_map(|info| info.fields.iter().map(move |field| (info, field)));
    let (info, field) =
        fields.into_iter().find(|(_, field)| field.flat.contains(&name) && field.default_text().is_none())?;
    let mut stage = sample(&json!({"$ref": format!("#/components/schemas/{}", info.name)}));
    stage.as_object_mut().unwrap().remove(field.name);
    Some((info.name, stage))
}

/// The least request of a form that says nothing, and each of its fields with a value.
fn fields(request: &'static str) -> (Map<String, Value>, Vec<(String, Value)>) {
    let schema = &DOCUMENT["components"]["schemas"][request];
    assert_eq!(schema["additionalProperties"], false);
    let Value::Object(mut least) = sample(schema) else { panic!("{schema}") };
    least.insert("max_tokens".to_owned(), json!(1));
    let all = schema["properties"].as_object().unwrap();
    (least, all.iter().map(|(name, schema)| (name.clone(), sample(schema))).collect())
}

#[tokio::test]
async fn every_field_of_the_document_is_taken() {
    for (route, request) in FORMS {
        let (least, all) = fields(request);
        assert!(catalog().iter().all(|info| all.iter().any(|(name, _)| name == info.name)));
        for (name, value) in all {
            let mut body = least.clone();
            if name == "stream_options" {
                body.insert("stream".to_owned(), json!(true));
            }
            let description = &DOCUMENT["components"]["schemas"][request]["properties"][&name]["description"];
            if let Some(other) = description.as_str().and_then(|text| text.strip_prefix("the same as ")) {
                body.remove(other);
            }
            body.insert(name.clone(), value);
            body.extend(beside(&name).map(|(stage, value)| (stage.to_owned(), value)));
            let answer = post(&APP, route, json!(body)).await;
            assert_eq!(answer.status, 200, "{name}: {} {}", json!(body), answer.body);
        }
    }
}

/// Whatever stands in no document is refused by name: so no reader takes it.
#[tokio::test]
async fn no_other_field_is_taken() {
    for (route, request) in FORMS {
        let (least, all) = fields(request);
        let others = fields(FORMS.iter().find(|(_, other)| *other != request).unwrap().1).1;
        let strangers = others.into_iter().filter(|(name, _)| !all.iter().any(|(known, _)| known == name));
        for (name, value) in strangers.chain([("logprob".to_owned(), json!(1)), (String::new(), json!(1))]) {
            let mut body = least.clone();
            body.insert(name.clone(), value);
            let answer = post(&APP, route, json!(body)).await;
            assert_eq!((answer.status.as_u16(), answer.json()["error"]["param"].as_str()), (400, Some(&*name)));
        }
    }
}

/// Whether a value is as its schema says; what an object has beyond its schema is a fault, too.
fn check(value: &Value, schema: &Value, at: &str) {
    let schema = resolved(schema);
    let forms = ["anyOf", "oneOf"].into_iter().find_map(|key| schema[key].as_array());
    if let Some(forms) = forms {
        let form = forms.iter().find(|form| value.is_null() == (form["type"] == "null"));
        return check(value, form.unwrap_or_else(|| panic!("{at}: {value} is none of {forms:?}")), at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    let parts: Vec<&Value> = parts.iter().map(resolved).collect();
    let allowed = |kind: &str| match &parts[0]["type"] {
        Value::Array(kinds) => kinds.contains(&json!(kind)),
        one => one == kind,
    };
    assert!(allowed(kind) || (kind == "integer" && allowed("number")), "{at}: {value} is not as {schema} says");
    match value {
        // What is of any content.
        Value::Object(_)
            if parts.iter().all(|part| part["properties"].is_null() && part["additionalProperties"].is_null()) => {}
        Value::Array(items) => items.iter().for_each(|item| check(item, &schema["items"], at)),
        Value::Object(given) => {
            for (name, value) in given {
                let known = parts.iter().map(|part| &part["properties"][name]).find(|known| !known.is_null());
                let further = (!schema["additionalProperties"].is_null()).then_some(&schema["additionalProperties"]);
                let known = known.or(further).unwrap_or_else(|| panic!("{at}.{name} is not in the document"));
                check(value, known, &format!("{at}.{name}"));
            }
            for required in parts.iter().filter_map(|part| part["required"].as_array()).flatten() {
                assert!(given.contains_key(required.as_str().unwrap()), "{at}.{required} is missing in {value}");
            }
        }
        _ => {}
    }
}

/// The schema of a route's answer.
fn answer(path: &str, method: &str, status: &str, kind: &str) -> &'static Value {
    let schema = &DOCUMENT["paths"][path][method]["responses"][status]["content"][kind]["schema"];
    assert!(!schema.is_null(), "{method} {path} {status} {kind} is not in the document");
    schema
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let json_kind = "application/json";
    let message = json!([{"role": "user", "content": "The"}]);
    for (path, body) in [
        ("/v1/completions", json!({"prompt": "The", "max_tokens": 3, "logprobs": 2, "echo": true})),
        ("/v1/completions", json!({"prompt": "The", "generated": [5], "max_tokens": 3, "trace": true})),
        ("/v1/completions", json!({"prompt": "The", "max_tokens": 3, "decode": "mbr(3)"})),
        ("/v1/completions", json!({"prompt": "The", "max_tokens": 3, "sampler": "top_h=0.4:certify=true"})),
        ("/v1/completions", json!({"prompt": "The", "max_tokens": 3, "decode": "stochastic_beam(2)"})),
        ("/v1/completions", json!({"prompt": "The", "decode": "map(3,budget=100)"})),
        ("/v1/chat/completions", json!({"messages": message, "max_tokens": 3, "logprobs": true, "top_logprobs": 1})),
        ("/v1/next", json!({"prompt": "The", "sampler": "temp=2,top_k=3", "top_n": 2})),
        ("/tokenize", json!({"prompt": "The", "return_token_strs": true})),
        ("/detokenize", json!({"tokens": [5]})),
    ] {
        let told = fine(&post(&APP, path, &body).await);
        check(&told, answer(path, "post", "200", json_kind), path);
        let refused = post(&APP, path, json!({"nonsense": 1})).await.json();
        check(&refused, answer(path, "post", "400", json_kind), path);
        if path.ends_with("completions") {
            let mut body = body;
            body["stream"] = json!(true);
            let streamed = post(&APP, path, body).await;
            for event in streamed.events().into_iter().filter(|event| *event != "[DONE]") {
                check(&serde_json::from_str(event).unwrap(), answer(path, "post", "200", "text/event-stream"), path);
            }
        }
    }
    for path in ["/health", "/v1/models", "/v1/samplers", "/tokenizer_info"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = decant_server::router(APP.clone()).oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap();
        check(&told, answer(path, "get", "200", json_kind), path);
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let response = decant_server::router(APP.clone()).oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), *DOCUMENT);
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    assert!(DOCUMENT["paths"]["/v1/models/{name}"].is_object());
}
