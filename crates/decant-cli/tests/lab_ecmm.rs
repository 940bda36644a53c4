//! `decant lab ecmm` from the outside.

mod common;

use common::Place;
use serde_json::Value;

fn solved(place: &Place, args: &[&str]) -> Vec<Value> {
    let out = place.ok(&[&["lab", "ecmm", "--json"], args].concat());
    serde_json::from_str::<Value>(&out).unwrap().as_array().unwrap().clone()
}

#[track_caller]
fn assert_close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-12, "{value} {expected}");
}

#[test]
fn instances_of_a_file() {
    let place = Place::new();
    place.write(
        "f.json",
        r#"[{"p":[0.5,0.2,0.12,0.08,0.06,0.03,0.01],"alpha":0.4},
            {"p":[0.25,0.25,0.25,0.25],"alpha":0.5},
            {"p":[0.1,0.0,0.9],"alpha":1},
            {"p":[0,1,0],"alpha":0.4}]"#,
    );
    let solved = solved(&place, &["--file", "f.json"]);
    let sets: Vec<String> = solved.iter().map(|entry| entry["set"].to_string()).collect();
    assert_eq!(sets, ["[0,2,6]", "[0,1]", "[0,2]", "[1]"]);
    let (first, second) = (&solved[0], &solved[1]);
    assert_close(&first["optimum"], 0.63);
    assert_close(&first["greedy"], 0.5);
    assert_close(&first["skip"], 0.63);
    assert_close(&second["optimum"], 0.5);
    for entry in &solved {
        assert_eq!(entry["proved"], true);
        assert_eq!(entry["bound"], entry["optimum"]);
        assert_eq!(entry["gap"], 0.0);
        assert_close(&entry["jsd"], entry["jsd_of_mass"].as_f64().unwrap());
        assert!(entry["prefix_bound"].as_f64() >= entry["optimum"].as_f64().map(|mass| mass - 1e-12));
        assert!(entry["time_ms"].as_f64() >= Some(0.0) && entry["nodes"].is_u64());
    }
    let checked = self::solved(&place, &["--file", "f.json", "--brute"]);
    assert!(
        checked
            .iter()
            .all(|entry| (entry["brute"].as_f64().unwrap() - entry["optimum"].as_f64().unwrap()).abs() < 1e-9)
    );
    let table = place.ok(&["lab", "ecmm", "--file", "f.json"]);
    assert!(table.contains("0,2,6") && table.ends_with("proved 4 of 4\n"), "{table}");
    assert_eq!(place.ok_with(&["lab", "ecmm", "--file", "-"], "[]").lines().count(), 2);
}

