//! The survivors of the stages so far, in falling probability, ordered only as far as a rule asks.

mod draw;
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
use decant_kernels::rows::{self, Blocks, Want};
use order::EVERYTHING;
use order::Order;
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
    /// Each block's share of the survivors' mass, as long as they are the whole row.
    block_sums: Vec<f64>,
    /// Some block maxima, to be put in order.
    block_order: Vec<f32>,
    /// Logits of a sample of the row.
    sampled: Vec<f32>,
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
}

impl Buffers {
    /// The survivors in token order.
    pub(crate) fn survivors<'a>(&'a self, given: &'a [f32]) -> impl Iterator<Item = (TokenId, f32)> + 'a {
        let Pool { tokens, logits, .. } = &self.pool;
        // One of the two is empty.
        let (listed, row) = match (self.reach, self.rewritten) {
            (Reach::Whole, _) => (tokens.len(), &[][..]),
            (_, true) => (0, &self.row[..]),
            (_, false) => (0, given),
        };
        let allowed = (0..).zip(row.iter().copied()).filter(|(_, logit)| *logit > f32::NEG_INFINITY);
        tokens[..listed].iter().copied().zip(logits.iter().copied()).chain(allowed)
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
        for logit in row.iter_mut().filter(|logit| **logit > f32::NEG_INFINITY) {
            *logit = cooled(*logit);
        }
    }

    /// Whether the survivors are all that the given row allows, each with its own logit.
    pub(crate) fn is_untouched(&self) -> bool {
        self.reach != Reach::Whole && !self.rewritten
    }
}

/// How far the pool reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Reach {
    /// It holds nothing yet.
    #[default]
    Nothing,
    /// It holds every survivor up to this far, in logits, from where the order begins.
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
    /// The cut that was found last, for these survivors in this order.
    known: Option<Cut>,
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
        (buffers.reach, buffers.rewritten) = (Reach::Nothing, false);
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
            known: None,
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
        let moments = rows::moments(
            self.isa,
            self.given,
            &self.buffers.blocks,
            self.top as usize,
            1.0,
            want,
            &mut self.buffers.block_sums,
        );
        let raw = EntropyStats::from_moments(self.top_of_row(), self.len as u32, moments);
        (self.raw, self.sums, self.squares) = (Some(raw), Some(raw.sums()), moments.squares);
        raw
    }

    /// ln p of a token in the model's own row.
    pub(crate) fn raw_logprob(&mut self, token: TokenId) -> f64 {
        self.raw().logprob(self.given[token as usize])
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
        let least = self.buffers.survivors(self.given).fold(f32::INFINITY, |least, (_, logit)| least.min(logit));
        self.beta * f64::from(least)
    }

    /// The population standard deviation of the survivors' logits, at the temperature so far.
    pub fn std(&self) -> f64 {
        let top = f64::from(self.top_of_row());
        let (mut sum, mut squares) = (0.0, 0.0);
        for (_, logit) in self.buffers.survivors(self.given) {
            let below = f64::from(logit) - top;
            sum += below;
            squares += below * below;
        }
        let (mean, square) = (sum / self.len as f64, squares / self.len as f64);
        self.beta * (square - mean * mean).max(0.0).sqrt()
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
        // -ln p = H where l = l_top - (H - ln Σe^x) / beta.
        let center = f64::from(self.top_of_row()) + (sums.log_weight() - sums.entropy()) / self.beta;
        self.set_order(Order::Typicality { center });
    }

    /// The longest prefix that `within` holds for, at least 1. `within` must be monotone: once it fails for a prefix it
    /// fails for every longer one.
    pub fn longest(&mut self, within: impl FnMut(&Prefix) -> bool) -> usize {
        self.search(within).max(1)
    }

    /// The shortest prefix that has `reached`, or all if none has. `reached` must be monotone: once it holds for a prefix
    /// it holds for every longer one.
    pub fn shortest(&mut self, mut reached: impl FnMut(&Prefix) -> bool) -> usize {
        (self.search(|prefix| !reached(prefix)) + 1).min(self.len)
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
        // A normal number in f32 too: 0 · beta is 0 at the top token, and what rounding took can be put back.
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
            let Buffers { row, rewritten, blocks, block_sums, .. } = &mut *self.buffers;
            let row = if *rewritten { row } else { self.given };
            let moments =
                rows::moments(self.isa, row, blocks, self.top as usize, self.beta as f32, self.want, block_sums);
            self.squares = moments.squares;
            Sums { top: true, rest: moments.mass, first: moments.first }
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
        (self.sums, self.known) = (None, None);
        match self.buffers.reach {
            Reach::Whole => self.buffers.pool.weigh(self.about()),
            _ => self.buffers.reach = Reach::Nothing,
        }
    }
}
