//! The loop: let in, look who left, make room, feed, draw.

use super::Options;
use super::door::{Door, Mood};
use super::job::{Ended, Job};
use super::kept::Kept;
use super::proxy::{Errand, Proxy};
use super::text::{Audience, Choice, Text};
use crate::sync::{Arc, Receiver, Sender, Thread, channel, spawn};
use decant_decode::{
    Cost, DecodeError, DecodeSpec, Decoder, Feed, Finish, LanguageModel, Limits, Outcome, Rows, State, Want,
};
use decant_sampling::{Sampler, Seed};
use std::time::{Duration, Instant};

/// How long the loop sleeps where there is nothing to feed, but somebody may be ready again.
const NAP: Duration = Duration::from_millis(1);
/// How long it sleeps where nothing is live.
const SLEEP: Duration = Duration::from_secs(1);

/// A prompt that is being fed. Its choices fork from it when all of it is.
struct Prompt<'m, M: LanguageModel> {
    text: Text<Decoder<'m, M>, M::Cache>,
    plan: Plan,
    /// The rows that were told.
    told: usize,
}

/// What becomes of a prompt.
struct Plan {
    sampler: Sampler,
    decode: DecodeSpec,
    limits: Limits,
    seed: Seed,
    choices: u32,
    rows: bool,
}

struct Run<'m, M: LanguageModel> {
    model: &'m M,
    shared: Arc<M>,
    options: Options,
    door: Door,
    /// What strategies ask to be fed, and where they ask it.
    errands: Receiver<Errand<M::Cache>>,
    desk: Sender<Errand<M::Cache>>,
    prompts: Vec<Prompt<'m, M>>,
    texts: Vec<Text<Decoder<'m, M>, M::Cache>>,
    /// Texts that made room; they are fed anew when there is some.
    parked: Vec<Text<Decoder<'m, M>, M::Cache>>,
    strategies: Vec<(Thread, Audience)>,
    kept: Kept<M::Cache>,
    arrivals: u64,
}

