//! Every route beside completions, through the real router on the embedded model.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use decant_decode::{LanguageModel, Want};
use decant_models::hub::{Hub, HubSettings};
use decant_models::native::EngineOptions;
use decant_models::{Model, ModelSource};
use decant_sampling::{History, Memory, Sampler, Scratch, Seed};
use decant_server::app::{App, Serving, Settings};
use decant_server::scheduler::Options;
use serde_json::{Value, json};
use tower::ServiceExt;

fn embedded() -> Model {
    let hub = Hub::new(HubSettings::from_env(|_| None));
    Model::load(&ModelSource::Embedded, EngineOptions::default(), &hub, &mut |_| ()).unwrap()
}

fn loaded(settings: Settings) -> App {
    let app = App::new(settings);
    assert!(app.serving.set(Serving::new(embedded(), Options::default())).is_ok());
    app
}

fn app() -> App {
    loaded(Settings::default())
}

/// What a server answers: status, headers, text.
async fn ask(app: &App, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = decant_server::router(app.clone()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    (head.status, head.headers, text)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

async fn json(app: &App, request: Request<Body>) -> Value {
    let (status, _, text) = ask(app, request).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The error object of a request that must be refused so.
async fn error(app: &App, request: Request<Body>, status: u16) -> Value {
    let (given, headers, text) = ask(app, request).await;
    assert_eq!(given, status, "{text}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/json", "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert!(!body["error"]["message"].as_str().unwrap().is_empty() && body["error"]["type"].is_string(), "{text}");
    body["error"].clone()
}

#[tokio::test]
async fn tells_its_model() {
    let app = app();
    let list = json(&app, get("/v1/models")).await;
    let model = &list["data"][0];
    assert_eq!((&list["object"], &model["object"]), (&json!("list"), &json!("model")));
    assert!(model["created"].as_u64().unwrap() > 1_700_000_000);
    let name = model["id"].as_str().unwrap();
    let path = format!("/v1/models/{}", name.replace(' ', "%20"));
    assert_eq!(&json(&app, get(&path)).await, model);
    let none = error(&app, get("/v1/models/owner/other"), 404).await;
    assert_eq!((&none["code"], &none["param"]), (&json!("model_not_found"), &json!("model")));
    assert!(none["message"].as_str().unwrap().contains("owner/other"), "{none}");
}

#[tokio::test]
async fn says_when_it_cannot_answer() {
    let app = App::new(Settings::default());
    let health = async |app: &App| {
        let (status, _, text) = ask(app, get("/health")).await;
        (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap()["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(health(&app).await, (503, "loading".to_owned()));
    let bodies = [
        get("/v1/models"),
        get("/tokenizer_info"),
        post("/tokenize", r#"{"prompt": "a"}"#),
        post("/v1/next", r#"{"prompt": "a"}"#),
    ];
    for request in bodies {
        let (status, headers, text) = ask(&app, request).await;
        assert_eq!((status.as_u16(), headers.contains_key(header::RETRY_AFTER)), (503, true), "{text}");
        assert!(text.contains("loading"), "{text}");
    }
    assert!(app.serving.set(Serving::new(embedded(), Options::default())).is_ok());
    assert_eq!(health(&app).await, (200, "ready".to_owned()));
    json(&app, get("/v1/models")).await;

    app.traffic.drain();
    assert_eq!(health(&app).await, (503, "draining".to_owned()));
    assert_eq!(error(&app, get("/v1/models"), 503).await["code"], "shutting_down");
    assert_eq!(ask(&app, get("/metrics")).await.0, 200);
    assert_eq!(app.traffic.running(), 0);
}

#[tokio::test]
async fn tokens_there_and_back() {
    let app = app();
    let model = embedded();
    let text = "Once upon a time, there was a café.";
    let body = |add: bool| json!({"prompt": text, "add_special_tokens": add, "return_token_strs": true}).to_string();
    for add in [false, true] {
        let split = json(&app, post("/tokenize", body(add))).await;
        let ids = model.tokenizer.encode(text, add).unwrap();
        assert_eq!(split["tokens"], json!(ids));
        assert_eq!(split["count"], ids.len());
        assert_eq!(split["max_model_len"], model.engine.context());
        let pieces: Vec<String> = ids.iter().map(|&id| model.tokenizer.piece(id).unwrap()).collect();
        assert_eq!(split["token_strs"], json!(pieces));
        let joined = json(&app, post("/detokenize", json!({"tokens": ids}).to_string())).await;
        assert_eq!(joined["prompt"], text);
    }
    let by_default = json(&app, post("/tokenize", json!({"content": text}).to_string())).await;
    assert_eq!(by_default["tokens"], json!(model.tokenizer.encode(text, true).unwrap()));

    let beyond = error(&app, post("/detokenize", r#"{"tokens": [5, 4000000000]}"#), 400).await;
    assert_eq!(beyond["param"], "tokens[1]");
    let negative = error(&app, post("/detokenize", r#"{"tokens": [5, -1]}"#), 400).await;
    assert_eq!(negative["param"], "tokens[1]");
}

#[tokio::test]
async fn frames_of_a_text() {
    let app = app();
    let info = json(&app, get("/tokenizer_info")).await;
    let tokenizer = &embedded().tokenizer;
    for (name, id) in [("bos_token", tokenizer.bos().unwrap()), ("eos_token", tokenizer.ends()[0])] {
        assert_eq!(info[name], json!(tokenizer.piece(id)), "{name}");
        // A client asks for the id of its end token this way.
        let body = json!({"prompt": info[name], "add_special_tokens": false}).to_string();
        assert_eq!(json(&app, post("/tokenize", body)).await["tokens"], json!([id]), "{name}");
    }
    assert!(info.as_object().unwrap().contains_key("chat_template"));
}

#[tokio::test]
async fn lists_the_samplers() {
    let samplers = json(&app(), get("/v1/samplers")).await;
    let stages = samplers["stages"].as_array().unwrap();
    assert_eq!(stages.len(), decant_sampling::catalog().len());
    let top_h = stages.iter().find(|stage| stage["name"] == "top_h").unwrap();
    assert_eq!(top_h["fields"][0]["name"], "value");
    assert!(samplers["schema"]["$defs"]["top_h"].is_object());
}

#[tokio::test]
async fn one_position_before_and_after_every_stage() {
    let (app, model) = (app(), embedded());
    let (prompt, generated) = ("Once upon", [260, 261]);
    let spec: decant_sampling::SamplerSpec = "repetition_penalty=1.3,temp=1.5,top_h=0.4,top_k=3".parse().unwrap();
    let question =
        json!({"prompt": prompt, "generated": generated, "sampler": spec.to_string(), "seed": 7, "top_n": 5});
    let answer = json(&app, post("/v1/next", question.to_string())).await;
    let stages = answer["stages"].as_array().unwrap();
    let names: Vec<&Value> = stages.iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(
        names,
        [&Value::Null, &json!("repetition_penalty=1.3"), &json!("temp=1.5"), &json!("top_h=0.4"), &json!("top_k=3")]
    );

    let mut tokens = model.tokenizer.encode(prompt, true).unwrap();
    let len = tokens.len();
    tokens.extend(generated);
    let rows = model.engine.feed(&mut model.engine.empty(), &tokens, Want::Last).unwrap();
    let row = rows.last().unwrap();
    let sampler = Sampler::new(&spec, row.len()).unwrap();
    let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
    let step = sampler.pick(row, History::new(&tokens, len), Seed(7).coins(0, 2), &mut memory, &mut scratch).unwrap();
    assert_eq!(answer["step"], serde_json::to_value(step).unwrap());
    assert_eq!(answer["position"], tokens.len());

    let top = |stage: &Value| -> Vec<(u64, f64)> {
        let tokens = stage["top"].as_array().unwrap().iter();
        tokens.map(|token| (token["token"].as_u64().unwrap(), token["prob"].as_f64().unwrap())).collect()
    };
    let z: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
    let raw = top(&stages[0]);
    assert_eq!(raw.len(), 5);
    for (token, prob) in raw {
        assert!((prob - f64::from(row[token as usize]).exp() / z).abs() < 1e-6);
    }
    let last = stages.last().unwrap();
    assert_eq!(last["kept"], step.kept);
    let left = top(last);
    assert_eq!(left.len(), step.kept as usize);
    assert!((left.iter().map(|(_, prob)| prob).sum::<f64>() - 1.0).abs() < 1e-6);
    let entropy: f64 = -left.iter().map(|(_, prob)| prob * prob.ln()).sum::<f64>();
    assert!((entropy - last["entropy"].as_f64().unwrap()).abs() < 1e-5);
    assert!(left.windows(2).all(|pair| pair[0].1 >= pair[1].1));
}

#[tokio::test]
async fn positions_that_cannot_be_looked_at() {
    let app = app();
    let many = "top_k=5,".repeat(65);
    let context = embedded().engine.context();
    for (body, param) in [
        (json!({"sampler": "temp=1"}), Some("prompt")),
        (json!({"prompt": {"a": 1}}), Some("prompt")),
        (json!({"prompt": [4_000_000_000u32]}), Some("prompt")),
        (json!({"prompt": "a", "generated": [4_000_000_000u32]}), Some("generated")),
        (json!({"prompt": []}), None),
        (json!({"prompt": vec![5; context + 1]}), None),
        (json!({"prompt": "a", "sampler": "top_q=1"}), Some("sampler")),
        (json!({"prompt": "a", "sampler": "logit_bias=(4000000000=1)"}), Some("sampler")),
        (json!({"prompt": "a", "sampler": many.trim_end_matches(',')}), Some("sampler")),
        (json!({"prompt": "a", "top_n": 0}), Some("top_n")),
        (json!({"prompt": "a", "topn": 3}), Some("topn")),
    ] {
        let refused = error(&app, post("/v1/next", body.to_string()), 400).await;
        assert_eq!(refused["param"].as_str(), param, "{refused}");
    }
    let lenient = loaded(Settings { lenient: true, ..Settings::default() });
    json(&lenient, post("/v1/next", r#"{"prompt": "a", "topn": 3}"#)).await;
}

#[tokio::test]
async fn unknown_paths_methods_and_bodies_are_error_objects() {
    let app = app();
    assert!(error(&app, get("/v2/models"), 404).await["message"].as_str().unwrap().contains("/v2/models"));
    for (method, path) in [("PUT", "/v1/models"), ("GET", "/tokenize"), ("DELETE", "/v1/next"), ("POST", "/health")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        assert!(error(&app, request, 405).await["message"].as_str().unwrap().contains(method), "{path}");
    }
    for body in ["", "{", "[]", "3", "\u{feff}{}", &"[".repeat(100_000)] {
        error(&app, post("/tokenize", body.to_owned()), 400).await;
    }
    error(&app, post("/tokenize", b"{\"prompt\": \"\xff\"}".to_vec()), 400).await;
    let text = Request::post("/tokenize").body(Body::from(r#"{"prompt": "a"}"#)).unwrap();
    error(&app, text, 415).await;
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let app = loaded(Settings { body_limit: 1000, ..Settings::default() });
    let body = |len: usize| json!({"prompt": "a".repeat(len)}).to_string();
    json(&app, post("/tokenize", body(900))).await;
    error(&app, post("/tokenize", body(1000)), 413).await;
    // Without a length told beforehand.
    let chunks =
        body(5000).into_bytes().chunks(100).map(<[u8]>::to_vec).map(Ok::<_, std::io::Error>).collect::<Vec<_>>();
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    error(&app, post("/tokenize", stream), 413).await;
}

#[tokio::test]
async fn a_key_guards_all_but_health() {
    let app = loaded(Settings { api_key: Some("s3cret".to_owned()), ..Settings::default() });
    let with = |path: &str, value: &str| Request::get(path).header(header::AUTHORIZATION, value).body(Body::empty());
    for path in ["/v1/models", "/metrics", "/v1/samplers", "/tokenizer_info", "/nothing"] {
        for value in ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret"] {
            assert_eq!(error(&app, with(path, value).unwrap(), 401).await["code"], "invalid_api_key", "{path} {value}");
        }
        let (_, headers, _) = ask(&app, get(path)).await;
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    for value in ["Bearer s3cret", "bearer s3cret"] {
        assert_eq!(ask(&app, with("/v1/models", value).unwrap()).await.0, 200, "{value}");
    }
    assert_eq!(ask(&app, get("/health")).await.0, 200);
}

#[tokio::test]
async fn other_origins_only_where_asked() {
    let from = |origin: &str| Request::get("/health").header(header::ORIGIN, origin).body(Body::empty()).unwrap();
    let allowed = async |app: &App, origin: &str| {
        let (_, headers, _) = ask(app, from(origin)).await;
        headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|allowed| allowed.to_str().unwrap().to_owned())
    };
    assert_eq!(allowed(&app(), "http://a.example").await, None);
    let settings = Settings {
        cors: vec!["http://a.example".to_owned()],
        api_key: Some("s3cret".to_owned()),
        ..Settings::default()
    };
    let app = loaded(settings);
    assert_eq!(allowed(&app, "http://a.example").await.as_deref(), Some("http://a.example"));
    assert_eq!(allowed(&app, "http://b.example").await, None);
    // A browser asks beforehand, without the key.
    let preflight = Request::options("/v1/next")
        .header(header::ORIGIN, "http://a.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type,x-stainless-lang");
    let (status, headers, _) = ask(&app, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(status, 200);
    assert!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("authorization"));
    assert!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("x-stainless-lang"));
}

#[tokio::test]
async fn every_response_has_an_id() {
    let app = app();
    let with = async |id: &str| {
        let request = Request::get("/nothing").header("x-request-id", id).body(Body::empty()).unwrap();
        ask(&app, request).await.1["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(with("mine-1").await, "mine-1");
    let (first, second) = (with("").await, with(&"x".repeat(65)).await);
    assert!(!first.is_empty() && first != second && second.len() < 65, "{first} {second}");
    assert_ne!(with("two words").await, "two words");
}

#[tokio::test]
async fn counts_what_it_answers() {
    let app = app();
    for _ in 0..3 {
        json(&app, get("/v1/models")).await;
    }
    error(&app, get("/made/up/1"), 404).await;
    error(&app, get("/made/up/2"), 404).await;
    let made_up = Request::builder().method("BREW").uri("/coffee").body(Body::empty()).unwrap();
    error(&app, made_up, 404).await;
    let (_, headers, text) = ask(&app, get("/metrics")).await;
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in [
        r#"decant_http_requests_total{method="GET",route="/v1/models",status="200"} 3"#,
        r#"decant_http_requests_total{method="GET",route="none",status="404"} 2"#,
        r#"decant_http_requests_total{method="other",route="none",status="404"} 1"#,
        "decant_http_requests_open 1",
        "decant_http_requests_cut_total 0",
        "decant_http_request_seconds_count 6",
        "decant_jobs_total 0",
        "decant_jobs_waiting 0",
        "decant_sampling_seconds_total 0.0",
        "# TYPE decant_time_to_first_token_seconds histogram",
        "# TYPE decant_time_per_token_seconds histogram",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
