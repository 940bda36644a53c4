//! Texts of a scheduler are the texts that each job gets alone, whatever else goes on.

use decant_decode::{DecodeSpec, Decoder, Finish, LanguageModel, Limits, Outcome, TokenId, Want, Watch};
use decant_models::toy::ToyModel;
use decant_sampling::{Sampler, Seed, Step};
use decant_server::scheduler::{Ended, Handle, Job, Listener, Options, Refused, start};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const VOCAB: usize = 30;
const PATIENCE: Duration = Duration::from_secs(20);

/// What a listener heard.
#[derive(Default)]
struct Heard {
    steps: Vec<Vec<Step>>,
    rows: Vec<Vec<f32>>,
}

/// Writes down what it hears, and lets the test play a client that is slow, or leaves.
struct Ear {
    heard: Arc<Mutex<Heard>>,
    ended: Sender<(u32, Ended)>,
    gone: Arc<AtomicBool>,
    /// How many tokens it still takes.
    credit: Arc<AtomicUsize>,
    stop: Option<TokenId>,
}

impl Listener for Ear {
    fn prompt_row(&mut self, position: usize, row: &[f32]) {
        let rows = &mut self.heard.lock().unwrap().rows;
        assert_eq!(rows.len(), position);
        rows.push(row.to_vec());
    }

