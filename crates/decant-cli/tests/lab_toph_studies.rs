//! The studies of Top-H: what they claim, on small grids.

mod common;

use common::Place;

/// A CSV as cells of text.
fn table(place: &Place, file: &str) -> Vec<Vec<String>> {
    place.read(file).lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn the_doubtful_lemmas_are_refuted() {
    let place = Place::new();
    let set = ["--set", "rows=20", "--set", "widths=[4,8]", "--set", "concentrations=[0.3,3]"];
    place.ok(&[&["lab", "study", "toph-lemmas"][..], &set].concat());
    let rows = table(&place, "toph-lemmas/toph-lemmas.csv");
    let of = |claim: &str| rows.iter().filter(|row| row[0] == claim).collect::<Vec<_>>();
    let refuting = of("least entropy: refuting rows");
    assert!(refuting.len() == 4 && refuting.iter().all(|row| number(&row[3]) > 0.0), "{refuting:?}");
    let kept = |s: f64| -> Vec<f64> {
        of("growth: kept").iter().filter(|row| number(&row[1]) == s).map(|row| number(&row[3])).collect()
    };
    assert_eq!(kept(2.0)[3..], [2.0; 7]);
    assert!(kept(0.5)[9] > 10.0 * kept(0.5)[4], "{:?}", kept(0.5));
    for row in of("nearness: greedy, least") {
        assert!((0.3..1.0).contains(&number(&row[3])), "{row:?}");
    }
    assert!(place.read("toph-lemmas/toph-lemmas.svg").contains("n^alpha"));
    assert!(place.err(2, &["lab", "study", "toph-lemmas", "--set", "alpha=2"]).contains("alpha"));
}

#[test]
fn only_the_papers_rule_bounds_the_entropy() {
    let place = Place::new();
    place.write("prompts.txt", "Once upon a time\nThe old bear\n");
    let args = ["lab", "study", "three-rules", "--prompts", "prompts.txt", "--set", "tokens=6"];
    place.ok(&args);
    let rows = table(&place, "three-rules/three-rules.csv");
    assert_eq!(rows.len(), 2 * 3 * 4 * 9);
    let beyond = |rule: &str| rows.iter().filter(|row| row[2] == rule).map(|row| number(&row[8])).sum::<f64>();
    assert_eq!(beyond("paper"), 0.0);
    assert!(beyond("ref") > 0.0 && beyond("hf") > 0.0 && beyond("top_k=100") > 0.0);
    // The same files, however many threads.
    let first = place.read("three-rules/three-rules.csv");
    place.ok(&[&args[..], &["--out", "again", "--threads", "1"]].concat());
    assert_eq!(first, place.read("again/three-rules.csv"));
    assert!(place.err(2, &[&args[..], &["--out", "c", "--set", "alphas=[2]"]].concat()).contains("top_h=2"));
}
