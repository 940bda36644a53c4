//! `decant calibrate`: from a model's entropies to a profile that `generate` follows.

mod common;

use common::{Place, lines};
use serde_json::Value;

const PROMPTS: &str = "Once upon a time\nThe old bear\nOne day, a girl\n";

fn place() -> Place {
    let place = Place::new();
    place.write("prompts.txt", PROMPTS);
    place
}

fn calibrate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["calibrate", "--prompts", "prompts.txt", "-n", "8", "--tokens", "40"].iter().chain(more).copied().collect()
}

/// NumPy's default percentile.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    sorted[below] + share * (sorted[(below + 1).min(sorted.len() - 1)] - sorted[below])
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// The thresholds and the entropies of the traces they come from, which are read here once more from the file alone.
#[test]
fn thresholds_are_percentiles_of_what_generate_saw() {
    let place = place();
    place.ok(&["generate", "Once upon a time", "-n", "6", "--seed", "1", "--max-tokens", "30", "--trace", "a.jsonl"]);
    place.ok(&["generate", "The old bear", "--seed", "1", "--max-tokens", "30", "--trace", "b.jsonl"]);
    let report =
        &place.json(&["calibrate", "--traces", "a.jsonl", "b.jsonl", "--low", "10", "-o", "p.toml", "--json"])[0];
    let steps = lines(&(place.read("a.jsonl") + &place.read("b.jsonl")));
    let mut entropies: Vec<f64> =
        steps.iter().filter(|line| line["step"].is_object()).map(|line| number(&line["step"]["entropy"])).collect();
    entropies.sort_by(f64::total_cmp);
    assert_eq!((report["texts"].as_u64(), report["all"]["steps"].as_u64()), (Some(7), Some(entropies.len() as u64)));
    for quantile in report["quantiles"].as_array().unwrap() {
        assert_eq!(number(&quantile["entropy"]), percentile(&entropies, number(&quantile["percent"])));
    }
    for (name, percent) in [("low", 10.0), ("high", 75.0)] {
        let (found, exact) = (number(&report["thresholds"][name]["entropy"]), percentile(&entropies, percent));
        assert!((found / exact - 1.0).abs() < 1e-3, "{name}: {found}, {exact}");
    }
    assert_eq!(report["cap"], Value::Null, "a trace does not tell the vocabulary");
}

#[test]
fn generate_follows_the_profile() {
    let place = place();
    let told = place.ok(&calibrate(&["-o", "stories.toml", "--svg", "stories.svg", "--temps", "0.6..1.4"]));
    for what in ["embedded", "percentile", "█", "first token", "ln V = 8.32"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(place.read("stories.svg").contains("25%: "));
    assert!(!place.path("stories.entropies").exists());

    let profile: toml::Table = place.read("stories.toml").parse().unwrap();
    let ends = |name: &str| profile["measured"][name].as_array().unwrap()[1].as_float().unwrap();
    let (low, high) = (ends("low"), ends("high"));
    assert!(0.0 < low && low < high && high < 8.32);
    assert_eq!(profile["sampler"].as_str(), Some(&*format!("temp=by_entropy({low}..{high}->0.6..1.4),top_h=0.4")));

    let story = ["generate", "Once upon a time", "--seed", "3", "--max-tokens", "60", "--trace", "story.jsonl"];
    let text = place.ok(&[&story[..], &["--profile", "stories.toml"]].concat());
    assert_eq!(place.ok(&[&story[..], &["--sampler", profile["sampler"].as_str().unwrap()]].concat()), text);
    let temperature = |entropy: f64| 0.6 + 0.8 * ((entropy - low) / (high - low)).clamp(0.0, 1.0);
    let steps = lines(&place.read("story.jsonl"));
    let steps: Vec<&Value> = steps.iter().filter(|line| line["step"].is_object()).map(|line| &line["step"]).collect();
    for step in &steps {
        let (found, asked) = (number(&step["temperature"]), temperature(number(&step["entropy"])));
        assert!((found - asked).abs() < 1e-6, "{found}, {asked}");
    }
    let ends = [0.6, 1.4].map(|end| steps.iter().filter(|step| number(&step["temperature"]) == end).count());
    assert!(ends[0] > 0 && ends[1] > 0, "the thresholds were reached: {ends:?} of {}", steps.len());
}

#[test]
fn a_killed_calibration_goes_on_and_writes_the_same() {
    let place = place();
    place.ok(&calibrate(&["-o", "whole.toml", "--svg", "whole.svg", "--work", "whole"]));
    let killed = calibrate(&["-o", "killed.toml", "--svg", "killed.svg", "--threads", "1"]);
    place.kill_at(3, "killed.entropies/entropies.journal.jsonl", &killed);
    assert!(!place.path("killed.toml").exists());
    let other = place.err(1, &calibrate(&["-o", "killed.toml", "--seed", "9"]));
    assert!(other.contains("killed.entropies holds another study: its seed is 0, asked is 9"), "{other}");
    place.ok(&killed);
    for ending in ["toml", "svg"] {
        assert_eq!(place.read(&format!("killed.{ending}")), place.read(&format!("whole.{ending}")));
    }
    assert!(!place.path("killed.entropies").exists());
    assert_eq!(place.files("whole").keys().collect::<Vec<_>>(), ["entropies.csv", "entropies.svg", "manifest.json"]);
}

#[test]
fn thresholds_that_are_one_and_the_same() {
    let place = place();
    // So near to each other, two percentiles are the same to four digits.
    let error = place.err(1, &calibrate(&["-o", "p.toml", "--low", "50", "--high", "50.00000001"]));
    assert!(error.contains("a temperature cannot rise between equal thresholds"), "{error}");
    assert!(!place.path("p.toml").exists());
    assert!(place.path("p.entropies/entropies.csv").exists(), "what was measured is kept for other percentiles");
    place.ok(&calibrate(&["-o", "p.toml", "--low", "40", "--high", "60"]));
    assert!(!place.path("p.entropies").exists());
}

#[test]
fn errors_come_before_the_work() {
    let place = place();
    for (more, told) in [
        (&["--low", "80"][..], "low is 80 and high is 75"),
        (&["--high", "101"], "from 0 to 100"),
        (&["--temps", "1"], "not two numbers"),
        (&["--temps", "0.5..1000"], "temp must be"),
        (&["--then", "nope"], "nope"),
        (&["--tokens", "0"], "tokens is 0"),
        (&["--num", "0"], "texts is 0"),
        (&["--traces", "a.jsonl"], "cannot be used with"),
    ] {
        let error = place.err(2, &[&["calibrate", "--prompts", "prompts.txt", "-o", "p.toml"], more].concat());
        assert!(error.contains(told), "{error}");
    }
    assert!(place.err(2, &["calibrate", "-o", "p.toml"]).contains("--prompts FILE"));
    place.write("bad.jsonl", "{}\n");
    assert!(place.err(1, &["calibrate", "--traces", "bad.jsonl", "-o", "p.toml"]).contains("bad.jsonl: line 1"));
    place.write("none.jsonl", "");
    assert!(place.err(1, &["calibrate", "--traces", "none.jsonl", "-o", "p.toml"]).contains("no trace"));
    assert_eq!(place.files(".").len(), 3, "nothing was begun");
}
