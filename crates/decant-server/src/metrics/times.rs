//! When listeners are told tokens.

use crate::scheduler::{Ended, Job, Listener};
use decant_decode::TokenId;
use decant_sampling::Step;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::ops::ControlFlow;
use std::time::Instant;

/// How long jobs wait for their tokens, in seconds.
#[derive(Clone, Debug)]
pub struct Times {
    /// From the submission to a choice's first token.
    pub first: Histogram,
    /// From one token of a choice to its next.
    pub between: Histogram,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            first: Histogram::new(exponential_buckets(0.001, 2.0, 17)), // 1 ms to a minute
            between: Histogram::new(exponential_buckets(0.000_125, 2.0, 16)), // to 4 s
        }
    }
}

impl Times {
    /// The job, whose listener is timed from now on.
    pub fn of(&self, job: Job) -> Job {
        let timed = Timed {
            listener: job.listener,
            times: self.clone(),
            submitted: Instant::now(),
            last: Vec::new(),
            streams: job.decode.streams(),
        };
        Job { listener: Box::new(timed), ..job }
    }
}

/// A listener that is timed. What it is told and what it says stays the same.
struct Timed {
    listener: Box<dyn Listener>,
    times: Times,
    submitted: Instant,
    /// When each choice was last told a token.
    last: Vec<Option<Instant>>,
    /// Whether tokens are told as they are drawn; else all of a text at once, and nothing lies between them.
    streams: bool,
}

impl Timed {
    fn told(&mut self, choice: u32) {
        let (choice, now) = (choice as usize, Instant::now());
        if self.last.len() <= choice {
            self.last.resize(choice + 1, None);
        }
        match self.last[choice].replace(now) {
            None => self.times.first.observe(now.duration_since(self.submitted).as_secs_f64()),
            Some(last) if self.streams => self.times.between.observe(now.duration_since(last).as_secs_f64()),
            Some(_) => {}
        }
    }
}

impl Listener for Timed {
    fn prompt_row(&mut self, position: usize, row: &[f32]) {
        self.listener.prompt_row(position, row);
    }

    fn token(&mut self, choice: u32, step: &Step, row: &[f32]) -> ControlFlow<()> {
        self.told(choice);
        self.listener.token(choice, step, row)
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        self.listener.stops(generated)
    }

    fn is_ready(&self) -> bool {
        self.listener.is_ready()
    }

    fn is_gone(&self) -> bool {
        self.listener.is_gone()
    }

    fn end(&mut self, choice: u32, ended: Ended) {
        self.listener.end(choice, ended);
    }
}
