//! `decant advise`: which decoder serves a goal on this model.

mod report;

use crate::args::ModelArg;
use crate::lab::study::{finish, material, usage};
use crate::model::Model;
use crate::prompts::PromptsArg;
use crate::session::{Session, Usage};
use anyhow::{Context, Result};
use clap::Args;
use decant_decode::TokenId;
use decant_lab::advise::{Advice, Contender, Effort, Family, Frontier, Goal, Outlook, Ranked, Risks};
use decant_lab::study::{Study, Table, Task, discard, table};
use decant_sampling::Seed;
use report::Report;
use serde::Serialize;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  echo \"Once upon a time\" | decant advise --goal exact --prompts - --len 6
  echo \"The old bear\" | decant advise --goal mimic --prompts - --len 8 --references 8 --json
  echo \"A cat\" | decant advise --goal tokens --prompts - --len 6 --decoder greedy --decoder \"mbr(8)\"
  echo \"The old bear\" | decant advise --goal creative --prompts - --len 12 --references 4";

/// What the files of an advice are called.
const NAME: &str = "advise";

/// Say which decoder serves a goal on this model, and how sure that is
///
/// References are drawn from each prompt by plain random sampling, the one decoder that is consistent with the model's own
/// law; each decoder's risk under the goal's loss is estimated on them, with 95 % intervals by bootstrap over prompts and
/// references. `exact` needs no references: the model itself says with what probability a text is the wanted one. `creative`
/// weighs the texts' likelihood against their diversity, with as many settings tried of every sampler.
///
/// Into a folder go the table (advise.csv), a picture (advise.svg), the advice (advice.json) and a page to read
/// (advice.html). Whoever interrupts it loses nothing: the same command goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Advise {
    /// exact (the whole answer right), tokens, phrases:N (runs of N tokens right), mimic (sound like the source), creative
    #[arg(long)]
    goal: Goal,
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    prompts: PromptsArg,
    /// How many tokens a text has at most
    #[arg(long, value_name = "N", default_value_t = 16)]
    len: usize,
    /// How many references are drawn for each prompt; for creative, how many texts of each sampler
    #[arg(long, value_name = "M", default_value_t = 32)]
    references: usize,
    /// How many texts of a decoder that draws are averaged
    #[arg(long, value_name = "N", default_value_t = 8)]
    draws: usize,
    /// How many model calls a decoder may spend on a text: widths and numbers of candidates are made to fit (default: 16
    /// for each token)
    #[arg(long, value_name = "CALLS")]
    budget: Option<usize>,
    /// Compare these instead of the usual ones: `STRATEGY` or `STRATEGY:SAMPLER`, such as `beam(8)` or `sample:temp=0.7`; not
    /// for creative. May be given several times
    #[arg(long, value_name = "DECODER")]
    decoder: Vec<Contender>,
    /// The seed of all its randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the files go (default: a folder advice-GOAL)
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Start over: remove what another run has left in the folder
    #[arg(long)]
    force: bool,
    /// Print the advice as JSON
    #[arg(long)]
    json: bool,
}

/// Either kind of advice.
#[derive(Serialize)]
#[serde(untagged)]
enum Counsel {
    Risk(Advice),
    Creative(Outlook),
}

/// The advice as it is written.
#[derive(Serialize)]
struct Told<'a> {
    goal: String,
    effort: Effort,
    sentence: String,
    #[serde(flatten)]
    counsel: &'a Counsel,
}

impl Counsel {
    fn sentence(&self) -> String {
        match self {
            Counsel::Risk(advice) => advice.sentence(),
            Counsel::Creative(outlook) => outlook.sentence(),
        }
    }
}

pub fn run(args: &Advise, session: &Session) -> Result<()> {
    if args.goal == Goal::Creative && !args.decoder.is_empty() {
        return Err(Usage("--decoder: creative compares families of samplers, not single decoders".into()).into());
    }
    let budget = args.budget.unwrap_or(args.len.saturating_mul(16));
    let effort = Effort { len: args.len, references: args.references, draws: args.draws, budget };
    let model = Model::load_on(&args.model.model, args.model.storage, session, NonZeroUsize::MIN)?;
    let material = material(&model, &args.prompts)?;
    let first = material.prompts[0].clone();
    let study: Box<dyn Study + '_> = match args.goal {
        Goal::Creative => Box::new(Frontier::new(material, effort, Family::usual()).map_err(usage)?),
        goal => Box::new(Risks::new(material, goal, effort, args.contenders(effort)).map_err(usage)?),
    };
    let folder = args.out.clone().unwrap_or_else(|| format!("advice-{}", args.goal).replace(':', "-").into());
    if args.force {
        discard(NAME, &folder)?;
    }
    let task = Task { name: NAME, study: &*study, seed: Seed(args.seed) };
    finish(&task, &folder, session)?;
    let found = table(&task, &folder)?;
    let counsel = match args.goal {
        Goal::Creative => Counsel::Creative(Outlook::of(&found)),
        goal => Counsel::Risk(Advice::of(goal, &found)),
    };
    let texts = Texts { model: &model, prompt: &first };
    args.tell(&counsel, effort, &texts, &task, &found, &folder)?;
    session.note(format!("the page to read is {}", folder.join("advice.html").display()));
    Ok(())
}

