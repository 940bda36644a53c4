//! Where a rule cuts: candidates are gathered as deep as the rule reaches, the cut is bracketed by sums over them, and
//! the few between are put in order.

use super::leap::nth_largest;
use super::order::{EVERYTHING, Order, least_from};
use super::{Buffers, Prefix, Ranked, Reach};
use crate::TokenId;

/// How many tokens the first gather is to find at least, unless more are sure to be needed.
const FIRST_GATHER: usize = 32;

/// Above so many candidates the cut is first bracketed by sums over the list.
const MANY: usize = 512;

/// Up to so many entries are sorted outright.
const SMALL: usize = 16;

/// A rule's question about a prefix: does the cut lie farther on?
pub(super) type Within<'a> = &'a mut dyn FnMut(&Prefix) -> bool;

/// A survivor on its way into order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// See [`Order::key`].
    pub(super) key: u64,
    /// beta (l - l\[top\]) <= 0.
    pub(super) x: f32,
    /// e^x; 0 for the top token.
    pub(super) weight: f32,
}

impl Entry {
    pub(super) fn token(&self) -> TokenId {
        self.key as TokenId
    }
}

/// Where a search ended: the first `len` survivors are those with keys up to `last`, and the one after them, where that
/// is known, has the key `next`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    len: usize,
    last: u64,
    next: Option<u64>,
}

