//! Exact risks, and the least possible ones.

use super::ngram::{best_windows, windows_agreed, windows_right};
use super::product::Product;
use super::search::{lookahead, modes};
use super::{Answer, ChainError, Decoder, Law, Loss};
use decant_sampling::TokenId;

/// The least possible risk of a law under a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// The risk.
    pub risk: f64,
    /// What reaches it: the lexicographically first of the best sequences; under cross-entropy the law itself.
    pub answer: Answer,
}

/// A decoder's risk.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The expected loss; infinite where the cross-entropy is.
    pub risk: f64,
    /// How much of it another answer would have saved: never below 0.
    pub regret: f64,
    /// The sequence, where nothing is drawn.
    pub output: Option<Vec<TokenId>>,
}

/// How decoders fare with a law under a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The least possible risk.
    pub optimal_risk: f64,
    /// The lexicographically first of the sequences that reach it; none under cross-entropy, which the law itself minimises.
    pub optimal: Option<Vec<TokenId>>,
    /// One for each decoder, in their order.
    pub outcomes: Vec<Outcome>,
}

/// Judges decoders of a law by a loss.
///
/// # Errors
/// See [`Decoder::answer`] and [`risk()`].
pub fn judge(law: &Law, loss: Loss, decoders: &[Decoder]) -> Result<Verdict, ChainError> {
    let optimum = optimum(law, loss)?;
    let outcome = |decoder: &Decoder| {
        let answer = decoder.answer(law, loss)?;
        let risk = risk(law, &answer, loss)?;
        // A difference below 0 is rounding.
        let regret = (risk - optimum.risk).max(0.0);
        Ok(Outcome { risk, regret, output: answer.text().map(<[_]>::to_vec) })
    };
    let outcomes = decoders.iter().map(outcome).collect::<Result<_, _>>()?;
    Ok(Verdict { optimal_risk: optimum.risk, optimal: optimum.answer.text().map(<[_]>::to_vec), outcomes })
}

/// The expected loss of an answer over sequences of the `truth`, exactly. The answer may come of another law over the same
/// vocabulary and length, such as a model's.
///
/// # Errors
/// [`ChainError::Window`], [`ChainError::TooLarge`].
pub fn risk(truth: &Law, answer: &Answer, loss: Loss) -> Result<f64, ChainError> {
    let length = truth.length();
    let windows_wrong = |right: f64, n: usize| 1.0 - right / (length - n + 1) as f64;
    let risk = match (loss.at_length(length)?, answer) {
        (Loss::Exact, Answer::Text(text)) => 1.0 - truth.probability(text),
        (Loss::Exact, Answer::Law(law)) => 1.0 - Product::new(truth, law, [(0, 0)], length)?.agreement(length)[0],
        (Loss::Hamming, Answer::Text(text)) => windows_wrong(windows_right(truth, text, 1)?, 1),
        (Loss::Hamming, Answer::Law(law)) => windows_wrong(tokens_agreed(truth, law), 1),
        (Loss::Ngram(n), Answer::Text(text)) => windows_wrong(windows_right(truth, text, n)?, n),
        (Loss::Ngram(n), Answer::Law(law)) => windows_wrong(windows_agreed(truth, law, n)?, n),
        (Loss::CrossEntropy, Answer::Text(text)) => match truth.only() {
            Some(only) if only == *text => 0.0,
            _ => f64::INFINITY,
        },
        (Loss::CrossEntropy, Answer::Law(law)) => cross_entropy(truth, law)?,
    };
    // A risk below 0 is rounding.
    Ok(risk.max(0.0))
}

/// The least possible risk.
///
/// # Errors
/// [`ChainError::Window`]; [`ChainError::TooLarge`] for n-grams, whose dynamic programming lists all windows.
pub fn optimum(law: &Law, loss: Loss) -> Result<Optimum, ChainError> {
    let answer = match loss.at_length(law.length())? {
        Loss::Exact => Answer::Text(lookahead(law, law.length())),
        Loss::Hamming => Answer::Text(modes(law)),
        Loss::Ngram(n) => Answer::Text(best_windows(law, n)?),
        Loss::CrossEntropy => Answer::Law(law.clone()),
    };
    Ok(Optimum { risk: risk(law, &answer, loss)?, answer })
}

/// -Σ_y P(y) ln Q(y) in nats; infinite where Q cannot say what P can.
///
/// # Errors
/// [`ChainError::TooLarge`].
pub fn cross_entropy(truth: &Law, other: &Law) -> Result<f64, ChainError> {
    let product = Product::new(truth, other, [(0, 0)], truth.length())?;
    Ok(if product.missed { f64::INFINITY } else { product.cross_entropy(truth.length()) })
}

/// H(P) = -Σ_y P(y) ln P(y), in nats.
///
/// # Errors
/// [`ChainError::TooLarge`].
pub fn entropy(law: &Law) -> Result<f64, ChainError> {
    cross_entropy(law, law)
}

/// Σ_t Σ_v P(y_t = v) Q(y_t = v).
fn tokens_agreed(truth: &Law, other: &Law) -> f64 {
    let dot = |(p, q): (&Vec<f64>, &Vec<f64>)| p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
    truth.marginals().iter().zip(&other.marginals()).map(dot).sum()
}
