//! Logits that a stage has changed.

use super::{Buffers, Order, Ranked, Reach, Survivors};
use crate::logits::Bounds;
use crate::{RowError, TokenId};
use decant_kernels::rows::Bound;

/// What a learning stage found, so that once a token is drawn its probability there can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The stage's place in the chain.
    pub(super) stage: usize,
    row: Version,
    beta: f64,
    top: f32,
    log_weight: f64,
}

/// Which logits they were.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Given,
    Current,
    Past(usize),
}

impl Ranked<'_> {
    /// Gives a survivor another logit: `change` takes the old one to the new one, both at the temperature so far.
    /// -inf forbids the token; what is dropped or forbidden stays so.
    pub fn change(&mut self, token: TokenId, change: impl FnOnce(f64) -> f64) {
        let beta = self.beta;
        self.own_row();
        if let Some(logit) = self.buffers.row.get_mut(token as usize).filter(|logit| **logit > f32::NEG_INFINITY) {
            *logit = to_logit(change(beta * f64::from(*logit)) / beta);
        }
    }

    /// Gives every survivor another logit: `shape` takes x = ln (p / p_max) <= 0 to the new one, and temperatures before
    /// this are done with.
    pub fn reshape(&mut self, shape: impl Fn(f64) -> f64) {
        let (beta, top) = (self.beta, f64::from(self.top_of_row()));
        self.own_row();
        for logit in self.buffers.row.iter_mut().filter(|logit| **logit > f32::NEG_INFINITY) {
            *logit = to_logit(shape(beta * (f64::from(*logit) - top)));
        }
        self.beta = 1.0;
    }

    /// Drops the first `count` survivors of the ranking.
    pub fn drop_first(&mut self, count: usize) {
        let dropped = self.falling(count).len().min(count);
        self.own_row();
        let Buffers { row, order, .. } = &mut *self.buffers;
        for entry in &order[..dropped] {
            row[entry.token() as usize] = f32::NEG_INFINITY;
        }
    }

    /// Takes note of what a learning stage finds.
    pub(crate) fn take_note(&mut self, stage: usize) {
        let (row, top) = (if self.buffers.rewritten { Version::Current } else { Version::Given }, self.top_of_row());
        let log_weight = self.sums().log_weight();
        self.buffers.found.push(Found { stage, row, beta: self.beta, top, log_weight });
    }

    /// Ranks anew after a stage has changed logits.
    pub(crate) fn settle(&mut self) -> Result<(), RowError> {
        if !std::mem::take(&mut self.unsettled) {
            return Ok(());
        }
        let Buffers { row, blocks, .. } = &mut *self.buffers;
        let Bounds { top, support } = Bounds::of(row, self.isa, blocks)?;
        (self.top, self.len, self.order) = (top, support as usize, Order::Probability);
        (self.sums, self.known, self.before, self.buffers.reach) = (None, None, None, Reach::Nothing);
        Ok(())
    }

    /// After the top token has been dropped.
    pub(super) fn find_top(&mut self) {
        let pool = &self.buffers.pool;
        let best =
            pool.logits.iter().zip(&pool.tokens).min_by_key(|(logit, token)| Order::Probability.key(**logit, **token));
        self.top = best.map_or(self.top, |(_, token)| *token);
        self.forget_weights();
    }

    /// Makes the survivors' logits our own, every other token forbidden.
    pub(super) fn own_row(&mut self) {
        let Buffers { row, rewritten, within, pool, reach, found, past_rows, .. } = &mut *self.buffers;
        if *rewritten && found.iter().any(|found| found.row == Version::Current) {
            let past = found.iter().filter(|found| matches!(found.row, Version::Past(_))).count();
            past_rows.resize_with(past_rows.len().max(past + 1), Vec::new);
            past_rows[past].clone_from(row);
            for found in found.iter_mut().filter(|found| found.row == Version::Current) {
                found.row = Version::Past(past);
            }
        }
        if *reach == Reach::Whole {
            row.clear();
            row.resize(self.given.len(), f32::NEG_INFINITY);
            for (token, logit) in pool.tokens.iter().zip(&pool.logits) {
                row[*token as usize] = *logit;
            }
            *reach = Reach::Nothing;
        } else if !*rewritten {
            row.clear();
            row.extend_from_slice(self.given);
        }
        if within.bound != Bound::NONE {
            for (_, logit) in (0..).zip(&mut *row).filter(|(token, logit)| !within.bound.keeps(*token, **logit)) {
                *logit = f32::NEG_INFINITY;
            }
            *within = Survivors::default();
        }
        *rewritten = true;
        self.unsettled = true;
    }
}

impl Buffers {
    /// Each learning stage's place in the chain, and the probability that it found the token to have.
    pub(crate) fn found<'a>(&'a self, given: &'a [f32], token: TokenId) -> impl Iterator<Item = (usize, f64)> + 'a {
        self.found.iter().map(move |found| {
            let row = match found.row {
                Version::Given => given,
                Version::Current => &self.row,
                Version::Past(index) => &self.past_rows[index],
            };
            let x = found.beta * (f64::from(row[token as usize]) - f64::from(found.top));
            (found.stage, libm::exp(x - found.log_weight))
        })
    }
}

/// The nearest logit: +inf is none.
fn to_logit(value: f64) -> f32 {
    if value == f64::NEG_INFINITY {
        f32::NEG_INFINITY
    } else {
        value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }
}
