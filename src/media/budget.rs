//! One memory budget for all decoding of the process, whichever thread does it.
//!
//! A decode reserves once, before it takes memory, all that it will take, and waits while others hold the budget. What it
//! leaves behind stays reserved as long as it is [`Reserved`]. Nobody waits while they hold something in work, so all of that
//! is given back some time. Frames in a cache are [kept](Held::keep) without end: caches [drop](Evict) theirs when a decode needs
//! the room. One that is in use even then (the frame that is being drawn) is waited for, but never by the thread that keeps
//! it. So there is no deadlock, as long as one thread keeps frames: the viewer's.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{ErrorKind, MediaError};

/// The budget unless the user sets another.
pub const DEFAULT_BYTES: u64 = 1 << 30;

/// Each reservation counts for a quarter more than what is asked for: rows and tables of the decoders, what the allocator keeps
/// to itself, and the rest of the program.
const MARGIN_DIVISOR: u64 = 4;

/// How often one that waits looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

static DECODING: Budget = Budget::new(DEFAULT_BYTES);

/// The budget of this process.
pub fn decoding() -> &'static Budget {
    &DECODING
}

/// Keeps decoded frames that it can do without.
pub trait Evict: Send + Sync {
    /// Drops what is kept. Called by a thread that waits for memory, with no lock of the budget held.
    fn evict(&self);
}

/// Why and how long a decode may wait.
#[derive(Clone, Copy)]
pub struct WaitPolicy<'a> {
    /// Someone looks at the screen for it: it goes ahead of those that nobody waits for.
    pub urgent: bool,
    /// Nobody wants it any more.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Default for WaitPolicy<'_> {
    /// Waits in turn, however long.
    fn default() -> Self {
        Self {
            urgent: false,
            cancelled: &|| false,
        }
    }
}

/// A number of bytes, shared by all that decode.
pub struct Budget {
    state: Mutex<BudgetState>,
    changed: Condvar,
}

struct BudgetState {
    total: u64,
    /// Bytes of what is in work.
    active: u64,
    /// Bytes of what is kept.
    kept: u64,
    /// The thread that keeps it.
    keeper: Option<ThreadId>,
    /// Those that wait, the next first.
    queue: VecDeque<Waiting>,
    tickets: u64,
    caches: Vec<Weak<dyn Evict>>,
}

