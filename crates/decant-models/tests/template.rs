//! Chat templates against what Jinja itself makes of them (`fixtures/templates/make.py`).

mod common;

use std::path::{Path, PathBuf};

use common::gguf::{Field, File};
use decant_models::gguf::Gguf;
use decant_models::template::{ChatTemplate, Message, Moment, TemplateError};
use decant_models::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates").join(name)
}

fn template(name: &str) -> ChatTemplate {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, token)| (name.to_owned(), token.to_owned()));
    ChatTemplate::new(&std::fs::read_to_string(fixture(name)).unwrap(), tokens)
}

#[derive(Deserialize)]
struct Expected {
    unix: i64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Message>,
    prompt: bool,
    text: Option<String>,
    refused: Option<String>,
}

#[test]
fn templates_render_as_in_jinja() {
    let expected: Expected = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let now = Some(Moment::from_unix(expected.unix));
    let mut refusals = 0;
    for Case { template: name, messages, prompt, text, refused } in expected.cases {
        let rendered = template(&name).render(&messages, prompt, now);
        match refused {
            None => assert_eq!(rendered.unwrap(), text.unwrap(), "{name}"),
            Some(message) => {
                assert_eq!(rendered, Err(TemplateError::Refused { message }));
                refusals += 1;
            }
        }
    }
    assert_eq!(refusals, 4);
}

#[test]
fn without_a_date_a_careful_template_takes_its_own() {
    let messages = [Message::new("user", "Hello")];
    let text = template("llama3.jinja").render(&messages, true, None).unwrap();
    assert!(text.contains("Today Date: 26 Jul 2024"), "{text}");
    let careless = ChatTemplate::new("{{ strftime_now('%Y') }}", []);
    assert!(careless.render(&messages, true, None).is_err());
    let unknown = ChatTemplate::new("\n{{ strftime_now('%Q') }}", []);
    let error = unknown.render(&messages, true, Some(Moment::from_unix(0))).unwrap_err();
    assert_eq!(error.to_string(), "line 2 of the chat template: invalid operation: strftime_now does not know `%Q`");
}

#[test]
fn what_is_no_template_says_where() {
    let render = |source: &str| ChatTemplate::new(source, []).render(&[Message::new("user", "x")], false, None);
    let error = render("a\n{% if %}").unwrap_err();
    assert!(error.to_string().starts_with("line 2 of the chat template: syntax error"), "{error}");
    assert!(render(&format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
    assert!(render("{{ messages[0].content.no_such_method() }}").is_err());
}

#[test]
fn folders_keep_templates_in_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let render = || {
        let template = ChatTemplate::from_folder(folder.path()).unwrap()?;
        Some(template.render(&[Message::new("user", "x")], false, None).unwrap())
    };
    assert_eq!(render(), None);
    let source = "{{ bos_token }}{{ eos_token }}{{ messages[0].content }}";
    let tokens = json!({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "add_bos_token": true});
    let with = |template: serde_json::Value| {
        let mut config = tokens.clone();
        config["chat_template"] = template;
        config.to_string()
    };
    write("tokenizer_config.json", tokens.to_string());
    assert_eq!(render(), None);
    write("tokenizer_config.json", with(json!(source)));
    assert_eq!(render().unwrap(), "<s></s>x");
    write(
        "tokenizer_config.json",
        with(json!([{"name": "rag", "template": "y"}, {"name": "default", "template": source}])),
    );
    assert_eq!(render().unwrap(), "<s></s>x");
    write("chat_template.jinja", "own {{ eos_token }}".into());
    assert_eq!(render().unwrap(), "own </s>");
}

#[test]
fn gguf_files_carry_their_template() {
    let file = File::default()
        .with("tokenizer.ggml.model", Field::Text("llama".into()))
        .with("tokenizer.ggml.tokens", Field::Texts(["<unk>", "<s>", "</s>", "x"].map(str::to_owned).to_vec()))
        .with("tokenizer.ggml.scores", Field::F32s(vec![0.0; 4]))
        .with("tokenizer.ggml.token_type", Field::I32s(vec![2, 3, 3, 1]))
        .with("tokenizer.ggml.bos_token_id", Field::U32(1))
        .with("tokenizer.ggml.eos_token_id", Field::U32(2))
        .with("tokenizer.chat_template", Field::Text("{{ bos_token ~ messages[0].content ~ eos_token }}".into()));
    let bytes = file.bytes();
    let gguf = Gguf::parse(&bytes).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let template = ChatTemplate::from_gguf(&gguf, &tokenizer).unwrap().unwrap();
    let text = template.render(&[Message::new("user", "x")], true, None).unwrap();
    assert_eq!(text, "<s>x</s>");
    // The template has written BOS out, so the text is encoded without adding another.
    let ids = tokenizer.encode(&text, false).unwrap();
    assert_eq!((ids.first(), ids.last()), (Some(&1), Some(&2)));
    assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 1);
}
