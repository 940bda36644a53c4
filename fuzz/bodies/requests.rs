//! Bytes -> a path (the first line) and a body (the rest) -> the whole server, over a tiny model.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::{Model, ModelSource};
use decant_server::app::{App, Serving, Settings};
use decant_server::scheduler::Options;
use http_body_util::BodyExt;
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const PATHS: [&str; 5] = ["/v1/completions", "/v1/chat/completions", "/v1/next", "/tokenize", "/detokenize"];

/// The most texts of a request.
const TEXTS: usize = 1024;

/// Its context is 16 tokens, so that whatever is asked of it is soon done; it has a chat template.
static APP: LazyLock<App> = LazyLock::new(|| {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut files = folders.map(|folder| folder.join("fuzz/regressions/gguf/llama-bpe-f16"));
    let source = ModelSource::Path(files.find(|file| file.exists()).expect("a model among the regressions"));
    let options = EngineOptions::default();
    let hub = Hub::new(HubSettings::from_env(|_| None));
    let model = Model::load(&source, options, &hub, &mut |_| ()).expect("a sound model");
    let app = App::new(Settings::default());
    let _ = app.serving.set(Serving::new(model, Options { waiting: TEXTS, ..Options::default() })); // it is not set yet
    app
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

pub fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (line, rest) = bytes.split_at(end);
    let (path, body) = match PATHS.iter().find(|path| path.as_bytes() == line) {
        Some(path) => (*path, &rest[1..]),
        None => (PATHS[bytes.len() % PATHS.len()], bytes),
    };
    let (status, answer) = RUNTIME.block_on(ask(path, body));
    let shown = || format!("{path} {:?}: {status} {answer}", String::from_utf8_lossy(body));
    match status {
        StatusCode::OK => check(path, &answer).unwrap_or_else(|what| panic!("{what}: {}", shown())),
        StatusCode::BAD_REQUEST => {
            let error = serde_json::from_str::<Value>(&answer).unwrap_or_default()["error"].take();
            assert!(is_error(&error, body), "{}", shown());
        }
        _ => panic!("{}", shown()),
    }
}

async fn ask(path: &str, body: &[u8]) -> (StatusCode, String) {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_vec())).expect("a sound request");
    let response = decant_server::router(APP.clone()).oneshot(request).await.expect("it cannot fail");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// Whether it is OpenAI's error object, and names the field wherever the body is an object and one field is at fault.
fn is_error(error: &Value, body: &[u8]) -> bool {
    let message = error["message"].as_str().unwrap_or_default();
    let is_object = serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object());
    // Fields that are each right but do not fit the model, or each other.
    let together = error["code"] == "context_length_exceeded"
        || message.contains("no tokens")
        || message.contains("are forbidden");
    error["type"] == "invalid_request_error"
        && !message.is_empty()
        && message.len() < 2000
        && (error["param"].is_string() || together || !is_object)
}

/// Whether an answer holds what it promises.
fn check(path: &str, answer: &str) -> Result<(), String> {
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    if !answer.starts_with("data: ") {
        let answer = json(answer)?;
        return if path.contains("completions") { check_choices(&answer) } else { Ok(()) };
    }
    let mut events: Vec<&str> = answer.trim_end().split("\n\n").collect();
    let last = events.pop().unwrap_or_default();
    for event in &events {
        json(event.strip_prefix("data: ").ok_or("no event")?)?;
    }
    // What goes wrong on the way is the last event.
    match last == "data: [DONE]" || json(&last[6..])?["error"]["type"] == "invalid_request_error" {
        true => Ok(()),
        false => Err("a stream without an end".to_owned()),
    }
}

fn check_choices(answer: &Value) -> Result<(), String> {
    let choices = answer["choices"].as_array().ok_or("no choices")?;
    let tokens: usize = choices.iter().filter_map(|choice| Some(choice["decant"]["steps"].as_array()?.len())).sum();
    let ended = choices.iter().all(|choice| choice["finish_reason"].is_string());
    match (1..=TEXTS).contains(&choices.len()) && ended && answer["usage"]["completion_tokens"] == tokens {
        true => Ok(()),
        false => Err("choices that do not add up".to_owned()),
    }
}