impl Advise {
    fn contenders(&self, effort: Effort) -> Vec<Contender> {
        match self.decoder.as_slice() {
            [] => Contender::usual(self.goal, effort),
            given => given.to_vec(),
        }
    }

    /// Writes JSON and page, and prints one of table and JSON.
    fn tell(
        &self,
        counsel: &Counsel,
        effort: Effort,
        texts: &Texts<'_>,
        task: &Task<'_>,
        found: &Table,
        folder: &Path,
    ) -> Result<()> {
        let told = Told { goal: self.goal.to_string(), effort, sentence: counsel.sentence(), counsel };
        let json = serde_json::to_string_pretty(&told)?;
        let report = Report { goal: self.goal, model: &self.model.model.to_string(), effort, counsel, texts };
        let page = report.html(&task.study.picture(found).svg());
        for (name, text) in [("advice.json", format!("{json}\n")), ("advice.html", page)] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut out = io::stdout().lock();
        match self.json {
            true => writeln!(out, "{json}")?,
            false => write!(out, "{}\n{}\n", counsel.table(), counsel.sentence())?,
        }
        Ok(())
    }
}

/// From tokens to text, after the first prompt.
struct Texts<'a> {
    model: &'a Model,
    prompt: &'a [TokenId],
}

impl Texts<'_> {
    fn text(&self, tokens: &[TokenId]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.model.bytes(token, false)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A number as it stands in a table: near 1 what is left to 1 counts.
fn number(value: f64) -> String {
    match value {
        value if !value.is_finite() => "infinite".to_owned(),
        value if value > 0.99 && value < 1.0 => format!("1 - {:.2e}", 1.0 - value),
        value => format!("{value:.4}"),
    }
}

/// The 95 % interval of a risk, or how often it is infinite.
fn interval(ranked: &Ranked) -> String {
    let [low, high] = ranked.interval.map(number);
    if ranked.infinite > 0.0 {
        return format!("never says {:.0} % of the references", 100.0 * ranked.infinite);
    }
    format!("{low} to {high}")
}

impl Counsel {
    /// The table for the terminal.
    fn table(&self) -> String {
        let line = |cells: [&str; 5], width: usize| {
            let [mark, name, a, b, c] = cells;
            format!("{mark:1} {name:width$}  {a:>12}  {b:34}  {c:>8}\n")
        };
        match self {
            Counsel::Risk(advice) => {
                let width = advice.ranking.iter().map(|ranked| ranked.decoder.len()).max().unwrap_or(0).max(7);
                let rows = advice.ranking.iter().map(|ranked| {
                    let mark = if ranked.tied { "*" } else { "" };
                    let calls = format!("{:.1}", ranked.calls);
                    line([mark, &ranked.decoder, &number(ranked.risk), &interval(ranked), &calls], width)
                });
                let head = line(["", "decoder", "risk", "95 % interval", "calls"], width);
                let unit = format!("risk: {}; calls: model calls a text; *: not told from the best\n", advice.unit);
                [head, rows.collect(), unit].concat()
            }
            Counsel::Creative(outlook) => {
                let width = outlook.settings.iter().map(|setting| setting.sampler.len()).max().unwrap_or(0).max(7);
                let rows = outlook.settings.iter().map(|setting| {
                    let mark = if setting.on_frontier { "*" } else { "" };
                    let [one, two] = setting.distinct;
                    let distinct = format!("distinct-1 {one:.3}, distinct-2 {two:.3}");
                    let diversity = format!("{:.3}", setting.diversity);
                    line([mark, &setting.sampler, &number(setting.quality), &distinct, &diversity], width)
                });
                let head = line(["", "sampler", "quality", "", "diverse"], width);
                let unit = "quality: mean ln p of a token; diverse: 1 - self-BLEU; *: on the frontier\n\n".to_owned();
                let families = outlook.families.iter().map(|family| {
                    let [low, high] = family.interval;
                    let mark = if family.tied { "*" } else { " " };
                    format!("{mark} {:16} commands {:.3} ({low:.3} to {high:.3})\n", family.family, family.area)
                });
                let families: String = families.collect();
                [head, rows.collect(), unit, families, "*: not told from the best\n".to_owned()].concat()
            }
        }
    }
}
