//! `tfs`: tail-free sampling.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Cuts where the curve of sorted probabilities stops bending.
///
/// # What it does
/// Takes the second differences of the sorted probabilities, and drops the tail in which hardly any of their sum lies.
///
/// # Why
/// Where the curve has become a straight line there is nothing any more to tell one token from the next. Kept for
/// compatibility.
///
/// # Rule
/// With p_1 >= .. >= p_V the survivors' probabilities: c_i = |p_i - 2 p_{i+1} + p_{i+2}| for i = 1..V-2, divided by their
/// sum. Tokens stay as long as c_1 + .. + c_i <= z, at least one. All stay where the sum never exceeds z, where V <= 2 and
/// where nothing bends at all, as in a row of equals. z in 0..=1; 1 switches the stage off.
///
/// # Cost
/// Sorts the survivors and takes an exponential of each: put a cheaper truncation before it.
///
/// # Precision
/// f64, in falling order.
///
/// # Source
/// Bricken 2019, "Tail Free Sampling", as in llama.cpp, which had it until 2024. Bricken's own code, and front-ends after
/// it, keep one token more.
#[derive(Clone, Debug, PartialEq)]
pub struct Tfs {
    /// The share of the second differences to pass; 1 for all.
    pub z: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for Tfs {
    const INFO: StageInfo = StageInfo {
        name: "tfs",
        aliases: &["tfs_z"],
        summary: "cuts where the curve of sorted probabilities stops bending",
        fields: &[
            Field::value("the share z of the second differences", Kind::required(Range::numbers(0.0, 1.0), &[1.0]))
                .usual(0.95, 0.0..=1.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 120,
        source: "Bricken 2019, as in llama.cpp",
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        Tfs { z: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.z), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for Tfs {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let (z, len, top) = (ranked.value(&self.z), ranked.len(), ranked.top_logit());
        if z >= 1.0 {
            return len;
        }
        // Beside the top token's 1: their sum cancels.
        let weights = ranked.falling(len).map(|logit| libm::exp(logit - top));
        let total: f64 = bends(weights).sum();
        if total == 0.0 {
            return len;
        }
        let weights = ranked.falling(len).map(|logit| libm::exp(logit - top));
        let mut sum = 0.0;
        let passed = |bend: f64| {
            sum += bend;
            sum > z * total
        };
        bends(weights).position(passed).map_or(len, |kept| kept.max(1))
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

/// The absolute second differences of a sequence.
fn bends(values: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    let mut before = [0.0; 2];
    let bend = move |value: f64| {
        let bend = (before[0] - 2.0 * before[1] + value).abs();
        before = [before[1], value];
        bend
    };
    values.map(bend).skip(2)
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn the_tail_is_where_nothing_bends() {
        // p = 0.5, 0.25, 0.15, 0.05, 0.05: bends 0.15, 0 and 0.1.
        let row = [0.5_f32, 0.25, 0.15, 0.05, 0.05].map(f32::ln);
        assert_eq!(kept("tfs=0.5", &row), [0]);
        assert_eq!(kept("tfs=0.7", &row), [0, 1]);
    }

    #[test]
    fn where_nothing_bends_all_stay() {
        assert_eq!(kept("tfs=0.5", &[1.0; 6]).len(), 6);
        assert_eq!(kept("tfs=0", &[1.0, 0.0]), [0, 1]);
        assert_eq!(kept("tfs=0", &[1.0]), [0]);
    }
}
