//! `decant pick` on rows with known answers.

mod common;

use common::Place;

/// The worked example of the three Top-H rules, as logits.
const WORKED: [f64; 8] = [0.40, 0.20, 0.15, 0.10, 0.06, 0.04, 0.03, 0.02];

fn worked(place: &Place) {
    let row: Vec<f32> = WORKED.iter().map(|p| p.ln() as f32).collect();
    place.npy("worked.npy", "(8,)", &row);
}

#[test]
fn gives_every_number_of_a_row() {
    let place = Place::new();
    worked(&place);
    let rows = place.json(&["pick", "--logits", "worked.npy", "--json", "--kept-ids"]);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
    let mut expected = [
        "row",
        "entropy",
        "varentropy",
        "temperature",
        "kept",
        "kept_mass",
        "kept_entropy",
        "token",
        "logprob",
        "sampled_logprob",
        "kept_ids",
    ];
    expected.sort();
    assert_eq!(keys, expected);
    let entropy: f64 = WORKED.iter().map(|p| -p * p.ln()).sum();
    let varentropy: f64 = WORKED.iter().map(|p| p * (-p.ln() - entropy).powi(2)).sum();
    let near = |key: &str, expected: f64| {
        let given = row[key].as_f64().unwrap();
        assert!((given - expected).abs() < 1e-6, "{key}: {given}, expected {expected}");
    };
    near("entropy", entropy);
    near("varentropy", varentropy);
    near("temperature", 1.0);
    near("kept_mass", 0.6);
    near("kept_entropy", -(2.0 / 3.0 * (2.0f64 / 3.0).ln() + 1.0 / 3.0 * (1.0f64 / 3.0).ln()));
    assert_eq!((&row["row"], &row["kept"], &row["kept_ids"]), (&0.into(), &2.into(), &vec![0, 1].into()));
    let p = WORKED[row["token"].as_u64().unwrap() as usize];
    near("logprob", p.ln());
    near("sampled_logprob", (p / 0.6).ln());
}

#[test]
fn the_three_rules_keep_what_they_say() {
    let place = Place::new();
    worked(&place);
    for (rule, kept) in [("paper", 2), ("ref", 1), ("hf", 1)] {
        let sampler = format!("temp=1,top_h=0.4:rule={rule}");
        let rows = place.json(&["pick", "--logits", "worked.npy", "--sampler", &sampler, "--json"]);
        assert_eq!(rows[0]["kept"], kept, "{rule}");
        assert!(rows[0].get("kept_ids").is_none());
    }
}

#[test]
fn each_row_has_its_own_coins() {
    let place = Place::new();
    place.npy("rows.npy", "(64, 16)", &[0.0; 64 * 16]);
    let args = ["pick", "--logits", "rows.npy", "--sampler", "temp=1", "--json", "--seed", "5"];
    let tokens =
        |rows: Vec<serde_json::Value>| rows.iter().map(|row| row["token"].as_u64().unwrap()).collect::<Vec<_>>();
    let drawn = tokens(place.json(&args));
    assert_eq!(drawn.len(), 64);
    assert_eq!(drawn, tokens(place.json(&args)), "the same seed, the same tokens");
    assert!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len() > 8, "{drawn:?}");
    let other = tokens(place.json(&["pick", "--logits", "rows.npy", "--sampler", "temp=1", "--json", "--seed", "6"]));
    assert_ne!(drawn, other);
    // Row i is drawn at position i, whatever stands around it.
    place.npy("head.npy", "(3, 16)", &[0.0; 3 * 16]);
    let head = tokens(place.json(&["pick", "--logits", "head.npy", "--sampler", "temp=1", "--json", "--seed", "5"]));
    assert_eq!(head, drawn[..3]);
}

#[test]
fn the_tiers_agree_bit_for_bit() {
    let place = Place::new();
    let numbers: Vec<f32> = (0..4 * 5000).map(|i| ((i * 7919) % 10007) as f32 / 700.0).collect();
    place.npy("rows.npy", "(4, 5000)", &numbers);
    let args = ["pick", "--logits", "rows.npy", "--json", "--kept-ids", "--isa"];
    let auto = place.ok(&[&args[..], &["auto"]].concat());
    assert_eq!(auto, place.ok(&[&args[..], &["scalar"]].concat()));
}

