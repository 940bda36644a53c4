//! The survivors of the stages so far, in falling probability, ordered only as far as a rule asks.

mod certificate;
mod draw;
mod leap;
mod lookback;
mod order;
mod pool;
mod prefix;
mod rewrite;
mod search;

pub use prefix::Prefix;

use crate::context::Context;
use crate::effect::Truncate;
use crate::entropy::Sums;
use crate::logits::Bounds;
use crate::{EntropyStats, Isa, RowError, Schedule, Signals, TokenId};
use decant_kernels::rows::{self, Blocks, Bound, Row, Want};
use leap::Before;
use order::{EVERYTHING, Order};
use pool::{About, Pool};
use search::{Cut, Entry};

/// Buffers of [`Ranked`], kept from row to row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    /// The logits as stages have rewritten them, where one has.
    row: Vec<f32>,
    rewritten: bool,
    /// Of the logits as they stand.
    blocks: Blocks,
    /// Which of the row's tokens survive; with [`Reach::Whole`] they are listed in the pool instead.
    within: Survivors,
    /// Each block's share of the survivors' mass, while they are looked up in the row.
    block_sums: Vec<f64>,
    /// The same of what ranks before the pool.
    before_sums: Vec<f64>,
    /// Some logits, such as block maxima, to be put in order.
    logits: Vec<f32>,
    /// The most probable of a sample of the row.
    head: Pool,
    /// Of such a sample, or of the block that a draw has come to.
    weights: Vec<f32>,
    pool: Pool,
    reach: Reach,
    /// Some of the pool's places.
    places: Vec<u32>,
    /// Some of the pool's tokens, put in order of rank as far as was asked.
    order: Vec<Entry>,
    /// What learning stages found, and rows that have changed since they did.
    found: Vec<rewrite::Found>,
    past_rows: Vec<Vec<f32>>,
    lookback: lookback::Lookback,
}

/// The survivors that are looked up in the row: all of it, to begin with.
#[derive(Clone, Copy, Debug)]
struct Survivors {
    bound: Bound,
    /// The key of the last one in rank.
    last: u64,
}

impl Default for Survivors {
    fn default() -> Self {
        Survivors { bound: Bound::NONE, last: u64::MAX }
    }
}

impl Buffers {
    /// The survivors in token order.
    pub(crate) fn survivors<'a>(&'a self, given: &'a [f32]) -> impl Iterator<Item = (TokenId, f32)> + 'a {
        let listed = (self.reach == Reach::Whole).then_some(&self.pool);
        let looked_up = if self.rewritten { &self.row } else { given };
        let looked_up = listed.is_none().then_some(looked_up);
        let listed = listed.map(|pool| pool.tokens.iter().copied().zip(pool.logits.iter().copied()));
        let looked_up = looked_up.map(|row| (0..).zip(row.iter().copied()));
        let looked_up =
            looked_up.into_iter().flatten().filter(|(token, logit)| self.within.bound.keeps(*token, *logit));
        listed.into_iter().flatten().chain(looked_up)
    }

    /// Writes the survivors' logits over the row they are of, times `beta`, and forbids every other token.
    pub(crate) fn write(&self, row: &mut [f32], beta: f64) {
        // Clamped, for +inf would be no logit: a tiny temperature may lead beyond f32.
        let cooled = |logit: f32| (f64::from(logit) * beta).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        if self.reach == Reach::Whole {
            row.fill(f32::NEG_INFINITY);
            for (token, logit) in self.pool.tokens.iter().zip(&self.pool.logits) {
                row[*token as usize] = cooled(*logit);
            }
            return;
        }
        if self.rewritten {
            row.copy_from_slice(&self.row);
        }
        for (token, logit) in (0..).zip(row) {
            *logit = if self.within.bound.keeps(token, *logit) { cooled(*logit) } else { f32::NEG_INFINITY };
        }
    }

    /// Whether the survivors are all that the given row allows, each with its own logit.
    pub(crate) fn is_untouched(&self) -> bool {
        self.reach != Reach::Whole && !self.rewritten && self.within.bound == Bound::NONE
    }
}

