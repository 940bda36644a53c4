//! `logit_bias`: a bias for each of some tokens.

use crate::Ranked;
use crate::TokenId;
use crate::catalog::{Field, Kind, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use std::collections::BTreeMap;

/// Makes tokens more or less probable, one by one, or forbids them.
///
/// # What it does
/// Adds a bias to the logit of each token that is listed.
///
/// # Why
/// Whoever knows what should not be said, or should rather, can say so by token.
///
/// # Rule
/// l' = l + b. -inf forbids the token (in JSON the text "-inf", or false); any finite number is just added, -100 too. A token
/// that the model or a stage before has forbidden stays so. Every id must be in the vocabulary, and no id may stand twice;
/// with no ids, or only biases of 0, the stage is off. If every survivor is forbidden the row is none any more, which is an
/// error.
///
/// # Cost
/// One look-up for each token listed, one copy of the row.
///
/// # Precision
/// In f64, rounded to f32 once.
///
/// # Source
/// OpenAI's API, which takes -100..=100, as an object; llama.cpp, also as an array of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct LogitBias {
    /// What is added to the token's logit, in nats; -inf forbids it.
    pub biases: BTreeMap<TokenId, f64>,
}

impl StageDef for LogitBias {
    const INFO: StageInfo = StageInfo {
        name: "logit_bias",
        summary: "adds a bias to the logits of the tokens listed; -inf forbids",
        fields: &[Field::value("the biases by token id", Kind::Biases)],
        rank: 1,
        source: "OpenAI's API; llama.cpp",
        ..StageInfo::of(Role::Adjustment)
    };

    fn read(params: &Params) -> Self {
        LogitBias { biases: params.biases("value") }
    }

    fn write(&self) -> Params {
        Params::default().and_biases("value", &self.biases)
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for LogitBias {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        for (&token, bias) in &self.biases {
            ranked.change(token, |logit| logit + bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::{assert_law, kept};

    #[test]
    fn biases_are_added() {
        let ln_2 = std::f64::consts::LN_2;
        assert_law(&format!("logit_bias=(0={ln_2})"), &[0.25, 0.5, 0.25], &[], &[0.4, 0.4, 0.2]);
        assert_law(&format!("temp=0.5,logit_bias=(0={ln_2})"), &[0.5, 0.5], &[], &[2.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn what_is_forbidden_stays_so() {
        assert_eq!(kept("logit_bias=(0=-inf,2=100)", &[1.0, 0.0, f32::NEG_INFINITY]), [1]);
        assert_eq!(kept("logit_bias=(0=-inf),logit_bias=(0=100)", &[1.0, 0.0]), [1]);
        assert_eq!(kept("top_k=1,logit_bias=(1=100)", &[1.0, 0.0]), [0]);
    }

    #[test]
    fn huge_biases_stay_logits() {
        assert_eq!(kept("logit_bias=(0=1e300,1=-1e300)", &[1.0, 0.0, 2.0]), [0, 1, 2]);
    }
}