/// Runs until the door says stop, or is closed and all jobs are done.
pub(super) fn run<M>(shared: Arc<M>, options: Options, door: Door)
where
    M: LanguageModel + Send + Sync + 'static,
    M::Cache: Send,
{
    let model = shared.clone();
    let kept = Kept::new(options.kept);
    let (prompts, texts, parked, strategies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (desk, errands) = channel();
    let arrivals = 0;
    let mut run = Run {
        model: &*model,
        shared,
        options,
        door,
        errands,
        desk,
        prompts,
        texts,
        parked,
        strategies,
        kept,
        arrivals,
    };
    while run.goes_on() {
        run.let_in();
        run.see_off();
        run.make_room();
        let fed = run.feed();
        let drew = run.draw();
        run.report();
        if !fed && !drew {
            run.door.wait(if run.is_idle() { SLEEP } else { NAP });
        }
    }
    run.end_all();
}

impl<'m, M> Run<'m, M>
where
    M: LanguageModel + Send + Sync + 'static,
    M::Cache: Send,
{
    fn is_idle(&self) -> bool {
        self.prompts.is_empty() && self.texts.is_empty() && self.parked.is_empty() && self.strategies.is_empty()
    }

    fn goes_on(&mut self) -> bool {
        self.strategies.retain(|(strategy, _)| !strategy.is_finished());
        match self.door.mood() {
            Mood::Stopping => false,
            Mood::Draining => !self.is_idle() || self.door.has_jobs(),
            Mood::Open => true,
        }
    }

    /// Positions in caches that the loop holds. (What strategies hold is theirs.)
    fn positions(&self) -> usize {
        let prompts = self.prompts.iter().map(|prompt| &prompt.text.state);
        let states = prompts.chain(self.texts.iter().map(|text| &text.state));
        states.map(|state| self.model.len(state.cache())).sum()
    }

    /// Texts in the making, those of prompts that are being fed among them.
    fn live(&self) -> usize {
        let promised: usize = self.prompts.iter().map(|prompt| prompt.plan.choices as usize).sum();
        promised + self.texts.len() + self.parked.len() + self.strategies.len()
    }

    /// Takes jobs from the queue as long as there is room for them.
    fn let_in(&mut self) {
        while self.parked.is_empty() && self.live() < self.options.live {
            let Some(job) = self.door.next() else { break };
            let needed = self.positions() + job.prompt.len() + job.generated.len();
            if needed > self.options.positions && !(self.prompts.is_empty() && self.texts.is_empty()) {
                self.door.put_back(job);
                break;
            }
            self.begin(job);
        }
        // Who made room comes back first.
        while let Some(text) = self.parked.first()
            && (self.positions() + text.state.tokens().len() + self.texts.len() < self.options.positions
                || self.texts.is_empty() && self.prompts.is_empty())
        {
            let text = self.parked.remove(0);
            self.texts.push(text);
        }
    }

    fn begin(&mut self, job: Job) {
        let Job { prompt, generated, sampler, decode, mut limits, seed, choices, prompt_rows, deadline, listener } =
            job;
        let audience = Audience::new(listener, deadline);
        // However long a text may be, it alone must fit.
        limits.max_tokens = limits.max_tokens.min(self.options.positions.saturating_sub(prompt.len()));
        let started = Decoder::new(self.model, sampler.clone(), limits.clone())
            .and_then(|decoder| Ok((decoder.resume(&prompt, &generated, seed, 0)?, decoder)));
        let (mut state, decoder) = match started {
            Ok(started) => started,
            Err(error) => return (0..choices).for_each(|choice| audience.end(choice, Ended::Failed(error.clone()))),
        };
        let found = if prompt_rows { None } else { self.kept.find(state.tokens(), self.model) };
        let reused = found.as_ref().map_or(0, |cache| self.model.len(cache));
        if let Some(cache) = found {
            state.adopt(cache);
        }
        self.door.stats(|stats| {
            stats.jobs += 1;
            stats.prompt_tokens += state.tokens().len() as u64;
            stats.prompt_tokens_found += reused as u64;
        });
        self.arrivals += 1;
        let text = Text { decoder, state, number: 0, audience, arrival: self.arrivals };
        let plan = Plan { sampler, decode, limits, seed, choices: choices.max(1), rows: prompt_rows };
        self.prompts.push(Prompt { text, plan, told: 0 });
    }

    /// Drops what nobody waits for any more.
    fn see_off(&mut self) {
        let mut cancelled = 0;
        let mut stays = |audience: &Audience, choices: std::ops::Range<u32>| {
            if audience.is_gone() {
                cancelled += 1;
                return false;
            }
            if audience.is_late() {
                choices.for_each(|choice| audience.end(choice, Ended::Late));
                return false;
            }
            true
        };
        self.prompts.retain(|prompt| stays(&prompt.text.audience, 0..prompt.plan.choices));
        self.texts.retain(|text| stays(&text.audience, text.number..text.number + 1));
        self.parked.retain(|text| stays(&text.audience, text.number..text.number + 1));
        self.door.stats(|stats| stats.cancelled += cancelled);
    }

    /// Lets go of kept caches, then of the youngest texts' own, until one more step has room.
    fn make_room(&mut self) {
        let step = self.texts.len() + self.options.chunk;
        while self.positions() + self.kept.positions() + step > self.options.positions && self.kept.let_go() {}
        while self.positions() + self.texts.len() > self.options.positions && self.texts.len() > 1 {
            let youngest = (0..self.texts.len()).max_by_key(|&i| (self.texts[i].arrival, self.texts[i].number));
            let Some(youngest) = youngest else { break };
            let mut text = self.texts.remove(youngest);
            text.state.adopt(self.model.empty());
            self.parked.push(text);
        }
    }

    /// Feeds one token of every text that lacks one, a piece of the prompts, and what strategies ask for, in one batch.
    /// Says whether there was anything to feed.
    fn feed(&mut self) -> bool {
        let mut errands: Vec<Errand<M::Cache>> = self.errands.try_iter().collect();
        let mut batch: Vec<Feed<'_, M::Cache>> = Vec::new();
        let mut left = self.options.chunk;
        let mut fed_texts = Vec::new();
        for (place, text) in self.texts.iter_mut().enumerate() {
            let lacks = text.decoder.lacks(&text.state);
            // A text that made room is a prompt again.
            let most = if lacks > 1 { left.min(lacks) } else { lacks };
            if most > 0 {
                left -= if lacks > 1 { most } else { 0 };
                batch.push(text.decoder.next_feed(&mut text.state, most));
                fed_texts.push(place);
            }
        }
        let mut fed_prompts = Vec::new();
        for (place, Prompt { text, plan, .. }) in self.prompts.iter_mut().enumerate() {
            let most = left.min(text.decoder.lacks(&text.state));
            if most > 0 {
                left -= most;
                let feed = text.decoder.next_feed(&mut text.state, most);
                batch.push(if plan.rows { Feed { want: Want::All, ..feed } } else { feed });
                fed_prompts.push(place);
            }
        }
        for part in errands.iter_mut().flat_map(|errand| &mut errand.parts) {
            batch.push(Feed { cache: &mut part.cache, tokens: &part.tokens, want: part.want });
        }
        if batch.is_empty() {
            return false;
        }
        let (sequences, started) = (batch.len() as u64, Instant::now());
        // Everything was checked when it came: tokens by the tokenizer and at the door, lengths by limits.
        let rows = self.model.feed_all(&mut batch);
        drop(batch);
        self.door.stats(|stats| {
            stats.steps += 1;
            stats.batched += sequences;
            stats.step_seconds += started.elapsed().as_secs_f64();
        });
        match rows {
            Ok(rows) => self.deal(rows, &fed_texts, &fed_prompts, errands),
            Err(error) => self.fail(DecodeError::Model(error)),
        }
        true
    }

    /// Gives every sequence of a batch its rows.
    fn deal(&mut self, rows: Vec<Rows>, texts: &[usize], prompts: &[usize], errands: Vec<Errand<M::Cache>>) {
        let mut rows = rows.into_iter();
        for (&place, rows) in texts.iter().zip(&mut rows) {
            self.texts[place].state.fed(rows);
        }
        for (&place, rows) in prompts.iter().zip(&mut rows) {
            let Prompt { text, plan, told } = &mut self.prompts[place];
            if plan.rows {
                rows.iter().enumerate().for_each(|(i, row)| text.audience.prompt_row(*told + i, row));
                *told += rows.len();
            }
            text.state.fed(rows);
        }
        for Errand { parts, reply } in errands {
            let fed = parts.into_iter().map(|part| part.cache).zip(&mut rows).collect();
            // Who does not wait any more is gone.
            let _ = reply.send(Ok(fed));
        }
        let (fed, still): (Vec<_>, Vec<_>) =
            self.prompts.drain(..).partition(|prompt| prompt.text.decoder.lacks(&prompt.text.state) == 0);
        self.prompts = still;
        fed.into_iter().for_each(|prompt| self.fork(prompt));
    }

    /// A prompt whose row is there becomes its choices.
    fn fork(&mut self, Prompt { text, plan, .. }: Prompt<'m, M>) {
        for number in 0..plan.choices {
            let seed = Seed(plan.seed.0.wrapping_add(u64::from(number)));
            let state = text.state.clone().with_seed(seed);
            if !plan.decode.is_sample() {
                let strategy = self.strategy(&plan, state, number, text.audience.clone());
                self.strategies.push((strategy, text.audience.clone()));
                continue;
            }
            match Decoder::new(self.model, plan.sampler.clone(), plan.limits.clone()) {
                Ok(decoder) => {
                    let (audience, arrival) = (text.audience.clone(), text.arrival);
                    self.texts.push(Text { decoder, state, number, audience, arrival });
                }
                Err(error) => text.audience.end(number, Ended::Failed(error)),
            }
        }
    }

    /// Runs a strategy on a thread of its own.
    fn strategy(&self, plan: &Plan, mut state: State<M::Cache>, number: u32, audience: Audience) -> Thread {
        let (model, errands, bell) = (self.shared.clone(), self.desk.clone(), self.door.bell());
        let (sampler, limits, decode) = (plan.sampler.clone(), plan.limits.clone(), plan.decode.clone());
        let work = move || {
            let proxy = Proxy { model, errands, bell: bell.clone(), audience: audience.clone() };
            let mut choice = Choice { audience: audience.clone(), number };
            let outcome = Decoder::new(&proxy, sampler, limits)
                .and_then(|decoder| decoder.decode(&decode, &mut state, &mut choice));
            let ended = match outcome {
                _ if audience.is_closed() => Ended::Stopped,
                _ if audience.is_late() => Ended::Late,
                Ok(outcome) => Ended::Done(outcome),
                Err(DecodeError::Model(decant_decode::ModelError::Stopped)) => Ended::Stopped,
                Err(error) => Ended::Failed(error),
            };
            audience.end(number, ended);
            bell.ring();
        };
        spawn("decant-strategy", work)
    }

    /// Draws a token of every text whose row is there and whose listener takes one. Says whether there was one.
    fn draw(&mut self) -> bool {
        let mut drawn = 0;
        let mut sampling = Duration::ZERO;
        let mut place = 0;
        while place < self.texts.len() {
            let text = &mut self.texts[place];
            let waits = text.decoder.lacks(&text.state) > 0 || !text.audience.is_ready();
            let ended = match text.decoder.finish(&text.state) {
                Some(finish) => Some(Ok(finish)),
                None if waits => None,
                None => {
                    drawn += 1;
                    next(text, &mut sampling)
                }
            };
            match ended {
                None => place += 1,
                Some(ended) => {
                    let text = self.texts.remove(place);
                    self.end(text, ended);
                }
            }
        }
        if drawn > 0 {
            self.door.stats(|stats| {
                stats.generated_tokens += drawn;
                stats.sampling_seconds += sampling.as_secs_f64();
            });
        }
        drawn > 0
    }

    /// A text is over: its cache is kept for prompts that begin as it does.
    fn end(&mut self, text: Text<Decoder<'m, M>, M::Cache>, ended: Result<Finish, DecodeError>) {
        // The first token's row came with the prompt.
        let fed = text.state.drawn().len().saturating_sub(1) as u64;
        let cost = Cost { calls: fed, batches: fed, tokens: fed };
        text.audience.end(
            text.number,
            match ended {
                Ok(finish) => Ended::Done(Outcome::of_one(finish, cost)),
                Err(error) => Ended::Failed(error),
            },
        );
        let held = self.model.len(text.state.cache());
        self.kept.keep(text.state.tokens()[..held].to_vec(), text.state.cache().clone());
    }

    /// The model did not take a batch: nobody in it can go on.
    fn fail(&mut self, error: DecodeError) {
        for Prompt { text, plan, .. } in self.prompts.drain(..) {
            (0..plan.choices).for_each(|choice| text.audience.end(choice, Ended::Failed(error.clone())));
        }
        for text in self.texts.drain(..) {
            text.audience.end(text.number, Ended::Failed(error.clone()));
        }
    }

    fn report(&self) {
        let live = self.live();
        let cached = self.positions() + self.kept.positions();
        self.door.stats(|stats| (stats.live, stats.cached) = (live, cached));
    }

    /// Tells everybody that it is over.
    fn end_all(self) {
        let Run { prompts, texts, parked, door, errands, desk, strategies, .. } = self;
        for Prompt { text, plan, .. } in prompts {
            (0..plan.choices).for_each(|choice| text.audience.end(choice, Ended::Stopped));
        }
        for text in texts.into_iter().chain(parked) {
            text.audience.end(text.number, Ended::Stopped);
        }
        while let Some(mut job) = door.next() {
            (0..job.choices).for_each(|choice| job.listener.end(choice, Ended::Stopped));
        }
        // A strategy that waits for its listener need not, and one whose errand is not run ends there. The last of them to end
        // closes the desk.
        strategies.iter().for_each(|(_, audience)| audience.close());
        drop(desk);
        while errands.recv().is_ok() {}
        for (strategy, _) in strategies {
            let _ = strategy.join();
        }
    }
}

/// Draws and tells the next token; says how the text ended, if it did. `sampling` takes the time of the draw.
fn next<M: LanguageModel>(
    text: &mut Text<Decoder<'_, M>, M::Cache>,
    sampling: &mut Duration,
) -> Option<Result<Finish, DecodeError>> {
    let started = Instant::now();
    let step = text.decoder.draw(&mut text.state);
    *sampling += started.elapsed();
    let step = match step {
        Ok(step) => step,
        Err(error) => return Some(Err(error)),
    };
    if text.audience.token(text.number, &step, text.state.row()).is_break() {
        return Some(Ok(Finish::Stop));
    }
    text.decoder.finish(&text.state).map(Ok)
}
