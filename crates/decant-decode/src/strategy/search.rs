//! The most probable block of tokens, by best-first search.

use super::spec::Beam;
use super::tree::{Branch, Tree};
use crate::{DecodeError, LanguageModel};
use decant_sampling::TokenId;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// How many texts are fed together at most, once a search turns out to be long.
const BATCH: usize = 8;

/// What a search came to.
pub(super) struct Found<C> {
    /// The text with the block. It has no row yet.
    pub block: Branch<C>,
    /// Whether nothing is more probable.
    pub proven: bool,
    /// The ln P that no block exceeds.
    pub bound: f64,
}

/// A branch whose continuations are looked at in falling probability.
struct Node<C> {
    branch: Branch<C>,
    /// The tokens that may follow, most probable first.
    next: Vec<TokenId>,
}

/// The text of a node and its next token of some rank: no continuation of it is more probable.
struct Prefix<C> {
    node: Rc<Node<C>>,
    rank: usize,
    logprob: f64,
}

impl<C: Clone> Prefix<C> {
    fn new(node: Rc<Node<C>>, rank: usize) -> Option<Self> {
        let token = *node.next.get(rank)?;
        let logprob = node.branch.logprob + node.branch.logprob_of(token);
        Some(Prefix { node, rank, logprob })
    }

    fn tokens(&self) -> impl Iterator<Item = TokenId> + '_ {
        self.node.branch.tokens.iter().copied().chain([self.token()])
    }

    fn token(&self) -> TokenId {
        self.node.next[self.rank]
    }

    /// The same text with the next less probable last token.
    fn sibling(&self) -> Option<Self> {
        Prefix::new(self.node.clone(), self.rank + 1)
    }
}

/// The more probable first; among equals the lexicographically smaller.
impl<C: Clone> Ord for Prefix<C> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.logprob.total_cmp(&other.logprob).then_with(|| other.tokens().cmp(self.tokens()))
    }
}

impl<C: Clone> PartialOrd for Prefix<C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<C: Clone> PartialEq for Prefix<C> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<C: Clone> Eq for Prefix<C> {}

impl<M: LanguageModel> Tree<'_, '_, M> {
    /// The most probable block of `length` tokens after a branch, or of fewer where the text ends before; among equals the
    /// lexicographically smallest.
    ///
    /// A prefix's probability bounds that of all its continuations. So prefixes are taken up in falling probability, and
    /// the first complete one is the most probable block: no list of |V|^length blocks is ever made. A greedy dive comes
    /// first, so that there is a block, at least as probable as greedy's, whatever happens. Where half of `budget` model calls
    /// prove nothing, the other half pays for a beam: its block may be better, and perhaps so good that nothing is left
    /// that could beat it.
    pub fn most_probable(
        &mut self,
        root: Branch<M::Cache>,
        length: usize,
        budget: usize,
    ) -> Result<Found<M::Cache>, DecodeError> {
        let (end, spent_before) = (root.tokens.len() + length, self.cost.calls as usize);
        let mut open = BinaryHeap::new();
        let mut best = self.dive(root.clone(), end, budget, &mut open)?;
        if self.best_first(&mut open, &mut best, end, spent_before + budget.div_ceil(2))? {
            return Ok(Found { bound: best.logprob, block: best, proven: true });
        }
        let width = (spent_before + budget).saturating_sub(self.cost.calls as usize) / length.max(1);
        if width > 1 {
            let beams = self.beams(root, &Beam::of(width), end)?;
            let first = beams.into_iter().next().filter(|first| first.score > best.logprob);
            best = first.map_or(best, |first| first.branch);
        }
        let bound = open.peek().map_or(f64::NEG_INFINITY, |prefix| prefix.logprob).max(best.logprob);
        Ok(Found { proven: bound <= best.logprob, bound, block: best })
    }

    /// Takes up prefixes until `best` is the most probable block, or so many model calls are spent; says which.
    fn best_first(
        &mut self,
        open: &mut BinaryHeap<Prefix<M::Cache>>,
        best: &mut Branch<M::Cache>,
        end: usize,
        limit: usize,
    ) -> Result<bool, DecodeError> {
        let spent_before = self.cost.calls as usize;
        loop {
            let spent = self.cost.calls as usize;
            let room = BATCH.min(1 + (spent - spent_before) / 4).min(limit.saturating_sub(spent));
            let mut batch = Vec::with_capacity(room);
            // A complete prefix is the answer only when nothing is left before it.
            while let Some(prefix) = open.peek()
                && !self.is_complete(prefix, end)
                && prefix.logprob >= best.logprob
            {
                if room == 0 {
                    return Ok(false);
                }
                if batch.len() == room {
                    break;
                }
                let prefix = open.pop().expect("it was just seen");
                open.extend(prefix.sibling());
                batch.push(prefix.node.branch.with(prefix.token()));
            }
            if batch.is_empty() {
                if let Some(first) = open.pop().filter(|first| first.logprob >= best.logprob) {
                    let block = first.node.branch.with(first.token());
                    // The dive's block may be the lexicographically smaller of two equals.
                    if block.logprob > best.logprob || block.tokens < best.tokens {
                        *best = block;
                    }
                }
                return Ok(true);
            }
            for branch in self.grow(batch)? {
                let node = Rc::new(Node { next: branch.likeliest(limit - spent_before, best.logprob), branch });
                open.extend(Prefix::new(node, 0));
            }
        }
    }

    /// Follows the most probable token to a complete block, and leaves what it passed by in `open`.
    fn dive(
        &mut self,
        root: Branch<M::Cache>,
        end: usize,
        budget: usize,
        open: &mut BinaryHeap<Prefix<M::Cache>>,
    ) -> Result<Branch<M::Cache>, DecodeError> {
        let mut branch = root;
        loop {
            // A search that may look at `budget` rows cannot come to more than that many tokens of one.
            let next = branch.likeliest(budget + 1, f64::NEG_INFINITY);
            let first = branch.with(next[0]);
            open.extend(Prefix::new(Rc::new(Node { branch, next }), 1));
            if first.tokens.len() == end || self.finish(&first.tokens).is_some() {
                return Ok(first);
            }
            branch = self.grow(vec![first])?.remove(0);
        }
    }

    fn is_complete(&self, prefix: &Prefix<M::Cache>, end: usize) -> bool {
        let tokens: Vec<TokenId> = prefix.tokens().collect();
        tokens.len() == end || self.finish(&tokens).is_some()
    }
}
