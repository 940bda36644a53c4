//! Where a prefix rule cuts.

use super::order::Order;
use super::{Buffers, Prefix, Ranked, Reach};
use crate::TokenId;
use crate::entropy::Sums;

/// How many tokens the first gather is to find at least.
const FIRST_GATHER: usize = 32;

/// Up to so many entries are sorted outright.
const SMALL: usize = 16;

/// A survivor on its way into order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// See [`Order::key`].
    key: u64,
    /// beta (l - l\[top\]) <= 0.
    x: f32,
    /// e^x.
    weight: f32,
}

impl Entry {
    pub(super) fn token(&self) -> TokenId {
        self.key as TokenId
    }
}

impl Ranked<'_> {
    /// The first `len` survivors as one prefix; `len` is at least 1 and cut to what there is.
    pub fn prefix(&mut self, len: usize) -> Prefix {
        let len = len.clamp(1, self.len);
        self.part(len);
        let nothing = self.nothing();
        self.extend(nothing, &self.buffers.order[..len])
    }

    /// The logits of the first `len` survivors (or all, if there are fewer) at the temperature so far, falling.
    pub fn falling(&mut self, len: usize) -> impl ExactSizeIterator<Item = f64> + use<'_> {
        let len = len.clamp(1, self.len);
        self.part(len);
        self.buffers.order[..len].sort_unstable_by_key(|entry| entry.key);
        let (row, beta) = (self.row(), self.beta);
        self.buffers.order[..len].iter().map(move |entry| beta * f64::from(row[entry.token() as usize]))
    }

    /// Drops all but the first `keep` survivors.
    pub(crate) fn cut(&mut self, keep: usize) {
        if keep >= self.len {
            return;
        }
        self.part(keep);
        let order = self.order;
        if keep < self.buffers.pool.len() {
            let last = self.buffers.order[..keep].iter().map(|entry| entry.key).max().unwrap_or(u64::MAX);
            self.buffers.pool.retain(|logit, token| order.key(logit, token) <= last);
        }
        self.buffers.reach = Reach::Whole;
        (self.len, self.parted, self.sums) = (keep, 0, None);
        if !self.buffers.pool.tokens.contains(&self.top) {
            self.find_top();
        }
    }

    /// Ranks the survivors otherwise from now on.
    pub(super) fn set_order(&mut self, order: Order) {
        (self.order, self.parted) = (order, 0);
        if self.buffers.reach != Reach::Whole {
            self.buffers.reach = Reach::Nothing;
        }
    }

    /// How many survivors have at least this logit (without temperature), and at least 1. Leaves them in the pool.
    pub(super) fn count_from(&mut self, logit: f64) -> usize {
        if self.buffers.reach == Reach::Whole {
            let reached = |other: &&f32| f64::from(**other) >= logit;
            return self.buffers.pool.logits.iter().filter(reached).count().max(1);
        }
        if logit <= f64::from(f32::MIN) {
            return self.len;
        }
        // The least f32 that is no less.
        let bound = logit as f32;
        let bound = if f64::from(bound) < logit { bound.next_up() } else { bound };
        self.gather([bound, f32::MAX]);
        self.buffers.reach = Reach::Within(f64::from(self.top_of_row()) - f64::from(bound));
        self.buffers.pool.len()
    }

    /// How many survivors the longest prefix has that `within` holds for: 0 if it fails for the first alone.
    /// Leaves those first in `order`.
    pub(super) fn search(&mut self, mut within: impl FnMut(&Prefix) -> bool) -> usize {
        self.sums();
        self.deepen_while(&mut within);
        let mut entries = std::mem::take(&mut self.buffers.order);
        self.list(&mut entries);
        let (mut low, mut high, mut base) = (0, entries.len(), self.nothing());
        // The first `low` are in and make up `base`; those from `high` on are out. Halve what lies between.
        while high - low > SMALL {
            let pivot = low + partition(&mut entries[low..high]);
            let next = self.extend(base, &entries[low..=pivot]);
            if within(&next) {
                (low, base) = (pivot + 1, next);
            } else {
                high = pivot;
            }
        }
        entries[low..high].sort_unstable_by_key(|entry| entry.key);
        while low < high {
            base = self.extend(base, &entries[low..=low]);
            if !within(&base) {
                break;
            }
            low += 1;
        }
        self.parted = low;
        self.buffers.order = entries;
        low
    }

    pub(super) fn sums_of_pool(&self) -> Sums {
        let pool = &self.buffers.pool;
        let (top, beta) = (self.top_of_row(), self.beta as f32);
        let mut sums = Sums::default();
        for ((token, logit), weight) in pool.tokens.iter().zip(&pool.logits).zip(&pool.weights) {
            match *token == self.top {
                true => sums.top = true,
                false => sums.push((logit - top) * beta, *weight),
            }
        }
        sums
    }

    pub(super) fn squares_of_pool(&self) -> f64 {
        let weights: f64 = self.buffers.pool.weights.iter().map(|weight| f64::from(*weight) * f64::from(*weight)).sum();
        weights - 1.0
    }

    /// Puts the first `len` survivors first in `order`.
    fn part(&mut self, len: usize) {
        if self.parted == len {
            return;
        }
        if len == self.buffers.pool.len() && self.buffers.reach != Reach::Nothing {
            let mut entries = std::mem::take(&mut self.buffers.order);
            self.list(&mut entries);
            (self.buffers.order, self.parted) = (entries, len);
        } else {
            self.search(|prefix| prefix.len() <= len);
        }
    }

    /// The pool's tokens in the order asked for, not yet put in it.
    fn list(&self, entries: &mut Vec<Entry>) {
        let (order, top, beta) = (self.order, self.top_of_row(), self.beta as f32);
        let pool = &self.buffers.pool;
        entries.clear();
        entries.extend(pool.tokens.iter().zip(&pool.logits).zip(&pool.weights).map(|((&token, &logit), &weight)| {
            Entry { key: order.key(logit, token), x: (logit - top) * beta, weight }
        }));
    }

    /// Deepens the pool until it holds the end of the longest prefix that `within` holds for.
    fn deepen_while(&mut self, within: &mut impl FnMut(&Prefix) -> bool) {
        if self.buffers.reach == Reach::Nothing {
            self.deepen();
        }
        while self.buffers.reach != Reach::Whole && within(&self.whole_pool()) {
            self.deepen();
        }
    }

    /// Gathers more of the ranking from the row: first a few tokens, then those up to twice as far off as before.
    fn deepen(&mut self) {
        let reach = match (self.buffers.reach, self.order) {
            (Reach::Nothing, Order::Probability) => f64::from(self.top_of_row()) - f64::from(self.nth_block_max()),
            (Reach::Nothing, Order::Typicality { .. }) => 0.25 / self.beta,
            (Reach::Within(reach), _) => (2.0 * reach).max(4.0 / self.beta),
            (Reach::Whole, _) => return,
        };
        let window = self.order.window(self.top_of_row(), reach);
        // Where so much is asked, or it is too cold for f32 to tell one reach from the next, list everything.
        let everything = [f32::MIN, f32::MAX];
        let stuck = Reach::Within(reach) == self.buffers.reach || reach * self.beta > 80.0;
        self.gather(if stuck { everything } else { [window[0].max(f32::MIN), window[1]] });
        self.buffers.reach = if self.buffers.pool.len() == self.len { Reach::Whole } else { Reach::Within(reach) };
        self.parted = 0;
    }

    fn gather(&mut self, window: [f32; 2]) {
        let (top, isa) = (self.top_of_row(), self.isa);
        let Buffers { row, rewritten, blocks, pool, .. } = &mut *self.buffers;
        pool.gather(isa, if *rewritten { row } else { self.given }, blocks, window);
        pool.weigh(isa, top, self.beta as f32);
        self.parted = 0;
    }

    /// The n-th largest block maximum, or the smallest: at least n tokens reach it, and seldom many more.
    fn nth_block_max(&mut self) -> f32 {
        let Buffers { blocks, block_order, .. } = &mut *self.buffers;
        block_order.clear();
        block_order.extend(blocks.max.iter().filter(|max| **max > f32::NEG_INFINITY));
        let index = FIRST_GATHER.min(block_order.len()) - 1;
        *block_order.select_nth_unstable_by(index, |a, b| b.total_cmp(a)).1
    }

    fn nothing(&self) -> Prefix {
        let total = self.sums.map_or(f64::NAN, |sums| sums.weight());
        Prefix { len: 0, sums: Sums::default(), total, least: f64::INFINITY }
    }

    fn whole_pool(&self) -> Prefix {
        let pool = &self.buffers.pool;
        let least = pool.weights.iter().fold(f32::INFINITY, |a, b| a.min(*b));
        Prefix { len: pool.len(), sums: self.sums_of_pool(), least: f64::from(least), ..self.nothing() }
    }

    /// The prefix with further entries, the next ones in rank.
    fn extend(&self, mut prefix: Prefix, entries: &[Entry]) -> Prefix {
        for entry in entries {
            match entry.token() == self.top {
                true => prefix.sums.top = true,
                false => prefix.sums.push(entry.x, entry.weight),
            }
            prefix.least = prefix.least.min(f64::from(entry.weight));
        }
        prefix.len += entries.len();
        prefix
    }
}

/// Puts one of the entries where it belongs in rank, those before it before it, and returns its index.
///
/// Written out, not the standard library's: the order in which it leaves the others is the order in which they are
/// summed, and must not change with the compiler's version.
fn partition(entries: &mut [Entry]) -> usize {
    let last = entries.len() - 1;
    // The median of three scattered places, so that no ordinary pattern is a bad case. In u64: the same on 32 bits.
    let place = |k: u64| ((k * 0x9E37_79B9 + last as u64) % entries.len() as u64) as usize;
    let mut places = [place(1), place(2), place(3)];
    places.sort_unstable_by_key(|place| entries[*place].key);
    entries.swap(places[1], last);
    let pivot = entries[last].key;
    let mut before = 0;
    for i in 0..last {
        let ahead = entries[i].key < pivot;
        entries.swap(i, before);
        before += usize::from(ahead);
    }
    entries.swap(before, last);
    before
}
