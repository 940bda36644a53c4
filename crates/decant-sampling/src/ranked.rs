//! The survivors of the stages so far, in falling probability, ordered only as far as a rule asks.

use crate::{EntropyStats, Logits, RowError, Schedule, Signals, TokenId};
use decant_kernels::{Isa, rows};
use std::cmp::Ordering;

/// A prefix rule says how many of the ranked survivors to keep: 1..=len.
pub trait Truncate {
    /// How many to keep. Prefix rules stop in one of two ways: [`Ranked::longest`] or [`Ranked::shortest`].
    fn keep(&self, ranked: &mut Ranked<'_>) -> usize;

    /// The least number to keep, whatever the rule says.
    fn min_tokens_to_keep(&self) -> &Schedule;
}

/// A token in play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) token: TokenId,
    pub(crate) logit: f32,
    /// e^x with x = beta (l - l\[top\]); p = weight / Σ weight.
    pub(crate) weight: f64,
}

impl Candidate {
    /// Falling probability; of equals the lower id first.
    fn rank(&self, other: &Self) -> Ordering {
        // Logits are never NaN; total_cmp would part the equals -0 and +0.
        other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal).then(self.token.cmp(&other.token))
    }
}

/// Buffers of [`Ranked`], kept from row to row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    block_max: Vec<f32>,
    block_sums: Vec<f64>,
    /// `block_max` once more, to be put in order.
    block_order: Vec<f32>,
    found: Vec<(TokenId, f32)>,
    /// Candidates in token order: all survivors, or those above a bound.
    pool: Vec<Candidate>,
    reach: Reach,
    /// The pool again, put in order of rank as far as was asked.
    order: Vec<Candidate>,
}

impl Buffers {
    /// The survivors in token order, or `None` while they are still the whole row.
    pub(crate) fn listed(&self) -> Option<&[Candidate]> {
        (self.reach == Reach::Whole).then_some(&self.pool)
    }
}

/// How far the pool reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Reach {
    /// It holds nothing yet.
    #[default]
    Nothing,
    /// It holds every survivor with a logit of at least this.
    Above(f32),
    /// It holds every survivor.
    Whole,
}

/// The first k of the ranked survivors, for one k.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    stats: EntropyStats,
    /// Σ weight of all survivors.
    total: f64,
    /// Weight of the k-th token.
    last: f64,
}

impl Prefix {
    /// k.
    pub fn len(&self) -> usize {
        self.stats.support() as usize
    }

    /// Whether k = 0: never where a rule is asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Γ, the share of the survivors' probability that the prefix holds.
    pub fn mass(&self) -> f64 {
        self.stats.weight() / self.total
    }

    /// H(q) of the prefix renormalised, q = p/Γ, in nats.
    pub fn entropy(&self) -> f64 {
        self.stats.entropy()
    }

    /// -Σ (p/whole) ln (p/whole) over the prefix: entropy without renormalising to the prefix, as far as it has gone of
    /// a whole that holds the share `whole` of the survivors' probability.
    pub fn partial_entropy(&self, whole: f64) -> f64 {
        let share = self.mass() / whole;
        share * (self.entropy() - libm::log(share))
    }

    /// The probability of the k-th token among all survivors.
    pub fn last_prob(&self) -> f64 {
        self.last / self.total
    }
}

/// Tokens in falling probability, ordered only as far as a rule asks. Ties: lower id first.
///
/// Whoever asks pays: a row is read again only where its block maxima say that candidates lie, and the cut is found by
/// selection with partial sums, never by sorting the vocabulary.
#[derive(Debug)]
pub struct Ranked<'s> {
    logits: Logits<'s>,
    /// Inverse temperature so far.
    beta: f64,
    raw: EntropyStats,
    signals: Signals,
    stats: EntropyStats,
    /// `order[..parted]` are the first `parted` survivors, unless 0.
    parted: usize,
    buffers: &'s mut Buffers,
}

