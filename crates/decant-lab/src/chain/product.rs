//! Two laws, moved along together by the same tokens.

use super::{ChainError, Law};
use std::collections::HashMap;

/// How many pairs of states may be visited.
const MAX_PAIRS: usize = 1 << 20;

/// The pairs of states that a truth and another law can be in after the same tokens.
pub(crate) struct Product<'a> {
    truth: &'a Law,
    other: &'a Law,
    pairs: Vec<(usize, usize)>,
    index: HashMap<(usize, usize), usize>,
    steps: Vec<Vec<Step>>,
    /// Whether the truth can say what the other law cannot.
    pub(crate) missed: bool,
}

/// A token that both can say.
struct Step {
    to: usize,
    p: f64,
    q: f64,
    log_q: f64,
}

impl<'a> Product<'a> {
    /// All pairs within `depth` tokens of the `roots`; roots come first.
    pub(crate) fn new(
        truth: &'a Law,
        other: &'a Law,
        roots: impl IntoIterator<Item = (usize, usize)>,
        depth: usize,
    ) -> Result<Self, ChainError> {
        let (pairs, index, steps) = (Vec::new(), HashMap::new(), Vec::new());
        let mut product = Product { truth, other, pairs, index, steps, missed: false };
        for root in roots {
            product.find(root)?;
        }
        for _ in 0..depth {
            for pair in product.steps.len()..product.pairs.len() {
                product.expand(pair)?;
            }
        }
        let all = product.pairs.len();
        product.steps.resize_with(all, Vec::new);
        Ok(product)
    }

    fn find(&mut self, pair: (usize, usize)) -> Result<usize, ChainError> {
        let fresh = self.pairs.len();
        let found = *self.index.entry(pair).or_insert(fresh);
        if found == fresh {
            check_pairs(fresh + 1)?;
            self.pairs.push(pair);
        }
        Ok(found)
    }

    fn expand(&mut self, pair: usize) -> Result<(), ChainError> {
        let (a, b) = self.pairs[pair];
        let (truth, other) = (self.truth, self.other);
        let mut steps = Vec::with_capacity(truth.row(a).len());
        for ours in truth.row(a) {
            match other.step(b, ours.token) {
                Some(theirs) => {
                    let to = self.find((ours.to, theirs.to))?;
                    steps.push(Step { to, p: ours.p, q: theirs.p, log_q: theirs.log_p });
                }
                None => self.missed = true,
            }
        }
        self.steps.push(steps);
        Ok(())
    }

    /// For every pair Σ_w P(w) Q(w) over the next `k` tokens w: how probably two texts, one of each law, agree on them.
    pub(crate) fn agreement(&self, k: usize) -> Vec<f64> {
        let mut agreement = vec![1.0; self.pairs.len()];
        for _ in 0..k {
            let sum = |steps: &Vec<Step>| steps.iter().map(|step| step.p * step.q * agreement[step.to]).sum();
            agreement = self.steps.iter().map(sum).collect();
        }
        agreement
    }

    /// -Σ_y P(y) ln Q(y) over `length` tokens from the first root. What the other law cannot say counts for nothing here.
    pub(crate) fn cross_entropy(&self, length: usize) -> f64 {
        let mut mass = vec![0.0; self.pairs.len()];
        mass[0] = 1.0;
        let mut total = 0.0;
        for _ in 0..length {
            let mut next = vec![0.0; self.pairs.len()];
            for (mass, steps) in mass.iter().zip(&self.steps).filter(|(mass, _)| **mass > 0.0) {
                for step in steps {
                    next[step.to] += mass * step.p;
                    total -= mass * step.p * step.log_q;
                }
            }
            mass = next;
        }
        total
    }
}

/// Whether so many pairs may be visited.
pub(crate) fn check_pairs(size: usize) -> Result<(), ChainError> {
    let (of, limit) = ("pairs of states or more", MAX_PAIRS);
    match size > limit {
        true => Err(ChainError::TooLarge { what: "a sampler's risk under this loss".to_owned(), size, of, limit }),
        false => Ok(()),
    }
}
