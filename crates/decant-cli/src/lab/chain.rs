//! `decant lab chain`: exact risks of decoders.

use super::read;
use crate::session::{Session, Usage};
use anyhow::Result;
use clap::Args;
use decant_lab::chain::{ChainError, Decoder, Law, Loss, Outcome, Verdict, instances, judge};
use decant_sampling::TokenId;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  echo '[{\"start\":[1,0],\"transition\":[[0.7,0.3],[0,1]],\"length\":3}]' | decant lab chain --file -
  echo '[{\"start\":[1],\"transition\":[[1]],\"length\":3}]' | decant lab chain --file - --loss ngram:2
  echo '[{\"joint\":[{\"sequence\":[0,1],\"p\":1}],\"vocab\":2}]' | decant lab chain --file - --json

Losses. The risk is the expected loss, the regret what it is above the least possible risk.
  exact          0 if the whole sequence is right, else 1
  hamming        the share of positions that are wrong
  ngram:N        the share of the T - N + 1 windows of N tokens that are not right throughout
  cross_entropy  -ln of the probability that the decoder gives to the true sequence, in nats;
                 infinite where it gives none

Decoders. Of equal probabilities (within 1e-12, relatively) the lower token comes first, of equal
blocks the lexicographically first.
  greedy         the most probable next token
  lookahead:K    at every position the most probable block of the next K tokens (fewer at the end),
                 of which the first is said before looking again: K = 1 is greedy, K = T is map
  map            the most probable sequence (Viterbi)
  modes          the most probable token at every position by itself
  beam:W         the W most probable prefixes of every length, at the end the best of them
  mbr            the exact minimiser of the loss; under cross_entropy the law itself
  sample         draws from the law
  temp:T         draws with temperature T, renormalised at every step, the first too
  sampler:SPEC   draws with stages such as temp=1.5,top_p=0.9 (temp, top_k, top_p, min_p, top_h)

Nothing is estimated: risks come from dynamic programming, and what would be too large is an error.
Rows must sum to 1 within 1e-6 and are then divided by their sum.";

/// Judge decoders on Markov chains and joint tables, by exact risks
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Chain {
    /// An array of chains, {"start":[..],"transition":[[..],..],"length":T}, or of joint tables,
    /// {"joint":[{"sequence":[..],"p":..},..],"vocab":V}, where sequences that are not listed are impossible; `-` reads stdin
    #[arg(long, value_name = "FILE.json")]
    file: PathBuf,
    /// exact, hamming, ngram:N or cross_entropy; may be given several times (default: exact, hamming, ngram:2 if there are
    /// two tokens, cross_entropy)
    #[arg(long, value_name = "LOSS")]
    loss: Vec<String>,
    /// Which decoder; may be given several times (default: some of every kind)
    #[arg(long, value_name = "DECODER")]
    decoder: Vec<String>,
    /// One JSON array, an object for each chain and loss: chain (from 0), loss, optimal_risk, optimal (the best sequence, or
    /// null), decoders. Each of these: decoder, risk, regret, output (the sequence, null where it is drawn); an infinite
    /// risk and its regret are null, beside "infinite": true
    #[arg(long)]
    json: bool,
}

/// What is judged where nobody says.
const DECODERS: [&str; 13] = [
    "greedy",
    "lookahead:2",
    "map",
    "modes",
    "beam:4",
    "mbr",
    "sample",
    "temp:0.5",
    "temp:1.5",
    "sampler:top_k=2",
    "sampler:top_p=0.9",
    "sampler:min_p=0.1",
    "sampler:top_h=0.4",
];

/// One chain under one loss.
#[derive(Serialize)]
struct Judged<'a> {
    chain: usize,
    loss: String,
    optimal_risk: f64,
    optimal: Option<Vec<TokenId>>,
    decoders: Vec<Line<'a>>,
}

/// One decoder, by the name that it was asked for.
#[derive(Serialize)]
struct Line<'a> {
    decoder: &'a str,
    risk: Option<f64>,
    regret: Option<f64>,
    output: Option<Vec<TokenId>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    infinite: bool,
}

impl<'a> Line<'a> {
    fn new(decoder: &'a str, outcome: Outcome) -> Self {
        let Outcome { risk, regret, output } = outcome;
        let finite = |number: f64| number.is_finite().then_some(number);
        Line { decoder, risk: finite(risk), regret: finite(regret), output, infinite: risk.is_infinite() }
    }
}

pub fn run(args: &Chain, session: &Session) -> Result<()> {
    let usage = |error: ChainError| Usage(error.to_string());
    let losses: Vec<Loss> = args.loss.iter().map(|loss| loss.parse()).collect::<Result<_, _>>().map_err(usage)?;
    let names = match args.decoder.as_slice() {
        [] => DECODERS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let decoders: Vec<Decoder> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(usage)?;
    for decoder in &decoders {
        if let Decoder::Sampler(spec) = decoder {
            spec.warnings().iter().for_each(|warning| session.warn(warning));
        }
    }
    let file = args.file.display();
    let laws = instances(&read(&args.file)?).map_err(|error| Usage(format!("{file}: {error}")))?;
    let mut judged = Vec::new();
    for (chain, law) in laws.iter().enumerate() {
        for loss in losses_of(&losses, law) {
            let Verdict { optimal_risk, optimal, outcomes } =
                judge(law, loss, &decoders).map_err(|error| Usage(format!("{file}: chain {chain}: {error}")))?;
            let decoders = names.iter().zip(outcomes).map(|(name, outcome)| Line::new(name, outcome)).collect();
            judged.push(Judged { chain, loss: loss.to_string(), optimal_risk, optimal, decoders });
        }
    }
    let mut out = io::stdout().lock();
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&judged)?)?);
    }
    judged.iter().try_for_each(|judged| write_table(&mut out, judged, session))
}

/// What was asked for, or all that make sense.
fn losses_of(asked: &[Loss], law: &Law) -> Vec<Loss> {
    match asked {
        [] if law.length() < 2 => vec![Loss::Exact, Loss::Hamming, Loss::CrossEntropy],
        [] => vec![Loss::Exact, Loss::Hamming, Loss::Ngram(2), Loss::CrossEntropy],
        asked => asked.to_vec(),
    }
}

fn write_table(out: &mut impl Write, judged: &Judged<'_>, session: &Session) -> Result<()> {
    let Judged { chain, loss, optimal_risk, optimal, decoders } = judged;
    let dim = session.paint.dim();
    let best = optimal.as_ref().map(|best| format!(", by {}", spaced(best))).unwrap_or_default();
    writeln!(out, "chain {chain}, {loss}: the least risk is {optimal_risk:.6}{best}")?;
    let width = decoders.iter().map(|line| line.decoder.len()).max().unwrap_or(0).max("decoder".len());
    writeln!(out, "{dim}  {:width$}      risk    regret  output{dim:#}", "decoder")?;
    for Line { decoder, risk, regret, output, .. } in decoders {
        let number = |number: &Option<f64>| number.map_or("inf".to_owned(), |number| format!("{number:.6}"));
        let output = output.as_ref().map_or("drawn".to_owned(), |output| spaced(output));
        writeln!(out, "  {decoder:width$}  {:>8}  {:>8}  {output}", number(risk), number(regret))?;
    }
    Ok(writeln!(out)?)
}

/// The ids of a sequence, as far as a line goes.
fn spaced(sequence: &[TokenId]) -> String {
    const SHOWN: usize = 24;
    let shown: Vec<String> = sequence.iter().take(SHOWN).map(TokenId::to_string).collect();
    shown.join(" ") + if sequence.len() > SHOWN { " .." } else { "" }
}
