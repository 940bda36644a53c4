//! What a wrong answer costs.

use super::ChainError;
use std::fmt;
use std::str::FromStr;

/// A goal: what is lost when one sequence is said and another one was true. Those that compare two texts are
/// [`decant_decode::Loss`]es, too.
///
/// ```
/// use decant_lab::chain::Loss;
/// let loss: Loss = "ngram:2".parse()?;
/// assert_eq!((loss, loss.to_string().as_str()), (Loss::Ngram(2), "ngram:2"));
/// assert_eq!(Loss::Ngram(4).at_length(4)?, Loss::Exact);
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

    #[test]
    fn names() {
        for loss in [Loss::Exact, Loss::Hamming, Loss::Ngram(7), Loss::CrossEntropy] {
            assert_eq!(loss.to_string().parse(), Ok(loss));
        }
        for text in ["", "ngram", "ngram:0", "ngram:-1", "ngram:x", "Exact", "hamming "] {
            assert_eq!(text.parse::<Loss>(), Err(ChainError::Loss(text.to_owned())));
        }
    }
}
