//! `decant lab study`.

use crate::args::ModelArg;
use crate::model::Model;
use crate::prompts::PromptsArg;
use crate::session::{Session, Usage};
use anyhow::Result;
use clap::Args;
use decant_lab::study::{self, Entry, Material, Outcome, Progress, Settings, StudyError, Task};
use decant_models::LoadError;
use decant_models::native::NativeModel;
use decant_sampling::Seed;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  decant lab study
  decant lab study schedules --set entropy=5
  decant lab study lookahead-hamming --out figure --seed 7 --set chains=20
  echo \"Once upon a time\" | decant lab study entropies --prompts - --set texts=4";

/// Run a reproducible study into a folder: a manifest, a CSV, an SVG
///
/// Whoever interrupts it loses nothing: the same command goes on where it was, and the files come out the very same.
/// Without a name it lists the studies.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Study {
    /// Which study
    pub name: Option<String>,
    /// List the studies
    #[arg(long, conflicts_with = "name")]
    pub list: bool,
    /// Where the files go (default: a folder with the study's name)
    #[arg(long, short, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// The seed of all its randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Set a parameter, such as `chains=20` or `alphas=[0.1,1]`; the manifest shows all of them. May be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Start over: remove what another run has left in the folder
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub model: ModelArg,
    #[command(flatten)]
    pub prompts: PromptsArg,
}

pub fn run(args: &Study, session: &Session) -> Result<()> {
    let catalog = study::catalog::<NativeModel>();
    let Some(name) = args.name.as_deref().filter(|_| !args.list) else { return list(&catalog) };
    let Some(entry) = catalog.iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = catalog.iter().map(|entry| entry.name).collect();
        return Err(Usage(format!("there is no study {name}; there are {}", names.join(", "))).into());
    };
    let mut settings = Settings::default();
    args.set.iter().try_for_each(|assignment| settings.set(assignment)).map_err(usage)?;
    let model = entry.needs_model().then(|| load(&args.model, session)).transpose()?;
    let material = model.as_ref().map(|model| material(model, &args.prompts)).transpose()?;
    let study = entry.make(&settings, material).map_err(usage)?;
    let folder = args.out.clone().unwrap_or_else(|| entry.name.into());
    let task = Task { name: entry.name, study: &*study, seed: Seed(args.seed) };
    if args.force {
        study::discard(task.name, &folder)?;
    }
    finish(&task, &folder, session)
}

/// Runs a study into a folder, with a bar, and says where the files are.
pub fn finish(task: &Task<'_>, folder: &Path, session: &Session) -> Result<()> {
    let outcome = perform(task, folder, session)?;
    session.note(told(outcome, task, folder));
    Ok(())
}

fn told(outcome: Outcome, task: &Task<'_>, folder: &Path) -> String {
    let (name, folder, cells) = (task.name, folder.display(), task.study.cells());
    let wrote = format!("wrote {name}.csv and {name}.svg into {folder}");
    match outcome {
        Outcome::Finished { resumed } if resumed == cells => format!("{folder} was finished before"),
        Outcome::Finished { resumed: 0 } => wrote,
        Outcome::Finished { resumed } => format!("went on after {resumed} of {cells} cells; {wrote}"),
        Outcome::Stopped => format!("stopped; the same command goes on in {folder}"),
    }
}

fn list(catalog: &[Entry<NativeModel>]) -> Result<()> {
    let width = catalog.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for entry in catalog {
        let needs = if entry.needs_model() { " (of a model)" } else { "" };
        writeln!(out, "{:width$}  {}{needs}", entry.name, entry.about)?;
    }
    Ok(())
}

/// The model of a study: its cells share out the threads, so within one of them the engine has a single thread.
pub fn load(model: &ModelArg, session: &Session) -> Result<Model, LoadError> {
    Model::load_on(&model.model, model.storage, session, NonZeroUsize::MIN)
}

/// What a study of a model works on.
pub fn material<'m>(model: &'m Model, prompts: &PromptsArg) -> Result<Material<'m, NativeModel>> {
    let tokenizer = model.tokenizer();
    let prompts = prompts.read(model)?;
    Ok(Material { model: model.engine(), id: model.id(), lexicon: tokenizer, ends: tokenizer.ends(), prompts })
}

/// A study that cannot be made is a wrong command line.
pub fn usage(error: StudyError) -> anyhow::Error {
    match error {
        error @ StudyError::Parameter { .. } => Usage(error.to_string()).into(),
        error => error.into(),
    }
}

/// Runs a study into a folder, with a bar and on the session's threads.
pub fn perform(task: &Task<'_>, folder: &Path, session: &Session) -> Result<Outcome> {
    let bar = session.bar(task.name, task.study.cells() as u64, false);
    let progress = |Progress { done, .. }| {
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(session.threads.get()).build()?;
    let outcome = threads.install(|| study::run(task, folder, &progress));
    bar.finish_and_clear();
    Ok(outcome?)
}
