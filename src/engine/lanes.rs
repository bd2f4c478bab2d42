//! A bounded queue with two lanes, one of which has priority.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The priority of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A user is waiting, as for the file under the cursor; served first.
    Interactive,
    /// Everything else.
    Bulk,
}

/// The error that the queue is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct Closed;

struct LanesState<T> {
    interactive: VecDeque<T>,
    bulk: VecDeque<T>,
    is_closed: bool,
    /// Whether the next waiting consumer is to return without items.
    is_woken: bool,
    /// Whether consumers must leave the bulk lane alone.
    is_bulk_paused: bool,
    /// Bulk items that are announced and not resolved, see [`Lanes::expect_bulk`].
    expected_bulk: usize,
    /// Maximum number of items per lane.
    capacity: usize,
}

impl<T> LanesState<T> {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<T> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }

    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }

    /// Whether there are bulk items that may be taken.
    fn has_bulk(&self) -> bool {
        !self.is_bulk_paused && !self.bulk.is_empty()
    }

    /// Whether there are items to take, and there is no point in waiting until bulk fills a batch of `limit`.
    fn is_ready(&self, limit: usize) -> bool {
        let is_full = self.bulk.len() >= limit;
        let is_worth_taking = self.is_closed || self.expected_bulk == 0 || is_full;
        !self.interactive.is_empty() || (self.has_bulk() && is_worth_taking)
    }
}

/// A blocking queue of two bounded first-in-first-out lanes; consumers empty the interactive one first.
pub(super) struct Lanes<T> {
    state: Mutex<LanesState<T>>,
    /// Notified when consumers may have something to do.
    filled: Condvar,
    /// Notified when producers may have room.
    drained: Condvar,
}

impl<T> Lanes<T> {
    /// An empty queue with room for `capacity` items per lane.
    pub(super) fn new(capacity: usize) -> Self {
        let state = LanesState {
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            is_closed: false,
            is_woken: false,
            is_bulk_paused: false,
            expected_bulk: 0,
            capacity,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// Ignores poisoning: items are only pushed and popped whole, so a panic leaves the lanes consistent.
    fn state(&self) -> MutexGuard<'_, LanesState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of items in a lane.
    #[cfg(test)]
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.state().lane(lane).len()
    }

    /// Adds an item, and waits for room if the lane is full. Fails once the queue is closed.
    pub(super) fn push(&self, lane: Lane, item: T) -> Result<(), Closed> {
        let mut state = self.state();
        while !state.is_closed && state.lane(lane).len() >= state.capacity {
            state = self
                .drained
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return Err(Closed);
        }
        state.lane(lane).push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for one item; `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        self.pop_batch(1, Duration::ZERO)?.pop()
    }

    /// Waits for items and takes up to `limit` of them, all from one lane, so that an interactive item is never computed
    /// together with bulk. While more bulk is expected, waits up to `gather_time` for bulk to fill the batch. `None` once the
    /// queue is closed and empty; no items after [`Self::wake`].
    pub(super) fn pop_batch(&self, limit: usize, gather_time: Duration) -> Option<Vec<T>> {
        let mut state = self.state();
        let limit = limit.clamp(1, state.capacity);
        let mut waiting_since = None;
        while !(state.is_woken || state.is_ready(limit) || state.is_closed && state.is_empty()) {
            state = if state.has_bulk() {
                let since: Instant = *waiting_since.get_or_insert_with(Instant::now);
                let left = gather_time.saturating_sub(since.elapsed());
                if left.is_zero() {
                    break;
                }
                let waited = self.filled.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let waited = self.filled.wait(state);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
        }
        state.is_woken = false;
        if state.is_closed && state.is_empty() {
            return None;
        }
        Some(self.take_batch(state, limit))
    }

    /// Takes up to `limit` items without waiting. Takes no bulk of less than half a batch while more is expected.
    pub(super) fn poll_batch(&self, limit: usize) -> Vec<T> {
        let state = self.state();
        let limit = limit.clamp(1, state.capacity);
        if state.is_ready(limit.div_ceil(2)) {
            self.take_batch(state, limit)
        } else {
            Vec::new()
        }
    }

    fn take_batch(&self, mut state: MutexGuard<'_, LanesState<T>>, limit: usize) -> Vec<T> {
        let queue = if !state.interactive.is_empty() {
            &mut state.interactive
        } else if state.is_bulk_paused {
            return Vec::new();
        } else {
            &mut state.bulk
        };
        let count = queue.len().min(limit);
        let items = queue.drain(..count).collect();
        let has_more = !state.is_empty();
        drop(state);
        self.drained.notify_all();
        if has_more {
            self.filled.notify_one();
        }
        items
    }

    #[cfg(test)]
    pub(super) fn has_interactive(&self) -> bool {
        !self.state().interactive.is_empty()
    }

    /// Moves the items that match `predicate` from the bulk lane to the end of the interactive one, beyond its capacity if
    /// need be.
    pub(super) fn promote(&self, predicate: impl Fn(&T) -> bool) {
        let mut state = self.state();
        let (promoted, rest): (VecDeque<T>, VecDeque<T>) = std::mem::take(&mut state.bulk)
            .into_iter()
            .partition(predicate);
        state.bulk = rest;
        let has_moved = !promoted.is_empty();
        state.interactive.extend(promoted);
        drop(state);
        if has_moved {
            self.drained.notify_all();
            self.filled.notify_all();
        }
    }

    /// Announces that a bulk item will be pushed later.
    pub(super) fn expect_bulk(&self) {
        self.state().expected_bulk += 1;
    }

    /// Ends the announcement of one bulk item: it has been pushed, or will not come.
    pub(super) fn resolve_bulk(&self) {
        let mut state = self.state();
        state.expected_bulk = state.expected_bulk.saturating_sub(1);
        if state.expected_bulk == 0 {
            self.filled.notify_one();
        }
    }

    /// Raises the capacity of each lane to `capacity`; never lowers it.
    pub(super) fn raise_capacity(&self, capacity: usize) {
        let mut state = self.state();
        state.capacity = state.capacity.max(capacity);
        drop(state);
        self.drained.notify_all();
    }

    /// Keeps consumers from taking bulk until [`Self::resume_bulk`].
    pub(super) fn pause_bulk(&self) {
        self.state().is_bulk_paused = true;
    }

    /// Ends [`Self::pause_bulk`].
    pub(super) fn resume_bulk(&self) {
        self.state().is_bulk_paused = false;
        self.filled.notify_all();
    }

    /// Makes one consumer return from [`Self::pop_batch`], even if there are no items.
    pub(super) fn wake(&self) {
        self.state().is_woken = true;
        self.filled.notify_one();
    }

    /// Whether new items are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Refuses new items; those in the queue can still be taken.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }
}

#[cfg(test)]
#[path = "lanes/tests.rs"]
mod tests;
