//! What else a row found probable.

use decant_sampling::{EntropyStats, Logits, TokenId};

/// A token that could have been drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
    /// Its id.
    pub token: TokenId,
    /// ln p in the model's own row (T = 1, before any stage).
    pub logprob: f64,
}

/// The `n` most probable tokens of a row, in falling probability, lower id first among equals. Forbidden tokens (-inf)
/// are never among them, so there may be fewer. One pass over the row; the vocabulary is not sorted.
pub fn alternatives(logits: Logits<'_>, n: usize) -> Vec<Alternative> {
    let stats = EntropyStats::of(&logits);
    top(logits.row(), n)
        .into_iter()
        .map(|(token, logit)| Alternative { token, logprob: stats.logprob(logit) })
        .collect()
}

/// The n tokens of a row with the largest logits, in falling order, lower id first among equals; forbidden ones never.
pub(crate) fn top(row: &[f32], n: usize) -> Vec<(TokenId, f32)> {
    let falling = |a: &(TokenId, f32), b: &(TokenId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut top: Vec<(TokenId, f32)> = Vec::new();
    // Of equals the first seen ranks first, so once n are there only what is greater than the least of them counts.
    let mut least = f32::NEG_INFINITY;
    for (token, &logit) in (0..).zip(row) {
        if logit > least && n > 0 {
            top.push((token, logit));
            if top.len() >= 2 * n + 16 {
                top.select_nth_unstable_by(n - 1, falling);
                top.truncate(n);
                least = top[n - 1].1;
            }
        }
    }
    top.sort_unstable_by(falling);
    top.truncate(n);
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_head_of_a_sorted_row(row in prop::collection::vec(prop_oneof![
            -3i8..3, Just(i8::MIN)
        ].prop_map(|l| if l == i8::MIN { f32::NEG_INFINITY } else { f32::from(l) }), 1..40), n in 0usize..8) {
            prop_assume!(row.iter().any(|l| l.is_finite()));
            let mut sorted: Vec<usize> = (0..row.len()).filter(|&i| row[i].is_finite()).collect();
            sorted.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            sorted.truncate(n);
            let top = alternatives(Logits::new(&row).unwrap(), n);
            let ids: Vec<usize> = top.iter().map(|a| a.token as usize).collect();
            prop_assert_eq!(ids, sorted);
            let z: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
            for a in top {
                prop_assert!((a.logprob - (f64::from(row[a.token as usize]) - z.ln())).abs() < 1e-6);
            }
        }
    }
}