impl<'s> Ranked<'s> {
    /// All tokens of a row, at T = 1.
    pub(crate) fn new(row: &'s [f32], isa: Isa, buffers: &'s mut Buffers) -> Result<Self, RowError> {
        let logits = Logits::scan(row, isa, &mut buffers.block_max)?;
        let stats = logits.survey(1.0, &mut buffers.block_sums);
        buffers.reach = Reach::Nothing;
        Ok(Ranked { logits, beta: 1.0, raw: stats, signals: stats.signals(), stats, parted: 0, buffers })
    }

    /// How many survivors there are.
    pub fn len(&self) -> usize {
        self.stats.support() as usize
    }

    /// Never: a truncation keeps the top token.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// H(p) of the survivors renormalised, in nats.
    pub fn entropy(&self) -> f64 {
        self.stats.entropy()
    }

    /// The top token's probability among the survivors.
    pub fn max_prob(&self) -> f64 {
        self.stats.max_prob()
    }

    /// What the model's own row says of its uncertainty, for schedules: T = 1, before any stage.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Statistics of the model's own row.
    pub(crate) fn raw(&self) -> EntropyStats {
        self.raw
    }

    /// Statistics of the survivors at the temperature so far.
    pub(crate) fn stats(&self) -> EntropyStats {
        self.stats
    }

    /// Inverse temperature so far.
    pub(crate) fn beta(&self) -> f64 {
        self.beta
    }

    /// ln p of a token in the model's own row.
    pub(crate) fn raw_logprob(&self, token: TokenId) -> f64 {
        self.raw.logprob(self.logits.row()[token as usize])
    }

    /// The first `len` survivors as one prefix; `len` is at least 1 and cut to what there is.
    pub fn prefix(&mut self, len: usize) -> Prefix {
        let len = len.clamp(1, self.len());
        self.part(len);
        self.prefix_of(&self.buffers.order[..len])
    }

    /// The longest prefix that `within` holds for, at least 1. `within` must be monotone: once it fails for a prefix it
    /// fails for every longer one.
    pub fn longest(&mut self, within: impl FnMut(&Prefix) -> bool) -> usize {
        self.count(within).max(1)
    }

    /// The shortest prefix that has `reached`, or all if none has. `reached` must be monotone: once it holds for a prefix
    /// it holds for every longer one.
    pub fn shortest(&mut self, mut reached: impl FnMut(&Prefix) -> bool) -> usize {
        (self.count(|prefix| !reached(prefix)) + 1).min(self.len())
    }

    /// Keeps what the rule says and returns the share of probability that stays.
    pub(crate) fn truncate(&mut self, rule: &dyn Truncate) -> f64 {
        let keep = rule.keep(self).max(rule.min_tokens_to_keep().count_at(&self.signals));
        self.cut(keep)
    }

    /// Drops all but the first `keep` survivors and returns the share of probability that stays.
    pub(crate) fn cut(&mut self, keep: usize) -> f64 {
        let before = self.stats.weight();
        if keep >= self.len() {
            return 1.0;
        }
        self.part(keep);
        let last = self.buffers.order[..keep].iter().max_by(|a, b| a.rank(b)).copied();
        if let Some(last) = last {
            self.buffers.pool.retain(|candidate| candidate.rank(&last).is_le());
        }
        self.buffers.reach = Reach::Whole;
        self.parted = 0;
        self.stats = self.prefix_of(&self.buffers.pool).stats;
        self.stats.weight() / before
    }

