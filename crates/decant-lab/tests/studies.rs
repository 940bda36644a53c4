//! What the studies of chains find.

use decant_lab::chain::Chain;
use decant_lab::study::{Settings, StudyError, Task, catalog, run};
use decant_sampling::Seed;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The rows of a study's table, and its picture.
fn study(name: &str, set: &[&str]) -> (Vec<Vec<String>>, String) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
    let entries = catalog::<Chain>();
    let entry = entries.iter().find(|entry| entry.name == name).unwrap();
    let mut settings = Settings::default();
    set.iter().for_each(|assignment| settings.set(assignment).unwrap());
    let study = entry.make(&settings, None).unwrap();
    let task = Task { name: entry.name, study: &*study, seed: Seed(0) };
    run(&task, &folder, &|_| ControlFlow::Continue(())).unwrap();
    let csv = fs::read_to_string(folder.join(format!("{name}.csv"))).unwrap();
    let svg = fs::read_to_string(folder.join(format!("{name}.svg"))).unwrap();
    fs::remove_dir_all(folder).unwrap();
    (csv.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect(), svg)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

/// The shares that `GOALS.md`'s own check of the paper's figure found, by states and alpha; 200 chains a cell leave a
/// standard error of up to .035.
#[test]
fn the_figure_of_one_lookahead() {
    let (rows, svg) = study("lookahead-hamming", &["ks=[1]"]);
    let expected = [
        ("3", [0.98, 0.78, 0.57, 0.46, 0.46, 0.43]),
        ("10", [0.83, 0.20, 0.16, 0.08, 0.06, 0.07]),
        ("20", [0.59, 0.06, 0.03, 0.01, 0.00, 0.03]),
    ];
    let cells = expected.iter().flat_map(|(states, shares)| shares.iter().map(move |share| (states, share)));
    assert_eq!(rows.len(), 18);
    for (row, (states, share)) in rows.iter().zip(cells) {
        assert_eq!(row[0], *states);
        assert!((number(&row[3]) - share).abs() < 0.1, "{row:?} {share}");
    }
    // Peaky rows are far from uniform.
    assert!(rows.chunks(6).all(|cells| cells.windows(2).all(|pair| number(&pair[0][5]) > number(&pair[1][5]))));
    assert!(svg.contains("20 states"));
}

#[test]
fn regret_vanishes_for_those_that_are_consistent() {
    let (rows, _) = study("consistency", &["chains=60", "noises=[0.5,0.0001]"]);
    let regret = |noise: &str, loss: &str, decoder: &str| {
        let row = rows.iter().find(|row| (&*row[0], &*row[1], &*row[2]) == (noise, loss, decoder)).unwrap();
        number(&row[3])
    };
    for (loss, consistent, not) in [
        ("exact", vec!["map", "mbr"], vec!["greedy", "lookahead:2", "modes", "sample"]),
        ("hamming", vec!["modes", "mbr"], vec!["greedy", "lookahead:2", "map", "sample"]),
        ("ngram:2", vec!["mbr"], vec!["greedy", "map", "modes", "sample"]),
        ("cross_entropy", vec!["sample", "mbr"], vec!["greedy", "map", "temp:0.7", "sampler:top_p=0.9"]),
    ] {
        for decoder in consistent {
            let (far, near) = (regret("0.5", loss, decoder), regret("0.0001", loss, decoder));
            assert!(near < 1e-4 && near < far / 100.0, "{loss} {decoder}: {far} {near}");
        }
        for decoder in not {
            assert!(regret("0.0001", loss, decoder) > 1e-3, "{loss} {decoder}");
        }
    }
    assert_eq!(regret("0.0001", "cross_entropy", "map"), f64::INFINITY);
}

/// At worst every prefix is asked for: V^(T-1) of the last length, and the shorter ones on the way.
#[test]
fn a_hidden_prefix_is_found_by_asking_for_all() {
    let (rows, _) = study("hidden-prefix", &["vocabs=[2,3,10]", "prefixes=250", "trials=250"]);
    assert_eq!(rows.len(), 7 + 5 + 2);
    for row in &rows {
        let (vocab, length, prefixes) = (number(&row[0]), number(&row[1]), number(&row[2]));
        assert_eq!(prefixes, vocab.powf(length - 1.0));
        assert_eq!(number(&row[4]), (vocab * prefixes - 1.0) / (vocab - 1.0), "{row:?}");
        assert!(number(&row[3]) > prefixes / 2.0, "{row:?}");
    }
}

#[test]
fn temperature_trades_and_truncation_pays() {
    let (rows, svg) = study("temperature-tradeoff", &["chains=50"]);
    let (heated, cut): (Vec<_>, Vec<_>) = rows.iter().partition(|row| !row[1].is_empty());
    assert_eq!((heated.len(), cut.len()), (21, 6));
    for row in &heated {
        let (t, kl) = (number(&row[1]), number(&row[4]));
        assert_eq!((kl < 1e-12, kl.is_infinite()), (t == 1.0, t == 0.0), "{row:?}");
    }
    assert!(heated.windows(2).all(|pair| number(&pair[0][2]) < number(&pair[1][2])), "hotter is less often right");
    assert!(cut.iter().all(|row| number(&row[4]).is_infinite()));
    assert!(rows.iter().all(|row| number(&row[2]) > number(&row[3])));
    assert!(svg.contains("top_h=0.8") && svg.contains("T = 1.5"));
}

/// The pictures of `docs/theory.md` are those of the studies as they stand, on every machine. `PICTURES=write` writes them.
#[test]
fn the_pictures_of_the_docs_are_those_of_the_studies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
    for name in ["lookahead-hamming", "consistency", "hidden-prefix", "temperature-tradeoff"] {
        let (file, svg) = (folder.join(format!("{name}.svg")), study(name, &[]).1);
        if std::env::var_os("PICTURES").is_some_and(|what| what == "write") {
            fs::write(&file, &svg).unwrap();
        }
        assert!(fs::read_to_string(&file).unwrap() == svg, "{name}.svg is not what the study draws");
    }
}

#[test]
fn parameters_are_checked() {
    let entries = catalog::<Chain>();
    for (name, assignment, named) in [
        ("lookahead-hamming", "chains=0", "chains"),
        ("lookahead-hamming", "alphas=[0]", "alpha"),
        ("lookahead-hamming", "ks=[0]", "nonzero"),
        ("consistency", "noises=[2]", "noises"),
        ("consistency", "losses=[\"ngram:7\"]", "ngram:7"),
        ("consistency", "decoders=[\"viterbi\"]", "viterbi"),
        ("hidden-prefix", "vocabs=[1]", "vocabs"),
        ("hidden-prefix", "trials=0", "trials"),
        ("temperature-tradeoff", "samplers=[\"dry=0.8\"]", "dry"),
        ("temperature-tradeoff", "temperatures=[-1]", "temp"),
    ] {
        let mut settings = Settings::default();
        settings.set(assignment).unwrap();
        let entry = entries.iter().find(|entry| entry.name == name).unwrap();
        match entry.make(&settings, None).map(drop) {
            Err(StudyError::Parameter { reason }) => assert!(reason.contains(named), "{assignment}: {reason}"),
            other => panic!("{assignment}: {other:?}"),
        }
    }
}
