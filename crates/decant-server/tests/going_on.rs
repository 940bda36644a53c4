//! Texts that are gone on with, and the traces that are told of them.

mod served;

use axum::http::StatusCode;
use decant_decode::{Decoder, Trace, TraceWriter, Traces, replay};
use decant_models::template::ChatTemplate;
use decant_sampling::{Sampler, TokenId};
use decant_server::app::{App, Settings};
use decant_server::scheduler::Options;
use serde_json::{Value, json};
use served::{PROMPT, app, embedded, embedded_app, fine, post, steps};
use std::sync::LazyLock;

const ROUTE: &str = "/v1/completions";

static APP: LazyLock<App> = LazyLock::new(embedded_app);

/// A body with some more fields.
fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn tokens(choice: &Value) -> Vec<TokenId> {
    steps(choice).iter().map(|step| step.token).collect()
}

/// Through stages that look back, at every token, a stop string across the border included.
#[tokio::test]
async fn a_text_goes_on_as_if_it_had_not_been_broken() {
    for sampling in [
        json!({"prompt": PROMPT, "temperature": 1.4, "top_h": 0.6, "repetition_penalty": 1.3, "seed": 11}),
        json!({"prompt": "", "sampler": "dry=0.8,temp=1.2,xtc=0.5", "seed": 5}),
        json!({"prompt": PROMPT, "temperature": 1.4, "seed": 11, "stop": [" the", "m ", ". "]}),
    ] {
        let whole = fine(&post(&APP, ROUTE, with(sampling.clone(), json!({"max_tokens": 24}))).await);
        let whole = &whole["choices"][0];
        let (made, text) = (tokens(whole), whole["text"].as_str().unwrap());
        let mut before = String::new();
        for cut in 0..made.len() {
            let body = with(sampling.clone(), json!({"max_tokens": 24 - cut, "generated": made[..cut]}));
            let rest = fine(&post(&APP, ROUTE, body).await);
            let rest = &rest["choices"][0];
            assert_eq!(steps(rest), steps(whole)[cut..], "from token {cut}");
            assert_eq!(rest["finish_reason"], whole["finish_reason"]);
            // What stood there is not said again, and nothing between is left out. Where it ends within the stop string there
            // is nothing to say.
            assert_eq!(rest["text"], text.strip_prefix(&before).unwrap_or(""), "after {before:?} of {text:?}");
            let tokenizer = &APP.serving().unwrap().model.tokenizer;
            let bytes = match cut == 0 && sampling["prompt"] == "" {
                true => tokenizer.first_bytes(made[cut]),
                false => tokenizer.bytes(made[cut]),
            };
            before.push_str(std::str::from_utf8(bytes).unwrap());
        }
    }
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_is_refused_by_name() {
    let vocab = APP.serving().unwrap().model.tokenizer.vocab();
    for body in [
        json!({"prompt": PROMPT, "generated": [vocab]}),
        json!({"prompt": PROMPT, "generated": "text"}),
        json!({"prompt": [PROMPT, PROMPT], "generated": [5]}),
        json!({"prompt": PROMPT, "generated": [5], "echo": true}),
        json!({"prompt": PROMPT, "generated": [5], "decode": "beam(2)"}),
    ] {
        let answer = post(&APP, ROUTE, &body).await;
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("generated")));
    }
}

/// The lines of a choice's trace, as a file of them reads.
fn trace(lines: &[Value]) -> Trace {
    let mut file = Vec::new();
    let mut writer = TraceWriter::new(&mut file);
    lines.iter().for_each(|line| writer.write(&serde_json::from_value(line.clone()).unwrap()).unwrap());
    let read = Traces::read(&*file);
    assert!(read.error.is_none(), "{:?}", read.error);
    let [trace] = <[Trace; 1]>::try_from(read.traces).unwrap();
    trace
}

/// Of samples and searches, begun here or gone on with: streamed and whole the same, and all of them come out again.
#[tokio::test]
async fn traces_are_told_and_come_out_again() {
    let model = &APP.serving().unwrap().model;
    for more in [
        json!({"n": 2, "seed": 8}),
        json!({"generated": [300, 301], "seed": 8, "stop": ["."]}),
        json!({"decode": "beam(3)", "max_tokens": 6, "seed": 1}),
        json!({"decode": "best_of(3)", "max_tokens": 6, "seed": 1}),
    ] {
        let body =
            with(json!({"prompt": PROMPT, "sampler": "temp=1.3,top_h=0.5", "max_tokens": 12, "trace": true}), more);
        let whole = fine(&post(&APP, ROUTE, &body).await);
        let events = post(&APP, ROUTE, with(body.clone(), json!({"stream": true}))).await;
        for choice in whole["choices"].as_array().unwrap() {
            let lines = choice["decant"]["trace"].as_array().unwrap();
            let streamed: Vec<Value> = (events.events().iter().filter(|event| **event != "[DONE]"))
                .map(|event| serde_json::from_str::<Value>(event).unwrap()["choices"][0].clone())
                .filter(|piece| piece["index"] == choice["index"])
                .flat_map(|piece| piece["decant"]["trace"].as_array().unwrap().clone())
                .collect();
            assert_eq!(&streamed, lines);
            let trace = trace(lines);
            assert!(trace.finish.is_some());
            assert_eq!(trace.steps.iter().map(|step| step.step).collect::<Vec<_>>(), steps(choice));
            let sampler = Sampler::new(&trace.header.sampler, model.tokenizer.vocab()).unwrap();
            let decoder = Decoder::new(&*model.engine, sampler, trace.header.limits.clone()).unwrap();
            assert_eq!(replay(&decoder, &trace, &|_| false).unwrap(), None);
        }
    }
    let untold = fine(&post(&APP, ROUTE, json!({"prompt": PROMPT, "max_tokens": 1})).await);
    assert!(untold["choices"][0]["decant"].get("trace").is_none());
}

/// A client without the template goes on with a conversation as a list of tokens.
#[tokio::test]
async fn a_conversation_is_split_as_chat_feeds_it() {
    let mut model = embedded();
    let source = "{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}Then{% endif %}";
    model.template = Some(ChatTemplate::new(source, []));
    let app = app(model, Settings::default(), Options::default());
    let messages = json!([{"role": "user", "content": "Once upon a time"}]);
    let tokens = fine(&post(&app, "/tokenize", json!({"messages": messages})).await)["tokens"].clone();
    let chat = json!({"messages": messages, "seed": 3, "max_tokens": 10});
    let chat = fine(&post(&app, "/v1/chat/completions", chat).await);
    let text = fine(&post(&app, ROUTE, json!({"prompt": tokens, "seed": 3, "max_tokens": 10})).await);
    assert_eq!(steps(&chat["choices"][0]), steps(&text["choices"][0]));
    let silent = json!({"messages": messages, "add_generation_prompt": false});
    assert_ne!(fine(&post(&app, "/tokenize", silent).await)["tokens"], tokens);
    for body in [json!({}), json!({"prompt": "a", "messages": messages})] {
        assert_eq!(post(&app, "/tokenize", body).await.status, StatusCode::BAD_REQUEST);
    }
    let none = post(&APP, "/tokenize", json!({"messages": messages})).await;
    assert_eq!((none.status, &none.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("messages")));
}
