//! `decant pick`: the sampler on rows that somebody dumped.

use crate::args::{IdList, IdsOrFile, Pick};
use crate::npy;
use crate::session::Session;
use anyhow::{Context, Result, anyhow};
use decant_sampling::{History, Memory, Sampler, Scratch, Seed, Step, TokenId};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};

/// One line of `pick --json`.
#[derive(Serialize)]
struct Row {
    row: usize,
    entropy: f64,
    varentropy: f64,
    temperature: f64,
    kept: u32,
    kept_mass: f64,
    kept_entropy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<f64>,
    token: TokenId,
    logprob: f64,
    sampled_logprob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_ids: Option<Vec<TokenId>>,
}

impl Row {
    fn new(row: usize, step: Step, kept_ids: Option<Vec<TokenId>>) -> Self {
        let Step {
            token,
            logprob,
            sampled_logprob,
            entropy,
            varentropy,
            temperature,
            kept,
            kept_mass,
            kept_entropy,
            gap,
        } = step;
        Row {
            row,
            entropy,
            varentropy,
            temperature,
            kept,
            kept_mass,
            kept_entropy,
            gap,
            token,
            logprob,
            sampled_logprob,
            kept_ids,
        }
    }

    const HEADINGS: &str =
        "     row   entropy  varentropy  temperature    kept  kept_mass  kept_entropy   token   logprob";

    fn line(&self) -> String {
        let Row { row, entropy, varentropy, temperature, kept, kept_mass, kept_entropy, token, logprob, .. } = self;
        let ids = self.kept_ids.iter().flatten().map(|id| format!(" {id}")).collect::<String>();
        let ids = if ids.is_empty() { ids } else { format!(" {ids}") };
        format!(
            "{row:8}  {entropy:8.4}  {varentropy:10.4}  {temperature:11.4}  {kept:6}  {kept_mass:9.6}  \
             {kept_entropy:12.4}  {token:6}  {logprob:8.4}{ids}"
        )
    }
}

/// The text before each row.
struct Texts {
    /// One a row, or one for all.
    lines: Vec<Vec<TokenId>>,
}

impl Texts {
    fn read(given: &IdsOrFile) -> Result<Self> {
        let lines = match given {
            IdsOrFile::Ids(ids) => vec![ids.0.clone()],
            IdsOrFile::File(path) => {
                let name = path.display();
                let text = fs::read_to_string(path).with_context(|| format!("cannot read --history {name}"))?;
                let line = |(number, line): (usize, &str)| {
                    let ids =
                        line.parse::<IdList>().map_err(|error| anyhow!("{name}: line {}: {error}", number + 1))?;
                    Ok(ids.0)
                };
                text.lines().enumerate().map(line).collect::<Result<_>>()?
            }
        };
        Ok(Texts { lines })
    }

    fn before(&self, row: usize) -> Result<&[TokenId]> {
        match self.lines.as_slice() {
            [text] => Ok(text),
            lines => lines.get(row).map(Vec::as_slice).with_context(|| {
                format!(
                    "--history: there are {} lines, none for row {row}; give one for each row or one for all",
                    lines.len()
                )
            }),
        }
    }
}

pub fn run(args: &Pick, session: &Session) -> Result<()> {
    let name = args.logits.display();
    let spec = args.sampler.spec(session)?;
    let file = File::open(&args.logits).with_context(|| format!("cannot read {name}"))?;
    let mut rows = npy::Reader::new(BufReader::new(file)).with_context(|| format!("cannot read {name}"))?;
    let sampler = Sampler::new(&spec, rows.width())?.with_isa(session.isa);
    let texts = Texts::read(&args.history)?;
    if let unresolved @ [_, ..] = &spec.unresolved()[..] {
        let quoted: Vec<String> = unresolved.iter().map(|text| format!("{text:?}")).collect();
        session.note(format!(
            "without a tokenizer these texts in the sampler cannot be found and do nothing: {}; token ids can",
            quoted.join(" ")
        ));
    }
    let mut scratch = Scratch::default();
    let mut out = io::stdout().lock();
    if !args.json {
        let dim = session.paint.dim();
        writeln!(out, "{dim}{}{}{dim:#}", Row::HEADINGS, if args.kept_ids { "  kept_ids" } else { "" })?;
    }
    for index in 0.. {
        let Some(row) = rows.next_row().with_context(|| format!("cannot read {name}"))? else { break };
        let coins = Seed(args.seed).coins(0, index as u64);
        let step = sampler
            .pick(
                &row,
                History::new(texts.before(index)?, args.prompt_len),
                coins,
                &mut Memory::default(),
                &mut scratch,
            )
            .with_context(|| format!("{name}: row {index}"))?;
        let kept_ids = args.kept_ids.then(|| scratch.kept(&row).collect());
        let row = Row::new(index, step, kept_ids);
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&row)?)?,
            false => writeln!(out, "{}", row.line())?,
        }
    }
    Ok(())
}
