//! Large cuts: what is too much to list is summed where it stands, up to a mark that a sample suggests, and only what
//! lies between the mark and the cut is listed.

use super::search::{Entry, Within};
use super::{Buffers, Prefix, Ranked, Reach, Survivors};
use crate::TokenId;
use crate::entropy::Sums;
use decant_kernels::rows::{self, Row};

/// From each so many tokens of a row one is in a sample. Odd, so that no alignment in the row is met again and again.
pub(super) const STRIDE: usize = 127;

/// So many tokens are listed without a thought.
const LISTABLE: usize = 4096;

/// What ranks before the pool's tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) prefix: Prefix,
    /// Its logits.
    pub(super) window: [f32; 2],
    /// The key of its last token, or of none after that.
    pub(super) last: u64,
    /// Its Σe^2x without the top.
    squares: f64,
}

/// Of so many tokens in a sample the most probable one, and all tokens above it, stand for themselves alone.
const HEAD: usize = 1024;

/// Some survivors in rank. The most probable stand for themselves alone: a few of them outweigh many others, and would
/// be missed or counted many times over.
struct Sample {
    entries: Vec<Entry>,
    /// From this x up every survivor is in the sample; each of the others stands for [`STRIDE`].
    head: f32,
}

/// A walk along a sample.
struct Walk {
    /// How many entries it came past.
    passed: usize,
    /// For how many survivors they stand.
    tokens: usize,
    /// The standard deviation of `passed`, had another sample been taken.
    spread: usize,
}

impl Ranked<'_> {
    /// Deepens the pool to where the longest prefix that `within` holds for probably ends, and a little farther. A poor
    /// guess costs time, nothing else; `leaps` have been too short before.
    pub(super) fn leap(&mut self, leaps: u32, within: Within<'_>) {
        let sample = self.take_sample();
        let start = if self.buffers.reach == Reach::Nothing { self.nothing() } else { self.reached() };
        let (mut at, mut cut) = (0, sample.walk(start, 0, within));
        // The first guess as it is, for there is much that it cannot know; then, from exact sums, a little less: what lies
        // behind the mark is listed.
        let (mut many, mut less) = (start.len() + cut.tokens > LISTABLE, 0);
        while many {
            let mark = at + cut.passed.saturating_sub(less);
            let Some(mark) = mark.min(sample.entries.len()).checked_sub(1).filter(|mark| *mark >= at) else { break };
            let (base, after) = self.pass_to_mark(&sample, mark, within);
            let farther = after > at;
            (at, cut) = (after, sample.walk(base, after, within));
            (many, less) = (farther && cut.tokens > LISTABLE, cut.spread << leaps);
        }
        let end = at + cut.passed + ((2 * cut.spread) << leaps);
        let logit = sample.entries.get(end).map(|entry| self.row()[entry.token() as usize]);
        self.buffers.order = sample.entries;
        self.gather_to(logit.map_or(f64::INFINITY, |logit| self.order.reach(self.top_of_row(), logit)));
    }

    /// Sums what ranks up to a mark, an earlier one if that is too much; and the index after the mark.
    fn pass_to_mark(&mut self, sample: &Sample, mut mark: usize, within: Within<'_>) -> (Prefix, usize) {
        loop {
            let base = self.pass_to(sample.entries[mark].key | u64::from(TokenId::MAX));
            if within(&base) {
                return (base, mark + 1);
            }
            if mark == 0 {
                (self.before, self.buffers.reach) = (None, Reach::Nothing);
                return (self.nothing(), 0);
            }
            mark = mark.saturating_sub(sample.walk_back(base, mark, within));
        }
    }

    /// Whether so many survivors lie in a window that they had better not be listed.
    pub(super) fn is_long(&self, window: [f32; 2]) -> bool {
        let touched = self.buffers.blocks.max.iter().filter(|max| **max >= window[0]).count();
        let row = self.row();
        let hits = || row.iter().skip(STRIDE / 2).step_by(STRIDE).filter(|logit| **logit >= window[0]).count();
        touched > LISTABLE / rows::BLOCK && hits() * STRIDE > LISTABLE
    }

    /// Sums what ranks up to a key where it stands, and leaves the pool empty behind it.
    pub(super) fn pass_to(&mut self, last: u64) -> Prefix {
        // Of the survivors' own last equals only some are in play.
        let last = last.min(self.buffers.within.last);
        let (order, top) = (self.order, self.top_of_row());
        let (isa, squares, beta) = (self.isa, self.want.squares, self.beta as f32);
        let (bound, mut prefix) = (order.bound_to(top, last), self.nothing());
        let Buffers { row, rewritten, blocks, before_sums, pool, .. } = &mut *self.buffers;
        let row = Row { logits: if *rewritten { row } else { self.given }, blocks, top: self.top as usize, beta };
        let (len, moments) = rows::bounded(isa, row, &bound, squares, before_sums);
        let top_is_in = bound.keeps(self.top, top);
        prefix.add(len, Sums { top: top_is_in, rest: moments.mass, first: moments.first });
        pool.clear();
        self.before = Some(Before { prefix, window: bound.until, last, squares: moments.squares });
        self.buffers.reach = Reach::Within(order.far_end(top, last));
        prefix
    }

    /// Makes what ranks before the pool, and the pool, the survivors, looked up in the row. `last` is the last one's key.
    pub(super) fn cut_to_bound(&mut self, before: Before, last: u64) {
        let (order, about) = (self.order, self.about());
        let (mut prefix, mut squares) = (before.prefix, before.squares);
        let Buffers { pool, block_sums, before_sums, within, reach, .. } = &mut *self.buffers;
        for place in 0..pool.len() {
            let (token, logit, weight) = pool.get(place);
            match token == self.top {
                true => prefix.sums.top = true,
                false => prefix.sums.push(about.x(logit), weight),
            }
            squares += f64::from(weight) * f64::from(weight);
            before_sums[token as usize / rows::BLOCK] += f64::from(weight);
        }
        std::mem::swap(block_sums, before_sums);
        *within = Survivors { bound: order.bound_to(about.top_logit, last), last };
        *reach = Reach::Nothing;
        (self.len, self.known) = (prefix.len + pool.len(), None);
        (self.sums, self.squares) = (Some(prefix.sums), squares);
    }

    /// Some of the survivors beyond the pool's reach, in rank.
    fn take_sample(&mut self) -> Sample {
        let (order, about) = (self.order, self.about());
        let known = if let Reach::Within(reach) = self.buffers.reach { reach } else { -1.0 };
        let mut entries = std::mem::take(&mut self.buffers.order);
        entries.clear();
        let Buffers { row, rewritten, within, blocks, logits, head, weights, .. } = &mut *self.buffers;
        let row = if *rewritten { row } else { self.given };
        let mut take = |token: TokenId, logit: f32, weight: f32| {
            if within.bound.keeps(token, logit) && order.reach(about.top_logit, logit) > known {
                entries.push(Entry { key: order.key(logit, token), x: about.x(logit), weight });
            }
        };

        let tokens = (STRIDE / 2..row.len()).step_by(STRIDE);
        logits.clear();
        logits.extend(tokens.clone().map(|token| row[token]));
        let least = nth_largest(logits, row.len() / (HEAD * STRIDE)).max(f32::MIN);
        head.gather((row, blocks, &within.bound), [least, f32::MAX], None, about);
        for place in 0..head.len() {
            let (token, logit, weight) = head.get(place);
            take(token, logit, if token == about.top { 1.0 } else { weight });
        }
        logits.clear();
        logits.extend(tokens.clone().map(|token| row[token]));
        rows::weights(self.isa, logits, about.top_logit, about.beta, weights);
        for ((token, logit), weight) in tokens.zip(&*logits).zip(&*weights) {
            if *logit < least {
                take(token as TokenId, *logit, *weight);
            }
        }
        entries.sort_unstable_by_key(|entry| entry.key);
        Sample { entries, head: about.x(least) }
    }
}

