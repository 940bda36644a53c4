//! `decant bench` on vocabularies so small that it takes no time.

mod common;

use common::Place;
use serde_json::Value;

const QUICK: [&str; 7] = ["bench", "sampler", "--quiet", "--runs", "15", "--rows", "warm"];

fn lines(place: &Place, args: &[&str]) -> Vec<Value> {
    place.json(&[&QUICK[..], args, &["--json"]].concat())
}

#[test]
fn json_has_the_fields_and_plausible_numbers() {
    let place = Place::new();
    let lines = lines(&place, &["--vocab", "3000,4000", "--sampler", "temp=1,top_h=0.4", "--sampler", "top_k=5"]);
    assert_eq!(lines.len(), 2 * 3 * 2, "vocabularies, regimes, samplers");
    for line in &lines {
        let mut keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort();
        let expected = [
            "allocations",
            "batch",
            "floor_us",
            "kept",
            "observe",
            "ratio",
            "regime",
            "rows",
            "sampler",
            "threads",
            "us",
            "vocab",
        ];
        assert_eq!(keys, expected);
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("floor_us") > 0.0 && number("us") > 0.0, "{line}");
        assert!((number("ratio") - number("us") / number("floor_us")).abs() < 0.02 * number("ratio"), "{line}");
        assert_eq!((number("allocations"), number("batch"), number("threads")), (0.0, 1.0, 1.0), "{line}");
        assert_eq!((&line["observe"], &line["rows"]), (&"entropy".into(), &"warm".into()));
    }
    assert_eq!(
        (&lines[0]["vocab"], &lines[0]["regime"], &lines[0]["sampler"]),
        (&3000.into(), &"peaked".into(), &"temp=1,top_h=0.4".into())
    );
    assert!(lines.iter().filter(|line| line["sampler"] == "top_k=5").all(|line| line["kept"] == 5));
    let kept = |i: usize| lines[i]["kept"].as_u64().unwrap();
    assert!(kept(0) <= kept(2) && kept(2) < kept(4), "the flatter the row, the more Top-H keeps");
}

#[test]
fn batches_and_observers() {
    let place = Place::new();
    let args = ["--vocab", "1000", "--regime", "medium", "--sampler", "min_p=0.1", "--batch", "20", "--threads", "2"];
    let one = lines(&place, &args[..6]);
    let [batch] = &lines(&place, &args)[..] else { panic!("one line") };
    assert_eq!((&batch["batch"], &batch["threads"]), (&20.into(), &2.into()));
    let ratio = batch["floor_us"].as_f64().unwrap() / one[0]["floor_us"].as_f64().unwrap();
    assert!((4.0..100.0).contains(&ratio), "twenty rows take about twenty times as long: {ratio}");
    let nothing = lines(&place, &[&args[..6], &["--observe", "nothing"]].concat());
    assert_eq!((&nothing[0]["observe"], &nothing[0]["kept"]), (&"nothing".into(), &one[0]["kept"]));
}