struct Waiting {
    ticket: u64,
    urgent: bool,
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(total: u64) -> Self {
        Self {
            state: Mutex::new(BudgetState {
                total,
                active: 0,
                kept: 0,
                keeper: None,
                queue: VecDeque::new(),
                tickets: 0,
                caches: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Sets how many bytes there are; what is reserved stays so.
    pub fn set_total(&self, bytes: u64) {
        self.lock().total = bytes;
        self.changed.notify_all();
    }

    /// Bytes there are.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Names a cache to be emptied when a decode waits for memory.
    pub fn register(&self, cache: Weak<dyn Evict>) {
        self.lock().caches.push(cache);
    }

    /// Reserves `bytes`, once they are free and it is their turn.
    ///
    /// # Errors
    ///
    /// `too_large` where they are more than there are at all; `internal` when the wait is cancelled.
    pub fn reserve(&'static self, bytes: u64, wait: WaitPolicy) -> Result<Reservation, MediaError> {
        let charge = charged(bytes);
        let mut state = self.lock();
        if charge > state.total {
            return Err(too_large(bytes, state.total));
        }
        let ticket = state.enqueue(wait.urgent);
        while !state.admits(ticket, charge, false) {
            let is_next = state.is_next(ticket);
            drop(state);
            if (wait.cancelled)() {
                self.lock().leave(ticket);
                self.changed.notify_all();
                return Err(MediaError::new(ErrorKind::Internal, "no longer wanted"));
            }
            if is_next {
                self.evict();
            }
            state = self.lock();
            if state.admits(ticket, charge, is_next) {
                break;
            }
            let waited = self.changed.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.leave(ticket);
        state.active += charge;
        drop(state);
        // The one behind may fit, too.
        self.changed.notify_all();
        Ok(Reservation {
            budget: self,
            charge,
            is_kept: false,
        })
    }

    fn evict(&self) {
        let mut caches = Vec::new();
        self.lock().caches.retain(|cache| {
            let cache = cache.upgrade();
            let is_there = cache.is_some();
            caches.extend(cache);
            is_there
        });
        for cache in caches {
            cache.evict();
        }
    }

    fn change(&self, change: impl FnOnce(&mut BudgetState)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        // A panic elsewhere leaves the numbers whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    /// Whether it is this one's turn and there is room; to the thread that keeps frames, once its cache was emptied, also where
    /// those that it uses are all that stands in its way.
    fn admits(&self, ticket: u64, charge: u64, is_evicted: bool) -> bool {
        let free = self.total.saturating_sub(self.active + self.kept);
        let alone = is_evicted && self.is_keeper() && self.active == 0;
        self.is_next(ticket) && (charge <= free || alone)
    }

    /// Whether this is the thread that keeps frames.
    fn is_keeper(&self) -> bool {
        self.keeper == Some(thread::current().id())
    }

    fn enqueue(&mut self, urgent: bool) -> u64 {
        let ticket = self.tickets;
        self.tickets += 1;
        let ahead = self.queue.iter().take_while(|other| other.urgent).count();
        // Others may wait for what the keeper draws, so it never stands behind them.
        let at = match (self.is_keeper(), urgent) {
            (true, _) => 0,
            (_, true) => ahead,
            _ => self.queue.len(),
        };
        self.queue.insert(at, Waiting { ticket, urgent });
        ticket
    }

    fn is_next(&self, ticket: u64) -> bool {
        self.queue.front().is_some_and(|next| next.ticket == ticket)
    }

    fn part(&mut self, is_kept: bool) -> &mut u64 {
        if is_kept {
            &mut self.kept
        } else {
            &mut self.active
        }
    }

    fn leave(&mut self, ticket: u64) {
        self.queue.retain(|waiting| waiting.ticket != ticket);
    }
}

fn charged(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / MARGIN_DIVISOR)
}

fn too_large(bytes: u64, total: u64) -> MediaError {
    const MEGABYTE: u64 = 1 << 20;
    MediaError::new(
        ErrorKind::TooLarge,
        format!(
            "needs {} MiB of memory, more than {} MiB allow; see --memory",
            charged(bytes).div_ceil(MEGABYTE),
            total / MEGABYTE
        ),
    )
}

/// A part of the budget, given back when it is dropped.
pub struct Reservation {
    budget: &'static Budget,
    charge: u64,
    is_kept: bool,
}

impl Reservation {
    /// Gives back what is not needed beside `bytes`.
    fn shrink(&mut self, bytes: u64) {
        let charge = charged(bytes).min(self.charge);
        let less = self.charge - charge;
        self.charge = charge;
        self.budget
            .change(|state| *state.part(self.is_kept) -= less);
    }

    /// Counts as kept from now on.
    fn keep(&mut self) {
        self.budget.change(|state| {
            *state.part(self.is_kept) -= self.charge;
            state.kept += self.charge;
            state.keeper = Some(thread::current().id());
        });
        self.is_kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget
            .change(|state| *state.part(self.is_kept) -= self.charge);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({})", self.charge)
    }
}

/// Something decoded, whose memory stays reserved until it is dropped.
#[derive(Debug)]
pub struct Reserved<T> {
    value: T,
    reservation: Reservation,
}

impl<T> Reserved<T> {
    pub(crate) fn new(value: T, reservation: Reservation) -> Self {
        Self { value, reservation }
    }

    /// Gives back what is not needed beside `bytes`.
    #[must_use]
    pub(crate) fn shrunk(mut self, bytes: u64) -> Self {
        self.reservation.shrink(bytes);
        self
    }

    /// For a cache that keeps its `bytes` until they are needed again, or until [others](Evict) need the room.
    #[must_use]
    pub fn keep(mut self, bytes: u64) -> Self {
        self.reservation.shrink(bytes);
        self.reservation.keep();
        self
    }

    /// What is held, its memory no longer counted: for a caller that drops it before it decodes anything else.
    pub fn release(self) -> T {
        self.value
    }
}

impl<T> Deref for Reserved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Instant;

    use super::*;

    fn budget(total: u64) -> &'static Budget {
        Box::leak(Box::new(Budget::new(total)))
    }

    /// Longer than any of these takes. What has not happened by then never will.
    const LIMIT: Duration = Duration::from_secs(30);

    /// Waits until so many wait in the budget.
    fn until_waiting(budget: &Budget, count: usize) {
        let begun = Instant::now();
        while budget.lock().queue.len() < count {
            assert!(begun.elapsed() < LIMIT, "{count} never wait");
            thread::yield_now();
        }
    }

    /// Reserves, and gives up where that never ends.
    fn reserve(budget: &'static Budget, bytes: u64, urgent: bool) -> Reservation {
        let begun = Instant::now();
        let wait = WaitPolicy {
            urgent,
            cancelled: &|| begun.elapsed() > LIMIT,
        };
        budget.reserve(bytes, wait).expect("granted in time")
    }

    /// What a thread comes to, in time.
    fn outcome<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(work()));
        receiver
    }

    #[test]
    fn what_is_more_than_all_is_refused_and_names_the_option() {
        let budget = budget(100 << 20);
        let wait = WaitPolicy::default();
        let error = budget.reserve(81 << 20, wait).expect_err("too large");
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert!(error.message.contains("--memory"), "{error}");
        assert!(budget.reserve(80 << 20, wait).is_ok());
    }

    #[test]
    fn threads_together_never_hold_more_than_there_is_and_all_come_through() {
        let budget = budget(1000);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for n in 0..8_u64 {
                let (held, most) = (&held, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = 80 * ((n * 7 + round) % 10 + 1);
                        let mut one = reserve(budget, bytes, n == 0);
                        let now = held.fetch_add(charged(bytes), Ordering::SeqCst);
                        most.fetch_max(now + charged(bytes), Ordering::SeqCst);
                        // Others try meanwhile.
                        thread::yield_now();
                        held.fetch_sub(charged(bytes) - charged(bytes / 2), Ordering::SeqCst);
                        one.shrink(bytes / 2);
                        held.fetch_sub(charged(bytes / 2), Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 1000);
        assert_eq!(budget.lock().active, 0);
    }

    #[test]
    fn who_came_first_is_first_and_the_urgent_go_ahead() {
        let budget = budget(100);
        let all = reserve(budget, 80, false);
        let (sender, order) = mpsc::channel();
        for (n, (name, urgent)) in [("a", false), ("b", false), ("c", true), ("d", true)]
            .into_iter()
            .enumerate()
        {
            let sender = sender.clone();
            thread::spawn(move || {
                let _one = reserve(budget, 80, urgent);
                sender.send(name)
            });
            until_waiting(budget, n + 1);
        }
        drop(all);
        let next = || order.recv_timeout(LIMIT).expect("in time");
        assert_eq!([next(), next(), next(), next()], ["c", "d", "a", "b"]);
    }

    #[test]
    fn who_is_no_longer_wanted_waits_no_more_and_holds_up_nobody() {
        let budget = budget(100);
        let all = reserve(budget, 80, false);
        let unwanted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&unwanted);
        let cancelled = outcome(move || {
            let wait = WaitPolicy {
                cancelled: &|| flag.load(Ordering::Relaxed),
                ..WaitPolicy::default()
            };
            budget.reserve(80, wait).map(drop)
        });
        until_waiting(budget, 1);
        let next = outcome(move || drop(reserve(budget, 8, false)));
        until_waiting(budget, 2);
        unwanted.store(true, Ordering::Relaxed);
        assert!(cancelled.recv_timeout(LIMIT).expect("in time").is_err());
        drop(all);
        next.recv_timeout(LIMIT).expect("in time");
    }

    struct TestCache(Mutex<Vec<Reserved<&'static str>>>);

    impl Evict for TestCache {
        fn evict(&self) {
            self.0.lock().expect("no panic").clear();
        }
    }

    #[test]
    fn caches_make_room_for_who_waits() {
        let budget = budget(100);
        let cache = Arc::new(TestCache(Mutex::default()));
        let weak = Arc::downgrade(&cache);
        budget.register(weak);
        let kept = reserve(budget, 80, false);
        let kept = Reserved::new("frame", kept).keep(40);
        cache.0.lock().expect("no panic").push(kept);
        let small = reserve(budget, 40, false);
        assert_eq!(cache.0.lock().expect("no panic").len(), 1);
        drop(small);
        drop(reserve(budget, 80, false));
        assert_eq!(cache.0.lock().expect("no panic").len(), 0);
    }

    /// A thread that draws one frame may decode another; others wait until it is drawn.
    #[test]
    fn what_is_kept_and_in_use_keeps_others_waiting_but_not_its_own_thread() {
        let budget = budget(100);
        let drawn = reserve(budget, 60, false);
        let drawn = Reserved::new("frame", drawn).keep(60);
        let other = outcome(move || {
            let _reserved = reserve(budget, 80, false);
            budget.lock().kept
        });
        until_waiting(budget, 1);
        drop(reserve(budget, 80, false));
        assert_eq!(budget.lock().kept, charged(60));
        drop(drawn);
        assert_eq!(other.recv_timeout(LIMIT), Ok(0));
    }
}
