//! Advice on chains, where every risk is known exactly.

use decant_decode::ModelId;
use decant_lab::advise::{Advice, Contender, Effort, Family, Frontier, Goal, Outlook, Risks};
use decant_lab::chain::{Chain, judge};
use decant_lab::random::Draws;
use decant_lab::study::{self, Material, Study, StudyError, Table, Task};
use decant_sampling::{Lexicon, Seed, TokenId};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::PathBuf;

const LENGTH: usize = 5;
const STATES: usize = 4;

/// Tokens without texts.
struct Wordless;

impl Lexicon for Wordless {
    fn vocab(&self) -> usize {
        STATES
    }

    fn bytes(&self, _token: TokenId) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn inside(&self, _text: &str) -> Option<Vec<TokenId>> {
        None
    }
}

fn chain(alpha: f64) -> Chain {
    let mut draws = Draws::new(Seed(4), 0, 0);
    let mut row = || draws.dirichlet(alpha, STATES);
    let (start, transition) = (row(), (0..STATES).map(|_| row()).collect());
    Chain::new(start, transition, LENGTH).unwrap()
}

fn material(chain: &Chain, prompts: usize) -> Material<'_, Chain> {
    let id = ModelId { source: "chain".into(), hash: "none".into(), quantise: None, kv: None };
    // A chain's first token stands for its beginning: all prompts are the same, and their estimates differ by chance alone.
    Material { model: chain, id, lexicon: &Wordless, ends: &[], prompts: vec![vec![0]; prompts] }
}

const EFFORT: Effort = Effort { len: LENGTH, references: 60, draws: 20, budget: 4 * LENGTH };

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("decant-advise-{name}-{}", std::process::id()));
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn table(study: &dyn Study, name: &str) -> Table {
    let folder = Folder::new(name);
    let task = Task { name: "advise", study, seed: Seed(3) };
    study::run(&task, &folder.0, &|_| ControlFlow::Continue(())).unwrap();
    study::table(&task, &folder.0).unwrap()
}

fn advice(goal: Goal, contenders: &[&str], chain: &Chain) -> Advice {
    let contenders = contenders.iter().map(|name| name.parse().unwrap()).collect();
    let risks = Risks::new(material(chain, 40), goal, EFFORT, contenders).unwrap();
    Advice::of(goal, &table(&risks, &format!("{goal}-{}", chain.start()[0])))
}

/// Every estimate lies near the exact risk, and its interval nearly always holds it.
#[test]
fn estimates_are_the_exact_risks() {
    let pairs = [
        ("greedy", "greedy"),
        ("lookahead(2)", "lookahead:2"),
        ("map(5)", "map"),
        ("beam(2)", "beam:2"),
        ("sample", "sample"),
        ("sample:temp=0.5", "temp:0.5"),
        ("sample:temp=1,top_p=0.8", "sampler:temp=1,top_p=0.8"),
        ("sample:temp=1,top_h=0.4", "sampler:temp=1,top_h=0.4"),
    ];
    let (mut held, mut all) = (0, 0);
    for alpha in [0.3, 1.0] {
        let chain = chain(alpha);
        for (goal, loss) in [(Goal::Exact, "exact"), (Goal::Tokens, "hamming"), (Goal::Phrases(2), "ngram:2")] {
            let found = advice(goal, &pairs.map(|pair| pair.0), &chain);
            let decoders = pairs.map(|pair| pair.1.parse().unwrap());
            let exact = judge(&chain.law().unwrap(), loss.parse().unwrap(), &decoders).unwrap();
            for (pair, outcome) in pairs.iter().zip(&exact.outcomes) {
                let ranked = found.ranking.iter().find(|ranked| ranked.decoder == pair.0).unwrap();
                assert!(
                    (ranked.risk - outcome.risk).abs() < 0.03,
                    "{goal} {} {} {}",
                    pair.0,
                    ranked.risk,
                    outcome.risk
                );
                let [low, high] = ranked.interval;
                (held, all) = (held + usize::from((low - 1e-6..=high + 1e-6).contains(&outcome.risk)), all + 1);
            }
        }
    }
    assert!(held * 10 >= all * 8, "{held} of {all} intervals hold the exact risk");
}

