//! `decant generate` with the embedded model.

mod common;

use common::{Place, lines};
use decant_models::gguf::Gguf;
use serde_json::Value;

const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../decant-models/assets/decant-stories.gguf");

const STORY: [&str; 6] = ["generate", "Once upon a time", "--max-tokens", "24", "--seed", "7"];

fn story(more: &[&str]) -> Vec<&'static str> {
    let more = more.iter().map(|arg| &*arg.to_string().leak());
    STORY.into_iter().chain(more).collect()
}

#[test]
fn one_seed_is_one_text() {
    let place = Place::new();
    let text = place.ok(&STORY);
    assert!(text.starts_with("Once upon a time") && text.ends_with('\n') && text.len() > 40, "{text}");
    let same: [&[&str]; 5] = [
        &[],
        &["--threads", "1"],
        &["--threads", "2"],
        &["--isa", "scalar"],
        &["--sampler", "temperature=1.0,top_h=0.40"],
    ];
    for more in same {
        assert_eq!(place.ok(&story(more)), text, "{more:?}");
    }
    let other = place.ok(&["generate", "Once upon a time", "--max-tokens", "24", "--seed", "8"]);
    assert_ne!(other, text);
}

#[test]
fn samples_equal_single_runs_with_their_seeds() {
    let place = Place::new();
    let samples = place.json(&story(&["-n", "8", "--json"]));
    assert_eq!(samples.len(), 8);
    for (number, sample) in samples.iter().enumerate() {
        let seed = sample["seed"].as_u64().unwrap();
        assert_eq!(seed, 7 + number as u64);
        let single =
            place.json(&["generate", "Once upon a time", "--max-tokens", "24", "--json", "--seed", &seed.to_string()]);
        assert_eq!(single, std::slice::from_ref(sample));
    }
    let distinct: std::collections::BTreeSet<_> = samples.iter().map(|sample| sample["text"].to_string()).collect();
    assert!(distinct.len() > 4, "{distinct:?}");

    let text = place.ok(&story(&["-n", "2"]));
    assert!(text.starts_with("== sample 1 of 2, seed 7 ==\nOnce upon"), "{text}");
    assert!(text.contains("\n\n== sample 2 of 2, seed 8 ==\nOnce upon"), "{text}");
}

#[test]
fn json_says_all() {
    let place = Place::new();
    let sample = &place.json(&story(&["--json"]))[0];
    let keys: Vec<&String> = sample.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["finish", "ids", "prompt_ids", "sampler", "seed", "text"]);
    assert_eq!(sample["sampler"], "temp=1,top_h=0.4");
    assert_eq!((&sample["finish"], &sample["seed"]), (&"length".into(), &7.into()));
    assert_eq!(sample["ids"].as_array().unwrap().len(), 24);
    let printed = place.ok(&STORY);
    assert_eq!(
        printed,
        format!("Once upon a time{}\n", sample["text"].as_str().unwrap()),
        "the text is without the prompt"
    );
    let prompt = &place.json(&["tokenize", "Once upon a time", "--json"])[0];
    assert_eq!(sample["prompt_ids"], prompt["ids"]);
    let ids: Vec<String> = sample["ids"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(place.ok(&story(&["--ids"])), ids.join(",") + "\n");
    assert_eq!(place.json(&["detokenize", &ids.join(","), "--json"])[0]["text"], sample["text"]);
}

