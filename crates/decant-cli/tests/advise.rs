//! `decant advise` on the embedded model.

mod common;

use common::Place;
use serde_json::Value;

fn place() -> Place {
    let place = Place::new();
    place.write(
        "prompts.txt",
        "Once upon a time\nThe old bear\nOne day, a little girl\n\nTom went to the\nThe cat looked at\n",
    );
    place
}

fn advise(place: &Place, more: &[&str]) -> Value {
    let args = [&["advise", "--prompts", "prompts.txt", "--json", "-q"], more].concat();
    serde_json::from_str(&place.ok(&args)).unwrap()
}

fn names(advice: &Value) -> Vec<&str> {
    advice["ranking"].as_array().unwrap().iter().map(|ranked| ranked["decoder"].as_str().unwrap()).collect()
}

fn searches(name: &str) -> bool {
    ["map", "beam", "lookahead"].iter().any(|search| name.starts_with(search))
}

#[test]
fn searches_come_first_for_exact_and_plain_sampling_for_mimic() {
    let place = place();
    let exact = advise(&place, &["--goal", "exact", "--len", "6", "--draws", "4"]);
    let ranking = names(&exact);
    assert!(searches(ranking[0]) && searches(ranking[1]), "{ranking:?}");
    assert!(ranking.iter().position(|name| *name == "sample") > Some(5), "{ranking:?}");
    let [low, high] = [0, 1].map(|end| exact["ranking"][0]["interval"][end].as_f64().unwrap());
    assert!(low < high && (low..=high).contains(&exact["ranking"][0]["risk"].as_f64().unwrap()));

    let mimic = advise(&place, &["--goal", "mimic", "--len", "8", "--references", "24", "--draws", "2"]);
    assert_eq!(names(&mimic)[0], "sample", "{:?}", names(&mimic));
    let last = mimic["ranking"].as_array().unwrap().last().unwrap();
    assert!(last["risk"].is_null() && last["infinite"].as_f64() > Some(0.5), "a search says one text only");
}

#[test]
fn it_writes_a_table_a_picture_json_and_a_page() {
    let place = place();
    let more = ["--goal", "phrases:2", "--len", "5", "--references", "4", "--draws", "2", "--out", "here"];
    let decoders = ["--decoder", "greedy", "--decoder", "mbr(4,loss=ngram:2)", "--decoder", "sample:temp=0.7"];
    let advice = advise(&place, &[&more[..], &decoders].concat());
    let mut ranking = names(&advice);
    ranking.sort();
    assert_eq!(ranking, ["greedy", "mbr(4,loss=ngram:2)", "sample:temp=0.7"]);
    let read: Value = serde_json::from_str(&place.read("here/advice.json")).unwrap();
    assert_eq!(read, advice);
    assert!(place.read("here/advise.csv").lines().count() == 1 + 5 * 3 * 4);
    let page = place.read("here/advice.html");
    assert!(page.contains("<svg") && page.contains("mbr(4,loss=ngram:2)") && page.contains("Once upon a time"));
    // Again, it is only read; and a different question is refused in the same folder.
    assert_eq!(advise(&place, &[&more[..], &decoders].concat()), advice);
    let other = place.err(1, &["advise", "--prompts", "prompts.txt", "--goal", "tokens", "--out", "here"]);
    assert!(other.contains("holds another study"), "{other}");
}

#[test]
fn creation_is_a_frontier() {
    let place = place();
    place.write("prompts.txt", "Once upon a time\nThe old bear\n");
    let outlook = advise(&place, &["--goal", "creative", "--len", "8", "--references", "4"]);
    let settings = outlook["settings"].as_array().unwrap();
    assert!(settings.len() >= 40 && settings.iter().any(|setting| setting["on_frontier"] == true));
    assert!(settings.iter().any(|setting| setting["on_frontier"] == false));
    assert!(place.read("advice-creative/advice.html").contains("on the frontier"));
}

#[test]
fn wrong_questions_name_what_is_wrong() {
    let place = place();
    let wrong = |args: &[&str]| {
        let args = [&["advise", "--prompts", "prompts.txt"], args].concat();
        let output = place.run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(wrong(&["--goal", "phrases:0"]).contains("a goal is exact, tokens, phrases:N with N >= 1"));
    assert!(wrong(&["--goal", "tokens", "--len", "0"]).contains("len must be at least 1; given 0"));
    assert!(wrong(&["--goal", "tokens", "--budget", "3"]).contains("budget must be at least 16; given 3"));
    assert!(wrong(&["--goal", "mimic", "--decoder", "mbr(4)"]).contains("nobody can say with what probability"));
    assert!(wrong(&["--goal", "tokens", "--decoder", "beam(x)"]).contains("beam: width must be an integer >= 1"));
    assert!(wrong(&["--goal", "creative", "--decoder", "greedy"]).contains("compares families of samplers"));
}