/// How far the pool reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Reach {
    /// It holds nothing yet.
    #[default]
    Nothing,
    /// It holds every survivor up to this far, in logits, from where the order begins, but for what ranks [`Before`] it.
    Within(f64),
    /// It holds every survivor, and they are no longer looked up in the row.
    Whole,
}

/// Tokens in falling probability, ordered only as far as a rule asks. Ties: lower id first.
///
/// Whoever asks pays: nothing is computed before a rule asks for it, a row is read again only where its block bounds say
/// that candidates lie, and a cut is found by selection with partial sums, never by sorting the vocabulary.
#[derive(Debug)]
pub struct Ranked<'s> {
    /// The model's own row.
    given: &'s [f32],
    isa: Isa,
    pub(crate) context: Context<'s>,
    /// Which sums a pass over the row is to take.
    want: Want,
    raw: Option<EntropyStats>,
    /// Inverse temperature so far.
    beta: f64,
    /// The most probable survivor.
    top: TokenId,
    /// How many survivors there are.
    len: usize,
    order: Order,
    /// Of the survivors at the temperature so far, once somebody has asked.
    sums: Option<Sums>,
    /// Σe^2x of the same.
    squares: f64,
    /// Whether logits have changed since they were ranked.
    unsettled: bool,
    /// What ranks before the pool, if that is too much to list.
    before: Option<Before>,
    /// The cut that was found last, for these survivors in this order.
    known: Option<Cut>,
    /// See [`Step::gap`](crate::Step::gap).
    pub(crate) gap: Option<f64>,
    buffers: &'s mut Buffers,
}

impl<'s> Ranked<'s> {
    /// All tokens of a row, at T = 1.
    pub(crate) fn new(
        given: &'s [f32],
        isa: Isa,
        want: Want,
        context: Context<'s>,
        buffers: &'s mut Buffers,
    ) -> Result<Self, RowError> {
        let Bounds { top, support } = Bounds::of(given, isa, &mut buffers.blocks)?;
        (buffers.reach, buffers.rewritten, buffers.within) = (Reach::Nothing, false, Survivors::default());
        buffers.found.clear();
        Ok(Ranked {
            given,
            isa,
            context,
            want,
            raw: None,
            beta: 1.0,
            top,
            len: support as usize,
            order: Order::Probability,
            sums: None,
            squares: 0.0,
            unsettled: false,
            before: None,
            known: None,
            gap: None,
            buffers,
        })
    }

    /// How many survivors there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a truncation keeps a token.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// H(p) of the survivors renormalised, in nats.
    pub fn entropy(&mut self) -> f64 {
        self.sums().entropy()
    }

    /// The top token's probability among the survivors.
    pub fn max_prob(&mut self) -> f64 {
        1.0 / self.sums().weight()
    }

    /// Σp² over the survivors: the probability that two draws agree.
    pub fn collision(&mut self) -> f64 {
        let weight = self.sums().weight();
        (1.0 + self.squares) / (weight * weight)
    }

    /// The value of a parameter at this step.
    pub fn value(&mut self, schedule: &Schedule) -> f64 {
        match schedule {
            Schedule::Constant(value) => *value,
            _ => schedule.at(&self.signals()),
        }
    }

    /// The value of a parameter at this step as a count: rounded to the nearest whole number (halves up), never below 0.
    pub fn count(&mut self, schedule: &Schedule) -> usize {
        self.value(schedule).round() as usize
    }

    /// What the model's own row says of its uncertainty: T = 1, before any stage.
    pub fn signals(&mut self) -> Signals {
        self.raw().signals()
    }

