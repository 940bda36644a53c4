//! Branch and bound, best first.

use super::partial::Partial;
use super::{EQUAL, Row, Subset};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

/// When a search may stop before it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// After so many nodes.
    pub nodes: usize,
    /// As soon as the best set is proved to be within this mass of the optimum; 0 for the optimum itself.
    pub gap: f64,
}

/// The optimum, and more nodes than the hardest rows take that brute force can check (22 nearly equal tokens: 352 716).
impl Default for Budget {
    fn default() -> Self {
        Budget { nodes: 500_000, gap: 0.0 }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The best set.
    pub best: Subset,
    /// No feasible set has more mass than this: the best set's mass once that is proved to be the most.
    pub bound: f64,
    /// Nodes opened.
    pub nodes: usize,
}

impl Solution {
    /// Whether the best set is the optimum.
    pub fn proved(&self) -> bool {
        self.gap() <= EQUAL
    }

    /// How much mass the optimum may have beyond the best set's.
    pub fn gap(&self) -> f64 {
        self.bound - self.best.mass
    }
}

/// All sets that agree about the ranks before `next`: what they hold of them is `set`, listed by `taken`.
#[derive(Clone, Copy, Debug)]
struct Node {
    bound: f64,
    set: Partial,
    next: usize,
    taken: Option<usize>,
}

impl Ord for Node {
    /// By bound; among equals what has decided more.
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(self.next.cmp(&other.next))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

/// A run of ranks that was taken, after others.
struct Taken {
    run: Range<usize>,
    before: Option<usize>,
}

struct Search<'r> {
    row: &'r Row,
    open: BinaryHeap<Node>,
    taken: Vec<Taken>,
    best: f64,
    /// The ranks of the best set.
    ranks: Vec<usize>,
}

impl Row {
    /// The feasible set of most mass, by branch and bound.
    ///
    /// The node of highest bound is opened: the longest run that fits is taken whole, which gives a feasible set, and
    /// skip-greedy completes it to a better one. Every other set of the node either goes on behind the token that did not
    /// fit, or is the first to leave out some token of the run; leaving out more probable ones bounds lower, so these
    /// children are made from the run's end until they are hopeless. Of equal tokens the later ones go first, so a child
    /// leaves out the equals that follow, too.
    pub fn solve(&self, budget: Budget) -> Solution {
        let mut search = Search { row: self, open: BinaryHeap::new(), taken: Vec::new(), best: 0.0, ranks: Vec::new() };
        search.complete(Partial::default(), 0, None);
        search.push(Partial::default(), 0, None);
        let (mut nodes, mut bound) = (0, self.bound());
        while let Some(node) = search.open.pop() {
            bound = node.bound;
            if bound <= search.best + budget.gap.max(EQUAL) || nodes == budget.nodes {
                break;
            }
            search.open_node(node);
            nodes += 1;
            if search.open.is_empty() {
                bound = search.best;
            }
        }
        let best = self.subset(search.ranks);
        // A bound that is not above the best set by more than what counts as equal says that it is the best.
        let bound = if bound <= best.mass + EQUAL { best.mass } else { bound };
        Solution { best, bound, nodes }
    }
}

impl Search<'_> {
    fn open_node(&mut self, Node { set, next, taken, .. }: Node) {
        let row = self.row;
        let end = row.reach(set, next);
        let full = row.extended(set, next, end);
        let all = self.take(next..end, taken);
        self.complete(full, end, all);
        self.push(full, row.next_fit(full, end), all);
        for out in (next..end).rev() {
            let left = row.extended(set, next, out);
            // Bounds fall from child to child only as long as what is left out is one token: a child that leaves out its
            // equals too may be hopeless where the next one is not.
            if !self.is_hopeful(row.bound_from(left, out + 1)) {
                break;
            }
            let taken = self.take(next..out, taken);
            self.push(left, row.after_equals(out), taken);
        }
    }

    /// Tries the set, completed by skip-greedy, as the best.
    fn complete(&mut self, set: Partial, next: usize, taken: Option<usize>) {
        let mass = self.row.runs(set, next).last().map_or(set, |(_, set)| set).mass();
        if mass > self.best + EQUAL {
            self.best = mass;
            self.ranks = self.row.runs(set, next).flat_map(|(run, _)| run).collect();
            let mut link = taken;
            while let Some(Taken { run, before }) = link.map(|link| &self.taken[link]) {
                self.ranks.extend(run.clone());
                link = *before;
            }
        }
    }

    /// Opens a node later, if it may hold a better set than the best.
    fn push(&mut self, set: Partial, next: usize, taken: Option<usize>) {
        let bound = self.row.bound_from(set, next);
        if next < self.row.len() && self.is_hopeful(bound) {
            self.open.push(Node { bound, set, next, taken });
        }
    }

    /// Whether a set of so much mass would be better than the best.
    fn is_hopeful(&self, bound: f64) -> bool {
        bound > self.best + EQUAL
    }

    fn take(&mut self, run: Range<usize>, before: Option<usize>) -> Option<usize> {
        if run.is_empty() {
            return before;
        }
        self.taken.push(Taken { run, before });
        Some(self.taken.len() - 1)
    }
}
