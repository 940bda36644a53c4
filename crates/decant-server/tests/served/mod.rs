//! The embedded model behind the routes, and what the library says of it without them.

// Each test file uses its part.
#![allow(dead_code)]

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use decant_decode::{DecodeSpec, Decoder, LanguageModel, Limits, Outcome, TokenId, Utf8Stream, Watch};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::{Model, ModelSource};
use decant_sampling::{Sampler, Seed, Step};
use decant_server::app::{App, Serving, Settings};
use decant_server::scheduler::Options;
use http_body_util::BodyExt;
use serde_json::Value;
use std::ops::ControlFlow;
use tower::ServiceExt;

pub const PROMPT: &str = "Once upon a time, there was a little";

pub fn embedded() -> Model {
    let hub = Hub::new(HubSettings::from_env(|_| None));
    Model::load(&ModelSource::Embedded, EngineOptions::default(), &hub, &mut |_| ()).unwrap()
}

/// A server whose model is loaded.
pub fn app(model: Model, settings: Settings, options: Options) -> App {
    let app = App::new(settings);
    assert!(app.serving.set(Serving::new(model, options)).is_ok());
    app
}

pub fn embedded_app() -> App {
    app(embedded(), Settings::default(), Options::default())
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The data of its events.
    pub fn events(&self) -> Vec<&str> {
        assert!(self.body.ends_with("\n\n"), "{}", self.body);
        let event = |event| str::strip_prefix(event, "data: ").unwrap_or_else(|| panic!("{event:?} is no event"));
        self.body.trim_end().split("\n\n").map(event).collect()
    }
}

/// Sends a request; the body of the response is yet to be read.
pub async fn send(app: &App, route: &str, body: impl ToString) -> Response<Body> {
    let request = Request::post(route).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    decant_server::router(app.clone()).oneshot(request).await.unwrap()
}

pub async fn post(app: &App, route: &str, body: impl ToString) -> Answer {
    let response = send(app, route, body).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// The answer to a request that is well.
#[track_caller]
pub fn fine(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

/// What the library makes of a prompt.
pub struct Alone {
    pub steps: Vec<Step>,
    /// The row that each token was taken from.
    pub rows: Vec<Vec<f32>>,
    pub outcome: Outcome,
    pub text: String,
}

struct Notes(Vec<Step>, Vec<Vec<f32>>);

impl Watch for Notes {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        self.0.push(*step);
        self.1.push(row.to_vec());
        ControlFlow::Continue(())
    }
}

pub fn alone(model: &Model, prompt: &[TokenId], sampler: &str, decode: &str, seed: u64, max_tokens: usize) -> Alone {
    let sampler = Sampler::new(&sampler.parse().unwrap(), model.engine.vocab()).unwrap();
    let limits = Limits { max_tokens, ends: model.tokenizer.ends().to_vec(), ignore_eos: false };
    let decoder = Decoder::new(&*model.engine, sampler, limits).unwrap();
    let mut state = decoder.start(prompt, Seed(seed), 0).unwrap();
    let mut notes = Notes(Vec::new(), Vec::new());
    let outcome = decoder.decode(&decode.parse::<DecodeSpec>().unwrap(), &mut state, &mut notes).unwrap();
    let mut utf8 = Utf8Stream::default();
    let mut text: String = notes.0.iter().map(|step| utf8.push(model.tokenizer.bytes(step.token))).collect();
    text += &utf8.finish();
    Alone { steps: notes.0, rows: notes.1, outcome, text }
}

pub fn encode(model: &Model, text: &str) -> Vec<TokenId> {
    model.tokenizer.encode(text, true).unwrap()
}

/// The steps that a choice tells.
pub fn steps(choice: &Value) -> Vec<Step> {
    serde_json::from_value(choice["decant"]["steps"].clone()).unwrap()
}
