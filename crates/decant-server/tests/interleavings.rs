//! The scheduler under thousands of orders in which its threads may run: nobody waits for ever, and everybody is told what is right.
//!
//! Its sources are compiled once more here, over shuttle's model of threads, which runs one thread at a time and chooses at
//! every lock, atomic and message which one goes on: at random, or by PCT (Burckhardt et al., ASPLOS 2010), which finds what
//! needs few unlucky choices. Where all wait for each other it says so.

#[path = "../src/scheduler/mod.rs"]
#[allow(dead_code)] // More is told than is asked here.
mod scheduler;

/// What threads meet by, as `src/sync.rs` has it, of shuttle's.
mod sync {
    pub use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub use shuttle::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
    pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};

    use shuttle::thread::{self, yield_now};
    use std::time::Duration;

    /// There is no time here. Who waits for a short one only looks again; who waits for long must be woken.
    pub fn wait_while<'a, T>(
        mutex: &'a Mutex<T>,
        wake: &Condvar,
        longest: Duration,
        holds: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        if longest < Duration::from_secs(1) {
            yield_now();
            return lock(mutex);
        }
        wake.wait_while(lock(mutex), holds).unwrap()
    }

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    /// shuttle's own do not tell whether they are over.
    pub struct Thread {
        handle: thread::JoinHandle<()>,
        over: Arc<AtomicBool>,
    }

    pub fn spawn(_name: &str, work: impl FnOnce() + Send + 'static) -> Thread {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let work = move || {
            work();
            told.store(true, Ordering::SeqCst);
        };
        Thread { handle: thread::spawn(work), over }
    }

    impl Thread {
        pub fn is_finished(&self) -> bool {
            self.over.load(Ordering::SeqCst)
        }

        pub fn join(self) -> std::thread::Result<()> {
            self.handle.join()
        }
    }

    pub fn sleep(_time: Duration) {
        yield_now();
    }
}

use decant_decode::{DecodeSpec, Decoder, Feed, LanguageModel, Limits, ModelError, Rows, TokenId, Watch};
use decant_models::toy::ToyModel;
use decant_sampling::{Sampler, Seed, Step};
use scheduler::{Ended, Handle, Job, Listener, Options, Refused, Stats, start};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{spawn, yield_now};
use shuttle::{Config, MaxSteps, Runner};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::time::Instant;
use sync::{AtomicBool, AtomicUsize, Mutex, Ordering, Receiver, Sender, channel};

/// How many orders of each kind a scenario is run in, and how many unlucky choices PCT makes.
const ORDERS: usize = 2000;
const DEPTH: usize = 4;

/// Far more steps than any order takes that comes to an end.
const MOST_STEPS: usize = 200_000;

fn explore(scenario: fn()) {
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
        config
    };
    fn run(scheduler: impl Scheduler + 'static, config: Config, scenario: fn()) {
        Runner::new(scheduler, config).run(scenario);
    }
    run(RandomScheduler::new_from_seed(1, ORDERS), config(), scenario);
    run(PctScheduler::new_from_seed(1, DEPTH, ORDERS), config(), scenario);
}

const VOCAB: usize = 6;

/// A toy whose caches are counted.
struct Counted {
    toy: ToyModel,
    alive: Arc<Count>,
}

struct Cache {
    tokens: Vec<TokenId>,
    alive: Arc<Count>,
}

impl Cache {
    fn new(tokens: Vec<TokenId>, alive: &Arc<Count>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Cache { tokens, alive: alive.clone() }
    }
}

