//! What a wrong answer costs.

use super::ChainError;
use std::fmt;
use std::str::FromStr;

/// A goal: what is lost when one sequence is said and another one was true.
///
/// ```
/// use decant_lab::chain::Loss;
/// let loss: Loss = "ngram:2".parse()?;
/// assert_eq!(loss.of(&[1, 2, 3, 4], &[1, 2, 0, 4]), 2.0 / 3.0);
/// assert_eq!(loss.to_string(), "ngram:2");
/// # Ok::<(), decant_lab::chain::ChainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// `exact`, the 0-1 loss: 0 if all tokens are right, else 1.
    Exact,
    /// `hamming`: the share of positions that are wrong.
    Hamming,
    /// `ngram:N`: the share of the T - N + 1 windows of N tokens that are not right throughout. N = 1 is `hamming`,
    /// N = T is `exact`.
    Ngram(usize),
    /// `cross_entropy`: -ln of the probability that a decoder gives to the true sequence, in nats.
    CrossEntropy,
}

impl Loss {
    /// The loss of a guess. Where one sequence ends before the other, what is missing is wrong; a text shorter than N is
    /// one window. A single guess gives probability 1 to itself, so its cross-entropy is 0 or infinite.
    pub fn of<T: PartialEq>(self, truth: &[T], guess: &[T]) -> f64 {
        let length = truth.len().max(guess.len());
        let window = match self {
            Loss::Hamming => 1,
            Loss::Ngram(n) => n.min(length),
            Loss::Exact | Loss::CrossEntropy => length,
        };
        if length == 0 {
            return 0.0;
        }
        // A window is right that ends at least `window` tokens after the last wrong token.
        let mut run = 0;
        let mut right = 0;
        for (a, b) in truth.iter().zip(guess) {
            run = if a == b { run + 1 } else { 0 };
            right += usize::from(run >= window);
        }
        let windows = length - window + 1;
        let share = (windows - right) as f64 / windows as f64;
        if self == Loss::CrossEntropy && share > 0.0 { f64::INFINITY } else { share }
    }

    /// The loss by its plainest name, for sequences of a length: an n-gram of one token is `hamming`, of all of them
    /// `exact`.
    ///
    /// # Errors
    /// [`ChainError::Window`] where an n-gram is longer than the sequence.
    pub fn at_length(self, length: usize) -> Result<Self, ChainError> {
        match self {
            Loss::Ngram(n) if n > length => Err(ChainError::Window { n, length }),
            Loss::Ngram(1) => Ok(Loss::Hamming),
            Loss::Ngram(n) if n == length => Ok(Loss::Exact),
            loss => Ok(loss),
        }
    }
}

impl FromStr for Loss {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        match text {
            "exact" => Ok(Loss::Exact),
            "hamming" => Ok(Loss::Hamming),
            "cross_entropy" => Ok(Loss::CrossEntropy),
            _ => match text.strip_prefix("ngram:").map(str::parse) {
                Some(Ok(n)) if n > 0 => Ok(Loss::Ngram(n)),
                _ => Err(ChainError::Loss(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Exact => f.write_str("exact"),
            Loss::Hamming => f.write_str("hamming"),
            Loss::Ngram(n) => write!(f, "ngram:{n}"),
            Loss::CrossEntropy => f.write_str("cross_entropy"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_of_unequal_length() {
        assert_eq!(Loss::Exact.of(&[1, 2], &[1, 2, 3]), 1.0);
        assert_eq!(Loss::Hamming.of(&[1, 2], &[1, 2, 3, 4]), 0.5);
        assert_eq!(Loss::Ngram(2).of(&[1, 2], &[1, 2, 3]), 0.5);
        assert_eq!(Loss::Ngram(5).of(&[1, 2], &[1, 2]), 0.0);
        assert_eq!(Loss::Ngram(5).of(&[1, 2], &[1]), 1.0);
        assert_eq!(Loss::Hamming.of::<u32>(&[], &[]), 0.0);
        assert_eq!(Loss::Exact.of(&[], &[1]), 1.0);
        assert_eq!(Loss::CrossEntropy.of(&[1], &[2]), f64::INFINITY);
        assert_eq!(Loss::CrossEntropy.of(&[1], &[1]), 0.0);
    }

    #[test]
    fn names_that_are_none() {
        for text in ["", "ngram", "ngram:0", "ngram:-1", "ngram:x", "Exact", "hamming "] {
            assert_eq!(text.parse::<Loss>(), Err(ChainError::Loss(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn windows_are_counted_as_defined(
            pairs in prop::collection::vec((0..2u8, 0..2u8), 1..9),
            n in 1usize..9,
        ) {
            let (truth, guess): (Vec<u8>, Vec<u8>) = pairs.into_iter().unzip();
            let n = n.min(truth.len());
            let wrong = truth.windows(n).zip(guess.windows(n)).filter(|(a, b)| a != b).count();
            let share = wrong as f64 / (truth.len() - n + 1) as f64;
            prop_assert_eq!(Loss::Ngram(n).of(&truth, &guess), share);
            let plain = Loss::Ngram(n).at_length(truth.len()).unwrap();
            prop_assert_eq!(plain.of(&truth, &guess), share);
            prop_assert_eq!(plain.to_string().parse::<Loss>().unwrap(), plain);
        }
    }
}
