//! The decoders that are compared.

use super::{Effort, Goal};
use decant_decode::{Beam, By, DecodeSpec, DecodeSpecError, Loss};
use decant_sampling::{SamplerSpec, SpecError};
use std::fmt;
use std::str::FromStr;

/// A decoder: a strategy, and the sampler that it draws by. Written `STRATEGY` or `STRATEGY:SAMPLER`; without a sampler it
/// draws from the model's own law.
///
/// ```
/// use decant_lab::advise::Contender;
/// let contender: Contender = "mbr(16,loss=ngram:2):temp=0.9".parse()?;
/// assert_eq!(contender.sampler.to_string(), "temp=0.9");
/// assert_eq!(contender.to_string(), "mbr(16,loss=ngram:2):temp=0.9");
/// # Ok::<(), decant_lab::advise::ContenderError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// The strategy.
    pub decode: DecodeSpec,
    /// What it draws by.
    pub sampler: SamplerSpec,
}

/// Why a text is not a decoder.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContenderError {
    /// What stands before the colon is no strategy.
    #[error(transparent)]
    Decode(#[from] DecodeSpecError),
    /// What stands after it is no sampler.
    #[error(transparent)]
    Sampler(#[from] SpecError),
}

impl FromStr for Contender {
    type Err = ContenderError;

    fn from_str(text: &str) -> Result<Self, ContenderError> {
        // The colon that parts them is the first one outside of the strategy's parentheses.
        let strategy = text.find(')').map_or(0, |close| close + 1);
        let strategy = if text.find([':', '(']) == text.find(':') { 0 } else { strategy };
        let (decode, sampler) = match text[strategy..].split_once(':') {
            Some((rest, sampler)) => (&text[..strategy + rest.len()], sampler),
            None => (text, ""),
        };
        Ok(Contender { decode: decode.parse()?, sampler: sampler.parse()? })
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decode)?;
        if self.sampler.0.is_empty() { Ok(()) } else { write!(f, ":{}", self.sampler) }
    }
}

impl Contender {
    fn of(decode: DecodeSpec) -> Self {
        Contender { decode, sampler: SamplerSpec::default() }
    }

    /// The decoders that are worth comparing for a goal, each as strong as the budget allows.
    pub fn usual(goal: Goal, effort: Effort) -> Vec<Contender> {
        let samplers = match goal {
            Goal::Mimic => &MIMICS[..],
            _ => &["", "temp=0.7", "temp=1,top_h=0.4", "temp=1,top_p=0.9"],
        };
        let parsed = |sampler: &&str| sampler.parse().ok();
        let samplers = samplers.iter().filter_map(parsed);
        let samplers = samplers.map(|sampler| Contender { decode: DecodeSpec::Sample, sampler });
        let searches = searches(goal, effort).into_iter().map(Contender::of);
        searches.chain(samplers).collect()
    }
}

/// Samplers whose own law is compared with the model's.
const MIMICS: [&str; 11] = [
    "",
    "temp=0.7",
    "temp=0.9",
    "temp=1.1",
    "temp=1.3",
    "temp=1,top_k=50",
    "temp=1,top_p=0.95",
    "temp=1,min_p=0.05",
    "temp=1,top_h=0.4",
    "temp=1,typical=0.95",
    "temp=by_entropy(0.5..4->0.7..1.1)",
];

fn searches(goal: Goal, effort: Effort) -> Vec<DecodeSpec> {
    let Effort { len, budget, .. } = effort;
    // As many texts side by side as the budget pays for.
    let texts = (budget / len.max(1)).max(2);
    let beam = |width| DecodeSpec::Beam(Beam::of(width));
    let mut searches = vec![DecodeSpec::Greedy, DecodeSpec::Map { len, budget }, beam(4.min(texts))];
    if let Some(loss) = goal.loss() {
        searches.extend([DecodeSpec::Lookahead { k: 3.min(len), budget: texts }, beam(texts)]);
        searches.extend([DecodeSpec::BestOf { n: texts, by: By::Logprob }]);
        let loss = if goal == Goal::Exact { Loss::Hamming } else { loss };
        searches.push(DecodeSpec::Mbr { n: texts, loss });
    }
    searches.dedup();
    searches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_comes_back(text in "(sample|mbr|greedy)?[(:)=,a-z0-9é]{0,20}") {
            if let Ok(contender) = text.parse::<Contender>() {
                prop_assert_eq!(contender.to_string().parse(), Ok(contender));
            }
        }
    }

    #[test]
    fn a_colon_inside_of_a_strategy_is_the_strategys() {
        for (text, decode, sampler) in [
            ("sample", "sample", ""),
            ("sample:temp=0.7,top_h=0.4:rule=hf", "sample", "temp=0.7,top_h=0.4:rule=hf"),
            ("mbr(4,loss=ngram:3)", "mbr(4,loss=ngram:3)", ""),
            (
                "mbr(4,loss=ngram:3):temp=by_entropy(table:0.5=0.3:2=1)",
                "mbr(4,loss=ngram:3)",
                "temp=by_entropy(table:0.5=0.3:2=1)",
            ),
            ("sample:temp=by_entropy(0..1->0.3..1)", "sample", "temp=by_entropy(0..1->0.3..1)"),
        ] {
            let contender: Contender = text.parse().unwrap();
            assert_eq!((contender.decode.to_string(), contender.sampler.to_string()), (decode.into(), sampler.into()));
            assert_eq!(contender.to_string(), text);
        }
    }

    #[test]
    fn the_usual_ones_are_all_there_and_all_different() {
        let effort = Effort { len: 8, references: 4, draws: 2, budget: 128 };
        assert!(MIMICS.iter().all(|sampler| sampler.parse::<SamplerSpec>().is_ok()));
        for goal in [Goal::Exact, Goal::Tokens, Goal::Phrases(2), Goal::Mimic] {
            let mut names: Vec<String> = Contender::usual(goal, effort).iter().map(ToString::to_string).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert!(names.len() == count && count > 8, "{names:?}");
        }
    }
}