impl Clone for Cache {
    fn clone(&self) -> Self {
        Cache::new(self.tokens.clone(), &self.alive)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LanguageModel for Counted {
    type Cache = Cache;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn context(&self) -> usize {
        self.toy.context()
    }

    fn empty(&self) -> Cache {
        Cache::new(self.toy.empty(), &self.alive)
    }

    fn len(&self, cache: &Cache) -> usize {
        cache.tokens.len()
    }

    fn rewind(&self, cache: &mut Cache, len: usize) {
        self.toy.rewind(&mut cache.tokens, len);
    }

    fn feed_all(&self, batch: &mut [Feed<'_, Cache>]) -> Result<Vec<Rows>, ModelError> {
        let inner = |feed: &mut Feed<'_, Cache>| feed.cache.tokens.clone();
        let mut caches: Vec<Vec<TokenId>> = batch.iter_mut().map(inner).collect();
        let feeds =
            caches.iter_mut().zip(&*batch).map(|(cache, feed)| Feed { cache, tokens: feed.tokens, want: feed.want });
        let rows = self.toy.feed_all(&mut feeds.collect::<Vec<_>>())?;
        batch.iter_mut().zip(caches).for_each(|(feed, tokens)| feed.cache.tokens = tokens);
        Ok(rows)
    }
}

fn toy() -> ToyModel {
    ToyModel::hashed(VOCAB, 2, 5).with_context(40)
}

/// A scheduler, and what it must let go of.
struct House {
    model: Arc<Counted>,
    handle: Handle,
}

fn house(options: Options) -> House {
    let model = Arc::new(Counted { toy: toy(), alive: Arc::default() });
    House { handle: start(model.clone(), options), model }
}

fn roomy() -> Options {
    Options { waiting: 8, live: 8, positions: 1000, kept: 0, chunk: 8 }
}

impl House {
    /// Nobody is left who could ask: the scheduler's threads end, and no cache outlives them.
    fn falls_empty(self) {
        let House { model, handle } = self;
        drop(handle);
        while Arc::strong_count(&model) > 1 {
            yield_now();
        }
        assert_eq!(model.alive.load(Ordering::SeqCst), 0, "caches are left");
    }

    /// What was promised to each of them is kept. The room of texts that are over is given back while the house stands.
    fn keeps(self, clients: Vec<Client>) {
        clients.iter().for_each(Client::wait);
        // Stats are those of the last step: what has just begun or ended is not in them yet.
        let rests = |stats: Stats| (stats.waiting, stats.live, stats.cached) == (0, 0, 0);
        while !rests(self.handle.stats()) || self.model.alive.load(Ordering::SeqCst) > 0 {
            yield_now();
        }
        self.falls_empty();
        clients.iter().for_each(Client::check);
    }
}

#[derive(Clone)]
struct Ask {
    prompt: Vec<TokenId>,
    decode: &'static str,
    tokens: usize,
    seed: u64,
    choices: u32,
    credit: usize,
    late: bool,
}

impl Ask {
    fn new(decode: &'static str, seed: u64) -> Self {
        Ask { prompt: vec![1, 2, seed as TokenId % 6], decode, tokens: 3, seed, choices: 1, credit: 1000, late: false }
    }

    fn sampler(&self) -> Sampler {
        Sampler::new(&"temp=1.3".parse().unwrap(), VOCAB).unwrap()
    }

    fn limits(&self) -> Limits {
        Limits { max_tokens: self.tokens, ends: vec![], ignore_eos: false }
    }

    /// What a choice says when nobody else is there.
    fn alone(&self, choice: u32) -> Vec<TokenId> {
        struct Alone(Vec<TokenId>);
        impl Watch for Alone {
            fn token(&mut self, step: &Step, _row: &[f32]) -> ControlFlow<()> {
                self.0.push(step.token);
                ControlFlow::Continue(())
            }
        }
        let toy = toy();
        let decoder = Decoder::new(&toy, self.sampler(), self.limits()).unwrap();
        let mut state = decoder.start(&self.prompt, Seed(self.seed + u64::from(choice)), 0).unwrap();
        let mut watch = Alone(Vec::new());
        decoder.decode(&self.decode.parse::<DecodeSpec>().unwrap(), &mut state, &mut watch).unwrap();
        watch.0
    }

    fn send(self, handle: &Handle) -> Result<Client, Refused> {
        let (tell, ended) = channel();
        let heard = Arc::new(Mutex::new(vec![Heard::default(); self.choices as usize]));
        let (credit, gone) = (Arc::new(AtomicUsize::new(self.credit)), Arc::new(AtomicBool::new(false)));
        let listener = Ear { heard: heard.clone(), ended: tell, credit: credit.clone(), gone: gone.clone() };
        handle.submit(Job {
            prompt: self.prompt.clone(),
            generated: Vec::new(),
            sampler: self.sampler(),
            decode: self.decode.parse().unwrap(),
            limits: self.limits(),
            seed: Seed(self.seed),
            choices: self.choices,
            prompt_rows: false,
            deadline: self.late.then(Instant::now),
            listener: Box::new(listener),
        })?;
        Ok(Client { ask: self, heard, ended, credit, gone })
    }
}

/// What was heard of a choice.
#[derive(Clone, Debug, Default)]
struct Heard {
    tokens: Vec<TokenId>,
    /// How often it ended, and whether by itself.
    ends: usize,
    done: bool,
}

struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    ended: Sender<()>,
    credit: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Listener for Ear {
    fn prompt_row(&mut self, _position: usize, _row: &[f32]) {}

    fn token(&mut self, choice: u32, step: &Step, _row: &[f32]) -> ControlFlow<()> {
        let heard = &mut self.heard.lock().unwrap()[choice as usize];
        assert_eq!(heard.ends, 0, "a token after the end");
        assert!(self.credit.fetch_sub(1, Ordering::SeqCst) > 0, "a token for one who takes none");
        heard.tokens.push(step.token);
        ControlFlow::Continue(())
    }

    fn stops(&self, _generated: &[TokenId]) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        self.credit.load(Ordering::SeqCst) > 0
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn end(&mut self, choice: u32, ended: Ended) {
        let heard = &mut self.heard.lock().unwrap()[choice as usize];
        heard.ends += 1;
        heard.done = matches!(ended, Ended::Done(_));
        assert!(!matches!(ended, Ended::Failed(_)), "{ended:?}");
        let _ = self.ended.send(()); // one who is gone does not hear it
    }
}

struct Client {
    ask: Ask,
    heard: Arc<Mutex<Vec<Heard>>>,
    ended: Receiver<()>,
    credit: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Client {
    /// Waits until every choice has ended, unless it has gone away.
    fn wait(&self) {
        for _ in 0..if self.gone.load(Ordering::SeqCst) { 0 } else { self.ask.choices } {
            self.ended.recv().expect("the end of every choice is told");
        }
    }

    /// Every choice ended once and said what it says alone, or the beginning of it if it was ended.
    fn check(&self) {
        let gone = self.gone.load(Ordering::SeqCst);
        for (choice, heard) in (0..).zip(self.heard.lock().unwrap().iter()) {
            let alone = self.ask.alone(choice);
            assert!(heard.ends == 1 || gone && heard.ends == 0, "{heard:?}");
            assert!(alone.starts_with(&heard.tokens), "{heard:?}, alone {alone:?}");
            assert!(!heard.done || alone == heard.tokens || gone, "{heard:?}, alone {alone:?}");
        }
    }

    /// All of it was heard.
    fn check_whole(&self) {
        assert!(self.heard.lock().unwrap().iter().all(|heard| heard.done));
    }
}

/// One asks for two texts, one for a search, and one leaves whenever it likes; then the last handle goes.
#[test]
fn some_join_and_some_leave() {
    explore(|| {
        let house = house(roomy());
        let coming = [Ask { choices: 2, ..Ask::new("sample", 1) }, Ask::new("beam(2)", 2)].map(|ask| {
            let handle = house.handle.clone();
            spawn(move || ask.send(&handle).unwrap())
        });
        let leaving = Ask { tokens: 6, ..Ask::new("sample", 3) }.send(&house.handle).unwrap();
        let gone = leaving.gone.clone();
        spawn(move || gone.store(true, Ordering::SeqCst));
        let clients: Vec<Client> = coming.into_iter().map(|client| client.join().unwrap()).collect();
        clients.iter().for_each(Client::wait);
        clients.iter().for_each(Client::check_whole);
        while !leaving.gone.load(Ordering::SeqCst) {
            yield_now();
        }
        house.keeps(vec![leaving]);
        clients.iter().for_each(Client::check);
    });
}

/// A search that is left in the middle lets go of its caches.
#[test]
fn a_search_is_left() {
    explore(|| {
        let house = house(roomy());
        let leaving = Ask { choices: 2, ..Ask::new("beam(2)", 3) }.send(&house.handle).unwrap();
        leaving.gone.store(true, Ordering::SeqCst);
        house.keeps(vec![leaving]);
    });
}

#[test]
fn what_is_there_is_completed_when_the_server_drains() {
    explore(|| {
        let house = house(roomy());
        let (handle, early) = (house.handle.clone(), Ask::new("beam(2)", 1).send(&house.handle).unwrap());
        let draining = spawn(move || handle.drain());
        let late = Ask::new("sample", 2).send(&house.handle);
        draining.join().unwrap();
        assert_eq!(Ask::new("sample", 3).send(&house.handle).err(), Some(Refused::Closing));
        let clients: Vec<Client> = [Ok(early), late].into_iter().filter_map(Result::ok).collect();
        clients.iter().for_each(Client::wait);
        clients.iter().for_each(Client::check_whole);
        house.falls_empty();
        clients.iter().for_each(Client::check);
    });
}

/// Also those who wait in the queue, and those whose listener takes nothing.
#[test]
fn everybody_is_told_when_the_server_stops() {
    explore(|| {
        let house = house(Options { live: 3, ..roomy() });
        let asks = [
            Ask { credit: 0, ..Ask::new("beam(2)", 1) },
            Ask { choices: 2, tokens: 20, ..Ask::new("sample", 2) },
            Ask { credit: 1, ..Ask::new("sample", 3) },
            Ask::new("greedy", 4),
        ];
        let handle = house.handle.clone();
        let stopping = spawn(move || handle.stop());
        let clients: Vec<Client> = asks.into_iter().filter_map(|ask| ask.send(&house.handle).ok()).collect();
        clients.iter().for_each(Client::wait);
        stopping.join().unwrap();
        house.falls_empty();
        clients.iter().for_each(Client::check);
    });
}

#[test]
fn a_full_queue_refuses_and_serves_the_others() {
    explore(|| {
        let house = house(Options { waiting: 1, live: 1, ..roomy() });
        let coming = [1, 2, 3].map(|seed| {
            let handle = house.handle.clone();
            spawn(move || Ask::new("sample", seed).send(&handle))
        });
        let asked = coming.into_iter().map(|client| client.join().unwrap());
        let (taken, refused): (Vec<_>, Vec<_>) = asked.partition(Result::is_ok);
        let clients: Vec<Client> = taken.into_iter().map(|client| client.ok().unwrap()).collect();
        assert!(
            !clients.is_empty()
                && refused.into_iter().all(|refused| refused.err() == Some(Refused::Full { waiting: 1 }))
        );
        clients.iter().for_each(Client::wait);
        clients.iter().for_each(Client::check_whole);
        house.keeps(Vec::new());
        clients.iter().for_each(Client::check);
    });
}

/// Nobody rings when a listener takes tokens again.
#[test]
fn a_slow_listener_is_waited_for() {
    explore(|| {
        let house = house(roomy());
        let slow = ["sample", "lookahead(1)"]
            .map(|decode| Ask { credit: 1, ..Ask::new(decode, 1) }.send(&house.handle).unwrap());
        let quick = Ask::new("sample", 2).send(&house.handle).unwrap();
        quick.wait();
        slow.iter().for_each(|client| client.credit.store(100, Ordering::SeqCst));
        slow.iter().for_each(Client::wait);
        slow.iter().chain([&quick]).for_each(Client::check_whole);
        house.keeps(Vec::new());
        slow.iter().chain([&quick]).for_each(Client::check);
    });
}

/// Texts make room for one another and are fed anew; one is late from the beginning.
#[test]
fn there_is_little_room() {
    explore(|| {
        let house = house(Options { positions: 14, chunk: 2, ..roomy() });
        let mut asks = [1, 2, 3].map(|seed| Ask { tokens: 5, ..Ask::new("sample", seed) });
        asks[2].late = true;
        let clients = asks.map(|ask| ask.send(&house.handle).unwrap());
        clients.iter().for_each(Client::wait);
        clients[..2].iter().for_each(Client::check_whole);
        house.keeps(Vec::new());
        clients.iter().for_each(Client::check);
    });
}
