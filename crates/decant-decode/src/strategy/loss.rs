//! How far two texts are apart.

use decant_sampling::TokenId;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A loss between two sequences of tokens, in 0..=1; 0 for equal ones. Positions that only one of them has count as wrong.
///
/// ```
/// use decant_decode::Loss;
/// assert_eq!(Loss::Exact.between(&[1, 2, 3], &[1, 2, 4]), 1.0);
/// assert_eq!(Loss::Hamming.between(&[1, 2, 3, 4], &[1, 2, 4, 4]), 0.25);
/// assert_eq!(Loss::Ngram(2).between(&[1, 2, 3, 4, 5], &[1, 2, 3, 5, 5]), 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// `exact`: 1 unless all is equal (0-1 on the sequence).
    Exact,
    /// `hamming`: the share of positions with different tokens.
    Hamming,
    /// `ngram:N`: the share of places where the next N tokens are not equal (N-gram Hamming). 1 is `hamming`; where neither
    /// has N tokens it is `exact`.
    Ngram(usize),
    /// `bleu`: 1 - BLEU of up to 4-grams of tokens, the first sequence being the reference (Papineni et al. 2002; counts of
    /// more than one token add-one smoothed, Lin and Och 2004).
    Bleu,
    /// `rouge_l`: 1 - F1 of the longest common subsequence of tokens (Lin 2004).
    RougeL,
}

/// Not the name of a loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a loss is {}; given `{given}`", Loss::ALLOWED)]
pub struct UnknownLoss {
    /// What was given.
    pub given: String,
}

impl Loss {
    /// What a loss may be called.
    pub const ALLOWED: &str = "exact, hamming, ngram:N with N >= 1, bleu or rouge_l";

    /// The loss of saying `guess` where `truth` was to be said.
    pub fn between(&self, truth: &[TokenId], guess: &[TokenId]) -> f64 {
        match *self {
            Loss::Exact => f64::from(truth != guess),
            Loss::Hamming => windows_differ(truth, guess, 1),
            Loss::Ngram(n) => windows_differ(truth, guess, n),
            Loss::Bleu => 1.0 - bleu(truth, guess),
            Loss::RougeL => 1.0 - rouge_l(truth, guess),
        }
    }
}

impl FromStr for Loss {
    type Err = UnknownLoss;

    fn from_str(text: &str) -> Result<Self, UnknownLoss> {
        let n = || text.strip_prefix("ngram:")?.parse().ok().filter(|n| *n > 0);
        match text {
            "exact" => Ok(Loss::Exact),
            "hamming" => Ok(Loss::Hamming),
            "bleu" => Ok(Loss::Bleu),
            "rouge_l" => Ok(Loss::RougeL),
            _ => n().map(Loss::Ngram).ok_or_else(|| UnknownLoss { given: text.chars().take(60).collect() }),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Exact => f.write_str("exact"),
            Loss::Hamming => f.write_str("hamming"),
            Loss::Ngram(n) => write!(f, "ngram:{n}"),
            Loss::Bleu => f.write_str("bleu"),
            Loss::RougeL => f.write_str("rouge_l"),
        }
    }
}

/// The share of the windows of n tokens, of the longer sequence, in which the two are not the same.
fn windows_differ(truth: &[TokenId], guess: &[TokenId], n: usize) -> f64 {
    let longer = truth.len().max(guess.len());
    if longer < n || longer == 0 {
        return f64::from(truth != guess);
    }
    let same = truth.windows(n).zip(guess.windows(n)).filter(|(a, b)| a == b).count();
    1.0 - same as f64 / (longer - n + 1) as f64
}

/// The most tokens that BLEU looks at together.
const BLEU_ORDER: usize = 4;

fn bleu(truth: &[TokenId], guess: &[TokenId]) -> f64 {
    if truth.is_empty() || guess.is_empty() {
        return f64::from(truth.len() == guess.len());
    }
    let log_precision = |n: usize| {
        let (known, said) = (ngrams(truth, n), ngrams(guess, n));
        let hits: usize = said.iter().map(|(gram, count)| *count.min(known.get(gram).unwrap_or(&0))).sum();
        let smoothing = usize::from(n > 1);
        libm::log((hits + smoothing) as f64 / ((guess.len() + 1).saturating_sub(n) + smoothing) as f64)
    };
    let mean = (1..=BLEU_ORDER).map(log_precision).sum::<f64>() / BLEU_ORDER as f64;
    let brevity = (1.0 - truth.len() as f64 / guess.len() as f64).min(0.0);
    libm::exp(mean + brevity)
}

/// How often each run of n tokens occurs.
fn ngrams(tokens: &[TokenId], n: usize) -> BTreeMap<&[TokenId], usize> {
    tokens.windows(n).fold(BTreeMap::new(), |mut counts, gram| {
        *counts.entry(gram).or_default() += 1;
        counts
    })
}

fn rouge_l(truth: &[TokenId], guess: &[TokenId]) -> f64 {
    let both = truth.len() + guess.len();
    if both == 0 { 1.0 } else { 2.0 * longest_common_subsequence(truth, guess) as f64 / both as f64 }
}

/// Its length, one row of the table at a time.
fn longest_common_subsequence(a: &[TokenId], b: &[TokenId]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Loss; 6] = [Loss::Exact, Loss::Hamming, Loss::Ngram(2), Loss::Ngram(3), Loss::Bleu, Loss::RougeL];

    proptest! {
        #[test]
        fn lies_between_0_and_1_and_equals_lose_nothing(
            a in prop::collection::vec(0u32..4, 0..12), b in prop::collection::vec(0u32..4, 0..12),
        ) {
            for loss in ALL {
                prop_assert!(loss.between(&a, &a).abs() < 1e-12, "{loss}");
                prop_assert!((-1e-12..=1.0).contains(&loss.between(&a, &b)), "{loss}");
                prop_assert_eq!(loss.to_string().parse(), Ok(loss));
            }
            prop_assert_eq!(Loss::Ngram(1).between(&a, &b), Loss::Hamming.between(&a, &b));
            let longer = a.len().max(b.len()).max(1);
            prop_assert_eq!(Loss::Ngram(longer).between(&a, &b), Loss::Exact.between(&a, &b));
            let common = longest_common_subsequence(&a, &b);
            prop_assert_eq!(common, subsequences(&a).filter(|part| is_subsequence(part, &b)).map(|p| p.len()).max().unwrap());
        }
    }

    fn subsequences(of: &[TokenId]) -> impl Iterator<Item = Vec<TokenId>> + '_ {
        let picked = |mask: usize| (0..of.len()).filter(move |i| mask >> i & 1 == 1).map(|i| of[i]).collect();
        (0..1usize << of.len()).map(picked)
    }

    fn is_subsequence(part: &[TokenId], of: &[TokenId]) -> bool {
        let mut rest = of.iter();
        part.iter().all(|token| rest.any(|other| other == token))
    }

    /// Worked by hand: precisions 5/6, (3+1)/(5+1), (2+1)/(4+1), (1+1)/(3+1), no brevity penalty.
    #[test]
    fn bleu_by_hand() {
        let (truth, guess) = ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 6]);
        let expected = (5.0f64 / 6.0 * 4.0 / 6.0 * 3.0 / 5.0 * 2.0 / 4.0).powf(0.25);
        assert!((1.0 - Loss::Bleu.between(&truth, &guess) - expected).abs() < 1e-12);
        // Half as long: e^(1 - 2), and what is said is all there.
        assert!((1.0 - Loss::Bleu.between(&truth, &truth[..3]) - (-1.0f64).exp()).abs() < 1e-12);
    }
}
