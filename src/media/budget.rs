//! One memory budget for all decoding in the process, shared by all threads.
//!
//! A decode reserves all the memory it will need once, before it starts, and waits while others use the budget. What
//! remains of it afterwards (the frame) stays reserved as long as it is [`Reserved`]. No thread waits while it holds a
//! reservation for work in progress, so all of those are released eventually. Frames in a cache are
//! [kept](Reserved::keep) indefinitely; caches [evict](Evict) them when a decode needs the room. A kept frame
//! that is still in use then (the one being drawn) is waited for, but never by the thread that keeps it. There is
//! therefore no deadlock as long as a single thread keeps frames: the viewer's.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::error::{ErrorKind, MediaError};

/// Size of the budget unless the user sets another, in bytes.
pub const DEFAULT_BYTES: u64 = 1 << 30;

/// Each reservation is charged a quarter more than requested, for the decoders' own rows and tables, allocator
/// overhead, and the rest of the program.
const MARGIN_DIVISOR: u64 = 4;

/// How often a waiting thread checks whether it has been cancelled.
const CANCEL_POLL_INTERVAL: Duration = Duration::from_millis(50);

static DECODING: Budget = Budget::new(DEFAULT_BYTES);

/// The budget of this process.
pub fn decoding() -> &'static Budget {
    &DECODING
}

/// A cache of decoded frames that can be emptied to free memory.
pub trait Evict: Send + Sync {
    /// Drops the kept frames. Called by a thread that waits for memory, with no lock of the budget held.
    fn evict(&self);
}

/// How a decode waits for its memory.
#[derive(Clone, Copy)]
pub struct WaitPolicy<'a> {
    /// Goes ahead of non-urgent requests: someone is waiting at the screen.
    pub urgent: bool,
    /// Returns true once the result is no longer wanted, which ends the wait.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Default for WaitPolicy<'_> {
    /// Waits for its turn, however long that takes.
    fn default() -> Self {
        Self {
            urgent: false,
            cancelled: &|| false,
        }
    }
}

/// A number of bytes shared by all decoding threads.
pub struct Budget {
    state: Mutex<BudgetState>,
    changed: Condvar,
}

/// The state behind the lock of a [`Budget`].
struct BudgetState {
    total: u64,
    /// Bytes charged for work in progress.
    active: u64,
    /// Bytes charged for kept frames.
    kept: u64,
    /// The thread that keeps frames.
    keeper: Option<ThreadId>,
    /// Waiting requests, the next one first.
    queue: VecDeque<WaitingRequest>,
    next_ticket: u64,
    caches: Vec<Weak<dyn Evict>>,
}

/// A request in the queue.
struct WaitingRequest {
    ticket: u64,
    urgent: bool,
}