    /// Divides all logits by `temperature` > 0.
    pub(crate) fn set_temperature(&mut self, temperature: f64) {
        // A normal number in f32 too: 0 · beta is 0 at the top token, and what rounding took can be put back.
        self.beta = (self.beta / temperature).clamp(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
        self.parted = 0;
        if self.buffers.reach == Reach::Whole {
            let (beta, top) = (self.beta, self.logits.top_logit());
            for candidate in &mut self.buffers.pool {
                candidate.weight = weight(beta, top, candidate.logit);
            }
            self.stats = self.prefix_of(&self.buffers.pool).stats;
        } else {
            self.buffers.reach = Reach::Nothing;
            self.stats = self.logits.survey(self.beta, &mut self.buffers.block_sums);
        }
    }

    /// Draws by inverse CDF in token order: the first token at which the running sum exceeds `uniform` of the whole.
    pub(crate) fn draw(&self, uniform: f64) -> TokenId {
        match self.buffers.listed() {
            Some(pool) => {
                let total: f64 = pool.iter().map(|candidate| candidate.weight).sum();
                let weights = pool.iter().map(|candidate| candidate.weight);
                let (place, _) = walk(weights, uniform * total);
                pool[place].token
            }
            None => self.draw_from_row(uniform),
        }
    }

    /// The draw over a whole row: along the blocks' sums to the block, then inside it.
    fn draw_from_row(&self, uniform: f64) -> TokenId {
        let top = self.logits.top() as usize;
        let block_sum = |(block, sum): (usize, &f64)| sum + if block == top / rows::BLOCK { 1.0 } else { 0.0 };
        let sums = || self.buffers.block_sums.iter().enumerate().map(block_sum);
        let (block, left) = walk(sums(), uniform * sums().sum::<f64>());
        let start = block * rows::BLOCK;
        let tokens = &self.logits.row()[start..self.logits.row().len().min(start + rows::BLOCK)];
        let beta = self.beta as f32;
        let weights = tokens.iter().map(|logit| f64::from(rows::exp((logit - self.logits.top_logit()) * beta)));
        (start + walk(weights, left).0) as TokenId
    }

    /// How many survivors the longest prefix has that `within` holds for: 0 if it fails for the top token alone.
    /// Leaves those first in `order`.
    fn count(&mut self, mut within: impl FnMut(&Prefix) -> bool) -> usize {
        self.reach(&mut within);
        let mut order = std::mem::take(&mut self.buffers.order);
        order.clone_from(&self.buffers.pool);
        let (mut low, mut high, mut base) = (0, order.len(), self.nothing());
        // The first `low` are in and make up `base`; those from `high` on are out. Halve what lies between.
        while high - low > SMALL {
            let pivot = low + partition(&mut order[low..high]);
            let next = self.extend(base, &order[low..=pivot]);
            if within(&next) {
                (low, base) = (pivot + 1, next);
            } else {
                high = pivot;
            }
        }
        order[low..high].sort_unstable_by(Candidate::rank);
        while low < high {
            base = self.extend(base, &order[low..=low]);
            if !within(&base) {
                break;
            }
            low += 1;
        }
        self.parted = low;
        self.buffers.order = order;
        low
    }

    /// Puts the first `len` survivors first in `order`.
    fn part(&mut self, len: usize) {
        if self.parted != len {
            self.count(|prefix| prefix.len() <= len);
        }
    }

    /// Deepens the pool until it holds the end of the longest prefix that `within` holds for.
    fn reach(&mut self, within: &mut impl FnMut(&Prefix) -> bool) {
        if self.buffers.reach == Reach::Nothing {
            self.deepen();
        }
        while self.buffers.reach != Reach::Whole && within(&self.prefix_of(&self.buffers.pool)) {
            self.deepen();
        }
    }

    /// Gathers more of the ranking from the row: first a few tokens, then those up to twice as far below the top as before.
    fn deepen(&mut self) {
        let top = f64::from(self.logits.top_logit());
        let bound = match self.buffers.reach {
            Reach::Nothing => self.nth_block_max(FIRST_GATHER),
            Reach::Above(bound) => {
                let depth = self.beta * (top - f64::from(bound));
                let deeper = (2.0 * depth).max(4.0);
                let next = (top - deeper / self.beta) as f32;
                // Beyond 80 no weight counts; and where it is too cold for f32 to tell `next` from `bound`, nothing does.
                if deeper < 80.0 && next < bound { next } else { f32::MIN }
            }
            Reach::Whole => return,
        };
        let bound = bound.max(f32::MIN); // -inf is forbidden, not improbable
        self.buffers.found.clear();
        rows::gather(self.logits.isa(), self.logits.row(), &self.buffers.block_max, bound, &mut self.buffers.found);
        let (beta, top) = (self.beta, self.logits.top_logit());
        let candidate = |&(token, logit)| Candidate { token, logit, weight: weight(beta, top, logit) };
        self.buffers.pool.clear();
        self.buffers.pool.extend(self.buffers.found.iter().map(candidate));
        self.buffers.reach = if self.buffers.pool.len() == self.len() { Reach::Whole } else { Reach::Above(bound) };
        self.parted = 0;
    }

    /// The n-th largest block maximum, or the smallest: at least n tokens reach it, and seldom many more.
    fn nth_block_max(&mut self, n: usize) -> f32 {
        let order = &mut self.buffers.block_order;
        order.clone_from(&self.buffers.block_max);
        let index = n.min(order.len()) - 1;
        *order.select_nth_unstable_by(index, |a, b| b.total_cmp(a)).1
    }

    fn nothing(&self) -> Prefix {
        let stats = EntropyStats::new(self.beta * f64::from(self.logits.top_logit()), 0, [0.0; 3]);
        Prefix { stats, total: self.stats.weight(), last: 1.0 }
    }

    fn prefix_of(&self, candidates: &[Candidate]) -> Prefix {
        self.extend(self.nothing(), candidates)
    }

    /// The prefix with further candidates, the next ones in rank. The first to come is always the top token.
    fn extend(&self, prefix: Prefix, candidates: &[Candidate]) -> Prefix {
        let mut next = prefix;
        for candidate in candidates {
            if candidate.token == self.logits.top() {
                next.stats.push_top();
            } else {
                let x = self.beta * (f64::from(candidate.logit) - f64::from(self.logits.top_logit()));
                next.stats.push(x, candidate.weight);
            }
            next.last = next.last.min(candidate.weight);
        }
        next
    }
}

/// How many tokens the first gather is to find at least.
const FIRST_GATHER: usize = 32;

/// Up to so many candidates are sorted outright.
const SMALL: usize = 16;

/// e^x, the weight of a logit beside the top one's 1.
fn weight(beta: f64, top: f32, logit: f32) -> f64 {
    libm::exp(beta * (f64::from(logit) - f64::from(top)))
}

/// Puts one of the candidates where it belongs in rank, those before it before it, and returns its index.
///
/// Written out, not the standard library's: the order in which it leaves the others is the order in which they are
/// summed, and must not change with the compiler's version.
fn partition(candidates: &mut [Candidate]) -> usize {
    let last = candidates.len() - 1;
    // The median of three scattered places, so that no ordinary pattern is a bad case. In u64: the same on 32 bits.
    let place = |k: u64| ((k * 0x9E37_79B9 + last as u64) % candidates.len() as u64) as usize;
    let mut places = [place(1), place(2), place(3)];
    places.sort_unstable_by(|a, b| candidates[*a].rank(&candidates[*b]));
    candidates.swap(places[1], last);
    let pivot = candidates[last];
    let mut before = 0;
    for i in 0..last {
        let ahead = candidates[i].rank(&pivot).is_lt();
        candidates.swap(i, before);
        before += usize::from(ahead);
    }
    candidates.swap(before, last);
    before
}

/// Walks along weights to the first at which the running sum exceeds `target`, and returns its index and what of the
/// target was left there; the last positive weight if rounding let the target slip past all.
fn walk(weights: impl Iterator<Item = f64>, target: f64) -> (usize, f64) {
    let (mut sum, mut last) = (0.0, (0, 0.0));
    for (index, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = (index, target - sum);
        }
        sum += weight;
        if sum > target {
            return (index, last.1);
        }
    }
    last
}
