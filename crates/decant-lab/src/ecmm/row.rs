//! An instance: a row in falling probability with its sums, and a limit on entropy.

use super::partial::Partial;
use super::{EQUAL, EcmmError, SUM_TOLERANCE, Subset};
use decant_sampling::{Logits, TokenId};

/// An instance of ECMM: a row's tokens of p > 0 in falling probability (lower id first among equals), the sums over every
/// tail of them, and the limit on H(q).
#[derive(Clone, Debug)]
pub struct Row {
    tokens: Vec<TokenId>,
    p: Vec<f64>,
    log_p: Vec<f64>,
    /// Σ p from each rank on, summed from the end: differences of tails are sums of runs to the last digits, which those of
    /// heads would not be behind a token of p near 1.
    mass_from: Vec<f64>,
    /// Σ -p ln p in the same way.
    cost_from: Vec<f64>,
    entropy: f64,
    /// H(q) of a feasible set is not above it.
    limit: f64,
}

impl Row {
    /// The instance of a row of probabilities, which stand for themselves: masses are sums of them as they are given.
    /// Tokens of p = 0 belong to no set. At alpha = 1 the whole support is feasible, at 0 single tokens alone.
    ///
    /// # Errors
    /// [`EcmmError`], naming the field.
    pub fn new(p: &[f64], alpha: f64) -> Result<Self, EcmmError> {
        if p.is_empty() {
            return Err(EcmmError::Empty);
        }
        if let Some((index, &value)) = p.iter().enumerate().find(|(_, p)| !(0.0..=1.0 + SUM_TOLERANCE).contains(*p)) {
            return Err(EcmmError::Probability { index, value });
        }
        let sum: f64 = p.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(EcmmError::Sum { sum });
        }
        if !(0.0..=1.0).contains(&alpha) {
            return Err(EcmmError::Alpha(alpha));
        }
        Ok(Row::of((0..).zip(p.iter().copied()), alpha))
    }

    /// The instance of a row of logits at T = 1: of its `top` most probable tokens renormalised, or of all if `top` is 0.
    ///
    /// # Errors
    /// [`EcmmError::Alpha`].
    pub fn of_logits(logits: &Logits<'_>, top: usize, alpha: f64) -> Result<Self, EcmmError> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(EcmmError::Alpha(alpha));
        }
        let row = logits.row();
        let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let mut weights: Vec<(TokenId, f64)> =
            (0..).zip(row.iter().map(|&logit| libm::exp(f64::from(logit) - max))).collect();
        if (1..weights.len()).contains(&top) {
            weights.select_nth_unstable_by(top - 1, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            weights.truncate(top);
        }
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        Ok(Row::of(weights.into_iter().map(|(token, weight)| (token, weight / total)), alpha))
    }

    fn of(row: impl Iterator<Item = (TokenId, f64)>, alpha: f64) -> Self {
        let mut ranked: Vec<(TokenId, f64)> = row.filter(|(_, p)| *p > 0.0).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (tokens, p): (Vec<TokenId>, Vec<f64>) = ranked.into_iter().unzip();
        let log_p: Vec<f64> = p.iter().map(|&p| libm::log(p)).collect();
        let cost: Vec<f64> = p.iter().zip(&log_p).map(|(p, log_p)| -p * log_p).collect();
        let (mass_from, cost_from) = (tails(&p), tails(&cost));
        let mut row = Row { tokens, p, log_p, mass_from, cost_from, entropy: 0.0, limit: 0.0 };
        row.entropy = row.extended(Partial::default(), 0, row.len()).entropy();
        row.limit = alpha * row.entropy * (1.0 + EQUAL);
        row
    }

    /// How many tokens have p > 0.
    pub fn len(&self) -> usize {
        self.p.len()
    }

    /// Never: some token is possible.
    pub fn is_empty(&self) -> bool {
        self.p.is_empty()
    }

    /// H(p) in nats.
    pub fn entropy(&self) -> f64 {
        self.entropy
    }

    /// The tokens and their probabilities, in falling probability.
    pub fn ranked(&self) -> impl ExactSizeIterator<Item = (TokenId, f64)> + '_ {
        self.tokens.iter().copied().zip(self.p.iter().copied())
    }

    /// The probabilities in falling order.
    pub fn falling(&self) -> &[f64] {
        &self.p
    }

    /// Top-H's answer: the longest feasible prefix.
    pub fn greedy(&self) -> Subset {
        self.subset(0..self.reach(Partial::default(), 0))
    }

    /// The greedy answer that goes on scanning: every token that still fits is taken, in falling probability.
    pub fn skip(&self) -> Subset {
        let runs = self.runs(Partial::default(), 0);
        self.subset(runs.flat_map(|(run, _)| run))
    }

    /// No feasible set has more mass: the fractional prefix that meets the constraint.
    pub fn bound(&self) -> f64 {
        self.bound_from(Partial::default(), 0)
    }

    /// What H(q) of a feasible set is not above.
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    /// The first rank behind the equals of a token.
    pub(super) fn after_equals(&self, rank: usize) -> usize {
        rank + self.p[rank..].iter().take_while(|p| **p == self.p[rank]).count()
    }

    /// The tokens of some ranks.
    pub(super) fn subset(&self, ranks: impl IntoIterator<Item = usize>) -> Subset {
        let mut ranks: Vec<usize> = ranks.into_iter().collect();
        ranks.sort_unstable();
        let mass = ranks.iter().rev().map(|&rank| self.p[rank]).sum();
        let mut tokens: Vec<TokenId> = ranks.into_iter().map(|rank| self.tokens[rank]).collect();
        tokens.sort_unstable();
        Subset { tokens, mass }
    }

    /// A set and the tokens of ranks `from..to`, none more probable than the set's.
    pub(super) fn extended(&self, set: Partial, from: usize, to: usize) -> Partial {
        if from >= to {
            return set;
        }
        if set.is_empty() {
            return self.extended(Partial::alone(self.p[from], self.log_p[from]), from + 1, to);
        }
        set.and(self.mass_from[from] - self.mass_from[to], self.cost_from[from] - self.cost_from[to])
    }

    /// Whether the constraint holds.
    pub(super) fn holds(&self, set: Partial) -> bool {
        set.sums.rest == 0.0 || set.entropy() <= self.limit
    }

    /// The end of the longest run of ranks from `from` on that a feasible set can be extended by.
    pub(super) fn reach(&self, set: Partial, from: usize) -> usize {
        let fits = |to| self.holds(self.extended(set, from, to));
        let (mut sure, mut step) = (from, 1);
        while sure + step <= self.len() && fits(sure + step) {
            sure += step;
            step *= 2;
        }
        first_in(sure + 1, self.len().min(sure + step), |to| to > self.len() || !fits(to)) - 1
    }

    /// The first rank from `from` on whose token alone a feasible set can be extended by; `len` if there is none.
    pub(super) fn next_fit(&self, set: Partial, from: usize) -> usize {
        let fits = |rank| self.holds(self.extended(set, rank, rank + 1));
        first_in(from, self.len(), fits)
    }

    /// The most mass that a feasible set may reach by fractions of the tokens from rank `from` on.
    pub(super) fn bound_from(&self, set: Partial, from: usize) -> f64 {
        let end = self.reach(set, from);
        let set = self.extended(set, from, end);
        if end == self.len() {
            return set.mass();
        }
        let (p, x) = (self.p[end], self.log_p[end] - set.log_top);
        set.mass() + p * set.sums.share_within(x, p / set.top, self.limit)
    }

    /// The runs of ranks that skip-greedy takes from rank `from` on, each with the set after it.
    pub(super) fn runs(
        &self,
        set: Partial,
        from: usize,
    ) -> impl Iterator<Item = (std::ops::Range<usize>, Partial)> + '_ {
        let (mut set, mut from) = (set, from);
        std::iter::from_fn(move || {
            from = if set.is_empty() { from } else { self.next_fit(set, from) };
            let run = from..self.reach(set, from);
            set = self.extended(set, run.start, run.end);
            from = run.end;
            (!run.is_empty()).then_some((run, set))
        })
    }
}

/// Sums of each tail, from the end: as many and one, the last of them 0.
fn tails(terms: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; terms.len() + 1];
    for (i, term) in terms.iter().enumerate().rev() {
        sums[i] = sums[i + 1] + term;
    }
    sums
}

/// The first index in `from..to` that `is_true` holds for, `to` if none; it must be monotone.
fn first_in(mut from: usize, mut to: usize, is_true: impl Fn(usize) -> bool) -> usize {
    while from < to {
        let middle = from + (to - from) / 2;
        if is_true(middle) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}
