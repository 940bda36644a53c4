//! `xtc`: exclude top choices.

use super::{MIN_TOKENS_TO_KEEP, at_least};
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::{Effect, Rewrite};
use crate::spec::build::Params;
use crate::{Coins, Ranked, Schedule};

/// Now and then drops all the top choices but the least likely of them.
///
/// # What it does
/// With a given probability, at each step, drops every token that reaches a threshold, except the least likely one that
/// does.
///
/// # Why
/// Where several continuations are good the most probable one is the most worn. What is dropped is never needed, for one
/// that is good enough always stays.
///
/// # Rule
/// With the chance P: of the tokens with p_i >= threshold, p renormalised over the survivors, all but the last are dropped,
/// in falling probability, lower id first among equals. Nothing happens if fewer than two reach the threshold (so never
/// if it is above 0.5), or if fewer than `min_tokens_to_keep` would stay. P in 0..=1; 0 switches the stage off. It acts if
/// the coin of its own lane is below P; each `xtc` of a chain has a lane of its own.
///
/// # Cost
/// One pass for Σe^l where the coin says so; then logits are compared with one bound.
///
/// # Precision
/// The bound is f64.
///
/// # Source
/// llama.cpp's `xtc` sampler, which has it from p-e-w's for text-generation-webui; usual are P 0.5 and threshold 0.1.
#[derive(Clone, Debug, PartialEq)]
pub struct Xtc {
    /// P; 0 for never.
    pub probability: Schedule,
    /// What makes a token a top choice.
    pub threshold: Schedule,
    /// Nothing is dropped where fewer would stay.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for Xtc {
    const INFO: StageInfo = StageInfo {
        name: "xtc",
        aliases: &["xtc_probability"],
        summary: "with probability P drops all tokens that reach a threshold but the least likely of them",
        fields: &[
            Field::value("the probability P that it acts", Kind::required(Range::numbers(0.0, 1.0), &[0.0]))
                .usual(0.5, 0.0..=1.0),
            Field::new(
                "threshold",
                "the probability that makes a token a top choice; above 0.5 there are never two",
                Kind::optional(Range::numbers(0.0, 1.0), 0.1),
            )
            .usual(0.1, 0.0..=0.5)
            .flat(&["xtc_threshold"]),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 130,
        source: "llama.cpp, after p-e-w's for text-generation-webui",
        keeps_argmax: false,
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Xtc {
            probability: params.number("value"),
            threshold: params.number("threshold"),
            min_tokens_to_keep: params.number("min_tokens_to_keep"),
        }
    }

    fn write(&self) -> Params {
        Params::numbers([
            ("value", &self.probability),
            ("threshold", &self.threshold),
            ("min_tokens_to_keep", &self.min_tokens_to_keep),
        ])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Rewriting(self)
    }
}

impl Rewrite for Xtc {
    fn rewrite(&self, ranked: &mut Ranked<'_>) {
        let coin = ranked.context.coins.uniform(Coins::XTC + ranked.context.nth);
        if coin >= ranked.value(&self.probability) {
            return;
        }
        let threshold = ranked.value(&self.threshold);
        if ranked.max_prob() < threshold {
            return;
        }
        let dropped = at_least(ranked, threshold) - 1;
        let left = ranked.len() - dropped;
        if dropped > 0 && left >= ranked.count(&self.min_tokens_to_keep) {
            ranked.drop_first(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;
    use crate::{Coins, Memory, Sampler, Scratch, Seed, TokenId};

    #[test]
    fn the_least_likely_top_choice_stays() {
        let row = [0.4_f32, 0.1, 0.3, 0.2].map(f32::ln);
        assert_eq!(kept("xtc=1:threshold=0.15", &row), [1, 3]);
        assert_eq!(kept("xtc=1:threshold=0.25", &row), [1, 2, 3]);
        assert_eq!(kept("xtc=1:threshold=0.35", &row), [0, 1, 2, 3]);
        assert_eq!(kept("xtc=1:threshold=0", &row), [1]);
        assert_eq!(kept("xtc=1:threshold=0.15:min_tokens_to_keep=3", &row), [0, 1, 2, 3]);
    }

    #[test]
    fn of_equals_the_highest_id_stays() {
        assert_eq!(kept("xtc=1:threshold=0.25", &[0.0; 4]), [3]);
        assert_eq!(kept("xtc=1:threshold=0.3", &[0.0; 4]), [0, 1, 2, 3]);
        assert_eq!(kept("xtc=1:threshold=0", &[0.0]), [0]);
    }

    /// What two `xtc` in a chain leave of a row, by which of them act.
    fn kept_of_two(first: bool, second: bool) -> &'static [TokenId] {
        match (first, second) {
            (false, false) => &[0, 1, 2, 3],
            (true, false) => &[1, 2, 3],
            (false, true) => &[2, 3],
            // 0.31, 0.2 and 0.14 have become 0.48, 0.31 and 0.22.
            (true, true) => &[3],
        }
    }

    #[test]
    fn each_acts_if_its_own_coin_is_below_its_p() {
        let row = [0.35_f32, 0.31, 0.2, 0.14].map(f32::ln);
        let spec = "xtc=0.3:threshold=0.3,xtc=0.6:threshold=0.19".parse().unwrap();
        let (sampler, mut scratch) = (Sampler::new(&spec, row.len()).unwrap(), Scratch::default());
        let mut kept = |coins: Coins| -> Vec<TokenId> {
            sampler.draw(&row, &[], coins, &mut Memory::default(), &mut scratch).unwrap();
            scratch.kept(&row).collect()
        };
        for i in 0..1000 {
            let coin = (f64::from(i) + 0.5) / 1000.0;
            assert_eq!(kept(Coins::fixed(coin)), kept_of_two(i < 300, i < 600), "{coin}");
        }
        let mut seen = [0; 4];
        for position in 0..1000 {
            let coins = Seed(3).coins(0, position);
            let (first, second) = (coins.uniform(Coins::XTC) < 0.3, coins.uniform(Coins::XTC + 1) < 0.6);
            assert_eq!(kept(coins), kept_of_two(first, second), "{position}");
            seen[usize::from(first) + 2 * usize::from(second)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}: the coins are one");
    }
}
