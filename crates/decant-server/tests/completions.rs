//! What the routes of OpenAI's two forms answer is what the library says, on the embedded model.

mod served;

use axum::http::StatusCode;
use decant_decode::{LanguageModel, Want, alternatives};
use decant_models::template::ChatTemplate;
use decant_sampling::{EntropyStats, Logits, TokenId};
use decant_server::app::{App, Settings};
use decant_server::scheduler::Options;
use serde_json::{Value, json};
use served::{PROMPT, alone, app, embedded, embedded_app, encode, fine, post, send, steps};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::sleep;

const ROUTE: &str = "/v1/completions";
const CHAT: &str = "/v1/chat/completions";

static APP: LazyLock<App> = LazyLock::new(embedded_app);

/// The same model as one that was trained to chat.
static CHATTY: LazyLock<App> = LazyLock::new(|| {
    let source = "{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}Then{% endif %}";
    let mut model = embedded();
    model.template = Some(ChatTemplate::new(source, []));
    app(model, Settings::default(), Options::default())
});

fn ids(text: &str) -> Vec<TokenId> {
    encode(&APP.serving().unwrap().model, text)
}

fn library(text: &str, sampler: &str, decode: &str, seed: u64, max_tokens: usize) -> served::Alone {
    alone(&APP.serving().unwrap().model, &ids(text), sampler, decode, seed, max_tokens)
}

