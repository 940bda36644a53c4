//! `decant lab chain`.

mod common;

use common::Place;
use serde_json::{Value, json};

fn near(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-9
}

/// GOALS's two-step example: greedy takes 0 (.51) and is right with .051, MAP takes (1, 2) and is right with .49.
fn two_steps() -> Value {
    let row = |ones: &[usize]| {
        (0..12).map(|v| if ones.contains(&v) { 1.0 / ones.len() as f64 } else { 0.0 }).collect::<Vec<f64>>()
    };
    let mut transition = vec![row(&[0]); 12];
    transition[0] = row(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    transition[1] = row(&[2]);
    let start: Vec<f64> = [0.51, 0.49].into_iter().chain([0.0; 10]).collect();
    json!({"start": start, "transition": transition, "length": 2})
}

#[test]
fn the_two_step_example() {
    let place = Place::new();
    place.write("chains.json", json!([two_steps()]).to_string());
    let args = ["lab", "chain", "--file", "chains.json", "--json", "--loss", "exact", "--loss", "cross_entropy"];
    let decoders = ["--decoder", "greedy", "--decoder", "map", "--decoder", "sample", "--decoder", "temp:1.50"];
    let told = place.json(&[&args[..], &decoders].concat()).remove(0);
    let [exact, cross] = told.as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&exact["chain"], &exact["loss"], &exact["optimal"]), (&json!(0), &json!("exact"), &json!([1, 2])));
    assert!(near(&exact["optimal_risk"], 0.51));
    let by = |judged: &Value, i: usize| judged["decoders"][i].clone();
    let (greedy, map, sample) = (by(exact, 0), by(exact, 1), by(exact, 2));
    assert!(near(&greedy["risk"], 0.949) && near(&greedy["regret"], 0.439), "{greedy}");
    assert_eq!((&greedy["decoder"], &greedy["output"]), (&json!("greedy"), &json!([0, 2])));
    assert!(near(&map["risk"], 0.51) && near(&map["regret"], 0.0), "{map}");
    assert!(near(&sample["risk"], 1.0 - 10.0 * 0.051 * 0.051 - 0.49 * 0.49), "{sample}");
    assert_eq!((&sample["output"], sample.get("infinite")), (&Value::Null, None));
    // A decoder goes by the name that it was asked for.
    assert_eq!(by(exact, 3)["decoder"], "temp:1.50");
    let entropy = -0.49 * 0.49f64.ln() - 0.51 * 0.051f64.ln();
    assert!(near(&cross["optimal_risk"], entropy) && cross["optimal"].is_null());
    assert_eq!(
        by(cross, 1),
        json!({"decoder": "map", "risk": null, "regret": null, "output": [1, 2], "infinite": true})
    );
    assert!(near(&by(cross, 2)["regret"], 0.0) && by(cross, 3)["regret"].as_f64().unwrap() > 1e-6);
}

#[test]
fn losses_and_decoders_by_default() {
    let place = Place::new();
    let one = json!({"start": [0.5, 0.5], "transition": [[1, 0], [0, 1]], "length": 1});
    let table = json!({"joint": [{"sequence": [0, 1, 2], "p": 0.7}, {"sequence": [2, 1, 0], "p": 0.3}], "vocab": 3});
    place.write("laws.json", json!([one, two_steps(), table]).to_string());
    let told = place.json(&["lab", "chain", "--file", "laws.json", "--json"]).remove(0);
    let met: Vec<(u64, &str)> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|judged| {
            assert_eq!(judged["decoders"].as_array().unwrap().len(), 13);
            (judged["chain"].as_u64().unwrap(), judged["loss"].as_str().unwrap())
        })
        .collect();
    let all = ["exact", "hamming", "ngram:2", "cross_entropy"];
    let expected: Vec<(u64, &str)> = (0..3).flat_map(|chain| all.map(|loss| (chain, loss))).collect();
    assert_eq!(met, expected.into_iter().filter(|met| *met != (0, "ngram:2")).collect::<Vec<_>>());
    assert_eq!(told[8]["optimal"], json!([0, 1, 2]), "{}", told[8]);
    let table = place.ok(&["lab", "chain", "--file", "laws.json"]);
    assert!(table.contains("chain 1, exact: the least risk is 0.510000, by 1 2"), "{table}");
    assert!(table.contains("inf") && table.contains("drawn"), "{table}");
}

