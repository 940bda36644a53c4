//! Large cuts: what is too much to list is summed where it stands, up to a mark that a sample suggests, and only what
//! lies between the mark and the cut is listed.

use super::search::{Entry, Within};
use super::{Buffers, Prefix, Ranked, Reach, Survivors};
use crate::TokenId;
use crate::entropy::Sums;
use decant_kernels::rows::{self, Row};

/// About how many tokens of a row make a sample.
const SAMPLE: usize = 1024;

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

/// A walk along a sample: each entry stands for `stride` tokens.
struct Walk {
    /// How many entries it came past.
    passed: usize,
    /// The standard deviation of that, had another sample been taken.
    spread: usize,
}

impl Ranked<'_> {
    /// Deepens the pool to where the longest prefix that `within` holds for probably ends, and a little farther. A poor
    /// guess costs time, nothing else.
    pub(super) fn leap(&mut self, attempt: u32, within: Within<'_>) {
        let stride = self.take_sample();
        let sample = std::mem::take(&mut self.buffers.order);
        let start = if self.buffers.reach == Reach::Nothing { self.nothing() } else { self.reached() };
        let cut = walk(start, &sample, stride, within);
        let reach_at = |ranked: &Self, at: usize| {
            let logit = sample.get(at).map(|entry| ranked.row()[entry.token() as usize]);
            logit.map_or(f64::INFINITY, |logit| ranked.order.reach(ranked.top_of_row(), logit))
        };
        // Before the cut on purpose: what lies behind the mark is listed.
        let mut mark = cut.passed.saturating_sub(cut.spread << (attempt - 1)).min(sample.len().saturating_sub(1));
        if start.len() + cut.passed * stride <= LISTABLE || mark == 0 {
            let reach = reach_at(self, cut.passed + (2 * cut.spread << attempt));
            self.gather_to(reach);
        } else {
            let mut base = self.pass_to(sample[mark].key | u64::from(TokenId::MAX));
            while mark > 0 && !within(&base) {
                mark = mark.saturating_sub(walk_back(base, &sample[..mark], stride, within));
                base = self.pass_to(sample[mark].key | u64::from(TokenId::MAX));
            }
            if !within(&base) {
                (self.before, self.buffers.reach) = (None, Reach::Nothing);
                base = self.nothing();
            }
            let cut = walk(base, &sample[mark..], stride, within);
            let reach = reach_at(self, mark + cut.passed + (2 * cut.spread << attempt));
            self.gather_to(reach);
        }
        self.buffers.order = sample;
    }

    /// Whether so many survivors lie in a window that they had better not be listed.
    pub(super) fn is_long(&self, window: [f32; 2]) -> bool {
        let touched = self.buffers.blocks.max.iter().filter(|max| **max >= window[0]).count();
        let row = self.row();
        let stride = row.len() / SAMPLE | 1;
        let hits = || row.iter().skip(stride / 2).step_by(stride).filter(|logit| **logit >= window[0]).count();
        touched > LISTABLE / rows::BLOCK && hits() * stride > LISTABLE
    }

    /// Sums what ranks up to a key where it stands, and leaves the pool empty behind it.
    pub(super) fn pass_to(&mut self, last: u64) -> Prefix {
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
        let (order, top, beta) = (self.order, self.top_of_row(), self.beta as f32);
        let (mut prefix, mut squares) = (before.prefix, before.squares);
        let Buffers { pool, block_sums, before_sums, bound, reach, .. } = &mut *self.buffers;
        for place in 0..pool.len() {
            let (token, logit, weight) = pool.get(place);
            match token == self.top {
                true => prefix.sums.top = true,
                false => prefix.sums.push((logit - top) * beta, weight),
            }
            squares += f64::from(weight) * f64::from(weight);
            before_sums[token as usize / rows::BLOCK] += f64::from(weight);
        }
        std::mem::swap(block_sums, before_sums);
        (*bound, *reach) = (Survivors(order.bound_to(top, last)), Reach::Nothing);
        (self.len, self.known) = (prefix.len + pool.len(), None);
        (self.sums, self.squares) = (Some(prefix.sums), squares);
    }

    /// Leaves in `order` some of the survivors beyond the pool's reach, in rank, and says for how many each stands.
    fn take_sample(&mut self) -> usize {
        let (order, top, beta) = (self.order, self.top_of_row(), self.beta as f32);
        let known = if let Reach::Within(reach) = self.buffers.reach { reach } else { -1.0 };
        let Buffers { row, rewritten, bound, sampled, weights, order: entries, .. } = &mut *self.buffers;
        let row = if *rewritten { row } else { self.given };
        // An odd stride, so that no alignment in the row is met again and again.
        let stride = row.len() / SAMPLE | 1;
        let tokens = (0..row.len()).skip(stride / 2).step_by(stride);
        sampled.clear();
        sampled.extend(tokens.clone().map(|token| row[token]));
        rows::weights(self.isa, sampled, top, beta, weights);
        entries.clear();
        for ((token, logit), weight) in tokens.zip(&*sampled).zip(&*weights) {
            if bound.0.keeps(token as TokenId, *logit) && order.reach(top, *logit) > known {
                let key = order.key(*logit, token as TokenId);
                entries.push(Entry { key, x: (logit - top) * beta, weight: *weight });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.key);
        stride
    }
}

/// Walks on from a prefix as long as `within` holds.
fn walk(mut prefix: Prefix, sample: &[Entry], stride: usize, within: Within<'_>) -> Walk {
    let (mut squares, mut last) = (0.0, 1.0);
    let passed = sample.iter().take_while(|entry| {
        step(&mut prefix, entry, stride as f64);
        last = f64::from(entry.weight).max(f64::MIN_POSITIVE);
        squares += last * last;
        within(&prefix)
    });
    let passed = passed.count();
    // Each entry on the way is in the sample by chance: its weight in units of the last one's is the error it makes.
    Walk { passed, spread: 2 + ((squares.sqrt() / last) as usize).min(passed) }
}

/// Walks back from a prefix until `within` holds, and a little farther; how far.
fn walk_back(mut prefix: Prefix, sample: &[Entry], stride: usize, within: Within<'_>) -> usize {
    let back = sample.iter().rev().take_while(|entry| {
        step(&mut prefix, entry, -(stride as f64));
        !within(&prefix)
    });
    let back = back.count() + 1;
    back + 2 + 2 * back.isqrt()
}

/// Takes `count` tokens like this one into a prefix.
fn step(prefix: &mut Prefix, entry: &Entry, count: f64) {
    prefix.len = prefix.len.saturating_add_signed(count as isize);
    prefix.sums.rest += count * f64::from(entry.weight);
    prefix.sums.first += count * f64::from(entry.x) * f64::from(entry.weight);
}