impl Ranked<'_> {
    /// The first `len` survivors as one prefix; `len` is at least 1 and cut to what there is.
    pub fn prefix(&mut self, len: usize) -> Prefix {
        let nothing = Prefix::empty(self.sums().weight());
        self.put_in_order(len);
        self.extend(nothing, &self.buffers.order)
    }

    /// The logits of the first `len` survivors (or all, if there are fewer) at the temperature so far, falling.
    pub fn falling(&mut self, len: usize) -> impl ExactSizeIterator<Item = f64> + use<'_> {
        self.put_in_order(len);
        let (row, beta) = (self.row(), self.beta);
        self.buffers.order.iter().map(move |entry| beta * f64::from(row[entry.token() as usize]))
    }

    /// Drops all but the first `keep` survivors.
    pub(crate) fn cut(&mut self, keep: usize) {
        if keep >= self.len {
            return;
        }
        if keep == 1 && self.order == Order::Probability {
            self.buffers.pool.only(self.about());
            self.cut_to_list();
            return;
        }
        let (order, top, last) = (self.order, self.top_of_row(), self.last_of(keep));
        let pool = &mut self.buffers.pool;
        pool.retain_window(order.window_to(top, last));
        // Of the last one's equals only the lower ids stay.
        if keep < pool.len() + self.before.map_or(0, |before| before.prefix.len) {
            pool.retain(|logit, token| order.key(logit, token) <= last);
        }
        match self.before.take() {
            Some(before) => self.cut_to_bound(before, last),
            None => self.cut_to_list(),
        }
    }

    /// Makes the pool the survivors.
    fn cut_to_list(&mut self) {
        self.buffers.reach = Reach::Whole;
        (self.len, self.known, self.before, self.sums) = (self.buffers.pool.len(), None, None, None);
        if self.buffers.pool.place_of_top().is_none() {
            self.find_top();
        }
    }

    /// Ranks the survivors otherwise from now on.
    pub(super) fn set_order(&mut self, order: Order) {
        (self.order, self.known, self.before) = (order, None, None);
        if self.buffers.reach != Reach::Whole {
            self.buffers.reach = Reach::Nothing;
        }
    }

    /// How many survivors have at least this logit (without temperature), and at least 1.
    pub(super) fn count_from(&mut self, logit: f64) -> usize {
        let least = self.buffers.blocks.min.iter().fold(f32::INFINITY, |a, b| a.min(*b));
        if logit <= f64::from(least.max(f32::MIN)) {
            return self.len;
        }
        let bound = least_from(logit);
        let (window, last) = ([bound, f32::MAX], self.order.key(bound, TokenId::MAX));
        self.before = None;
        let len = if self.buffers.reach == Reach::Whole {
            self.buffers.pool.sums(window).len
        } else if self.is_long(window) {
            self.pass_to(last).len
        } else {
            self.gather(window);
            self.buffers.reach = Reach::Within(self.order.reach(self.top_of_row(), bound));
            self.buffers.pool.len()
        };
        self.known = Some(Cut { len, last, next: None });
        len.max(1)
    }

    /// The longest prefix that `within` holds for: of length 0 if it fails for the first alone.
    pub(super) fn search(&mut self, mut within: impl FnMut(&Prefix) -> bool) -> Prefix {
        self.sums();
        self.find(FIRST_GATHER, &mut within).0
    }

    /// The logit (without temperature) of the survivor after the cut that was found last, if there is one.
    pub(super) fn logit_after_cut(&self) -> Option<f32> {
        let Cut { last, next, .. } = self.known?;
        if let Some(next) = next {
            return Some(self.row()[next as TokenId as usize]);
        }
        let after = self.buffers.survivors(self.given).filter(|(token, logit)| self.order.key(*logit, *token) > last);
        after.map(|(_, logit)| logit).reduce(f32::max)
    }

    /// The key of the `len`-th survivor.
    pub(super) fn last_of(&mut self, len: usize) -> u64 {
        match self.known {
            Some(Cut { len: found, last, .. }) if found == len => last,
            Some(Cut { len: found, next: Some(next), .. }) if found + 1 == len => next,
            _ => self.find(len.max(FIRST_GATHER), &mut |prefix| prefix.len() <= len).1.last,
        }
    }

    /// Lists the first `len` survivors in order of rank.
    fn put_in_order(&mut self, len: usize) {
        let (order, last) = (self.order, self.last_of(len.clamp(1, self.len)));
        if self.before.take().is_some() {
            self.gather(order.window_to(self.top_of_row(), last));
            self.buffers.reach = Reach::Within(order.far_end(self.top_of_row(), last));
        }
        self.list(order.window_to(self.top_of_row(), last), None);
        self.buffers.order.retain(|entry| entry.key <= last);
        self.buffers.order.sort_unstable_by_key(|entry| entry.key);
    }

    /// Finds the end of the longest prefix that `within` holds for, looking at `expected` tokens first.
    fn find(&mut self, expected: usize, within: Within<'_>) -> (Prefix, Cut) {
        // What was passed over for another question may be too much for this one.
        if self.before.is_some_and(|before| !within(&before.prefix)) {
            (self.before, self.buffers.reach) = (None, Reach::Nothing);
        }
        self.deepen_while(expected, within);
        let (base, inner, outer) = self.bracket(within);
        self.list(outer, inner);
        let mut entries = std::mem::take(&mut self.buffers.order);
        let (prefix, cut) = self.select(base, &mut entries, within);
        self.buffers.order = entries;
        self.known = Some(cut);
        (prefix, cut)
    }

    /// Narrows the pool to a part that holds the cut: what lies before it as one prefix, the window of that prefix, and
    /// the window to look in.
    fn bracket(&mut self, within: Within<'_>) -> ((Prefix, u64), Option<[f32; 2]>, [f32; 2]) {
        let first = self.before.map_or((self.nothing(), 0), |before| (before.prefix, before.last));
        let (mut base, mut inner, mut outer) = (first, None, EVERYTHING);
        if self.buffers.pool.len() <= MANY {
            return (base, inner, outer);
        }
        let (order, top) = (self.order, self.top_of_row());
        let logits = &self.buffers.pool.logits;
        let mut marks: [f32; 64] = std::array::from_fn(|i| logits[(2 * i + 1) * logits.len() / 128]);
        marks.sort_unstable_by_key(|logit| order.key(*logit, 0));
        let (mut low, mut high) = (0, marks.len());
        while low < high {
            let middle = (low + high) / 2;
            let last = order.key(marks[middle], TokenId::MAX);
            let window = order.window_to(top, last);
            let prefix = self.prefix_inside(window);
            if within(&prefix) {
                (base, inner, low) = ((prefix, last), Some(window), middle + 1);
            } else {
                (outer, high) = (window, middle);
            }
        }
        (base, inner, outer)
    }

    /// Where the longest prefix ends that begins with `base` and goes on with entries not yet in order.
    fn select(&self, (mut base, mut last): (Prefix, u64), entries: &mut [Entry], within: Within<'_>) -> (Prefix, Cut) {
        let (mut low, mut high) = (0, entries.len());
        // The first `low` are in and belong to `base`; those from `high` on are out. Halve what lies between.
        while high - low > SMALL {
            let pivot = low + partition(&mut entries[low..high]);
            let next = self.extend(base, &entries[low..=pivot]);
            if within(&next) {
                (low, base, last) = (pivot + 1, next, entries[pivot].key);
            } else {
                high = pivot;
            }
        }
        entries[low..high].sort_unstable_by_key(|entry| entry.key);
        while low < high {
            let next = self.extend(base, &entries[low..=low]);
            if !within(&next) {
                break;
            }
            (base, last) = (next, entries[low].key);
            low += 1;
        }
        // Whatever stands there was put there by its rank.
        (base, Cut { len: base.len, last, next: entries.get(low).map(|entry| entry.key) })
    }

    /// Deepens the pool until it holds the end of the longest prefix that `within` holds for.
    fn deepen_while(&mut self, expected: usize, within: Within<'_>) {
        if self.buffers.reach == Reach::Nothing && self.order == Order::Probability {
            let reach = self.nth_block_max(expected);
            self.gather_to(reach);
        }
        // A few more are the blocks' largest still; then a leap, and a longer one whenever that was not enough.
        let (mut block_maxima, mut leaps) = (self.order == Order::Probability && 8 * expected <= self.blocks(), 0);
        while self.buffers.reach == Reach::Nothing || self.falls_short(within) {
            if std::mem::take(&mut block_maxima) {
                let reach = self.nth_block_max(4 * expected);
                self.gather_to(reach);
            } else {
                self.leap(leaps, within);
                leaps += 1;
            }
        }
    }

    /// Whether there are survivors beyond the pool's reach that `within` may hold for.
    fn falls_short(&mut self, within: Within<'_>) -> bool {
        let reached = self.reached();
        reached.len < self.len && within(&reached)
    }

    fn blocks(&self) -> usize {
        self.buffers.blocks.max.len()
    }

    /// Gathers every survivor up to a reach, or simply all where that leads no farther than the pool reaches already.
    pub(super) fn gather_to(&mut self, reach: f64) {
        let farther = !matches!(self.buffers.reach, Reach::Within(before) if reach <= before);
        let window = if farther { self.order.window(self.top_of_row(), reach) } else { EVERYTHING };
        self.gather(window);
        self.buffers.reach = if self.buffers.pool.len() == self.len { Reach::Whole } else { Reach::Within(reach) };
    }

    fn gather(&mut self, outer: [f32; 2]) {
        let (about, inner) = (self.about(), self.before.map(|before| before.window));
        let Buffers { row, rewritten, blocks, within, pool, .. } = &mut *self.buffers;
        pool.gather((if *rewritten { row } else { self.given }, blocks, &within.bound), outer, inner, about);
        self.known = None;
    }

    /// How far the n-th largest block maximum lies, or the smallest: at least n tokens, and seldom many more, are no
    /// farther.
    fn nth_block_max(&mut self, n: usize) -> f64 {
        let Buffers { blocks, logits, .. } = &mut *self.buffers;
        logits.clear();
        logits.extend(blocks.max.iter().filter(|max| **max > f32::NEG_INFINITY));
        let index = n.min(logits.len()) - 1;
        let bound = nth_largest(logits, index);
        self.order.reach(self.top_of_row(), bound)
    }

    /// Lists the pool's tokens that lie in `outer` but not in `inner`.
    fn list(&mut self, outer: [f32; 2], inner: Option<[f32; 2]>) {
        let (order, about) = (self.order, self.about());
        let Buffers { pool, places, order: entries, .. } = &mut *self.buffers;
        pool.places(outer, inner, places);
        entries.clear();
        entries.extend(places.iter().map(|place| {
            let (token, logit, weight) = pool.get(*place as usize);
            Entry { key: order.key(logit, token), x: about.x(logit), weight }
        }));
    }

    pub(super) fn nothing(&self) -> Prefix {
        Prefix::empty(self.sums.map_or(f64::NAN, |sums| sums.weight()))
    }

    /// Everything up to where the pool reaches as one prefix.
    pub(super) fn reached(&mut self) -> Prefix {
        self.prefix_inside(EVERYTHING)
    }

    /// What ranks before the pool and the pool's tokens in a window as one prefix.
    fn prefix_inside(&mut self, window: [f32; 2]) -> Prefix {
        let mut prefix = self.before.map_or(self.nothing(), |before| before.prefix);
        let part = self.buffers.pool.sums(window);
        prefix.add(part.len, part.sums);
        prefix
    }

    /// The prefix with further entries, the next ones in rank.
    fn extend(&self, mut prefix: Prefix, entries: &[Entry]) -> Prefix {
        for entry in entries {
            match entry.token() == self.top {
                true => prefix.sums.top = true,
                false => prefix.sums.push(entry.x, entry.weight),
            }
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
