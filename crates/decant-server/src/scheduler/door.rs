//! Between the threads that ask and the one that feeds.

use super::job::{Job, Refused, Stats};
use crate::sync::{Arc, AtomicUsize, Condvar, Mutex, Ordering, lock, wait_while};
use std::collections::VecDeque;
use std::time::Duration;

/// The door to a scheduler: cheap to clone, usable from any thread.
pub struct Handle(Arc<Shared>);

/// The scheduler's side of it.
pub(super) struct Door {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    stats: Mutex<Stats>,
    handles: AtomicUsize,
    most_waiting: usize,
    room: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Whether something else than a job is there to be done.
    rung: bool,
    draining: bool,
    stopping: bool,
}

/// What the scheduler is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Go on.
    Open,
    /// Take no more jobs; go on with those that are there.
    Draining,
    /// End everything.
    Stopping,
}

/// A door for a scheduler that lets so many jobs wait, of prompts shorter than `room`.
pub(super) fn open(most_waiting: usize, room: usize) -> (Handle, Door) {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        wake: Condvar::new(),
        stats: Mutex::default(),
        handles: AtomicUsize::new(1),
        most_waiting,
        room,
    });
    (Handle(shared.clone()), Door { shared })
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::SeqCst);
        Handle(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.handles.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.drain();
        }
    }
}

impl Handle {
    /// Queues a job.
    ///
    /// # Errors
    /// [`Refused`]; the job's listener is not called then.
    pub fn submit(&self, job: Job) -> Result<(), Refused> {
        if job.prompt.is_empty() {
            return Err(Refused::Empty);
        }
        let prompt = job.prompt.len() + job.generated.len();
        if prompt > self.0.room {
            return Err(Refused::TooLong { prompt, room: self.0.room });
        }
        let mut queue = lock(&self.0.queue);
        if queue.draining || queue.stopping {
            return Err(Refused::Closing);
        }
        let waiting = queue.jobs.len();
        if waiting >= self.0.most_waiting {
            return Err(Refused::Full { waiting });
        }
        queue.jobs.push_back(job);
        self.0.wake.notify_all();
        Ok(())
    }

    /// How busy it is.
    pub fn stats(&self) -> Stats {
        let waiting = lock(&self.0.queue).jobs.len();
        Stats { waiting, ..*lock(&self.0.stats) }
    }

    /// Takes no more jobs, and ends when those it has are done.
    pub fn drain(&self) {
        lock(&self.0.queue).draining = true;
        self.0.wake.notify_all();
    }

    /// Ends every job at the next step.
    pub fn stop(&self) {
        lock(&self.0.queue).stopping = true;
        self.0.wake.notify_all();
    }
}

impl Door {
    pub fn mood(&self) -> Mood {
        let queue = lock(&self.shared.queue);
        match (queue.stopping, queue.draining) {
            (true, _) => Mood::Stopping,
            (false, true) => Mood::Draining,
            (false, false) => Mood::Open,
        }
    }

    /// The next job, if one waits.
    pub fn next(&self) -> Option<Job> {
        lock(&self.shared.queue).jobs.pop_front()
    }

    /// Whether a job waits.
    pub fn has_jobs(&self) -> bool {
        !lock(&self.shared.queue).jobs.is_empty()
    }

    /// Puts a job back to the head of the queue.
    pub fn put_back(&self, job: Job) {
        lock(&self.shared.queue).jobs.push_front(job);
    }

    /// Waits until there is something to do, but no longer than this.
    pub fn wait(&self, longest: Duration) {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.rung && !queue.draining && !queue.stopping;
        wait_while(&self.shared.queue, &self.shared.wake, longest, idle).rung = false;
    }

    /// What rings when something else than a job is there to be done.
    pub fn bell(&self) -> Bell {
        Bell(self.shared.clone())
    }

    /// Changes what is told of it.
    pub fn stats(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut lock(&self.shared.stats));
    }
}

/// Wakes the scheduler.
#[derive(Clone)]
pub(super) struct Bell(Arc<Shared>);

impl Bell {
    pub fn ring(&self) {
        lock(&self.0.queue).rung = true;
        self.0.wake.notify_all();
    }
}