#[test]
fn a_seed_is_always_told() {
    let place = Place::new();
    let args = ["generate", "A dog", "--max-tokens", "8"];
    let output = place.run(&args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let seed = stderr.strip_prefix("seed ").and_then(|rest| rest.split(',').next()).unwrap();
    assert_eq!(place.ok(&[&args[..], &["--seed", seed]].concat()).into_bytes(), output.stdout);
    assert_eq!(place.run(&[&args[..], &["--quiet"]].concat()).stderr, b"");
}

#[test]
fn prompts_come_from_anywhere() {
    let place = Place::new();
    let [generate, _, rest @ ..] = STORY;
    let text = place.ok(&STORY);
    assert_eq!(place.ok_with(&[&[generate], &rest[..]].concat(), "Once upon a time\n"), text);
    assert_eq!(place.ok_with(&[&[generate, "-"], &rest[..]].concat(), "Once upon a time"), text);
    let from_bos = &place.json(&[&[generate, "", "--json"], &rest[..]].concat())[0];
    assert_eq!(from_bos["prompt_ids"].as_array().unwrap().len(), 1, "BOS alone");
    assert_eq!(from_bos["ids"].as_array().unwrap().len(), 24);
}

#[test]
fn stop_strings_end_the_text_before_them() {
    let place = Place::new();
    let whole = place.json(&story(&["--json"]))[0]["text"].as_str().unwrap().to_owned();
    // The middle of the text, wherever its tokens are cut.
    let stop = &whole[whole.len() / 2..whole.len() / 2 + 4];
    let sample = &place.json(&story(&["--json", "--stop", "never there", "--stop", stop]))[0];
    assert_eq!(sample["text"], whole[..whole.find(stop).unwrap()]);
    assert_eq!(sample["finish"], "stop");
    assert!(sample["ids"].as_array().unwrap().len() < 24);
    assert!(place.err(2, &story(&["--stop", ""])).contains("--stop"));
}

#[test]
fn the_context_is_the_limit() {
    let place = Place::new();
    let sample =
        &place.json(&["generate", "Once", "--max-tokens", "100000", "--ignore-eos", "--json", "--seed", "1"])[0];
    let count = |key: &str| sample[key].as_array().unwrap().len();
    assert_eq!((count("ids") + count("prompt_ids"), &sample["finish"]), (512, &"length".into()));
    let error = place.err(1, &["generate", &"a long prompt ".repeat(400)]);
    assert!(error.contains("the model's context only 512"), "{error}");
    let none = &place.json(&["generate", "Once", "--max-tokens", "0", "--json"])[0];
    assert_eq!((&none["text"], &none["finish"]), (&"".into(), &"length".into()));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let place = Place::new();
    assert_eq!(place.ok(&story(&["--show", "entropy"])), place.ok(&STORY), "a pipe is no terminal");
    let coloured = place.ok(&story(&["--show", "entropy", "--color", "always"]));
    assert!(coloured.contains("\x1b[48;5;") && coloured.contains("nats"), "{coloured}");
    let mut plain = String::new();
    for (index, part) in coloured.split('\x1b').enumerate() {
        plain += if index == 0 { part } else { part.split_once('m').unwrap().1 };
    }
    assert!(plain.starts_with(place.ok(&STORY).trim_end()), "{plain}");
}

#[test]
fn wrong_command_lines() {
    let place = Place::new();
    assert!(place.err(2, &["generate", "x", "--sampler", "top_h=1.4"]).contains("top_h must be"));
    assert!(place.err(2, &["generate", "x", "--num", "0"]).contains("--num"));
    assert!(place.err(2, &["generate", "x", "--threads", "0"]).contains("--threads"));
    assert!(place.err(2, &["generate", "x", "--isa", "sse"]).contains("--isa"));
    assert!(place.err(2, &["generate", "x", "--chat", "--raw"]).contains("--chat"));
    assert!(place.err(2, &["generate", "x", "--chat"]).contains("has no chat template"));
    assert!(place.err(1, &["generate", "x", "-m", "absent.gguf"]).contains("absent.gguf"));
    assert!(place.err(1, &["generate", "x", "--trace", "no/such/folder.jsonl"]).contains("no/such/folder.jsonl"));
    assert!(place.err(2, &["generate", "x", "-m", "hf:nobody"]).contains("hf:nobody"));
    assert!(place.err(1, &["generate", "x", "-m", "hf:nobody/nothing"]).contains("nobody/nothing"));
    assert!(place.err(2, &["conjure"]).contains("conjure"));
}

/// The embedded model with a NaN in its last norm, so that every logit is one.
fn poisoned(place: &Place) {
    let mut bytes = std::fs::read(EMBEDDED).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    let start = gguf.range(gguf.tensor("output_norm.weight").unwrap()).unwrap().start;
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    place.write("poisoned.gguf", bytes);
}

#[test]
fn a_row_of_nan_loses_nothing() {
    let place = Place::new();
    poisoned(&place);
    let args = story(&["-m", "poisoned.gguf", "--trace", "t.jsonl"]);
    assert!(place.err(1, &args).contains("at generated token 0: the logit of token 0 is NaN"));
    assert_eq!(place.run(&args).stdout, b"Once upon a time\n");
    assert_eq!(lines(&place.read("t.jsonl")).len(), 1, "the header");
    let output = place.run(&[&args[..], &["--json"]].concat());
    let sample = &lines(&String::from_utf8(output.stdout).unwrap())[0];
    assert_eq!((&sample["text"], &sample["finish"]), (&"".into(), &Value::Null));
    assert!(sample["error"].as_str().unwrap().contains("is NaN"), "{sample}");
}

#[test]
fn a_broken_model_file_is_named_once() {
    let place = Place::new();
    let embedded = std::fs::read(EMBEDDED).unwrap();
    let error = |name: &str, bytes: &[u8]| {
        place.write(name, bytes);
        place.err(1, &["generate", "x", "-m", name])
    };
    let cut = error("cut.gguf", &embedded[..embedded.len() / 2]);
    assert!(cut.starts_with("error: cut.gguf: ") && cut.matches("tensor").count() == 1, "{cut}");
    assert!(error("header.gguf", &embedded[..5000]).contains("header.gguf"));
    assert!(error("text.gguf", b"no model at all").contains("text.gguf: this is no GGUF file"));
    assert!(error("empty.gguf", b"").contains("empty.gguf"));
}

/// The embedded model with a chat template in its header.
fn chatty(place: &Place, template: &str) {
    let embedded = std::fs::read(EMBEDDED).unwrap();
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut field = [text("tokenizer.chat_template"), 8u32.to_le_bytes().to_vec()].concat();
    // A comment fills it up to the alignment of the tensors, so that they stay where the header says.
    let fill = 32 - (field.len() + 8 + template.len() + 4) % 32;
    field.extend(text(&format!("{template}{{#{}#}}", " ".repeat(fill))));
    // Magic, version, how many tensors; how many fields; the fields.
    let fields = u64::from_le_bytes(embedded[16..24].try_into().unwrap());
    place.write("chatty.gguf", [&embedded[..16], &(fields + 1).to_le_bytes(), &field, &embedded[24..]].concat());
}

#[test]
fn a_chat_template_frames_the_prompt() {
    let place = Place::new();
    chatty(
        &place,
        "{{ bos_token }}{% for message in messages %}{{ message.role }} says: {{ message.content }}\n{% endfor %}bot says:",
    );
    let chat = ["generate", "Hello", "-m", "chatty.gguf", "--seed", "7", "--max-tokens", "12"];
    let json = |more: &[&str]| place.json(&[&chat[..], &["--json"], more].concat()).remove(0);
    let sample = json(&[]);
    let ids = |text: &str| place.json(&["tokenize", text, "--json"])[0]["ids"].clone();
    assert_eq!(sample["prompt_ids"], ids("user says: Hello\nbot says:"), "and BOS once");
    assert_eq!(sample, json(&["--chat"]));
    assert_eq!(place.ok(&chat), format!("{}\n", sample["text"].as_str().unwrap()), "the answer stands for itself");
    assert_eq!(json(&["--raw"])["prompt_ids"], ids("Hello"));
    let empty = &place.json(&["generate", "", "-m", "chatty.gguf", "--max-tokens", "1", "--json"])[0];
    assert_eq!(empty["prompt_ids"].as_array().unwrap().len(), 1, "BOS alone");
    assert!(place.ok(&[&chat[..], &["--raw"]].concat()).starts_with("Hello"));
    chatty(&place, "{{ raise_exception('only greetings') }}");
    assert!(place.err(1, &chat).contains("only greetings"));
}

#[test]
fn rows_of_the_model_feed_pick() {
    let place = Place::new();
    let sample = &place.json(&story(&["--json"]))[0];
    let ids: Vec<String> =
        ["prompt_ids", "ids"].iter().flat_map(|key| sample[key].as_array().unwrap()).map(Value::to_string).collect();
    let prompt = sample["prompt_ids"].as_array().unwrap().len();
    // The row after the prompt, drawn at position 0 of the seed, is the first token of the text.
    place.ok(&["logits", "Once upon a time", "-o", "prompt.npy"]);
    place.ok(&["logits", "--ids", &ids[..prompt].join(","), "-o", "ids.npy"]);
    let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("prompt.npy"), bytes("ids.npy"));
    let rows = place.json(&["pick", "--logits", "prompt.npy", "--json"]);
    assert_eq!(rows.len(), prompt);
    // All rows of the text, from the last of the prompt on, draw the text again.
    place.ok(&["logits", "--ids", &ids.join(" "), "-o", "all.npy"]);
    let all = bytes("all.npy");
    let header = 10 + usize::from(u16::from_le_bytes([all[8], all[9]]));
    let row = (all.len() - header) / ids.len();
    let numbers: Vec<f32> = all[header + (prompt - 1) * row..]
        .chunks_exact(4)
        .map(|le| f32::from_le_bytes(le.try_into().unwrap()))
        .collect();
    place.npy("text.npy", &format!("({}, {})", ids.len() - prompt + 1, row / 4), &numbers);
    let picked = place.json(&["pick", "--logits", "text.npy", "--json", "--seed", "7"]);
    let tokens: Vec<String> = picked.iter().map(|row| row["token"].to_string()).collect();
    assert_eq!(tokens[..ids.len() - prompt], ids[prompt..]);

    assert!(place.err(1, &["logits", "--ids", "1,99999", "-o", "no.npy"]).contains("token 99999 at position 1"));
    assert!(!place.path("no.npy").exists(), "nothing is begun that cannot be finished");
    assert!(place.err(2, &["logits", "--ids", "1,x", "-o", "no.npy"]).contains("`x` is no token id"));
    assert!(place.err(2, &["logits", "--ids", "", "-o", "no.npy"]).contains("--ids"));
}

