//! Texts in the making, and who listens to them.

use super::job::{Ended, Listener};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock, sleep};
use decant_decode::{State, TokenId, Watch};
use decant_sampling::Step;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How often a strategy looks whether its listener takes a token again.
const PATIENCE: Duration = Duration::from_millis(2);

/// Who listens to the choices of a job, from whichever thread they are told.
#[derive(Clone)]
pub(super) struct Audience {
    listener: Arc<Mutex<Box<dyn Listener>>>,
    deadline: Option<Instant>,
    /// Whether the scheduler has ended.
    closed: Arc<AtomicBool>,
}

impl Audience {
    pub fn new(listener: Box<dyn Listener>, deadline: Option<Instant>) -> Self {
        Audience { listener: Arc::new(Mutex::new(listener)), deadline, closed: Arc::default() }
    }

    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub fn is_gone(&self) -> bool {
        lock(&self.listener).is_gone()
    }

    /// Whether there is no point in going on.
    pub fn has_left(&self) -> bool {
        self.is_late() || self.is_gone() || self.is_closed()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Nothing will be fed for it any more: whoever waits for it need not.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub fn is_ready(&self) -> bool {
        lock(&self.listener).is_ready()
    }

    pub fn prompt_row(&self, position: usize, row: &[f32]) {
        lock(&self.listener).prompt_row(position, row);
    }

    pub fn token(&self, choice: u32, step: &Step, row: &[f32]) -> ControlFlow<()> {
        lock(&self.listener).token(choice, step, row)
    }

    pub fn end(&self, choice: u32, ended: Ended) {
        lock(&self.listener).end(choice, ended);
    }
}

/// One choice, as a strategy's thread tells of it.
pub(super) struct Choice {
    pub audience: Audience,
    pub number: u32,
}

impl Watch for Choice {
    fn token(&mut self, step: &Step, row: &[f32]) -> ControlFlow<()> {
        while !self.audience.is_ready() && !self.audience.has_left() {
            sleep(PATIENCE);
        }
        if self.audience.has_left() { ControlFlow::Break(()) } else { self.audience.token(self.number, step, row) }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        lock(&self.audience.listener).stops(generated)
    }
}

/// A choice that samples.
pub(super) struct Text<D, C> {
    pub decoder: D,
    pub state: State<C>,
    pub number: u32,
    pub audience: Audience,
    /// When its job came, in order of arrival: the youngest makes room first.
    pub arrival: u64,
}