#[test]
fn a_table_for_people() {
    let place = Place::new();
    worked(&place);
    let table = place.ok(&["pick", "--logits", "worked.npy", "--kept-ids"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("kept_entropy") && lines[1].ends_with("0 1"), "{table}");
}

#[test]
fn a_bad_row_is_named_and_those_before_it_stay() {
    let place = Place::new();
    place.npy("rows.npy", "(3, 2)", &[0.0, 1.0, f32::NAN, 0.0, 0.0, 1.0]);
    let args = ["pick", "--logits", "rows.npy", "--json"];
    let error = place.err(1, &args);
    assert!(error.contains("rows.npy: row 1: the logit of token 0 is NaN"), "{error}");
    assert_eq!(common::lines(&String::from_utf8(place.run(&args).stdout).unwrap()).len(), 1);
    let error = |numbers: &[f32], shape: &str| {
        place.npy("bad.npy", shape, numbers);
        place.err(1, &["pick", "--logits", "bad.npy"])
    };
    assert!(error(&[f32::INFINITY, 0.0], "(2,)").contains("row 0: the logit of token 0 is inf"));
    assert!(error(&[f32::NEG_INFINITY; 2], "(1, 2)").contains("row 0: all 2 tokens of the row are forbidden"));
    assert!(error(&[], "(0,)").contains("row 0: the row of logits is empty"));
    assert!(error(&[0.0; 3], "(2, 2)").contains("bad.npy: it ends in row 1 of 2"));
    assert_eq!(
        place.ok(&["pick", "--logits", "rows.npy", "--help"]).lines().next(),
        Some("Run the sampler on rows of logits that somebody dumped")
    );
}

#[test]
fn stages_look_back_at_the_history() {
    let place = Place::new();
    place.npy("rows.npy", "(3, 5)", &[0.0; 15]);
    let kept = |more: &[&str]| -> Vec<String> {
        let args = ["pick", "--logits", "rows.npy", "--json", "--kept-ids", "--sampler", "no_repeat_ngram=2"];
        place.json(&[&args[..], more].concat()).iter().map(|row| row["kept_ids"].to_string()).collect()
    };
    assert_eq!(kept(&[]), ["[0,1,2,3,4]"; 3]);
    assert_eq!(kept(&["--history", "1,2 3,1"]), ["[0,1,3,4]"; 3]);
    assert_eq!(kept(&["--history", "1,2,3,1", "--prompt-len", "2"]), ["[0,1,3,4]"; 3], "the prompt counts too");
    place.write("one.txt", "1,2,3,1\n");
    assert_eq!(kept(&["--history", "one.txt"]), ["[0,1,3,4]"; 3]);
    place.write("each.txt", "4,4\n\n3 1 3\n");
    assert_eq!(kept(&["--history", "each.txt"]), ["[0,1,2,3]", "[0,1,2,3,4]", "[0,2,3,4]"]);

    let args = ["pick", "--logits", "rows.npy", "--json", "--kept-ids", "--history", "1,2,3,1", "--prompt-len", "3"];
    let generated = place.json(&[&args[..], &["--sampler", "no_repeat_ngram=1:prompt=false"]].concat());
    assert_eq!(generated[0]["kept_ids"], serde_json::json!([0, 2, 3, 4]));
}

#[test]
fn bad_histories() {
    let place = Place::new();
    place.npy("rows.npy", "(3, 5)", &[0.0; 15]);
    let error = |history: &str| place.err(1, &["pick", "--logits", "rows.npy", "--history", history]);
    assert!(error("none.txt").contains("cannot read --history none.txt"));
    place.write("two.txt", "1\n2\n");
    assert!(error("two.txt").contains("there are 2 lines, none for row 2"));
    place.write("words.txt", "1 2\nthree\n");
    assert!(error("words.txt").contains("words.txt: line 2: `three` is no token id"));
}

#[test]
fn texts_that_no_tokenizer_finds_are_told() {
    let place = Place::new();
    worked(&place);
    let told = |sampler: &str| {
        let output = place.run(&["pick", "--logits", "worked.npy", "--sampler", sampler]);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told("dry=0.8").contains(r#"cannot be found and do nothing: "\n" "\"" "*" ":";"#), "{}", told("dry=0.8"));
    assert_eq!(told("dry=0.8:breakers=(3)"), "");
    assert_eq!(told("dry=0"), "");
    let error = place.err(2, &["pick", "--logits", "worked.npy", "--sampler", "logit_bias=(8=1)"]);
    assert!(error.contains("logit_bias: token 8 is not in the vocabulary of 8"), "{error}");
}

#[test]
fn bad_specs_and_files() {
    let place = Place::new();
    worked(&place);
    let spec = |spec: &str| place.err(2, &["pick", "--logits", "worked.npy", "--sampler", spec]);
    assert!(spec("top_h=1.4").contains("top_h must be a number in 0..=1; given 1.4"));
    assert!(spec("top_h=nan").contains("top_h must be"));
    assert!(spec("wonder=1").contains("wonder"));
    assert!(spec("temp=1,temperature=1").contains("temperature"));
    assert!(place.err(1, &["pick", "--logits", "absent.npy"]).contains("absent.npy"));
    place.write("text.npy", "no rows");
    assert!(place.err(1, &["pick", "--logits", "text.npy"]).contains("text.npy: it does not begin with NPY's magic"));
    assert!(place.err(2, &["pick"]).contains("--logits"));
}

#[test]
fn profiles_hold_a_sampler() {
    let place = Place::new();
    worked(&place);
    let pick = ["pick", "--logits", "worked.npy", "--json", "--profile", "profile.toml"];
    place.write("profile.toml", "sampler = \"temp=2,top_k=3\"\n[measured]\nentropy_p25 = 0.5\n");
    let rows = place.json(&pick);
    assert_eq!((&rows[0]["temperature"], &rows[0]["kept"]), (&2.0.into(), &3.into()));
    let error = |toml: &str, code: i32| {
        place.write("profile.toml", toml);
        place.err(code, &pick)
    };
    assert!(error("sampler = \"top_h=7\"", 2).contains("profile.toml: sampler: top_h must be"));
    assert!(error("sampler = \"temp=1\"\nsmapler = 3", 2).contains("profile.toml: unknown field `smapler`"));
    assert!(error("", 2).contains("profile.toml: missing field `sampler`"));
    assert!(error("sampler = ", 2).contains("profile.toml"));
    assert!(place.err(2, &[&pick[..], &["--sampler", "temp=1"]].concat()).contains("cannot be used with"));
    assert!(place.err(1, &["pick", "--logits", "worked.npy", "--profile", "none.toml"]).contains("none.toml"));
}

#[test]
fn rows_of_half_precision() {
    let place = Place::new();
    // 1.5, 0.25, -inf and -2 in binary16, two by two in the bits of a binary32.
    place.npy("half.npy", "(4,)", &[f32::from_bits(0x3400_3e00), f32::from_bits(0xc000_fc00)]);
    let mut file = std::fs::read(place.path("half.npy")).unwrap();
    let descr = file.windows(3).position(|bytes| bytes == b"<f4").unwrap();
    file[descr + 2] = b'2';
    place.write("half.npy", file);
    place.npy("whole.npy", "(4,)", &[1.5, 0.25, f32::NEG_INFINITY, -2.0]);
    let pick = |name| place.json(&["pick", "--logits", name, "--sampler", "temp=0.7", "--json", "--kept-ids"]);
    assert_eq!(pick("half.npy"), pick("whole.npy"));
    assert_eq!(pick("half.npy")[0]["kept_ids"], serde_json::json!([0, 1, 3]));
}

#[test]
fn what_is_odd_in_a_sampler_is_said_once() {
    let place = Place::new();
    place.npy("rows.npy", "(3, 2)", &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    let run = |spec: &str, flags: &[&str]| {
        let output = place.run(&[&["pick", "--logits", "rows.npy", "--json", "--sampler", spec], flags].concat());
        assert!(output.status.success());
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (rows, said) = run("top_k=2,top_k=5", &[]);
    assert_eq!(said, "warning: top_k=5 changes nothing beside top_k=2\n");
    assert_eq!((rows.clone(), String::new()), run("top_k=2,top_k=5", &["--quiet"]));
    assert_eq!((rows, String::new()), run("top_k=2", &[]));
}