#[test]
fn tokens_and_back() {
    let place = Place::new();
    let text = "The owl said: \"Ünïcode — 🦉!\"";
    let tokens = &place.json(&["tokenize", text, "--json"])[0];
    let ids: Vec<String> = tokens["ids"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), ids.len());
    assert_eq!(place.ok(&["detokenize", &ids.join(" ")]), format!("{text}\n"));
    assert_eq!(
        lines(&place.ok(&[&["detokenize", "--json"], &ids.iter().map(|id| &**id).collect::<Vec<_>>()[..]].concat()))[0]
            ["text"],
        text
    );
    assert_eq!(place.ok(&["tokenize", text]).lines().count(), ids.len());
    assert!(place.err(1, &["detokenize", "4000000000"]).contains("4000000000"));
    assert!(place.err(2, &["detokenize", "-5"]).contains("-5"));
}

#[test]
fn breakers_are_found_by_the_model_s_tokenizer() {
    let place = Place::new();
    let story = |sampler: &str, trace: &str| {
        let prompt = ["generate", "The cat. The cat. The cat. The", "--max-tokens", "12", "--seed", "3"];
        place.ok(&[&prompt[..], &["--sampler", sampler, "--trace", trace]].concat())
    };
    assert!(story("temp=0", "free.jsonl").contains("The cat. The cat. The cat. The cat"));
    let dry = story("dry=5:allowed=1:breakers=(),temp=0", "dry.jsonl");
    assert!(!dry.contains("The cat. The cat. The cat. The cat"), "{dry}");
    // " c" is no token, but begins " cat", which so becomes a breaker and goes free.
    let broken = story(r#"dry=5:allowed=1:breakers=(" c"),temp=0"#, "broken.jsonl");
    assert!(broken.contains("The cat. The cat. The cat. The cat"), "{broken}");
    assert!(place.read("broken.jsonl").contains(r#""sampler":"dry=5:allowed=1:breakers=(\" c\"),temp=0""#));
    for trace in ["dry.jsonl", "broken.jsonl"] {
        assert!(place.ok(&["trace", "check", trace]).contains("bit for bit"));
    }
}
