//! Threads that share the pieces of one piece of work, ready within a microsecond.
//!
//! A step of a small model is some forty products of a few microseconds each: waking a thread through the system for
//! every one of them would cost more than it saves. So helpers wait for the next piece of work awake for a while before
//! they sleep. Who does which piece is decided by who is free; nothing that is computed may depend on it.

use std::cell::UnsafeCell;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, JoinHandle};

/// How often a helper looks for work before it sleeps: some hundred microseconds.
const LOOKS: u32 = 10_000;
/// After so many of them it offers its place to other threads each time.
const PATIENCE: u32 = 2_000;

/// The caller's bit in [`Shared::inside`]: helpers may enter.
const OPEN: usize = 1 << (usize::BITS - 1);

/// One piece of work: `call(piece, worker)` for every piece.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// A caller and its helpers.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Held by the caller whom the helpers work for; another caller meanwhile works alone.
    busy: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    /// Counts pieces of work; helpers look at it.
    call: AtomicUsize,
    /// [`OPEN`], and how many helpers are inside: the work is valid as long as this is not 0.
    inside: AtomicUsize,
    /// Written by a caller when nobody is inside, read by helpers inside.
    work: UnsafeCell<Option<Erased>>,
    next: AtomicUsize,
    pieces: AtomicUsize,
    asleep: AtomicUsize,
    panicked: AtomicBool,
    over: AtomicBool,
}

/// Work whose lifetime the compiler no longer knows.
#[derive(Clone, Copy, Debug)]
struct Erased(*const Work<'static>);

// SAFETY: what it points to is `Sync`; that it is alive is the business of `Shared::inside`.
unsafe impl Send for Erased {}
// SAFETY: of the fields only `work` is not `Sync` by itself. It is written while `inside` is 0 and closed, by the caller
// that holds `Team::busy`; the release of `OPEN` and its acquisition by who enters order that before all reads.
unsafe impl Sync for Shared {}

impl Team {
    /// A team of `threads`: the caller and the rest as helpers.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            call: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            pieces: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let mut team = Team { shared, helpers: Vec::new(), busy: Mutex::new(()) };
        for worker in 1..threads.get() {
            let shared = team.shared.clone();
            let name = format!("decant-{worker}");
            team.helpers.push(thread::Builder::new().name(name).spawn(move || shared.help(worker))?);
        }
        Ok(team)
    }

    /// How many threads, the caller's among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work(piece, worker)` for every piece in `0..pieces`, each once, on whatever threads are free; `worker` is
    /// below [`Self::threads`] and no two calls at once have the same. Returns when all are done.
    ///
    /// # Panics
    /// If `work` does.
    pub fn share(&self, pieces: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        let alone = || (0..pieces).for_each(|piece| work(piece, 0));
        if pieces < 2 || self.helpers.is_empty() {
            return alone();
        }
        let _busy = match self.busy.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return alone(),
        };
        let call = self.shared.open(pieces, work);
        if self.shared.asleep.load(Ordering::SeqCst) > 0 {
            self.helpers.iter().for_each(|helper| helper.thread().unpark());
        }
        self.shared.take_pieces(work, 0);
        drop(call);
        assert!(!self.shared.panicked.swap(false, Ordering::Relaxed), "a helper panicked");
    }
}

impl Team {
    /// Calls `work(index, chunk, scratch)` for every `len` numbers of `out`; `scratches` has one for each thread.
    ///
    /// # Panics
    /// If `out` is not whole chunks, `scratches` are too few, or `work` panics.
    pub fn share_chunks<S: Send>(
        &self,
        out: &mut [f32],
        len: usize,
        scratches: &mut [S],
        work: impl Fn(usize, &mut [f32], &mut S) + Sync,
    ) {
        assert!(len > 0 && out.len().is_multiple_of(len), "{} numbers are not chunks of {len}", out.len());
        assert!(scratches.len() >= self.threads(), "a scratch for each thread");
        let (chunks, out, scratches) = (out.len() / len, Apart(out.as_mut_ptr()), Apart(scratches.as_mut_ptr()));
        self.share(chunks, &|index, worker| {
            // SAFETY: every index comes once, and no two workers at once are the same: so these do not overlap with what
            // any other call has. They lie inside what was borrowed, by the two assertions.
            let (chunk, scratch) =
                unsafe { (std::slice::from_raw_parts_mut(out.at(index * len), len), &mut *scratches.at(worker)) };
            work(index, chunk, scratch);
        });
    }
}

/// The first of elements that threads change, each another.
struct Apart<T>(*mut T);

// SAFETY: `share_chunks` gives each element to one thread at a time.
unsafe impl<T: Send> Sync for Apart<T> {}