/// The n-th largest of some logits, counted from 0; the least possible if there are not so many. Leaves them in disorder.
pub(super) fn nth_largest(logits: &mut [f32], n: usize) -> f32 {
    if n >= logits.len() {
        return f32::NEG_INFINITY;
    }
    *logits.select_nth_unstable_by(n, |a, b| b.total_cmp(a)).1
}

impl Sample {
    /// Walks on from a prefix, from the entry `at`, as long as `within` holds.
    fn walk(&self, mut prefix: Prefix, at: usize, within: Within<'_>) -> Walk {
        let (start, mut squares, mut last) = (prefix.len, 0.0, 1.0);
        let ahead = &self.entries[at.min(self.entries.len())..];
        let scale = self.scale(&prefix, ahead);
        let passed = ahead.iter().take_while(|entry| {
            let count = self.step(&mut prefix, entry, 1.0, scale);
            // Who stands for others is in the sample by chance: its weight in units of the last one's is the error.
            last = f64::from(entry.weight).max(f64::MIN_POSITIVE);
            squares += if count > 1 { last * last } else { 0.0 };
            within(&prefix)
        });
        let passed = passed.count();
        Walk { passed, tokens: prefix.len - start, spread: 2 + ((squares.sqrt() / last) as usize).min(passed) }
    }

    /// Walks back from a prefix that ends with the entry `mark` until `within` holds, and a little farther; how far.
    fn walk_back(&self, mut prefix: Prefix, mark: usize, within: Within<'_>) -> usize {
        let back = self.entries[..=mark].iter().rev().take_while(|entry| {
            self.step(&mut prefix, entry, -1.0, 1.0);
            !within(&prefix)
        });
        let back = back.count() + 1;
        back + 2 + 2 * back.isqrt()
    }

    /// By what the weights of those who stand for others must be multiplied so that all ahead weigh what is known to be
    /// left (the ratio estimator of sampling theory); 1 where that is not known.
    fn scale(&self, prefix: &Prefix, ahead: &[Entry]) -> f64 {
        let mut sums = [0.0; 2];
        for entry in ahead {
            sums[usize::from(self.count(entry) > 1)] += self.count(entry) as f64 * f64::from(entry.weight);
        }
        let left = prefix.total - prefix.sums.weight() - sums[0];
        if left > 0.0 && sums[1] > 0.0 { left / sums[1] } else { 1.0 }
    }

    /// For how many survivors an entry stands.
    fn count(&self, entry: &Entry) -> usize {
        if entry.x >= self.head { 1 } else { STRIDE }
    }

    /// Takes the tokens that an entry stands for into a prefix, or out of it; how many they are.
    fn step(&self, prefix: &mut Prefix, entry: &Entry, sign: f64, scale: f64) -> usize {
        let count = self.count(entry);
        let weight = sign * f64::from(entry.weight) * if count > 1 { scale * count as f64 } else { 1.0 };
        prefix.len = prefix.len.saturating_add_signed(sign as isize * count as isize);
        prefix.sums.rest += weight;
        prefix.sums.first += weight * f64::from(entry.x);
        count
    }
}
