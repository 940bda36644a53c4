//! `min_k`: the steepest drop of the sorted logits.

use super::MIN_TOKENS_TO_KEEP;
use crate::Schedule;
use crate::catalog::{Field, Kind, Range, Role, StageDef, StageInfo};
use crate::effect::Effect;
use crate::spec::build::Params;
use crate::{Ranked, Truncate};

/// Keeps the tokens before the steepest drop of the sorted logits.
///
/// # What it does
/// Looks for the place where the sorted logits fall most steeply, early drops counting more, and keeps what stands before
/// it.
///
/// # Why
/// Between the tokens that make sense and the rest there is often a cliff. Where it stands depends on no probability and
/// on no temperature.
///
/// # Rule
/// With the survivors' logits at T = 1, l_1 >= .. >= l_V: w_i = (l_i - l_{i+1}) / ((l_1 - l_V) · i), and the first
/// max(k, floor(tau / (l_1 - l_V))) stay, k being where w is largest (the first of equals). tau >= 0; it matters only in
/// rows that are nearly flat, where there is no cliff to be found. Where all logits are equal all stay. Temperatures
/// before it are undone, so they change nothing.
///
/// # Cost
/// One pass for l_V; then only so many tokens are sorted that no later drop can win: those after rank n are no steeper
/// than (l_n - l_V) / n. No exponential at all.
///
/// # Precision
/// Differences of f32 logits in f64.
///
/// # Source
/// arXiv 2604.11012, where it is applied before temperature; tau 3.
#[derive(Clone, Debug, PartialEq)]
pub struct MinK {
    /// How many logits of range make a flat row.
    pub tau: Schedule,
    /// How many tokens stay at least.
    pub min_tokens_to_keep: Schedule,
}

impl StageDef for MinK {
    const INFO: StageInfo = StageInfo {
        name: "min_k",
        aliases: &[],
        summary: "keeps the tokens before the steepest drop of the sorted logits",
        fields: &[
            Field::value("tau, which counts in flat rows", Kind::required(Range::numbers(0.0, f64::INFINITY), &[]))
                .usual(3.0, 0.0..=20.0),
            MIN_TOKENS_TO_KEEP,
        ],
        rank: 9,
        source: "arXiv 2604.11012",
        temperature_invariant: true,
        before_temperature: true,
        ..StageInfo::of(Role::Truncation)
    };

    fn read(params: &Params) -> Self {
        MinK { tau: params.number("value"), min_tokens_to_keep: params.number("min_tokens_to_keep") }
    }

    fn write(&self) -> Params {
        Params::numbers([("value", &self.tau), ("min_tokens_to_keep", &self.min_tokens_to_keep)])
    }

    fn effect(&self) -> Effect<'_> {
        Effect::Truncation(self)
    }
}

impl Truncate for MinK {
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize {
        let (tau, beta) = (ranked.value(&self.tau), ranked.beta());
        // Rounded to f32 they are the very logits of the row.
        let at_t1 = |logit: f64| f64::from((logit / beta) as f32);
        let (top, bottom) = (at_t1(ranked.top_logit()), at_t1(ranked.bottom_logit()));
        if top == bottom {
            return ranked.len();
        }
        let (mut cliff, mut steepest, mut listed) = (1, 0.0, 64);
        loop {
            let (mut last, mut rank) = (top, 0);
            for logit in ranked.falling(listed).map(at_t1) {
                if rank > 0 && (last - logit) / f64::from(rank) > steepest {
                    (cliff, steepest) = (rank, (last - logit) / f64::from(rank));
                }
                (last, rank) = (logit, rank + 1);
            }
            if (last - bottom) / f64::from(rank) <= steepest {
                return (cliff as usize).max((tau / (top - bottom)) as usize);
            }
            listed *= 4;
        }
    }

    fn min_tokens_to_keep(&self) -> &Schedule {
        &self.min_tokens_to_keep
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::tests::kept;

    #[test]
    fn early_drops_count_more() {
        assert_eq!(kept("min_k=0", &[5.0, 0.0, 4.9, 4.8]), [0, 2, 3]);
        // 1/1 against 2/2: the first of equals.
        assert_eq!(kept("min_k=0", &[3.0, 2.0, 0.0]), [0]);
    }

    #[test]
    fn flat_rows() {
        assert_eq!(kept("min_k=3", &[1.0; 4]).len(), 4);
        assert_eq!(kept("min_k=3", &[1.0, 0.0, 0.5, 0.25]), [0, 2, 3]);
        assert_eq!(kept("min_k=3", &[f32::NEG_INFINITY, 0.0]), [1]);
    }

    #[test]
    fn a_cliff_far_down_is_found() {
        let mut row: Vec<f32> = (0..5000).map(|i| i as f32 * -1e-4).collect();
        row[3000..].iter_mut().for_each(|logit| *logit -= 20.0);
        assert_eq!(kept("min_k=0", &row).len(), 3000);
        assert_eq!(kept("temp=0.3,min_k=0", &row).len(), 3000);
    }
}