#[tokio::test]
async fn a_text_is_the_librarys_own() {
    for (fields, sampler, seed) in [
        (json!({"temperature": 0, "seed": 1}), "temp=0", 1),
        (json!({"temperature": 1.2, "top_h": 0.4, "seed": u64::MAX}), "temp=1.2,top_h=0.4", u64::MAX),
        (json!({"sampler": "top_p=0.9,temp=1.5", "seed": 7}), "top_p=0.9,temp=1.5", 7),
        (json!({"vllm_xargs": {"min_p": 0.1}, "sampler_seed": 3}), "min_p=0.1", 3),
        (json!({"presence_penalty": 0.5, "seed": 4}), "presence_penalty=0.5:prompt=false", 4),
        (json!({"logit_bias": [[5, -100]], "seed": 4}), "logit_bias=(5=-100)", 4),
    ] {
        let mut body = json!({"model": "any", "prompt": PROMPT, "max_tokens": 24});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = fine(&post(&APP, ROUTE, &body).await);
        let (choice, alone) = (&answer["choices"][0], library(PROMPT, sampler, "sample", seed, 24));
        assert_eq!(choice["text"], alone.text, "{body}");
        assert_eq!(steps(choice), alone.steps, "{body}");
        assert_eq!(choice["decant"]["sampler"], sampler);
        assert_eq!((&choice["decant"]["decode"], choice["decant"]["seed"].as_u64()), (&json!("sample"), Some(seed)));
        assert_eq!(choice["logprobs"], Value::Null);
        let (prompt, generated) = (ids(PROMPT).len(), alone.steps.len());
        let usage =
            json!({"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated});
        assert_eq!(answer["usage"], usage);
        assert_eq!(answer["object"], "text_completion");
        assert_eq!(answer["model"], APP.serving().unwrap().name);
    }
}

#[tokio::test]
async fn choices_draw_by_seeds_one_after_another() {
    let body = json!({"prompt": PROMPT, "n": 3, "seed": 40, "temperature": 1.3, "max_tokens": 20});
    let answer = fine(&post(&APP, ROUTE, body).await);
    for i in 0..3 {
        let choice = &answer["choices"][i];
        assert_eq!(
            (choice["index"].as_u64(), choice["decant"]["seed"].as_u64()),
            (Some(i as u64), Some(40 + i as u64))
        );
        assert_eq!(choice["text"], library(PROMPT, "temp=1.3", "sample", 40 + i as u64, 20).text);
    }
    assert_ne!(answer["choices"][0]["text"], answer["choices"][1]["text"]);
}

#[tokio::test]
async fn prompts_are_texts_or_tokens_one_or_many() {
    let (other, sampling) = ("The dog", json!({"n": 2, "seed": 3, "temperature": 1.1, "max_tokens": 9}));
    for (prompt, texts) in [
        (json!(PROMPT), vec![PROMPT]),
        (json!([PROMPT, other]), vec![PROMPT, other]),
        (json!(ids(PROMPT)), vec![PROMPT]),
        (json!([ids(other), ids(PROMPT)]), vec![other, PROMPT]),
    ] {
        let mut body = sampling.clone();
        body["prompt"] = prompt;
        let answer = fine(&post(&APP, ROUTE, &body).await);
        let told: Vec<&str> =
            answer["choices"].as_array().unwrap().iter().map(|c| c["text"].as_str().unwrap()).collect();
        let expected: Vec<String> = texts
            .iter()
            .flat_map(|text| [3, 4].map(|seed| library(text, "temp=1.1", "sample", seed, 9).text))
            .collect();
        assert_eq!(told, expected, "{body}");
    }
    // Without a seed, equal prompts have seeds of their own.
    let answer = fine(&post(&APP, ROUTE, json!({"prompt": [PROMPT, PROMPT], "max_tokens": 1})).await);
    assert_ne!(answer["choices"][0]["decant"]["seed"], answer["choices"][1]["decant"]["seed"]);
}

/// As lm-evaluation-harness asks for log-likelihoods.
#[tokio::test]
async fn echoed_logprobs_are_the_librarys_to_the_last_bit() {
    let prompt = ids("Once upon a time there was a dog named Zorblax.");
    let body =
        json!({"prompt": [prompt], "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": true, "seed": 1234});
    let answer = fine(&post(&APP, ROUTE, body).await);
    let logprobs = &answer["choices"][0]["logprobs"];
    let list = |name: &str| logprobs[name].as_array().unwrap().clone();
    let (tokens, tops) = (list("token_logprobs"), list("top_logprobs"));
    assert_eq!([tokens.len(), tops.len(), list("tokens").len(), list("text_offset").len()], [prompt.len() + 1; 4]);
    assert_eq!((&tokens[0], &tops[0]), (&Value::Null, &Value::Null));

    let model = &APP.serving().unwrap().model;
    let rows = model.engine.feed(&mut model.engine.empty(), &prompt, Want::All).unwrap();
    let (mut greedy, mut others) = (0, 0);
    let next: Vec<TokenId> = prompt[1..].iter().copied().chain([steps(&answer["choices"][0])[0].token]).collect();
    for (place, (row, &token)) in rows.iter().zip(&next).enumerate() {
        let logits = Logits::new(row).unwrap();
        let (told, top) = (tokens[place + 1].as_f64().unwrap(), tops[place + 1].as_object().unwrap());
        assert_eq!(told.to_bits(), EntropyStats::of(&logits).logprob(row[token as usize]).to_bits());
        let best = alternatives(logits, 1)[0];
        let highest = top.values().map(|p| p.as_f64().unwrap()).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(highest.to_bits(), best.logprob.to_bits());
        assert_eq!(told == highest, best.token == token, "greedy is known by equality");
        if best.token == token { greedy += 1 } else { others += 1 }
    }
    assert!(greedy > 0 && others > 0, "{greedy} {others}");

    // Offsets are where the tokens begin in the text.
    let text: Vec<char> = answer["choices"][0]["text"].as_str().unwrap().chars().collect();
    let offsets: Vec<usize> = list("text_offset").iter().map(|at| at.as_u64().unwrap() as usize).collect();
    let spelled = list("tokens");
    for (place, token) in
        spelled.iter().enumerate().filter(|(place, _)| prompt.get(*place) != model.tokenizer.bos().as_ref())
    {
        let end = offsets.get(place + 1).copied().unwrap_or(text.len());
        assert_eq!(text[offsets[place]..end].iter().collect::<String>(), token.as_str().unwrap(), "{offsets:?}");
    }
}

#[tokio::test]
async fn a_prompt_may_be_judged_without_going_on() {
    let body = json!({"prompt": PROMPT, "max_tokens": 0, "logprobs": 0, "echo": true, "n": 2});
    let answer = fine(&post(&APP, ROUTE, body).await);
    for choice in answer["choices"].as_array().unwrap() {
        assert_eq!((choice["text"].as_str(), choice["finish_reason"].as_str()), (Some(PROMPT), Some("length")));
        assert_eq!(choice["logprobs"]["token_logprobs"].as_array().unwrap().len(), ids(PROMPT).len());
    }
    assert_eq!(answer["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn stop_strings_end_a_text_across_tokens() {
    let whole = library(PROMPT, "temp=0", "sample", 0, 24);
    // From the middle of one token to the middle of the next but one.
    let letters: Vec<(usize, char)> = whole.text.char_indices().collect();
    let stop = &whole.text[letters[9].0..letters[20].0];
    let until = &whole.text[..whole.text.find(stop).unwrap()];
    for stop in [json!(stop), json!(["nowhere", stop, ""])] {
        for (decode, finish) in [("sample", "stop"), ("beam(1)", "stop")] {
            let body = json!({"prompt": PROMPT, "temperature": 0, "max_tokens": 24, "stop": stop, "decode": decode});
            let answer = fine(&post(&APP, ROUTE, &body).await);
            let choice = &answer["choices"][0];
            assert_eq!(
                (choice["text"].as_str(), choice["finish_reason"].as_str()),
                (Some(until), Some(finish)),
                "{body}"
            );
            assert!(steps(choice).len() < whole.steps.len());
            assert_eq!(choice["decant"]["finish"], "stop");
        }
    }
}

#[tokio::test]
async fn strategies_are_the_librarys_own() {
    for (field, decode) in [
        (json!({"decode": "greedy"}), "greedy"),
        (json!({"decode": "lookahead(2)"}), "lookahead(2)"),
        (json!({"decode": "beam(3)"}), "beam(3)"),
        (json!({"decode": "mbr(4)"}), "mbr(4)"),
        (json!({"best_of": 3}), "best_of(3)"),
    ] {
        let mut body = json!({"prompt": PROMPT, "max_tokens": 10, "seed": 2, "temperature": 1.4});
        body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        let answer = fine(&post(&APP, ROUTE, &body).await);
        let (choice, alone) = (&answer["choices"][0], library(PROMPT, "temp=1.4", decode, 2, 10));
        assert_eq!(choice["text"], alone.text, "{body}");
        assert_eq!(steps(choice), alone.steps, "{body}");
        assert_eq!(choice["decant"]["decode"], decode);
        assert_eq!(choice["decant"]["outcome"]["proven"], json!(alone.outcome.proven));
    }
}

#[tokio::test]
async fn a_stream_may_tell_the_usage_so_far() {
    let options = json!({"include_usage": true, "continuous_usage_stats": true});
    let body = json!({"prompt": PROMPT, "seed": 1, "max_tokens": 5, "ignore_eos": true, "stream": true, "stream_options": options});
    let answer = post(&APP, ROUTE, &body).await;
    let chunks = answer.events().into_iter().filter(|event| *event != "[DONE]");
    let usages: Vec<_> = chunks
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["usage"]["completion_tokens"].as_u64().unwrap())
        .collect();
    assert_eq!(usages[..5], [1, 2, 3, 4, 5]);
    assert!(usages[5..].iter().all(|&usage| usage == 5), "{usages:?}");
}

/// Streams a request and puts its chunks together: texts, logprobs, steps, the first rule and the last reason of each choice.
async fn streamed(app: &App, route: &str, body: &Value) -> Vec<(Value, Value)> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = post(app, route, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let mut events = answer.events();
    assert_eq!(events.pop(), Some("[DONE]"));
    let mut chunks: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let last = chunks.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && chunk["id"] == last["id"]));
    let mut choices: Vec<(Value, Value)> =
        vec![(Value::Null, last["usage"].clone()); body["n"].as_u64().unwrap() as usize];
    for mut chunk in chunks {
        let mut piece = chunk["choices"][0].take();
        let choice = &mut choices[piece["index"].as_u64().unwrap() as usize].0;
        if let Some(delta) = piece.as_object_mut().unwrap().remove("delta") {
            piece["message"] = delta;
        }
        if choice.is_null() { *choice = piece } else { join(choice, piece) }
    }
    choices
}

/// Texts and lists go on; what was null or absent is what comes.
fn join(whole: &mut Value, next: Value) {
    match (whole, next) {
        (Value::String(whole), Value::String(next)) => whole.push_str(&next),
        (Value::Array(whole), Value::Array(next)) => whole.extend(next),
        (Value::Object(whole), Value::Object(next)) => {
            for (name, value) in next {
                join(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole @ Value::Null, next) => *whole = next,
        _ => {}
    }
}

#[tokio::test]
async fn a_stream_tells_what_a_whole_answer_tells() {
    let sampling = json!({"n": 2, "seed": 6, "temperature": 1.5, "max_tokens": 40, "stop": [" the", "."]});
    for (app, route, fields) in [
        (&APP, ROUTE, json!({"prompt": PROMPT, "n_probs": 0})),
        (&APP, ROUTE, json!({"prompt": PROMPT, "logprobs": 3, "echo": true})),
        (&APP, ROUTE, json!({"prompt": PROMPT, "decode": "best_of(2)"})),
        (&CHATTY, CHAT, json!({"messages": [{"role": "user", "content": PROMPT}]})),
        (
            &CHATTY,
            CHAT,
            json!({"messages": [{"role": "user", "content": PROMPT}], "logprobs": true, "top_logprobs": 2}),
        ),
    ] {
        let mut body = sampling.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let whole = fine(&post(app, route, &body).await);
        for (i, (choice, usage)) in streamed(app, route, &body).await.into_iter().enumerate() {
            assert_eq!(choice, whole["choices"][i], "{body}");
            assert_eq!(usage, whole["usage"], "{body}");
        }
    }
}

#[tokio::test]
async fn a_conversation_goes_on_in_the_models_template() {
    let message = |content: Value| json!({"role": "user", "content": content, "name": "Ann"});
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    for (messages, text) in [
        (json!([message(json!(PROMPT))]), format!("{PROMPT} Then")),
        (json!([message(json!("The")), message(json!("dog"))]), "The dog Then".to_owned()),
        (json!([message(parts)]), "a\nb Then".to_owned()),
    ] {
        let body =
            json!({"messages": messages, "seed": 1, "max_completion_tokens": 8, "logprobs": true, "top_logprobs": 1});
        let answer = fine(&post(&CHATTY, CHAT, &body).await);
        let model = &CHATTY.serving().unwrap().model;
        let alone = alone(model, &model.tokenizer.encode(&text, false).unwrap(), "", "sample", 1, 8);
        let choice = &answer["choices"][0];
        assert_eq!(choice["message"], json!({"role": "assistant", "content": alone.text}), "{body}");
        assert_eq!(answer["object"], "chat.completion");
        let content = choice["logprobs"]["content"].as_array().unwrap();
        for (told, (step, row)) in content.iter().zip(alone.steps.iter().zip(&alone.rows)) {
            assert_eq!(told["logprob"].as_f64().unwrap().to_bits(), step.logprob.to_bits());
            assert_eq!(told["bytes"], json!(model.tokenizer.bytes(step.token)));
            let best = alternatives(Logits::new(row).unwrap(), 1)[0];
            assert_eq!(told["top_logprobs"][0]["logprob"].as_f64().unwrap().to_bits(), best.logprob.to_bits());
        }
        assert_eq!(content.len(), alone.steps.len());
    }
}

#[tokio::test]
async fn a_deadline_ends_a_text_that_stands() {
    let body = json!({"prompt": PROMPT, "max_tokens": 100, "deadline": 1e-9});
    let answer = fine(&post(&APP, ROUTE, body).await);
    let choice = &answer["choices"][0];
    assert_eq!(
        (choice["finish_reason"].as_str(), choice["decant"]["finish"].as_str()),
        (Some("length"), Some("deadline"))
    );
}

#[tokio::test]
async fn faults_name_the_field() {
    for (fields, param, says) in [
        (json!({"prompt": null}), "prompt", "must be given"),
        (json!({"prompt": []}), "prompt", "given a list of 0"),
        (json!({"prompt": vec!["a"; 1025]}), "prompt", "1 to 1024"),
        (json!({"prompt": vec!["a"; 9], "n": 128}), "n", "at most 1024"),
        (json!({"prompt": ["a", 1]}), "prompt", "1024 of either"),
        (json!({"prompt": [1, 999_999]}), "prompt", "token 999999 is not in the vocabulary"),
        (json!({"prompt": [[]]}), "", "no tokens"),
        (json!({"n": 0}), "n", "in 1..=128"),
        (json!({"n": 2, "best_of": 3}), "best_of", "chooses one text"),
        (json!({"decode": "beam(0)"}), "decode", "beam"),
        (json!({"decode": "beam(2)", "best_of": 3}), "best_of", "not both"),
        (json!({"max_tokens": -2}), "max_tokens", "an integer >= 0"),
        (json!({"max_tokens": 3, "max_new_tokens": 4}), "max_new_tokens", "but differ"),
        (json!({"seed": -3}), "seed", "or -1"),
        (json!({"seed": 1.5}), "seed", "an integer"),
        (json!({"stop": vec!["x"; 33]}), "stop", "at most 32"),
        (json!({"stop": 3}), "stop", "a string"),
        (json!({"logprobs": 21}), "logprobs", "0..=20"),
        (json!({"logprobs": true}), "logprobs", "an integer"),
        (json!({"echo": 1}), "echo", "true or false"),
        (json!({"suffix": "."}), "suffix", "not supported"),
        (json!({"tools": [{}]}), "tools", "not supported"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options", "set stream"),
        (json!({"stream": true, "stream_options": {"x": 1}}), "stream_options", "include_usage"),
        (json!({"deadline": 0}), "deadline", "seconds > 0"),
        (json!({"temperature": -1}), "temperature", "0..=100"),
        (json!({"top_hh": 0.4}), "top_hh", "did you mean `top_h`?"),
        (json!({"logit_bias": {"999999": 1}}), "logit_bias", "not in the vocabulary"),
    ] {
        let mut body = json!({"prompt": PROMPT, "max_tokens": 4});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = post(&APP, ROUTE, &body).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let message = json!({"role": "user", "content": "hi"});
    for (app, fields, param, says) in [
        (&APP, json!({}), "messages", "has no chat template"),
        (&CHATTY, json!({"messages": null}), "messages", "must be given"),
        (&CHATTY, json!({"messages": [{"role": "user"}]}), "messages[0].content", "must have a content"),
        (
            &CHATTY,
            json!({"messages": [message, {"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[1].content",
            "type text",
        ),
        (
            &CHATTY,
            json!({"messages": [{"role": "user", "content": "a", "tool_calls": []}]}),
            "messages[0].tool_calls",
            "not supported",
        ),
        (&CHATTY, json!({"top_logprobs": 2}), "top_logprobs", "set logprobs"),
        (&CHATTY, json!({"echo": true}), "echo", "neither a field"),
    ] {
        let mut body = json!({"messages": [message], "max_tokens": 4});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = post(app, CHAT, &body).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["param"].as_str()), (StatusCode::BAD_REQUEST, Some(param)), "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_sampler_that_forbids_everything_is_the_clients_fault() {
    let vocab = APP.serving().unwrap().model.engine.vocab();
    let biases: Vec<Value> = (0..vocab).map(|token| json!([token, false])).collect();
    let mut body = json!({"prompt": PROMPT, "logit_bias": biases});
    let answer = post(&APP, ROUTE, &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    // In a stream it is an event, and the last one.
    body["stream"] = json!(true);
    let answer = post(&APP, ROUTE, &body).await;
    let events = answer.events();
    assert_eq!((answer.status, events.len()), (StatusCode::OK, 1));
    assert!(serde_json::from_str::<Value>(events[0]).unwrap()["error"]["message"].is_string(), "{}", events[0]);
}

#[tokio::test]
async fn who_cannot_be_served_is_told_when_to_come_again() {
    let body = json!({"prompt": PROMPT, "max_tokens": 4});
    let loading = App::new(Settings::default());
    let full = app(embedded(), Settings::default(), Options { waiting: 0, ..Options::default() });
    let closing = embedded_app();
    closing.serving().unwrap().scheduler.drain();
    for (app, status) in [(loading, 503), (full, 429), (closing, 503)] {
        let answer = post(&app, ROUTE, &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.headers.contains_key("retry-after"), "{}", answer.body);
    }
}

/// A client that does not read holds its text up, and nobody else's; when it leaves, the text is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_waited_for_and_a_gone_one_is_not() {
    let app = embedded_app();
    let stats = || app.serving().unwrap().scheduler.stats();
    let long = json!({"prompt": "The", "max_tokens": 100_000, "ignore_eos": true, "stream": true, "temperature": 1.5});
    let response = send(&app, ROUTE, &long).await;
    let mut told = 0;
    while stats().generated_tokens > told || told == 0 {
        told = stats().generated_tokens;
        sleep(Duration::from_millis(200)).await;
    }
    let context = app.serving().unwrap().model.engine.context();
    assert!((told as usize) < context - 1, "{told} tokens lie unread");

    let short = json!({"prompt": PROMPT, "max_tokens": 5, "temperature": 0});
    assert_eq!(
        fine(&post(&app, ROUTE, &short).await)["choices"][0]["text"],
        library(PROMPT, "temp=0", "sample", 0, 5).text
    );
    // An answer may be out before its sequence is.
    while stats().live > 1 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((stats().live, stats().cancelled), (1, 0));
    drop(response);
    while stats().live > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stats().cancelled, 1);
}

/// llama.cpp's name: 0 asks for none.
#[tokio::test]
async fn logprobs_go_by_another_name() {
    let messages = json!([{"role": "user", "content": "The"}]);
    for (app, route, prompt) in
        [(&APP, ROUTE, json!({"prompt": PROMPT})), (&CHATTY, CHAT, json!({"messages": messages}))]
    {
        for (n_probs, told) in [(0, false), (2, true)] {
            let mut body = json!({"max_tokens": 1, "n_probs": n_probs});
            body.as_object_mut().unwrap().extend(prompt.as_object().unwrap().clone());
            let answer = fine(&post(app, route, &body).await);
            assert_eq!(answer["choices"][0]["logprobs"].is_object(), told, "{body}");
        }
    }
}

#[tokio::test]
async fn an_empty_prompt_is_bos_alone() {
    let model = &APP.serving().unwrap().model;
    let bos = model.tokenizer.bos().unwrap();
    let answer = fine(&post(&APP, ROUTE, json!({"prompt": "", "seed": 1, "max_tokens": 8, "echo": true})).await);
    let steps = alone(model, &[bos], "", "sample", 1, 8).steps;
    let tokens: Vec<TokenId> = steps.iter().map(|step| step.token).collect();
    assert_eq!(answer["choices"][0]["text"], model.tokenizer.decode(&tokens));
    assert_eq!(answer["usage"]["prompt_tokens"], 1);
}

#[tokio::test]
async fn the_lenient_ignore_strangers() {
    let body = json!({"prompt": PROMPT, "max_tokens": 4, "chat_id": {"a": null}, "seed": 1});
    assert_eq!(post(&APP, ROUTE, &body).await.json()["error"]["param"], "chat_id");
    let lenient = app(embedded(), Settings { lenient: true, ..Settings::default() }, Options::default());
    assert_eq!(
        fine(&post(&lenient, ROUTE, &body).await)["choices"][0]["text"],
        library(PROMPT, "", "sample", 1, 4).text
    );
}