    /// Statistics of the model's own row. Before the first rewriting of the row, or not at all.
    pub(crate) fn raw(&mut self) -> EntropyStats {
        if let Some(raw) = self.raw {
            return raw;
        }
        debug_assert!(self.is_pristine(), "the sampler asks for the raw row's statistics first");
        let want = Want { first: true, second: true, ..self.want };
        let Buffers { blocks, block_sums, .. } = &mut *self.buffers;
        let row = Row { logits: self.given, blocks, top: self.top as usize, beta: 1.0 };
        let moments = rows::moments(self.isa, row, want, block_sums);
        let raw = EntropyStats::from_moments(self.top_of_row(), self.len as u32, moments);
        (self.raw, self.sums, self.squares) = (Some(raw), Some(raw.sums()), moments.squares);
        raw
    }

    /// ln p of a token in the model's own row.
    pub(crate) fn raw_logprob(&mut self, token: TokenId) -> f64 {
        self.raw().logprob(self.given[token as usize])
    }

    /// ln p of a survivor among the survivors, at the temperature so far.
    pub(crate) fn logprob(&mut self, token: TokenId) -> f64 {
        let below = f64::from(self.row()[token as usize]) - f64::from(self.top_of_row());
        self.beta * below - self.log_weight()
    }

    /// ln Σe^(l - l\[top\]) of the survivors, at the temperature so far.
    pub(crate) fn log_weight(&mut self) -> f64 {
        self.sums().log_weight()
    }

    /// Inverse temperature so far.
    pub(crate) fn beta(&self) -> f64 {
        self.beta
    }

    /// The largest of the survivors' logits, at the temperature so far.
    pub fn top_logit(&self) -> f64 {
        self.beta * f64::from(self.top_of_row())
    }

    /// The least of the survivors' logits, at the temperature so far.
    pub fn bottom_logit(&self) -> f64 {
        self.beta * f64::from(self.bottom_of_row())
    }

    /// The population standard deviation of the survivors' logits, at the temperature so far.
    pub fn std(&self) -> f64 {
        // About a number that is not far from the mean, so that little cancels: the mean of some of them.
        let some = self.row().iter().step_by(leap::STRIDE).filter(|logit| **logit > f32::NEG_INFINITY);
        let (count, sum) = some.fold((0.0, 0.0), |(count, sum), logit| (count + 1.0, sum + f64::from(*logit)));
        let center = if count > 0.0 { (sum / count) as f32 } else { self.top_of_row() };
        let [mean, square] = self.deviations(center).map(|sum| sum / self.len as f64);
        self.beta * (square - mean * mean).max(0.0).sqrt()
    }

    /// Σd and Σd² over the survivors, d = l - center, without temperature.
    fn deviations(&self, center: f32) -> [f64; 2] {
        if self.buffers.reach != Reach::Whole && self.buffers.within.bound == Bound::NONE {
            let sums = rows::spread(self.isa, self.row(), center);
            // Squares of very large numbers are beyond f32.
            if sums[1].is_finite() {
                return sums;
            }
        }
        let below = self.buffers.survivors(self.given).map(|(_, logit)| f64::from(logit) - f64::from(center));
        below.fold([0.0; 2], |[sum, squares], d| [sum + d, squares + d * d])
    }

    /// The least of the survivors' logits, without temperature.
    fn bottom_of_row(&self) -> f32 {
        let Buffers { blocks, within, reach, .. } = &*self.buffers;
        let least = blocks.min.iter().fold(f32::INFINITY, |a, b| a.min(*b));
        if *reach != Reach::Whole && within.bound == Bound::NONE && least > f32::NEG_INFINITY {
            return least;
        }
        self.buffers.survivors(self.given).fold(f32::INFINITY, |least, (_, logit)| least.min(logit))
    }

    /// How many survivors lie at most `depth` nats below the top one: ln p >= ln p_max - depth. At least 1.
    pub fn within(&mut self, depth: f64) -> usize {
        let bound = f64::from(self.top_of_row()) - depth.max(0.0) / self.beta;
        self.count_from(bound)
    }

