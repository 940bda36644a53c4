//! What the help shows works.

mod common;

use common::Place;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["generate"],
    &["trace"],
    &["trace", "show"],
    &["trace", "check"],
    &["trace", "html"],
    &["logits"],
    &["pick"],
    &["tokenize"],
    &["detokenize"],
    &["samplers"],
    &["lab"],
    &["lab", "chain"],
    &["lab", "study"],
    &["advise"],
    &["calibrate"],
    &["bench"],
    &["bench", "sampler"],
    &["bench", "engine"],
    &["lab", "ecmm"],
    &["completions"],
];

/// Words of a command line as a shell would part them; quotes are all that the examples need.
fn words(line: &str) -> Vec<String> {
    let unquoted_spaces = line.split('"').enumerate().map(|(part, text)| match part % 2 {
        0 => text.replace(' ', "\0"),
        _ => format!("\u{1}{text}"),
    });
    let joined: String = unquoted_spaces.collect();
    joined.split('\0').filter(|word| !word.is_empty()).map(|word| word.replace('\u{1}', "")).collect()
}

#[test]
fn every_example_runs() {
    let place = Place::new();
    let mut examples = 0;
    for command in COMMANDS {
        let help = place.ok(&[*command, &["--help"]].concat());
        for line in help.lines().filter_map(|line| line.strip_prefix("  ")) {
            let (stdin, line) = match line.strip_prefix("echo ") {
                Some(piped) => {
                    let (text, line) = piped.split_once(" | ").unwrap();
                    let verbatim = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                    (verbatim.map_or_else(|| words(text).join(" "), str::to_owned) + "\n", line)
                }
                None => (String::new(), line),
            };
            let Some(line) = line.strip_prefix("decant ") else { continue };
            let args = words(line);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            place.ok_with(&args, &stdin);
            examples += 1;
        }
    }
    assert!(examples >= 20, "{examples} examples");
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(place.ok(&["completions", shell]).contains("decant"), "{shell}");
    }
    assert!(place.err(2, &["completions", "dos"]).contains("dos"));
}

#[test]
fn the_catalog_and_its_schema() {
    let place = Place::new();
    let list = place.ok(&["samplers"]);
    for name in ["temp", "top_h", "top_k", "top_p", "min_p"] {
        assert!(list.lines().any(|line| line.split(' ').next() == Some(name)), "{list}");
    }
    let schema: serde_json::Value = serde_json::from_str(&place.ok(&["samplers", "--json"])).unwrap();
    assert!(schema["$defs"]["stages"]["properties"]["top_h"].is_object(), "{schema}");
}

#[test]
fn the_doctor_tells_the_machine() {
    let place = Place::new();
    let told = place.ok(&["doctor", "--isa", "scalar", "--threads", "1"]);
    for what in ["decant 0.1.0", "scalar", "threads", "embedded", "missing"] {
        assert!(told.contains(what), "{what}: {told}");
    }
}