#[test]
fn searches_win_exact_and_plain_sampling_wins_mimic() {
    let chain = chain(1.0);
    let exact = advice(Goal::Exact, &["sample", "greedy", "map(5)", "sample:temp=0.7"], &chain);
    assert_eq!(exact.ranking[0].decoder, "map(5)");
    assert!(exact.ranking[0].risk < exact.ranking[2].risk);

    let mimic = advice(
        Goal::Mimic,
        &["greedy", "sample:temp=0.5", "sample:temp=1,top_h=0.4", "sample", "sample:temp=1.5"],
        &chain,
    );
    assert_eq!((mimic.ranking[0].decoder.as_str(), mimic.winner.as_deref()), ("sample", Some("sample")));
    let truth = judge(&chain.law().unwrap(), "cross_entropy".parse().unwrap(), &["temp:0.5".parse().unwrap()]).unwrap();
    let risk = |name: &str| mimic.ranking.iter().find(|ranked| ranked.decoder == name).unwrap().risk;
    assert!((risk("sample") - truth.optimal_risk).abs() < 0.1);
    assert!((risk("sample:temp=0.5") - truth.outcomes[0].risk).abs() < 0.2);
    // What removes true support is infinitely bad, and the share of references that it cannot say is told.
    let top_h = mimic.ranking.iter().find(|ranked| ranked.decoder.ends_with("top_h=0.4")).unwrap();
    assert!(top_h.risk.is_infinite() && top_h.infinite > 0.3 && !top_h.tied);
}

/// Equal decoders are not told apart, and the cheaper one is named.
#[test]
fn what_cannot_be_told_apart_is_not() {
    let found = advice(Goal::Tokens, &["lookahead(1)", "greedy", "beam(1)", "sample"], &chain(0.3));
    assert_eq!(found.winner, None);
    assert_eq!(found.ranking.iter().filter(|ranked| ranked.tied).count(), 3);
    assert!(found.sentence().contains("do not tell these apart"), "{}", found.sentence());
}

#[test]
fn the_frontier_runs_from_likely_to_diverse() {
    let chain = chain(1.0);
    let family = |name: &str, settings: [&str; 2]| Family {
        name: name.into(),
        settings: settings.iter().map(|spec| spec.parse().unwrap()).collect(),
    };
    let families = vec![family("temp", ["temp=0.3", "temp=1"]), family("top_k", ["temp=1,top_k=1", "temp=1,top_k=3"])];
    let frontier = Frontier::new(material(&chain, 6), EFFORT, families).unwrap();
    let outlook = Outlook::of(&table(&frontier, "creative"));
    let setting = |name: &str| outlook.settings.iter().find(|setting| setting.sampler == name).unwrap();
    let (one, plain) = (setting("temp=1,top_k=1"), setting("temp=1"));
    assert!(one.diversity.abs() < 1e-12 && one.quality > plain.quality && one.on_frontier);
    assert!(plain.diversity > 0.3 && outlook.families.iter().all(|family| (0.0..=1.0).contains(&family.area)));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let chain = chain(1.0);
    let refused = |goal, effort, contender: &str| {
        let contenders: Vec<Contender> = vec![contender.parse().unwrap()];
        match Risks::new(material(&chain, 1), goal, effort, contenders) {
            Err(StudyError::Parameter { reason }) => reason,
            _ => panic!("{contender} was taken"),
        }
    };
    assert_eq!(refused(Goal::Exact, Effort { len: 0, ..EFFORT }, "greedy"), "len must be at least 1; given 0");
    assert_eq!(refused(Goal::Exact, Effort { budget: 4, ..EFFORT }, "greedy"), "budget must be at least 5; given 4");
    assert_eq!(
        refused(Goal::Tokens, Effort { references: 1, ..EFFORT }, "greedy"),
        "references must be at least 2; given 1"
    );
    assert!(refused(Goal::Mimic, EFFORT, "mbr(4)").starts_with("mbr(4): nobody can say with what probability"));
    assert!(refused(Goal::Exact, EFFORT, "sample:logit_bias=(9=1)").contains("not in the vocabulary of 4"));
}
