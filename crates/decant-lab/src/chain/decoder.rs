//! What says something of a law.

use super::resample::{check_stages, resample};
use super::search::{beam, lookahead, modes};
use super::{ChainError, Law, Loss, optimum};
use decant_sampling::stages::Temp;
use decant_sampling::{SamplerSpec, Stage, TokenId};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// A way to make text of a law.
///
/// Equal probabilities (within 1e-12, relatively: products that are equal may be rounded differently) are told apart by
/// the lower token, blocks and prefixes by lexicographic order.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoder {
    /// `greedy`: the most probable next token.
    Greedy,
    /// `lookahead:K`: at every position t the most probable block of the next min(K, T - t) tokens, of which the *first*
    /// is said before looking again (a receding horizon). K = 1 is greedy, K >= T is `map`.
    Lookahead(NonZeroUsize),
    /// `map`: the most probable sequence (Viterbi).
    Map,
    /// `modes`: the most probable token at every position by itself. The sequence may be impossible.
    Modes,
    /// `beam:W`: the W most probable prefixes of every length, and at the end the best of them.
    Beam(NonZeroUsize),
    /// `mbr`: minimum Bayes risk, the exact minimiser of the loss it is judged by; under cross-entropy that is `sample`.
    Mbr,
    /// `sample`: draws from the law itself.
    Sample,
    /// `temp:T`: draws with temperature T from 0 to 100 at every step; 0 is greedy.
    Temp(f64),
    /// `sampler:SPEC`: draws with the stages of a sampler at every step, each on the survivors of those before it,
    /// renormalised. `temp`, `top_k`, `top_p`, `min_p` and `top_h`, constant or by schedule.
    Sampler(SamplerSpec),
}

/// What a decoder makes of a law.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This sequence.
    Text(Vec<TokenId>),
    /// A sequence drawn from this law.
    Law(Law),
}

impl Answer {
    /// The sequence, where nothing is drawn.
    pub fn text(&self) -> Option<&[TokenId]> {
        match self {
            Answer::Text(text) => Some(text),
            Answer::Law(_) => None,
        }
    }
}

impl Decoder {
    /// What it makes of a law. Only `mbr` asks for the loss.
    ///
    /// # Errors
    /// [`ChainError::Stage`] for a sampler whose law is not worked out, [`ChainError::Window`], [`ChainError::TooLarge`].
    pub fn answer(&self, law: &Law, loss: Loss) -> Result<Answer, ChainError> {
        Ok(match self {
            Decoder::Greedy | Decoder::Temp(0.0) => Answer::Text(lookahead(law, 1)),
            Decoder::Lookahead(k) => Answer::Text(lookahead(law, k.get())),
            Decoder::Map => Answer::Text(lookahead(law, law.length())),
            Decoder::Modes => Answer::Text(modes(law)),
            Decoder::Beam(width) => Answer::Text(beam(law, width.get())?),
            Decoder::Mbr => optimum(law, loss)?.answer,
            Decoder::Sample => Answer::Law(law.clone()),
            Decoder::Temp(t) => Answer::Law(resample(law, &temperature(*t))?),
            Decoder::Sampler(spec) => Answer::Law(resample(law, spec)?),
        })
    }
}

fn temperature(t: f64) -> SamplerSpec {
    SamplerSpec(vec![Stage::Temp(Temp { t: t.into() })])
}

impl FromStr for Decoder {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        let unknown = || ChainError::Decoder(text.to_owned());
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
        let count = |value: &str| value.parse().map_err(|_| unknown());
        let valid = |spec: Result<SamplerSpec, _>| {
            spec.and_then(|spec: SamplerSpec| spec.check().map(|()| spec))
                .map_err(|source| ChainError::Spec { decoder: text.to_owned(), source })
        };
        match (name, value) {
            ("greedy", None) => Ok(Decoder::Greedy),
            ("lookahead", Some(k)) => count(k).map(Decoder::Lookahead),
            ("map", None) => Ok(Decoder::Map),
            ("modes", None) => Ok(Decoder::Modes),
            ("beam", Some(width)) => count(width).map(Decoder::Beam),
            ("mbr", None) => Ok(Decoder::Mbr),
            ("sample", None) => Ok(Decoder::Sample),
            ("temp", Some(t)) => {
                let t = t.parse().map_err(|_| unknown())?;
                valid(Ok(temperature(t))).map(|_| Decoder::Temp(t))
            }
            ("sampler", Some(spec)) => {
                let spec = valid(spec.parse())?;
                check_stages(&spec).map(|()| Decoder::Sampler(spec))
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decoder::Greedy => f.write_str("greedy"),
            Decoder::Lookahead(k) => write!(f, "lookahead:{k}"),
            Decoder::Map => f.write_str("map"),
            Decoder::Modes => f.write_str("modes"),
            Decoder::Beam(width) => write!(f, "beam:{width}"),
            Decoder::Mbr => f.write_str("mbr"),
            Decoder::Sample => f.write_str("sample"),
            Decoder::Temp(t) => write!(f, "temp:{t}"),
            Decoder::Sampler(spec) => write!(f, "sampler:{spec}"),
        }
    }
}
