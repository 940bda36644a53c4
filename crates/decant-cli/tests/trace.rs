//! Traces: written, shown, replayed, tampered with, cut off, made into pages.

mod common;

use common::Place;

fn traced(more: &[&str]) -> Place {
    let place = Place::new();
    let args = ["generate", "Once upon a time", "--seed", "3", "--max-tokens", "16", "--trace", "story.jsonl"];
    place.ok(&[&args[..], more].concat());
    place
}

#[test]
fn a_trace_tells_what_was_printed() {
    let place = traced(&[]);
    let lines = common::lines(&place.read("story.jsonl"));
    assert_eq!(lines.len(), 1 + 16 + 1);
    let text: String = lines[1..17].iter().map(|line| line["step"]["text"].as_str().unwrap()).collect();
    let printed = place.ok(&["generate", "Once upon a time", "--seed", "3", "--max-tokens", "16"]);
    assert_eq!(printed, format!("Once upon a time{text}\n"));
    for line in &lines[1..17] {
        let step = &line["step"];
        let top = step["top"].as_array().unwrap();
        assert!(top.len() == 5 && top.is_sorted_by_key(|other| -other["logprob"].as_f64().unwrap()), "{step}");
        let drawn = top.iter().find(|other| other["token"] == step["token"]);
        assert!(
            drawn.is_none_or(|drawn| drawn["logprob"] == step["logprob"]),
            "the same number in both places: {step}"
        );
    }
    assert_eq!(lines[17]["finish"], "length");
    let shown = place.ok(&["trace", "show", "story.jsonl"]);
    assert!(shown.contains(&printed) && shown.contains("seed 3"), "{shown}");
}

#[test]
fn a_trace_comes_out_again() {
    for more in [&[][..], &["-n", "3"], &["--stop", "."], &["--sampler", "temp=by_entropy(0.5..4->0.3..1.5),top_p=0.9"]]
    {
        let place = traced(more);
        let traces = if more.contains(&"-n") { 3 } else { 1 };
        for isa in ["auto", "scalar"] {
            let checked = place.ok(&["trace", "check", "story.jsonl", "--isa", isa]);
            assert_eq!(checked.matches("come out again bit for bit").count(), traces, "{more:?}: {checked}");
        }
    }
}

#[test]
fn a_changed_number_is_found() {
    let place = traced(&[]);
    let mut lines = common::lines(&place.read("story.jsonl"));
    let entropy = lines[6]["step"]["entropy"].as_f64().unwrap();
    lines[6]["step"]["entropy"] = f64::from_bits(entropy.to_bits() + 1).into();
    place.write("changed.jsonl", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    let output = place.run(&["trace", "check", "changed.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains(&format!("step 5: entropy was {}", f64::from_bits(entropy.to_bits() + 1))), "{stdout}");

    lines[0]["header"]["model"]["hash"] = "another".into();
    place.write("other.jsonl", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    assert!(place.err(1, &["trace", "check", "other.jsonl"]).contains("another"));
}

#[test]
fn what_is_whole_of_a_broken_trace_is_used() {
    let place = traced(&[]);
    let whole = place.read("story.jsonl");
    place.write("cut.jsonl", &whole[..whole.len() * 2 / 3]);
    let output = place.run(&["trace", "show", "cut.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("Once upon a time"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("cut.jsonl: line 13 is no line of a trace") || stderr.contains("cut.jsonl: line 1"),
        "{stderr}"
    );
    let stdout = String::from_utf8(place.run(&["trace", "check", "cut.jsonl"]).stdout).unwrap();
    assert!(stdout.contains("come out again bit for bit, cut off"), "{stdout}");
    place.write("empty.jsonl", "");
    assert!(place.err(1, &["trace", "check", "empty.jsonl"]).contains("empty.jsonl holds no trace"));
    place.write("noise.jsonl", b"\xff\xfe\x00{}\n");
    assert!(place.err(1, &["trace", "html", "noise.jsonl"]).contains("noise.jsonl: line 1 is no line of a trace"));
    assert!(place.err(1, &["trace", "show", "absent.jsonl"]).contains("absent.jsonl"));
}

#[test]
fn the_page_stands_alone_and_nothing_breaks_out_of_it() {
    let place = Place::new();
    let prompt = "<b>Once</b> & \"{{traces}}\" </script><script>alert(1)</script>";
    place.ok(&["generate", prompt, "--seed", "1", "--max-tokens", "12", "--trace", "t.jsonl", "-n", "2"]);
    place.ok(&["trace", "html", "t.jsonl"]);
    let page = place.read("t.html");
    place.ok(&["trace", "html", "t.jsonl", "-o", "other.html"]);
    assert_eq!(page, place.read("other.html"));
    assert!(page.contains("&lt;b&gt;Once&lt;/b&gt; &amp; &quot;{{traces}}&quot; &lt;/script&gt;"));
    assert_eq!(page.matches("<section>").count(), 2);
    assert_eq!(page.matches("</script>").count(), 3, "one of the page, one of data for each trace");
    assert!(page.matches("class=\"t h").count() >= 20);
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_trace_knows_how_the_model_kept_its_numbers() {
    let place = Place::new();
    let make = ["bench", "engine", "--shape", "tiny", "--type", "f16", "--keep", "tiny.gguf"];
    place.ok(&[&make[..], &["--batch", "1", "--threads", "1", "--prefill", "0", "--seconds", "0"]].concat());
    let args = ["generate", "", "-m", "tiny.gguf", "--seed", "3", "--max-tokens", "8", "--trace", "story.jsonl"];
    place.ok(&[&args[..], &["--quantize", "q8_0", "--kv", "f16"]].concat());
    assert!(place.ok(&["trace", "check", "story.jsonl"]).contains("bit for bit"));
    let lines = common::lines(&place.read("story.jsonl"));
    let model = &lines[0]["header"]["model"];
    assert_eq!((&model["quantise"], &model["kv"]), (&"q8_0".into(), &"f16".into()));
    for field in ["quantise", "kv"] {
        let mut lines = lines.clone();
        lines[0]["header"]["model"].as_object_mut().unwrap().remove(field);
        place.write("other.jsonl", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        assert_eq!(place.run(&["trace", "check", "other.jsonl"]).status.code(), Some(1), "without {field}");
    }
}
