//! Many clients at once, a third of whom leave in the middle and a tenth of whom send nonsense: whatever the others are told
//! is, byte by byte, what each was told when it was alone.
//!
//! The server is the real program, over TCP. A pool of requests is asked one by one first, and the answers are kept; then
//! clients ask them again, all at once and at random. All randomness comes of one seed.

mod client;
mod figures;
mod pool;
mod process;

pub use figures::Figures;

use anyhow::{Context, Result, ensure};
use client::{Connection, Told};
use figures::Tally;
use pool::{Ask, Dice, Nonsense};
use process::Process;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients at once, each with one request after the other.
    pub streams: usize,
    /// For how long they begin new ones.
    pub time: Duration,
    /// How many different requests there are.
    pub pool: usize,
    /// Of everything that is random.
    pub seed: u64,
}

/// What share of the requests is cut off, and what share is nonsense.
const CUT: f64 = 1.0 / 3.0;
const NONSENSE: f64 = 0.1;

/// How long a client that is turned away waits before it comes again.
const TURNED_AWAY: Duration = Duration::from_millis(200);

/// A request, and what it is told when nobody else is there.
type Known = (Ask, Told);

/// Puts the load on a server of its own, once to warm up for a quarter of the time, and once to measure.
///
/// # Errors
/// The first differences from what each request was told alone, a leak, or a server that breaks.
pub fn run(program: &Path, load: &Load) -> Result<Figures> {
    let server = Process::start(program)?;
    let pool = alone(&server, load).context("a request alone")?;
    let warm_up = Load { time: load.time / 4, seed: load.seed + 1, ..*load };
    together(&server, &pool, &warm_up)?;
    let before = server.at_rest()?;
    let (tally, elapsed) = together(&server, &pool, load)?;
    let after = server.at_rest()?;
    ensure!(after.cached <= process::KEPT, "more is cached than may be kept: {after:?}");
    ensure!(
        after.memory <= before.memory + process::MEMORY_SLACK,
        "memory has become more: {before:?}, then {after:?}"
    );
    Ok(Figures::new(load, tally, elapsed, before, after))
}

/// Asks every request of the pool, one by one.
fn alone(server: &Process, load: &Load) -> Result<Vec<Known>> {
    let mut connection = server.connect()?;
    let mut dice = Dice::new(load.seed, 0);
    let known = |_| {
        let ask = Ask::any(&mut dice);
        let answer = connection.ask(&ask, |_| true).with_context(|| ask.body.clone())?;
        ensure!(answer.status == 200 && answer.whole, "{}: {:?}", ask.body, answer);
        Ok((ask, answer.told))
    };
    (0..load.pool).map(known).collect()
}

/// All clients at once. What they saw, and how long it took.
fn together(server: &Process, pool: &[Known], load: &Load) -> Result<(Tally, Duration)> {
    let tally = Mutex::new(Tally::default());
    let started = Instant::now();
    let client = |number: usize| {
        let client = Client { server, pool, dice: Dice::new(load.seed, number as u32 + 1), tally: Tally::default() };
        let seen = client.run(started + load.time);
        tally.lock().expect("no client panics while it counts").add(seen);
    };
    thread::scope(|scope| {
        (0..load.streams).try_for_each(|number| {
            // The default stack would be two megabytes of address space for each.
            let thread = thread::Builder::new().stack_size(256 << 10);
            thread.spawn_scoped(scope, move || client(number)).map(drop)
        })
    })?;
    let tally = tally.into_inner().expect("as above");
    ensure!(tally.faults.is_empty(), "with seed {}: {}", load.seed, tally.faults.join("\n"));
    Ok((tally, started.elapsed()))
}

/// Asks one request after the other.
struct Client<'a> {
    server: &'a Process,
    pool: &'a [Known],
    dice: Dice,
    tally: Tally,
}

impl Client<'_> {
    fn run(mut self, until: Instant) -> Tally {
        let mut connection = None;
        while Instant::now() < until && self.tally.faults.is_empty() {
            let fate = self.dice.uniform();
            let (ask, known) = self.dice.one_of(self.pool);
            let asked = match connection.take().map_or_else(|| self.server.connect(), Ok) {
                Err(error) => Err(error),
                Ok(open) if fate < NONSENSE => self.talk_nonsense(open),
                Ok(open) if fate < NONSENSE + CUT => self.cut(open, ask, known),
                Ok(open) => self.whole(open, ask, known),
            };
            match asked {
                Ok(open) => connection = open,
                Err(error) => self.tally.faults.push(format!("{}: {error}", ask.body)),
            }
        }
        self.tally
    }

    /// Is told all of it. The connection is given back if it may be used again.
    fn whole(&mut self, mut open: Connection, ask: &Ask, known: &Told) -> io::Result<Option<Connection>> {
        let answer = open.ask(ask, |_| true)?;
        if answer.status == 429 {
            self.tally.turned_away += 1;
            thread::sleep(TURNED_AWAY);
        } else if answer.status != 200 || !answer.whole || answer.told != *known {
            self.tally.differs(ask, &answer, known);
        } else {
            self.tally.whole += 1;
            self.tally.timed(&answer, ask);
        }
        Ok(answer.stays.then_some(open))
    }

    /// Leaves in the middle: after some events of a stream, after some milliseconds of what comes as a whole.
    fn cut(&mut self, mut open: Connection, ask: &Ask, known: &Told) -> io::Result<Option<Connection>> {
        let events = self.dice.below(known.events() + 1);
        if ask.streams && events > 0 {
            let answer = open.ask(ask, |seen| seen < events)?;
            match answer.status {
                429 => self.tally.turned_away += 1,
                200 if answer.told.begins(known) => self.tally.timed(&answer, ask),
                _ => self.tally.differs(ask, &answer, known),
            }
        } else {
            open.send(&ask.request())?;
            thread::sleep(Duration::from_millis(self.dice.below(50) as u64));
        }
        self.tally.cut += 1;
        Ok(None)
    }

    fn talk_nonsense(&mut self, mut open: Connection) -> io::Result<Option<Connection>> {
        let nonsense = Nonsense::any(&mut self.dice);
        let answer = open.babble(&nonsense)?;
        self.tally.nonsense += 1;
        if let Some(answer) = answer
            && !nonsense.statuses.contains(&answer.status)
        {
            self.tally.faults.push(format!("{}: {answer:?}", nonsense.what));
        }
        Ok(None)
    }
}
