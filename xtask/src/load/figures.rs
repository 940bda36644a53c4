//! What clients saw, counted and timed.

use super::Load;
use super::client::{Answer, Told};
use super::pool::Ask;
use super::process::Rest;
use std::fmt;
use std::time::Duration;

/// How many faults are told; the first one says enough.
const MOST_FAULTS: usize = 3;

/// What clients saw.
#[derive(Debug, Default)]
pub struct Tally {
    pub whole: usize,
    pub cut: usize,
    pub nonsense: usize,
    pub turned_away: usize,
    pub faults: Vec<String>,
    /// From a request to each choice's first token, and from one token of a choice to its next.
    first: Vec<Duration>,
    between: Vec<Duration>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.whole += other.whole;
        self.cut += other.cut;
        self.nonsense += other.nonsense;
        self.turned_away += other.turned_away;
        self.faults.extend(other.faults);
        self.faults.truncate(MOST_FAULTS);
        self.first.extend(other.first);
        self.between.extend(other.between);
    }

    /// Takes the times of a stream whose tokens come as they are drawn.
    pub fn timed(&mut self, answer: &Answer, ask: &Ask) {
        if !ask.draws {
            return;
        }
        for times in answer.tokens.values() {
            self.first.extend(times.first().map(|first| first.duration_since(answer.asked)));
            self.between.extend(times.windows(2).map(|pair| pair[1].duration_since(pair[0])));
        }
    }

    pub fn differs(&mut self, ask: &Ask, answer: &Answer, alone: &Told) {
        let Answer { status, whole, told, .. } = answer;
        let difference = told.difference(alone);
        self.faults.push(format!("{}: status {status}, to its end: {whole}: {difference}", ask.body));
    }
}

/// What a load came to.
#[derive(Debug)]
pub struct Figures {
    load: Load,
    tally: Tally,
    elapsed: Duration,
    before: Rest,
    after: Rest,
}

impl Figures {
    pub fn new(load: &Load, mut tally: Tally, elapsed: Duration, before: Rest, after: Rest) -> Self {
        tally.first.sort_unstable();
        tally.between.sort_unstable();
        Figures { load: *load, tally, elapsed, before, after }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { load, tally, elapsed, before, after } = self;
        let seconds = elapsed.as_secs_f64();
        let per_second = |count: fn(&Rest) -> u64| (count(after) - count(before)) as f64 / seconds;
        let steps = per_second(|rest| rest.steps);
        let mb = |bytes: u64| bytes as f64 / 1e6;
        writeln!(f, "{} streams for {seconds:.1} s, seed {}: no byte differs", load.streams, load.seed)?;
        writeln!(
            f,
            "requests                 {} whole, {} cut, {} malformed, {} turned away (429)",
            tally.whole, tally.cut, tally.nonsense, tally.turned_away
        )?;
        writeln!(
            f,
            "tokens/s                 {:.0} in {steps:.0} steps of {:.1} sequences",
            per_second(|rest| rest.generated),
            per_second(|rest| rest.batched) / steps
        )?;
        writeln!(f, "to the first token       {}", Quantiles(&tally.first))?;
        writeln!(f, "between tokens           {}", Quantiles(&tally.between))?;
        writeln!(
            f,
            "memory                   {:.1} MB after the warm-up, {:.1} MB after",
            mb(before.memory),
            mb(after.memory)
        )?;
        writeln!(f, "open files               {} after the warm-up, {} after", before.files, after.files)?;
        write!(f, "positions kept           {} after the warm-up, {} after", before.cached, after.cached)
    }
}

/// Sorted times.
struct Quantiles<'a>(&'a [Duration]);

impl fmt::Display for Quantiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        let at =
            |share: f64| self.0.get((last as f64 * share) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms ({} of them)", at(0.5), at(0.99), at(1.0), self.0.len())
    }
}