impl Budget {
    /// Creates a budget of `total` bytes.
    pub const fn new(total: u64) -> Self {
        Self {
            state: Mutex::new(BudgetState {
                total,
                active: 0,
                kept: 0,
                keeper: None,
                queue: VecDeque::new(),
                next_ticket: 0,
                caches: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Sets the size of the budget in bytes. Existing reservations stay.
    pub fn set_total(&self, bytes: u64) {
        self.lock().total = bytes;
        self.changed.notify_all();
    }

    /// Size of the budget in bytes.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Whether a request for `bytes` can ever be met.
    pub(crate) fn can_hold(&self, bytes: u64) -> bool {
        charged(bytes) <= self.total()
    }

    /// Registers a cache to be emptied when a decode waits for memory.
    pub fn register(&self, cache: Weak<dyn Evict>) {
        self.lock().caches.push(cache);
    }

    /// Reserves `bytes`; blocks until they are free and it is the caller's turn.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if the budget is smaller than that; [`ErrorKind::Internal`] if the wait is cancelled.
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
                self.lock().dequeue(ticket);
                self.changed.notify_all();
                return Err(MediaError::new(ErrorKind::Internal, "no longer wanted"));
            }
            if is_next {
                self.evict_caches();
            }
            state = self.lock();
            if state.admits(ticket, charge, is_next) {
                break;
            }
            let waited = self.changed.wait_timeout(state, CANCEL_POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.dequeue(ticket);
        state.active += charge;
        drop(state);
        // The next request may fit as well.
        self.changed.notify_all();
        Ok(Reservation {
            budget: self,
            charge,
            is_kept: false,
        })
    }

    fn evict_caches(&self) {
        let mut caches = Vec::new();
        self.lock().caches.retain(|cache| {
            let cache = cache.upgrade();
            let is_alive = cache.is_some();
            caches.extend(cache);
            is_alive
        });
        for cache in caches {
            cache.evict();
        }
    }

    fn update(&self, change: impl FnOnce(&mut BudgetState)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        // A panic elsewhere cannot leave the counters inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    /// Whether it is the turn of `ticket` and `charge` bytes are free. The thread that keeps frames is also admitted
    /// if, after its cache was emptied, only frames it is using itself stand in its way.
    fn admits(&self, ticket: u64, charge: u64, is_evicted: bool) -> bool {
        let free = self.total.saturating_sub(self.active + self.kept);
        let only_own_frames = is_evicted && self.is_keeper() && self.active == 0;
        self.is_next(ticket) && (charge <= free || only_own_frames)
    }

    /// Whether the current thread is the one that keeps frames.
    fn is_keeper(&self) -> bool {
        self.keeper == Some(thread::current().id())
    }

    fn enqueue(&mut self, urgent: bool) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let ahead = self.queue.iter().take_while(|other| other.urgent).count();
        // Others may be waiting for a frame that the keeper is drawing, so it never queues behind them.
        let at = match (self.is_keeper(), urgent) {
            (true, _) => 0,
            (_, true) => ahead,
            _ => self.queue.len(),
        };
        self.queue.insert(at, WaitingRequest { ticket, urgent });
        ticket
    }

    fn is_next(&self, ticket: u64) -> bool {
        self.queue.front().is_some_and(|next| next.ticket == ticket)
    }

    fn counter(&mut self, is_kept: bool) -> &mut u64 {
        if is_kept {
            &mut self.kept
        } else {
            &mut self.active
        }
    }

    fn dequeue(&mut self, ticket: u64) {
        self.queue.retain(|waiting| waiting.ticket != ticket);
    }
}

/// The charge for `bytes`, with the margin.
fn charged(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / MARGIN_DIVISOR)
}

fn too_large(bytes: u64, total: u64) -> MediaError {
    const MEGABYTE: u64 = 1 << 20;
    MediaError::new(
        ErrorKind::TooLarge,
        format!(
            "needs {} MiB of memory, but the limit is {} MiB; raise it with --memory",
            charged(bytes).div_ceil(MEGABYTE),
            total / MEGABYTE
        ),
    )
}

/// A share of the budget, released when dropped.
pub struct Reservation {
    budget: &'static Budget,
    charge: u64,
    is_kept: bool,
}

impl Reservation {
    /// Releases all but `bytes`.
    fn shrink(&mut self, bytes: u64) {
        let charge = charged(bytes).min(self.charge);
        let released = self.charge - charge;
        self.charge = charge;
        self.budget
            .update(|state| *state.counter(self.is_kept) -= released);
    }

    /// Moves the charge from active work to kept frames.
    fn keep(&mut self) {
        self.budget.update(|state| {
            *state.counter(self.is_kept) -= self.charge;
            state.kept += self.charge;
            state.keeper = Some(thread::current().id());
        });
        self.is_kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget
            .update(|state| *state.counter(self.is_kept) -= self.charge);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({})", self.charge)
    }
}

/// A decoded value whose memory stays reserved until it is dropped.
#[derive(Debug)]
pub struct Reserved<T> {
    value: T,
    reservation: Reservation,
}

impl<T> Reserved<T> {
    pub(crate) fn new(value: T, reservation: Reservation) -> Self {
        Self { value, reservation }
    }

    /// Releases all of the reservation but `bytes`.
    #[must_use]
    pub(crate) fn shrunk(mut self, bytes: u64) -> Self {
        self.reservation.shrink(bytes);
        self
    }

    /// Marks the value as kept by a cache, which takes `bytes` until [`Evict`] drops it.
    #[must_use]
    pub fn keep(mut self, bytes: u64) -> Self {
        self.reservation.shrink(bytes);
        self.reservation.keep();
        self
    }

    /// Returns the value and releases its reservation: for a caller that drops the value before it decodes anything
    /// else.
    pub fn into_inner(self) -> T {
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
mod tests;
