//! Decoders that answer with one sequence.

use super::scaled::{Scaled, first_max, sort_falling};
use super::{ChainError, Law};
use decant_sampling::TokenId;

/// How many candidates a beam may have at a step.
const MAX_CANDIDATES: usize = 1 << 22;

/// K-lookahead: at every position the most probable block of the next min(K, T - t) tokens, of which the first is said;
/// of equally probable blocks the lexicographically first. K = 1 is greedy, K >= T is MAP (Viterbi).
pub(crate) fn lookahead(law: &Law, k: usize) -> Vec<TokenId> {
    let k = k.min(law.length());
    // best[j][s]: the probability of the most probable j tokens from s.
    let mut best = vec![vec![Scaled::ONE; law.len()]];
    for j in 1..=k {
        let row = |state| {
            let blocks = law.row(state).iter().map(|edge| best[j - 1][edge.to].times(edge.p));
            blocks.fold(Scaled::ZERO, |a, b| if b > a { b } else { a })
        };
        best.push((0..law.len()).map(row).collect());
    }
    let mut state = 0;
    let mut sequence = Vec::with_capacity(law.length());
    for t in 0..law.length() {
        let j = k.min(law.length() - t);
        let reaching = law.row(state).iter().find(|edge| best[j - 1][edge.to].times(edge.p).reaches(best[j][state]));
        let edge = reaching.expect("a state before the end has a way on, and one of them is the best");
        sequence.push(edge.token);
        state = edge.to;
    }
    sequence
}

/// The most probable token at every position by itself; of equals the lower. The sequence need not be possible.
pub(crate) fn modes(law: &Law) -> Vec<TokenId> {
    law.marginals().iter().map(|marginal| first_max(marginal) as TokenId).collect()
}

/// Beam search: the `width` most probable prefixes of every length; of equals the lexicographically first. Prefixes that
/// cannot occur are none.
pub(crate) fn beam(law: &Law, width: usize) -> Result<Vec<TokenId>, ChainError> {
    let mut beam = vec![(Vec::new(), 0, Scaled::ONE)];
    for _ in 0..law.length() {
        let size = beam.iter().map(|(_, state, _)| law.row(*state).len()).sum();
        if size > MAX_CANDIDATES {
            let what = format!("decoder beam:{width}");
            return Err(ChainError::TooLarge { what, size, of: "candidates at a step", limit: MAX_CANDIDATES });
        }
        // A beam in lexicographic order has its continuations in lexicographic order.
        let mut next: Vec<(usize, TokenId, usize, Scaled)> = Vec::with_capacity(size);
        for (parent, (_, state, p)) in beam.iter().enumerate() {
            next.extend(law.row(*state).iter().map(|edge| (parent, edge.token, edge.to, p.times(edge.p))));
        }
        sort_falling(&mut next, |candidate| candidate.3, Scaled::reaches);
        next.truncate(width);
        next.sort_by_key(|candidate| (candidate.0, candidate.1));
        let longer = |(parent, token, to, p): (usize, TokenId, usize, Scaled)| {
            let prefix: &Vec<TokenId> = &beam[parent].0;
            (prefix.iter().copied().chain([token]).collect(), to, p)
        };
        beam = next.into_iter().map(longer).collect();
    }
    sort_falling(&mut beam, |(_, _, p)| *p, Scaled::reaches);
    Ok(beam.swap_remove(0).0)
}