#[test]
fn the_table_of_all_kinds_on_one_regime() {
    let place = Place::new();
    let args = ["--vocab", "3000", "--regime", "flat"];
    let table = lines(&place, &args);
    let samplers: Vec<&str> = table.iter().map(|line| line["sampler"].as_str().unwrap()).collect();
    for sampler in ["temp=1,top_h=0.4", "temp=1,top_p=0.9", "top_k=50", "temp=0", "temp=1"] {
        assert!(samplers.contains(&sampler), "{samplers:?}");
    }
    assert!(table.iter().any(|line| line["observe"] == "nothing"));
    // Mirostat's surprise may still be wandering after so few runs, and with it what is kept.
    let settled = |line: &&Value| !line["sampler"].as_str().unwrap().starts_with("mirostat");
    assert!(table.iter().filter(settled).all(|line| line["allocations"] == 0), "{table:?}");
    let told = place.ok(&[&QUICK[..], &args].concat());
    assert!(told.contains("flat rows: H = 7.5 nats, vocabulary 3000") && told.contains("ratio"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("temp=1,top_h=0.4 ")), "{told}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let error = |args: &[&str]| place.err(2, &[&QUICK[..], &["--sampler", "temp=1"], args].concat());
    assert!(error(&["--vocab", "1000", "--regime", "flat"]).contains("an entropy of 7.5 nats needs 1809 tokens"));
    assert!(error(&["--batch", "0"]).contains("batch"));
    assert!(error(&["--regime", "steep"]).contains("known: peaked, medium, flat"));
    assert!(error(&["--sampler", "wonder=1"]).contains("wonder"));
    assert!(error(&["--vocab", "0"]).contains("vocab"));
}

#[test]
fn the_engine_against_the_machine() {
    let place = Place::new();
    let tiny = ["bench", "engine", "--quiet", "--json", "--seconds", "0", "--batch", "1,3"];
    let kept = ["--shape", "tiny", "--type", "q5_k", "--keep", "tiny.gguf", "--threads", "1,2", "--prefill", "20"];
    let lines = place.json(&[&tiny[..], &kept].concat());
    let asked: Vec<[u64; 3]> = lines
        .iter()
        .map(|line| ["threads", "batch", "prefill"].map(|key| line[key].as_u64().unwrap_or_default()))
        .collect();
    assert_eq!(asked, [[1, 1, 0], [1, 3, 0], [1, 0, 20], [2, 1, 0], [2, 3, 0], [2, 0, 20]]);
    for line in &lines {
        assert_eq!(line["model"], "random tiny q5_k");
        let number = |key: &str| line[key].as_f64().unwrap();
        for key in ["read_gb_per_s", "floats_gop_per_s", "bytes_gop_per_s", "weights_gb_per_s", "tokens_per_s"] {
            assert!(number(key) > 0.0, "{key}: {line}");
        }
        assert!(number("best_ms") <= number("ms") && number("of_floats") < 1.0, "{line}");
        let ratio = number("weights_gb_per_s") / number("read_gb_per_s");
        assert!((number("of_read") - ratio).abs() <= 0.01 * ratio + 1e-4, "{line}");
    }
    // What was kept is a model as any other; told to keep keys and values in f16, the engine does.
    let again = ["--model", "tiny.gguf", "--kv", "f16", "--threads", "1", "--prefill", "0"];
    let [one, three] = &place.json(&[&tiny[..], &again].concat())[..] else { panic!("two lines") };
    assert_eq!((&one["model"], &one["kv"], &three["batch"]), (&"random tiny q5_k".into(), &"f16".into(), &3.into()));
    assert!(place.ok(&["detokenize", "-m", "tiny.gguf", "4095"]).contains("w4095"));
}

#[test]
fn what_the_engine_cannot_be_measured_on_is_refused() {
    let place = Place::new();
    let error = |args: &[&str]| place.err(2, &[&["bench", "engine", "--quiet"], args].concat());
    assert!(error(&["--shape", "huge"]).contains("known: 1b, small, tiny"));
    assert!(error(&["--shape", "tiny", "--type", "q9"]).contains("q4_k_m"));
    assert!(error(&["--type", "f32"]).contains("--shape"));
    assert!(error(&["--model", "embedded", "--shape", "tiny"]).contains("cannot be used with"));
    assert!(error(&["--seconds=-1"]).contains("seconds"));
    assert!(error(&["--kv", "f64"]).contains("known: f32, f16, q8_0"));
    assert!(place.err(1, &["bench", "engine", "--quiet", "--context", "9999"]).contains("context"));
}

#[test]
fn the_server_beside_the_engine_alone() {
    let place = Place::new();
    let args = ["bench", "server", "--quiet", "--streams", "1,3", "--tokens", "6", "--prompt", "20", "--rounds", "2"];
    let lines = place.json(&[&args[..], &["--threads", "1", "--json"]].concat());
    let streams: Vec<_> = lines.iter().map(|line| line["streams"].as_u64().unwrap()).collect();
    assert_eq!(streams, [0, 1, 3]);
    for line in &lines {
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("tokens_per_s") > 0.0 && number("first_token_ms") > 0.0, "{line}");
        let of = number("tokens_per_s") / lines[0]["tokens_per_s"].as_f64().unwrap();
        assert!((number("of") - of).abs() < 0.01 + 0.01 * of, "{line}");
        match line["samplers"].as_f64() {
            Some(share) => assert!(line["streams"] != 0 && (0.0..1.0).contains(&share), "{line}"),
            None => assert_eq!(line["streams"], 0),
        }
    }
    let text = place.ok(&[&args[..], &["--threads", "1"]].concat());
    assert!(text.contains("engine alone") && text.contains("\n3 streams "), "{text}");
}

#[test]
fn a_prompt_beyond_the_context_is_refused() {
    let place = Place::new();
    let error = place.err(1, &["bench", "server", "--tokens", "4000", "--prompt", "4000"]);
    assert!(error.contains("8000 tokens; the model's context is"), "{error}");
}