    fn token(&mut self, choice: u32, step: &Step, _row: &[f32]) -> ControlFlow<()> {
        self.credit.fetch_sub(1, Ordering::SeqCst);
        let mut heard = self.heard.lock().unwrap();
        let choices = heard.steps.len().max(choice as usize + 1);
        heard.steps.resize(choices, Vec::new());
        heard.steps[choice as usize].push(*step);
        if self.stop == Some(step.token) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stops(&self, generated: &[TokenId]) -> bool {
        self.stop.is_some_and(|stop| generated.contains(&stop))
    }

    fn is_ready(&self) -> bool {
        self.credit.load(Ordering::SeqCst) > 0
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn end(&mut self, choice: u32, ended: Ended) {
        self.ended.send((choice, ended)).ok();
    }
}

/// A job in the air.
struct Client {
    heard: Arc<Mutex<Heard>>,
    ended: Receiver<(u32, Ended)>,
    gone: Arc<AtomicBool>,
    credit: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Ask {
    prompt: Vec<TokenId>,
    sampler: &'static str,
    decode: &'static str,
    tokens: usize,
    seed: u64,
    choices: u32,
    stop: Option<TokenId>,
}

impl Ask {
    fn new(prompt: Vec<TokenId>, seed: u64) -> Self {
        Ask { prompt, sampler: "temp=1.3,top_p=0.95", decode: "sample", tokens: 20, seed, choices: 1, stop: None }
    }

    fn job(&self) -> (Job, Client) {
        let (sender, ended) = channel();
        let (heard, gone) = (Arc::<Mutex<Heard>>::default(), Arc::<AtomicBool>::default());
        let credit = Arc::new(AtomicUsize::new(1 << 40));
        let client = Client { heard: heard.clone(), ended, gone: gone.clone(), credit: credit.clone() };
        let job = Job {
            prompt: self.prompt.clone(),
            sampler: self.made(),
            decode: self.decode.parse().unwrap(),
            limits: self.limits(),
            seed: Seed(self.seed),
            choices: self.choices,
            generated: Vec::new(),
            prompt_rows: false,
            deadline: None,
            listener: Box::new(Ear { heard, ended: sender, gone, credit, stop: self.stop }),
        };
        (job, client)
    }

    fn made(&self) -> Sampler {
        Sampler::new(&self.sampler.parse().unwrap(), VOCAB).unwrap()
    }

    fn limits(&self) -> Limits {
        Limits { max_tokens: self.tokens, ends: vec![7], ignore_eos: false }
    }

    fn send(&self, handle: &Handle) -> Client {
        let (job, client) = self.job();
        handle.submit(job).unwrap();
        client
    }

    /// What a choice says when nobody else is there.
    fn alone(&self, model: &ToyModel, choice: u32) -> (Vec<Step>, Finish) {
        struct Alone(Vec<Step>, Option<TokenId>);
        impl Watch for Alone {
            fn token(&mut self, step: &Step, _row: &[f32]) -> ControlFlow<()> {
                self.0.push(*step);
                if self.1 == Some(step.token) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            fn stops(&self, generated: &[TokenId]) -> bool {
                self.1.is_some_and(|stop| generated.contains(&stop))
            }
        }
        let decoder = Decoder::new(model, self.made(), self.limits()).unwrap();
        let mut state = decoder.start(&self.prompt, Seed(self.seed + u64::from(choice)), 0).unwrap();
        let mut watch = Alone(Vec::new(), self.stop);
        let decode: DecodeSpec = self.decode.parse().unwrap();
        let outcome = decoder.decode(&decode, &mut state, &mut watch).unwrap();
        (watch.0, outcome.finish)
    }
}

impl Client {
    fn end(&self) -> (u32, Ended) {
        self.ended.recv_timeout(PATIENCE).expect("the choice ends")
    }

    fn done(&self) -> (u32, Outcome) {
        match self.end() {
            (choice, Ended::Done(outcome)) => (choice, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// All choices ended as they do alone.
    fn check(&self, ask: &Ask, model: &ToyModel) {
        for _ in 0..ask.choices {
            let (choice, outcome) = self.done();
            let (steps, finish) = ask.alone(model, choice);
            let heard = self.heard.lock().unwrap();
            let said = heard.steps.get(choice as usize).map_or(&[][..], |steps| steps);
            assert_eq!(
                (said, outcome.finish),
                (&steps[..], finish),
                "{} seed {} choice {choice}",
                ask.decode,
                ask.seed
            );
        }
    }
}

fn toy() -> Arc<ToyModel> {
    Arc::new(ToyModel::hashed(VOCAB, 3, 11).with_context(200))
}

fn small() -> Options {
    Options { waiting: 400, live: 12, positions: 900, kept: 300, chunk: 16 }
}

fn prompt(length: usize, seed: u64) -> Vec<TokenId> {
    (0..length as u64).map(|i| (Seed(seed).coins(0, i).uniform(0) * VOCAB as f64) as TokenId).collect()
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Hundreds of jobs of every kind, a third of them left by their clients; little room, so that texts make way.
#[test]
fn every_text_is_the_one_it_would_be_alone() {
    let model = toy();
    let handle = start(model.clone(), small());
    let strategies =
        ["sample", "greedy", "lookahead(2,budget=40)", "map(6,budget=60)", "beam(3)", "stochastic_beam(2)", "mbr(3)"];
    let mut clients = Vec::new();
    for seed in 0..240u64 {
        let mut ask = Ask::new(prompt(1 + (seed as usize * 37) % 150, seed % 9), seed);
        ask.decode = if seed % 3 == 0 { strategies[seed as usize / 3 % strategies.len()] } else { "sample" };
        ask.sampler =
            ["temp=1.3,top_p=0.95", "temp=1,top_h=0.4", "temp=1.5,mirostat=2:tau=2:eta=0.5"][seed as usize % 3];
        ask.choices = 1 + (seed % 4 == 1) as u32 * 2;
        ask.tokens = (seed as usize * 13) % 45;
        ask.stop = (seed % 5 == 2).then_some(3);
        let client = ask.send(&handle);
        if seed % 3 == 1 {
            client.gone.store(seed % 2 == 0, Ordering::SeqCst);
        }
        if seed % 7 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        clients.push((ask, client));
    }
    for (ask, client) in clients.iter().filter(|(_, client)| !client.gone.load(Ordering::SeqCst)) {
        client.check(ask, &model);
    }
    until("nothing is live any more", || handle.stats().live == 0);
    let stats = handle.stats();
    assert!(stats.cached <= 300 && stats.waiting == 0 && stats.jobs == 240 && stats.cancelled > 20, "{stats:?}");
    assert!(stats.batched > stats.steps && stats.prompt_tokens_found > 0, "{stats:?}");
}

#[test]
fn texts_that_made_room_say_the_same() {
    let model = toy();
    // Six texts of up to 130 positions in a room of 300.
    let handle = start(model.clone(), Options { positions: 300, kept: 0, ..small() });
    let asks: Vec<Ask> = (0..6).map(|seed| Ask { tokens: 120, ..Ask::new(prompt(10, seed), 100 + seed) }).collect();
    let clients: Vec<Client> = asks.iter().map(|ask| ask.send(&handle)).collect();
    for (ask, client) in asks.iter().zip(&clients) {
        client.check(ask, &model);
    }
    assert!(handle.stats().cached <= 300);
}

#[test]
fn rows_of_the_prompt_are_the_models() {
    let model = toy();
    let handle = start(model.clone(), small());
    let ask = Ask { tokens: 0, ..Ask::new(prompt(50, 1), 0) };
    let (mut job, client) = ask.job();
    job.prompt_rows = true;
    handle.submit(job).unwrap();
    assert_eq!(client.done().1.finish, Finish::Length);
    let expected = model.feed(&mut model.empty(), &ask.prompt, Want::All).unwrap();
    assert!(client.heard.lock().unwrap().rows.iter().map(Vec::as_slice).eq(expected.iter()));
}

#[test]
fn a_slow_listener_holds_up_nobody_but_itself() {
    let model = toy();
    let handle = start(model.clone(), small());
    let slow = Ask::new(prompt(5, 1), 1);
    let (job, waits) = slow.job();
    waits.credit.store(2, Ordering::SeqCst);
    handle.submit(job).unwrap();
    let other = Ask::new(prompt(5, 2), 2);
    other.send(&handle).check(&other, &model);
    assert_eq!(waits.heard.lock().unwrap().steps[0].len(), 2);
    waits.credit.store(1000, Ordering::SeqCst);
    waits.check(&slow, &model);
}

#[test]
fn what_is_not_taken_says_why() {
    let handle = start(toy(), Options { waiting: 2, live: 1, ..small() });
    let refused = |prompt| handle.submit(Ask::new(prompt, 0).job().0).unwrap_err();
    assert_eq!(refused(vec![]), Refused::Empty);
    assert_eq!(refused(vec![1; 201]), Refused::TooLong { prompt: 201, room: 200 });

    // One that never reads is live, two wait, and the next is refused.
    let hold = || {
        let (job, client) = Ask::new(vec![1, 2], 0).job();
        client.credit.store(0, Ordering::SeqCst);
        (handle.submit(job), client)
    };
    let first = hold();
    until("the first is live", || handle.stats().live == 1);
    let more = [hold(), hold()];
    assert_eq!(hold().0, Err(Refused::Full { waiting: 2 }));

    // A search ends, too, that nobody lets tell its token.
    let searching = start(toy(), small());
    let (job, client) = Ask { decode: "lookahead(2)", ..Ask::new(vec![1, 2], 0) }.job();
    client.credit.store(0, Ordering::SeqCst);
    searching.submit(job).unwrap();
    until("the search is live", || searching.stats().live == 1);
    searching.stop();
    assert!(matches!(client.end(), (0, Ended::Stopped)));

    // A client that left makes room; at the end everybody who is left is told.
    first.1.gone.store(true, Ordering::SeqCst);
    until("the second is live", || handle.stats().waiting == 1);
    handle.stop();
    assert!(more.iter().all(|(_, client)| matches!(client.end(), (0, Ended::Stopped))));
}

#[test]
fn deadlines_end_texts_and_searches() {
    let handle = start(toy(), small());
    for decode in ["sample", "lookahead(2)"] {
        let (mut job, client) = Ask { decode, ..Ask::new(vec![1, 2], 0) }.job();
        client.credit.store(1, Ordering::SeqCst);
        job.deadline = Some(Instant::now() + Duration::from_millis(80));
        handle.submit(job).unwrap();
        assert!(matches!(client.end(), (0, Ended::Late)), "{decode}");
        assert_eq!(client.heard.lock().unwrap().steps[0].len(), 1, "what came before stands");
    }
}

#[test]
fn a_drained_scheduler_finishes_what_it_has() {
    let model = toy();
    let handle = start(model.clone(), small());
    let asks: Vec<Ask> = (0..30).map(|seed| Ask::new(prompt(20, seed), seed)).collect();
    let clients: Vec<Client> = asks.iter().map(|ask| ask.send(&handle)).collect();
    handle.drain();
    assert_eq!(handle.submit(Ask::new(vec![1], 0).job().0), Err(Refused::Closing));
    for (ask, client) in asks.iter().zip(&clients) {
        client.check(ask, &model);
    }
}