#[test]
fn a_search_without_nodes_says_so() {
    let place = Place::new();
    place.write("f.json", r#"[{"p":[0.5,0.2,0.12,0.08,0.06,0.03,0.01],"alpha":0.4}]"#);
    let solved = solved(&place, &["--file", "f.json", "--nodes", "0"]);
    assert_eq!(solved[0]["proved"], false);
    assert!(solved[0]["bound"].as_f64() > Some(0.63) && solved[0]["gap"].as_f64() > Some(0.0));
}

#[test]
fn rows_of_the_model() {
    let place = Place::new();
    place.write("prompts.txt", "Once upon a time\n\nThe old bear\n");
    let rows = |more: &[&str]| solved(&place, &[&["--prompts", "prompts.txt", "--tokens", "6"], more].concat());
    let few = rows(&[]);
    assert_eq!(few.len(), 12);
    for row in &few {
        assert_eq!(row["proved"], true);
        let [greedy, skip, optimum] = ["greedy", "skip", "optimum"].map(|name| row[name].as_f64().unwrap());
        assert!(0.5 * optimum < greedy && greedy <= skip && skip <= optimum, "{row}");
    }
    let whole = rows(&["--top", "0", "--gap", "1e-4"]);
    assert!(whole.iter().all(|row| row["gap"].as_f64() <= Some(1e-4)), "{whole:?}");
    assert!(whole.iter().zip(&few).all(|(whole, few)| whole["entropy"].as_f64() > few["entropy"].as_f64()));
    let again = |args: &[&str]| -> Vec<Value> {
        let mut rows = rows(args);
        rows.iter_mut().for_each(|row| row["time_ms"] = Value::Null);
        rows
    };
    assert_eq!(again(&["--threads", "1"]), again(&["--threads", "2", "--isa", "scalar"]));
    let summary = place.ok(&["lab", "ecmm", "--prompts", "prompts.txt", "--tokens", "6", "--svg", "ecmm.svg"]);
    assert!(place.read("ecmm.svg").contains("greedy (Top-H)"));
    assert!(summary.contains("greedy/optimum") && summary.contains("rows 12, proved 12"), "{summary}");
}

#[test]
fn bad_input_names_entry_and_field() {
    let place = Place::new();
    let error = |json: &str, named: &str| {
        place.write("bad.json", json);
        let told = place.err(2, &["lab", "ecmm", "--file", "bad.json"]);
        assert!(told.contains("bad.json: ") && told.contains(named), "{told}");
    };
    error("{\"p\":", "no JSON");
    error("{}", "expected a list");
    error(r#"[{"p":[1.0],"alpha":0.4},{"p":[0.5,0.6],"alpha":0.4}]"#, "entry 1: p: sums to 1.1");
    error(r#"[{"p":[-0.5,1.5],"alpha":0.4}]"#, "entry 0: p[0]: -0.5");
    error(r#"[{"p":[],"alpha":0.4}]"#, "entry 0: p: is empty");
    error(r#"[{"p":[1.0],"alpha":1.5}]"#, "entry 0: alpha: 1.5 is outside 0..=1");
    error(r#"[{"p":[1.0]}]"#, "entry 0: alpha");
    error(r#"[{"p":"x","alpha":1}]"#, "entry 0: p");
    error(r#"[{"p":[1e999],"alpha":1}]"#, "no JSON");
    place.write("prompts.txt", "Once\n");
    assert!(place.err(2, &["lab", "ecmm", "--prompts", "prompts.txt", "--alpha", "2"]).contains("--alpha"));
    assert!(place.err(2, &["lab", "ecmm", "--prompts", "prompts.txt", "--gap", "NaN"]).contains("--gap"));
    place.write("wide.json", format!("[{{\"p\":{:?},\"alpha\":0.4}}]", [1.0 / 32.0; 32]));
    assert!(place.err(2, &["lab", "ecmm", "--file", "wide.json", "--brute"]).contains("at most 22"));
    assert!(place.err(1, &["lab", "ecmm", "--file", "none.json"]).starts_with("error: cannot read none.json"));
    place.write("empty.txt", "\n");
    assert!(place.err(1, &["lab", "ecmm", "--prompts", "empty.txt"]).contains("holds no prompt"));
    assert_eq!(place.run(&["lab", "ecmm"]).status.code(), Some(2));
}

/// What `top_h` certifies reaches `pick --json` and traces, and comes out again.
#[test]
fn certificates_reach_the_border() {
    let place = Place::new();
    let p: [f32; 7] = [0.5, 0.2, 0.12, 0.08, 0.06, 0.03, 0.01];
    place.npy("rows.npy", "(1, 7)", &p.map(f32::ln));
    let pick = |sampler: &str| place.json(&["pick", "--logits", "rows.npy", "--json", "--sampler", sampler]).remove(0);
    // The optimum has .63, greedy .5.
    let gap = pick("top_h=0.4:certify=true")["gap"].as_f64().unwrap();
    assert!((0.13..0.2).contains(&gap), "{gap}");
    assert!(pick("top_h=0.4")["gap"].is_null() && pick("top_h=0.4:rule=hf:certify=true")["gap"].is_null());
    let sampler = "temp=1,top_h=0.4:certify=true";
    place.ok(&["generate", "Once", "--max-tokens", "8", "--sampler", sampler, "--seed", "3", "--trace", "t.jsonl"]);
    assert_eq!(place.read("t.jsonl").matches("\"gap\":").count(), 8);
    assert!(place.ok(&["trace", "check", "t.jsonl"]).contains("8 steps come out again bit for bit"));
    let tampered = place.read("t.jsonl").replacen("\"gap\":", "\"gap\":1", 1);
    place.write("tampered.jsonl", tampered);
    assert_eq!(place.run(&["trace", "check", "tampered.jsonl"]).status.code(), Some(1));
}