#[test]
fn what_is_wrong_is_named() {
    let place = Place::new();
    let good = json!({"start": [0.5, 0.5], "transition": [[1, 0], [0.5, 0.5]], "length": 3});
    let with = |field: &str, value: Value| {
        let mut chain = good.clone();
        chain[field] = value;
        json!([good, chain]).to_string()
    };
    let half = json!([0.5, 0.5]);
    for (text, told) in [
        (with("start", json!([0.5, 0.4])), "chain 1: start: the probabilities sum to 0.9"),
        (with("start", json!([1.5, -0.5])), "chain 1: start[0]: 1.5"),
        (with("start", json!([0.5, null])), "chain 1: start: invalid type: null"),
        (with("start", json!("flat")), "chain 1: start: invalid type"),
        (with("transition", json!([half, [0.5, 0.5000021]])), "chain 1: transition[1]: the probabilities sum to"),
        (with("transition", json!([half])), "chain 1: transition: has 1 entries where there must be 2"),
        (with("transition", json!([half, [1]])), "chain 1: transition[1]: has 1 entries where there must be 2"),
        (with("length", json!(0)), "chain 1: length: must not be 0"),
        (with("length", json!(-3)), "chain 1: length: invalid value"),
        (with("length", json!(2.5)), "chain 1: length: invalid type"),
        (with("length", json!(u64::MAX)), "chain 1: a length of 18446744073709551615 is too large"),
        (with("lenght", json!(3)), "chain 1: lenght: is none of start, transition, length"),
        (json!([{"start": [1], "transition": [[1]]}]).to_string(), "chain 0: length: is missing"),
        (
            json!([{"joint": [{"sequence": [2], "p": 1}], "vocab": 2}]).to_string(),
            "chain 0: joint[0].sequence: token 2",
        ),
        (json!([{"joint": [{"sequence": [0], "p": 1}]}]).to_string(), "chain 0: vocab: is missing"),
        (good.to_string(), "invalid type: map, expected a sequence"),
        (json!([good]).to_string().replace("0.5,0.5", "0.5,NaN"), "\"start\":[0.5,N"),
        (String::new(), "EOF"),
    ] {
        place.write("chains.json", &text);
        let error = place.err(2, &["lab", "chain", "--file", "chains.json"]);
        assert!(error.contains(told) && error.contains("chains.json"), "{text}: {error}");
    }
    place.write("chains.json", json!([good]).to_string());
    for (flags, told) in [
        (["--loss", "zero-one"], "loss: `zero-one` is none of exact, hamming"),
        (["--loss", "ngram:4"], "chain 0: loss ngram:4: windows of 4 tokens do not fit a length of 3"),
        (["--decoder", "viterbi"], "decoder: `viterbi` is none of greedy"),
        (["--decoder", "lookahead:0"], "decoder: `lookahead:0`"),
        (["--decoder", "temp:-1"], "decoder temp:-1: temp"),
        (["--decoder", "sampler:top_p=2"], "decoder sampler:top_p=2: top_p"),
        (["--decoder", "sampler:mirostat=2"], "stage mirostat is not worked out exactly"),
    ] {
        let error = place.err(2, &[&["lab", "chain", "--file", "chains.json"][..], &flags].concat());
        assert!(error.contains(told), "{flags:?}: {error}");
    }
    assert!(place.err(1, &["lab", "chain", "--file", "none.json"]).contains("cannot read none.json"));
    let uniform = vec![1.0 / 40.0; 40];
    let large = json!([{"start": uniform, "transition": vec![uniform.clone(); 40], "length": 20}]);
    place.write("large.json", large.to_string());
    let error = place.err(2, &["lab", "chain", "--file", "large.json", "--loss", "ngram:9"]);
    assert!(error.contains("chain 0: the optimum of ngram:9 is too large"), "{error}");
}
