//! What is measured of a model whose entropies are known: a Markov chain.

use decant_decode::{LanguageModel, ModelId, TokenId};
use decant_lab::calibrate::{Entropies, Measure, Plan, Report, Thresholds};
use decant_lab::chain::Chain;
use decant_lab::random::Draws;
use decant_lab::study::{Material, Outcome, Settings, Study, StudyError, TableRow, Task, catalog, run, table};
use decant_sampling::{Lexicon, Seed};
use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

/// A chain's tokens have no spelling.
struct Unspelt;

impl Lexicon for Unspelt {
    fn vocab(&self) -> usize {
        0
    }

    fn bytes(&self, _: TokenId) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn inside(&self, _: &str) -> Option<Vec<TokenId>> {
        None
    }
}

const LENGTH: usize = 20;

fn chain() -> Chain {
    Chain::random(6, LENGTH, 0.8, &mut Draws::new(Seed(3), 0, 0)).unwrap()
}

fn material<'m>(chain: &'m Chain, ends: &'m [TokenId], prompts: &[&[TokenId]]) -> Material<'m, Chain> {
    let id = ModelId { source: "chain".to_owned(), hash: "none".to_owned(), quantise: None, kv: None };
    let prompts = prompts.iter().map(|prompt| prompt.to_vec()).collect();
    Material { model: chain, id, lexicon: &Unspelt, ends, prompts }
}

fn entropy(row: &[f64]) -> f64 {
    row.iter().filter(|&&p| p > 0.0).map(|&p| -p * libm::log(p)).sum()
}

/// Runs the study in a folder of its own, and gives its rows as (text, position, entropy).
fn measured(name: &str, study: &dyn Study) -> (Vec<(usize, usize, f64)>, Entropies) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("calibrate-{name}-{}", std::process::id()));
    let task = Task { name: Measure::<Chain>::NAME, study, seed: Seed(4) };
    let outcome = run(&task, &folder, &|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome, Outcome::Finished { resumed: 0 });
    let table = table(&task, &folder).unwrap();
    fs::remove_dir_all(folder).unwrap();
    let row = |row: TableRow<'_>| (row.number("text") as usize, row.number("position") as usize, row.number("entropy"));
    (table.rows().map(row).collect(), Entropies::of_table(&table))
}

#[test]
fn entropies_are_those_of_the_chain_s_rows() {
    let chain = chain();
    let plan = Plan { tokens: 50, texts: 40, ..Plan::default() };
    let study = Measure::new(plan, material(&chain, &[], &[&[0], &[0, 2]])).unwrap();
    let (rows, entropies) = measured("rows", &study);
    let known: Vec<f64> = chain.transition().iter().map(|row| entropy(row)).collect();
    let near = |found: f64, exact: f64| (found - exact).abs() < 1e-6;
    for &(text, position, found) in &rows {
        match (position, text / 40) {
            (0, 0) => assert!(near(found, entropy(chain.start())), "the beginning: {found}"),
            (0, _) => assert!(near(found, known[2]), "after token 2: {found}"),
            _ => assert!(known.iter().any(|&exact| near(found, exact)), "{found} of {known:?}"),
        }
    }
    // Text ends where the chain does, however many tokens were asked for; the second prompt has one of its own.
    assert_eq!(rows.len(), 40 * LENGTH + 40 * (LENGTH - 1));
    let texts: Vec<usize> = rows.iter().map(|row| row.0).collect();
    assert!(texts.is_sorted() && *texts.last().unwrap() == 79);

    let report = Report::new(&entropies, Some(LanguageModel::vocab(&chain))).unwrap();
    assert_eq!((report.texts, report.all.steps, report.first.steps), (80, rows.len(), 80));
    assert!(near(report.cap.unwrap(), libm::log(6.0)) && report.largest < report.cap.unwrap());
    let thresholds = Thresholds::of(&entropies, 10.0, 90.0).unwrap();
    assert!(thresholds.low.entropy < thresholds.high.entropy);
}

#[test]
fn end_tokens_end_a_text() {
    let chain = chain();
    let plan = Plan { tokens: LENGTH, texts: 30, ..Plan::default() };
    let ends = [1, 3];
    let study = Measure::new(plan, material(&chain, &ends, &[&[0]])).unwrap();
    let (rows, _) = measured("ends", &study);
    assert!(rows.len() < 30 * LENGTH, "no text met an end");
    // An end is a text's last token, so no row comes after one.
    let [one, three] = [1, 3].map(|end: usize| entropy(&chain.transition()[end]));
    let after_an_end = |found: f64| [one, three].iter().any(|exact| (found - exact).abs() < 1e-6);
    assert!(rows.iter().all(|row| row.1 == 0 || !after_an_end(row.2)));
}

#[test]
fn plans_that_cannot_be() {
    let chain = chain();
    let new = |plan| Measure::new(plan, material(&chain, &[], &[&[0]])).err().unwrap().to_string();
    assert!(new(Plan { tokens: 0, ..Plan::default() }).contains("tokens is 0"));
    assert!(new(Plan { texts: 0, ..Plan::default() }).contains("texts is 0"));
    let sampler = "logit_bias=(9=1)".parse().unwrap();
    assert!(new(Plan { sampler, ..Plan::default() }).starts_with("parameters: sampler: "), "there are 6 tokens");
    let catalog = catalog::<Chain>();
    let entry = catalog.iter().find(|entry| entry.name == Measure::<Chain>::NAME).unwrap();
    assert!(matches!(entry.make(&Settings::default(), None), Err(StudyError::NoModel { name: "entropies" })));
    // A prompt that fills the context and more fails its cell by name.
    let long = vec![0; LENGTH + 2];
    let study = Measure::new(Plan::default(), material(&chain, &[], &[&[0], &long])).unwrap();
    let error = study.run(1, Seed(0)).unwrap_err().to_string();
    assert!(error.contains("cell 1: the prompt has 22 tokens"), "{error}");
}
