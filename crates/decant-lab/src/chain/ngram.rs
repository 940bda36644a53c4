//! Windows of N tokens: how probably a guess is right on them, and the guess that is right on most.

use super::product::{self, Product};
use super::scaled::{first_max, reaches};
use super::{ChainError, Law};
use decant_sampling::TokenId;
use std::collections::BTreeMap;

/// How many windows at all positions together may be listed.
const MAX_WINDOWS: usize = 1 << 25;

/// How many tokens the windows of a guess may have together.
const MAX_STEPS: usize = 1 << 28;

/// Σ_t P(y_t .. y_{t+n-1} = guess there) over the T - n + 1 windows.
pub(crate) fn windows_right(law: &Law, guess: &[TokenId], n: usize) -> Result<f64, ChainError> {
    let size = (law.length() - n + 1).saturating_mul(n);
    if size > MAX_STEPS {
        let what = format!("the risk of a sequence under ngram:{n}");
        return Err(ChainError::TooLarge { what, size, of: "tokens in its windows", limit: MAX_STEPS });
    }
    // From where the law can be after the window's first token, the rest of it.
    let right = |(layer, window): (&Vec<f64>, &[TokenId])| -> f64 {
        let follow = |(mut state, mut mass): (usize, f64)| {
            for &token in &window[1..] {
                let edge = law.step(state, token)?;
                (state, mass) = (edge.to, mass * edge.p);
            }
            Some(mass)
        };
        present(law.after(window[0]), layer).filter_map(follow).sum()
    };
    Ok(law.forward()[1..].iter().zip(guess.windows(n)).map(right).sum())
}

/// Σ_t Σ_w P(w at t) Q(w at t): how many windows two texts, one of each law, are expected to agree on. n >= 2.
pub(crate) fn windows_agreed(truth: &Law, other: &Law, n: usize) -> Result<f64, ChainError> {
    // Where both can be after the first token of a window, and how probably, summed over windows.
    let mut roots: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for (ours, theirs) in truth.forward()[1..].iter().zip(&other.forward()[1..]).take(truth.length() + 1 - n) {
        for token in 0..truth.vocab() as TokenId {
            let theirs: Vec<(usize, f64)> = present(other.after(token), theirs).collect();
            for (a, p) in present(truth.after(token), ours) {
                theirs.iter().for_each(|&(b, q)| *roots.entry((a, b)).or_insert(0.0) += p * q);
            }
            product::check_pairs(roots.len())?;
        }
    }
    let product = Product::new(truth, other, roots.keys().copied(), n - 1)?;
    Ok(roots.values().zip(product.agreement(n - 1)).map(|(mass, agreement)| mass * agreement).sum())
}

/// The states that are possible, with their mass.
fn present<'a>(states: &'a [usize], layer: &'a [f64]) -> impl Iterator<Item = (usize, f64)> + 'a {
    states.iter().map(|&state| (state, layer[state])).filter(|(_, mass)| *mass > 0.0)
}

/// The sequence that is right on most windows in expectation; of equals the lexicographically first. Dynamic programming
/// over the last n - 1 tokens, for 2 <= n <= T.
pub(crate) fn best_windows(law: &Law, n: usize) -> Result<Vec<TokenId>, ChainError> {
    // Windows of thousands of tokens are few only where nothing can be chosen.
    if let Some(only) = law.only() {
        return Ok(only);
    }
    let (vocab, positions) = (law.vocab(), law.length() - n + 1);
    let windows = u32::try_from(n).ok().and_then(|n| vocab.checked_pow(n)).unwrap_or(usize::MAX);
    if windows.saturating_mul(positions) > MAX_WINDOWS {
        let (what, size) = (format!("the optimum of ngram:{n}"), windows.saturating_mul(positions));
        return Err(ChainError::TooLarge { what, size, of: "windows", limit: MAX_WINDOWS });
    }
    let contexts = windows / vocab;
    let layers = law.forward();
    // From the end: how many windows can yet be right after the context w, and by which token. A window and its context
    // are numbers whose digits, most significant first, are their tokens: so their order is lexicographic.
    let mut to_come = vec![0.0; contexts];
    let mut choices = Vec::with_capacity(positions);
    for layer in layers[1..=positions].iter().rev() {
        let mut right = vec![0.0; windows];
        for token in 0..vocab {
            for (state, mass) in present(law.after(token as TokenId), layer) {
                list_windows(law, state, mass, token, n - 1, &mut right);
            }
        }
        let mut choice = vec![0 as TokenId; contexts];
        let mut value = vec![0.0; contexts];
        for context in 0..contexts {
            let first = context * vocab;
            let total = |token: usize| right[first + token] + to_come[(first + token) % contexts];
            let max = (0..vocab).map(total).fold(0.0, f64::max);
            value[context] = max;
            choice[context] = (0..vocab).find(|&token| reaches(total(token), max)).unwrap_or(0) as TokenId;
        }
        to_come = value;
        choices.push(choice);
    }
    let mut context = first_max(&to_come);
    let mut sequence: Vec<TokenId> = (0..n as u32 - 1).map(|i| (context / vocab.pow(i) % vocab) as TokenId).collect();
    sequence.reverse();
    for choice in choices.iter().rev() {
        let token = choice[context];
        sequence.push(token);
        context = (context * vocab + token as usize) % contexts;
    }
    Ok(sequence)
}

/// Adds the probability of every window of `n` further tokens, begun with `window`, to its place.
fn list_windows(law: &Law, state: usize, mass: f64, window: usize, n: usize, right: &mut [f64]) {
    if n == 0 {
        right[window] += mass;
        return;
    }
    for edge in law.row(state) {
        list_windows(law, edge.to, mass * edge.p, window * law.vocab() + edge.token as usize, n - 1, right);
    }
}