impl<T> Apart<T> {
    /// # Safety
    /// Element `index` must lie in the borrowed slice.
    unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.call.fetch_add(1, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            let _ = helper.join(); // a helper ends only so: its panics are caught
        }
    }
}

/// Open work. Dropped, also by a panic, it lets no more helpers in and waits for those inside.
struct Call<'a>(&'a Shared);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.0.inside.load(Ordering::Acquire) != 0 {
            wait_a_little(&mut looks);
        }
    }
}

impl Shared {
    /// Makes work known to the helpers, for as long as the result lives.
    fn open(&self, pieces: usize, work: &Work<'_>) -> Call<'_> {
        // SAFETY: only the lifetime changes. Helpers call the work only between entering and leaving `inside`, they enter
        // only while it is open, and the `Call` that is returned, which the caller holds as long as it borrows `work`,
        // closes it and waits until nobody is inside.
        let work: *const Work<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(work)) };
        // SAFETY: nobody is inside and nobody can enter; other callers are kept out by `Team::busy`.
        unsafe { *self.work.get() = Some(Erased(work)) };
        self.next.store(0, Ordering::Relaxed);
        self.pieces.store(pieces, Ordering::Relaxed);
        self.inside.store(OPEN, Ordering::Release);
        self.call.fetch_add(1, Ordering::SeqCst);
        Call(self)
    }

    fn take_pieces(&self, work: &Work<'_>, worker: usize) {
        let pieces = self.pieces.load(Ordering::Relaxed);
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            work(piece, worker);
        }
    }

    /// A helper's life.
    fn help(&self, worker: usize) {
        let mut seen = 0;
        loop {
            seen = self.next_call(seen);
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let enter = |inside| (inside & OPEN != 0).then_some(inside + 1);
            if self.inside.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).is_err() {
                continue; // the others were faster
            }
            // SAFETY: inside, so nobody writes.
            if let Some(Erased(work)) = unsafe { *self.work.get() } {
                // SAFETY: inside, so the caller still waits with the work alive (see `open`).
                let work = unsafe { &*work };
                if catch_unwind(AssertUnwindSafe(|| self.take_pieces(work, worker))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            self.inside.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Waits until there is another call than the one seen; awake at first, then asleep.
    fn next_call(&self, seen: usize) -> usize {
        let mut looks = 0;
        while looks < LOOKS {
            let call = self.call.load(Ordering::Acquire);
            if call != seen {
                return call;
            }
            wait_a_little(&mut looks);
        }
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let call = loop {
            // After `asleep` was told: a caller that did not see it has already counted its call.
            let call = self.call.load(Ordering::SeqCst);
            if call != seen {
                break call;
            }
            thread::park();
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        call
    }
}

fn wait_a_little(looks: &mut u32) {
    *looks += 1;
    match *looks < PATIENCE {
        true => std::hint::spin_loop(),
        false => thread::yield_now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn team(threads: usize) -> Team {
        Team::new(NonZeroUsize::new(threads).unwrap()).unwrap()
    }

    #[test]
    fn every_piece_is_done_once_before_it_returns() {
        for threads in [1, 2, 3, 8] {
            let team = team(threads);
            assert_eq!(team.threads(), threads);
            for round in 0..300 {
                // Longer pauses now and then, so that helpers fall asleep.
                if round % 100 == 99 {
                    thread::sleep(std::time::Duration::from_millis(5));
                }
                let pieces: Vec<AtomicU32> = (0..round % 40).map(|_| AtomicU32::new(0)).collect();
                team.share(pieces.len(), &|piece, worker| {
                    assert!(worker < threads);
                    pieces[piece].fetch_add(1, Ordering::Relaxed);
                });
                assert!(pieces.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn chunks_and_scratches_are_nobody_elses() {
        let team = team(4);
        let mut out = vec![0.0; 7 * 1000];
        let mut scratches = vec![0usize; 4];
        team.share_chunks(&mut out, 7, &mut scratches, |index, chunk, scratch| {
            chunk.fill(index as f32);
            *scratch += 1;
        });
        assert!(out.chunks(7).enumerate().all(|(index, chunk)| chunk == [index as f32; 7]));
        assert_eq!(scratches.iter().sum::<usize>(), 1000);
    }

    #[test]
    fn callers_do_not_wait_for_each_other() {
        let team = team(2);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        team.share(10, &|piece, _| {
                            // A call inside a call works alone.
                            team.share(2, &|_, _| {
                                sum.fetch_add(piece, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 200 * 45 * 2);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = team(3);
        for _ in 0..20 {
            let panics = || team.share(50, &|piece, _| assert_ne!(piece, 17));
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            let done = AtomicUsize::new(0);
            team.share(50, &|_, _| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 50);
        }
    }
}
