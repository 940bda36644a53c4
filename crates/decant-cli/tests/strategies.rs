//! `generate --decode`.

mod common;

use common::Place;
use serde_json::Value;

const STRATEGIES: [&str; 9] = [
    "greedy",
    "lookahead(2)",
    "map(6,budget=200)",
    "beam(3)",
    "beam(3,length_penalty=1,rerank=entropy,final=sample)",
    "stochastic_beam(3)",
    "best_of(3,by=self_certainty)",
    "mbr(3,loss=rouge_l)",
    "sample",
];

fn generate(place: &Place, more: &[&str]) -> Vec<Value> {
    place.json(&[&["generate", "The little dog", "--seed", "4", "--max-tokens", "12", "--json"], more].concat())
}

/// Whatever threads and instructions: the same text, and a trace that comes out again.
#[test]
fn every_strategy_replays_and_is_the_same_on_every_tier() {
    let place = Place::new();
    for strategy in STRATEGIES {
        let made = generate(&place, &["--decode", strategy, "--trace", "run.jsonl"]);
        assert_eq!(made, generate(&place, &["--decode", strategy, "--threads", "1", "--isa", "scalar"]), "{strategy}");
        assert!(place.ok(&["trace", "check", "run.jsonl"]).contains("come out again bit for bit"), "{strategy}");
        let outcome = place.read("run.jsonl").lines().any(|line| line.starts_with("{\"outcome\""));
        assert_eq!(outcome, strategy != "sample", "{strategy}");
    }
}

#[test]
fn greedy_is_temperature_zero_and_streams_the_same_text() {
    let place = Place::new();
    let [greedy, cold] = [&["--decode", "greedy"][..], &["--sampler", "temp=0"]].map(|how| generate(&place, how));
    assert_eq!(greedy[0]["ids"], cold[0]["ids"]);
    let text = place.ok(&["generate", "The little dog", "--max-tokens", "12", "--decode", "greedy"]);
    assert_eq!(text.trim_end(), format!("The little dog{}", greedy[0]["text"].as_str().unwrap()));
}

#[test]
fn candidates_are_told_with_their_texts_and_risks() {
    let place = Place::new();
    let made = &generate(&place, &["--decode", "mbr(4,loss=ngram:2)"])[0];
    let candidates = made["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &made["decode"]), (4, &Value::from("mbr(4,loss=ngram:2)")));
    assert_eq!((&candidates[0]["text"], &candidates[0]["tokens"]), (&made["text"], &made["ids"]));
    let risks: Vec<f64> = candidates.iter().map(|candidate| candidate["risk"].as_f64().unwrap()).collect();
    assert!(risks.is_sorted() && made["cost"]["calls"].as_u64() > Some(4));
}

#[test]
fn a_search_without_proof_says_so() {
    let place = Place::new();
    let output = place.run(&["generate", "The", "--decode", "map(24,budget=40)", "--json"]);
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["proven"], false);
    assert!(made["bound"].as_f64() > made["candidates"][0]["logprob"].as_f64());
    assert!(String::from_utf8(output.stderr).unwrap().contains("warning: map(24,budget=40): not proven"));
    assert_eq!(generate(&place, &["--decode", "map(2)"])[0]["proven"], true);
}

#[test]
fn stop_strings_end_candidates_too() {
    let place = Place::new();
    for strategy in ["map(9)", "beam(3)", "best_of(3)"] {
        let made = &generate(&place, &["--decode", strategy, "--stop", "a", "--trace", "run.jsonl"])[0];
        assert!(!made["text"].as_str().unwrap().contains('a'), "{strategy}");
        for candidate in made["candidates"].as_array().unwrap() {
            assert!(!candidate["text"].as_str().unwrap().contains('a'), "{strategy}");
        }
        place.ok(&["trace", "check", "run.jsonl"]);
    }
}

#[test]
fn a_wrong_strategy_names_what_is_wrong() {
    let place = Place::new();
    let error = |strategy| {
        let output = place.run(&["generate", "x", "--decode", strategy]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error("bim(3)").contains("`bim` is not a strategy; known are sample, greedy"));
    assert!(error("beam(0)").contains("beam: width must be an integer >= 1; given `0`"));
}