    /// From here to the end of the stage the survivors rank by how near their information -ln p is to the entropy,
    /// nearest first.
    pub fn by_typicality(&mut self) {
        let sums = self.sums();
        // A window about the center can only be taken from a whole row.
        if self.buffers.reach != Reach::Whole && self.buffers.within.bound != Bound::NONE {
            self.own_row();
            // It cannot fail: a survivor is left.
            self.settle().ok();
        }
        // -ln p = H where l = l_top - (H - ln Σe^x) / beta.
        let center = f64::from(self.top_of_row()) + (sums.log_weight() - sums.entropy()) / self.beta;
        self.set_order(Order::Typicality { center });
    }

    /// The longest prefix that `within` holds for, at least 1. `within` must be monotone: once it fails for a prefix it
    /// fails for every longer one.
    pub fn longest(&mut self, within: impl FnMut(&Prefix) -> bool) -> usize {
        self.search(within).len.max(1)
    }

    /// The shortest prefix that has `reached`, or all if none has. `reached` must be monotone: once it holds for a prefix
    /// it holds for every longer one.
    pub fn shortest(&mut self, mut reached: impl FnMut(&Prefix) -> bool) -> usize {
        (self.search(|prefix| !reached(prefix)).len + 1).min(self.len)
    }

    /// Before a stage looks at the survivors: they must hang together in probability.
    pub(crate) fn begin_stage(&mut self) -> Result<(), RowError> {
        let bound = self.buffers.within.bound;
        match self.buffers.reach != Reach::Whole && bound.until[1].max(bound.after[1]) < f32::MAX {
            true => {
                self.own_row();
                self.settle()
            }
            false => Ok(()),
        }
    }

    /// Keeps what the rule says.
    pub(crate) fn truncate(&mut self, rule: &dyn Truncate) {
        let keep = rule.keep(self);
        let least = self.count(rule.min_tokens_to_keep());
        self.cut(keep.max(least));
        if self.order != Order::Probability {
            self.set_order(Order::Probability);
        }
    }

    /// Divides all logits by `temperature` > 0.
    pub(crate) fn set_temperature(&mut self, temperature: f64) {
        // A normal number in f32 too, as which the kernels take it: 0 · beta is 0 at the top token.
        self.beta = (self.beta / temperature).clamp(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
        self.forget_weights();
    }

    /// Of the survivors at the temperature so far.
    pub(crate) fn sums(&mut self) -> Sums {
        if let Some(sums) = self.sums {
            return sums;
        }
        let sums = if self.buffers.reach == Reach::Whole {
            self.squares = if self.want.squares { self.buffers.pool.squares() } else { 0.0 };
            self.buffers.pool.sums(EVERYTHING).sums
        } else {
            let (isa, top, beta) = (self.isa, self.top as usize, self.beta as f32);
            let Buffers { row, rewritten, blocks, within, block_sums, .. } = &mut *self.buffers;
            let row = Row { logits: if *rewritten { row } else { self.given }, blocks, top, beta };
            let moments = match within.bound == Bound::NONE {
                true => rows::moments(isa, row, self.want, block_sums),
                false => rows::bounded(isa, row, &within.bound, self.want.squares, block_sums).1,
            };
            self.squares = moments.squares;
            let top = within.bound.keeps(self.top, row.logits[top]);
            Sums { top, rest: moments.mass, first: moments.first }
        };
        self.sums = Some(sums);
        sums
    }

    /// The logits as they stand.
    fn row(&self) -> &[f32] {
        if self.buffers.rewritten { &self.buffers.row } else { self.given }
    }

    /// The top survivor's logit, without temperature.
    fn top_of_row(&self) -> f32 {
        self.row()[self.top as usize]
    }

    /// Whether the survivors are the model's own row, untouched.
    fn is_pristine(&self) -> bool {
        self.beta == 1.0 && self.buffers.is_untouched()
    }

    fn about(&self) -> About {
        About { isa: self.isa, top: self.top, top_logit: self.top_of_row(), beta: self.beta as f32 }
    }

    /// After the temperature has changed.
    fn forget_weights(&mut self) {
        (self.sums, self.known, self.before) = (None, None, None);
        match self.buffers.reach {
            Reach::Whole => self.buffers.pool.weigh(self.about()),
            _ => self.buffers.reach = Reach::Nothing,
        }
    }
}
