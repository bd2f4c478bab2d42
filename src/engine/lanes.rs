//! A bounded queue with a fast lane.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The file under the cursor.
    Interactive,
    /// Everything else.
    Bulk,
}

/// The queue takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct Closed;

struct State<T> {
    interactive: VecDeque<T>,
    bulk: VecDeque<T>,
    closed: bool,
    /// Whoever waits for items has something else to do.
    woken: bool,
    /// Nothing is taken from the bulk lane.
    held: bool,
    /// Bulk items that are expected.
    due: usize,
    /// Items that each lane holds.
    capacity: usize,
}

impl<T> State<T> {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<T> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }

    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }

    /// There is bulk that may be taken.
    fn has_bulk(&self) -> bool {
        !self.held && !self.bulk.is_empty()
    }

    /// There is something to take, and no reason to wait until there is more.
    fn is_ready(&self, limit: usize) -> bool {
        let no_more = self.closed || self.due == 0 || self.bulk.len() >= limit;
        !self.interactive.is_empty() || (self.has_bulk() && no_more)
    }
}

/// Two bounded first-in-first-out lanes; takers empty the interactive one first.
pub(super) struct Lanes<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    drained: Condvar,
}

impl<T> Lanes<T> {
    /// Each lane holds `capacity` items.
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            closed: false,
            woken: false,
            held: false,
            due: 0,
            capacity,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// A panic elsewhere leaves the queues whole: they are only pushed to and popped from.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room; fails once the queue is closed.
    pub(super) fn push(&self, lane: Lane, item: T) -> Result<(), Closed> {
        let mut state = self.state();
        while !state.closed && state.lane(lane).len() >= state.capacity {
            state = self
                .drained
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.lane(lane).push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for an item; `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        self.pop_batch(1, Duration::ZERO)?.pop()
    }

    /// Waits for at least one item, then takes what is there, at most `limit`, from one lane only: an interactive
    /// item never waits for a batch's bulk. While more is expected, bulk that does not fill the batch waits for it, at most
    /// `patience`. `None` once the queue is closed and drained; nothing when it was woken.
    pub(super) fn pop_batch(&self, limit: usize, patience: Duration) -> Option<Vec<T>> {
        let mut state = self.state();
        let limit = limit.clamp(1, state.capacity);
        let mut waiting_since = None;
        while !(state.woken || state.is_ready(limit) || state.closed && state.is_empty()) {
            state = if state.has_bulk() {
                let since: Instant = *waiting_since.get_or_insert_with(Instant::now);
                let left = patience.saturating_sub(since.elapsed());
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
        state.woken = false;
        if state.closed && state.is_empty() {
            return None;
        }
        Some(self.take(state, limit))
    }

    /// As [`Self::pop_batch`], but without waiting: nothing, where that would wait for half a batch.
    pub(super) fn poll_batch(&self, limit: usize) -> Vec<T> {
        let state = self.state();
        let limit = limit.clamp(1, state.capacity);
        if state.is_ready(limit.div_ceil(2)) {
            self.take(state, limit)
        } else {
            Vec::new()
        }
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>, limit: usize) -> Vec<T> {
        let queue = if !state.interactive.is_empty() {
            &mut state.interactive
        } else if state.held {
            return Vec::new();
        } else {
            &mut state.bulk
        };
        let count = queue.len().min(limit);
        let items = queue.drain(..count).collect();
        let more = !state.is_empty();
        drop(state);
        self.drained.notify_all();
        if more {
            self.filled.notify_one();
        }
        items
    }

    #[cfg(test)]
    pub(super) fn has_interactive(&self) -> bool {
        !self.state().interactive.is_empty()
    }

    /// Moves items from the bulk lane to the end of the other, which may hold more than its capacity by that.
    pub(super) fn promote(&self, is_meant: impl Fn(&T) -> bool) {
        let mut state = self.state();
        let (meant, rest): (VecDeque<T>, VecDeque<T>) = std::mem::take(&mut state.bulk)
            .into_iter()
            .partition(is_meant);
        state.bulk = rest;
        let has_moved = !meant.is_empty();
        state.interactive.extend(meant);
        drop(state);
        if has_moved {
            self.drained.notify_all();
            self.filled.notify_all();
        }
    }

    /// Says that a bulk item will be pushed some time.
    pub(super) fn expect_bulk(&self) {
        self.state().due += 1;
    }

    /// Ends the expectation of a bulk item: it is pushed, or will not come.
    pub(super) fn resolve_bulk(&self) {
        let mut state = self.state();
        state.due = state.due.saturating_sub(1);
        if state.due == 0 {
            self.filled.notify_one();
        }
    }

    /// From now on each lane holds so many, if that is more than before.
    pub(super) fn widen(&self, capacity: usize) {
        let mut state = self.state();
        state.capacity = state.capacity.max(capacity);
        drop(state);
        self.drained.notify_all();
    }

    /// Keeps the bulk lane as it is, for takers, until told otherwise.
    pub(super) fn pause_bulk(&self, held: bool) {
        self.state().held = held;
        if !held {
            self.filled.notify_all();
        }
    }

    /// Wakes one taker, whether there is something to take or not.
    pub(super) fn wake(&self) {
        self.state().woken = true;
        self.filled.notify_one();
    }

    /// Refuses new items; those inside can still be taken.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn interactive_goes_first_and_never_in_one_batch_with_bulk() {
        let lanes = Lanes::new(8);
        for n in 0..3 {
            lanes.push(Lane::Bulk, n).unwrap();
        }
        lanes.push(Lane::Interactive, 9).unwrap();
        assert_eq!(lanes.pop_batch(8, Duration::ZERO).unwrap(), [9]);
        assert_eq!(lanes.pop_batch(2, Duration::ZERO).unwrap(), [0, 1]);
        assert_eq!(lanes.poll_batch(8), [2]);
        assert!(lanes.poll_batch(8).is_empty(), "without waiting");
    }

    #[test]
    fn what_is_promoted_leaves_the_bulk_and_makes_room_there() {
        let lanes = Lanes::new(2);
        lanes.push(Lane::Bulk, 1).unwrap();
        lanes.push(Lane::Bulk, 2).unwrap();
        lanes.promote(|n| *n == 2);
        lanes.push(Lane::Bulk, 3).unwrap();
        assert_eq!(
            [lanes.pop(), lanes.pop(), lanes.pop()],
            [Some(2), Some(1), Some(3)]
        );
    }

    #[test]
    fn closing_refuses_more_but_keeps_what_is_inside() {
        let lanes = Lanes::new(8);
        lanes.push(Lane::Bulk, 1).unwrap();
        lanes.close();
        assert_eq!(lanes.push(Lane::Bulk, 2), Err(Closed));
        assert_eq!(lanes.pop(), Some(1));
        assert_eq!(lanes.pop(), None);
    }

    #[test]
    fn a_full_lane_holds_its_producer_but_not_the_other_lane() {
        let lanes = Arc::new(Lanes::new(1));
        lanes.push(Lane::Bulk, 1).unwrap();
        let producer = {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.push(Lane::Bulk, 2))
        };
        lanes.push(Lane::Interactive, 3).unwrap();
        assert_eq!(lanes.pop(), Some(3));
        assert_eq!(lanes.pop(), Some(1));
        assert_eq!(lanes.pop(), Some(2), "comes once there is room");
        assert_eq!(producer.join().unwrap(), Ok(()));
    }

    #[test]
    fn waking_wakes_the_taker_once_and_closing_ends_it() {
        let lanes = Lanes::<u8>::new(1);
        lanes.wake();
        assert_eq!(lanes.pop_batch(8, Duration::ZERO), Some(Vec::new()));
        lanes.wake();
        lanes.push(Lane::Bulk, 1).unwrap();
        assert_eq!(lanes.pop_batch(8, Duration::ZERO), Some(vec![1]));
        lanes.close();
        assert_eq!(lanes.pop_batch(8, Duration::ZERO), None);
    }

    #[test]
    fn bulk_waits_for_what_is_expected_but_no_longer_than_it_must() {
        let long = Duration::from_secs(3600);
        let lanes = Arc::new(Lanes::new(8));
        let taker = |limit, patience| {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.pop_batch(limit, patience))
        };
        for _ in 0..4 {
            lanes.expect_bulk();
        }
        lanes.push(Lane::Bulk, 1).unwrap();
        assert_eq!(
            lanes.pop_batch(2, Duration::ZERO),
            Some(vec![1]),
            "no patience"
        );
        lanes.push(Lane::Bulk, 2).unwrap();
        let full = taker(2, long);
        lanes.push(Lane::Bulk, 3).unwrap();
        assert_eq!(full.join().unwrap(), Some(vec![2, 3]));
        lanes.push(Lane::Bulk, 4).unwrap();
        let last = taker(2, long);
        for _ in 0..4 {
            lanes.resolve_bulk();
        }
        assert_eq!(last.join().unwrap(), Some(vec![4]), "nothing more is due");
        lanes.expect_bulk();
        lanes.push(Lane::Bulk, 5).unwrap();
        lanes.push(Lane::Interactive, 6).unwrap();
        assert_eq!(lanes.pop_batch(2, long), Some(vec![6]));
        lanes.close();
        assert_eq!(lanes.pop_batch(2, long), Some(vec![5]));
    }

    #[test]
    fn held_bulk_stays_while_the_other_lane_goes_on() {
        let lanes = Arc::new(Lanes::new(8));
        lanes.pause_bulk(true);
        lanes.push(Lane::Bulk, 1).unwrap();
        lanes.push(Lane::Interactive, 2).unwrap();
        assert_eq!(lanes.pop(), Some(2));
        let taker = {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.pop())
        };
        lanes.close();
        lanes.pause_bulk(false);
        assert_eq!(
            taker.join().unwrap(),
            Some(1),
            "closing loses nothing that is held"
        );
        assert_eq!(lanes.pop(), None);
    }

    #[test]
    fn closing_frees_a_waiting_producer() {
        let lanes = Arc::new(Lanes::new(1));
        lanes.push(Lane::Bulk, 1).unwrap();
        let producer = {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.push(Lane::Bulk, 2))
        };
        lanes.close();
        assert_eq!(producer.join().unwrap(), Err(Closed));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_and_each_lane_keeps_its_order(
            items in prop::collection::vec(any::<bool>(), 0..200),
            capacity in 1_usize..9,
            limit in 1_usize..9,
        ) {
            let lanes = Arc::new(Lanes::new(capacity));
            let producer = {
                let (lanes, items) = (Arc::clone(&lanes), items.clone());
                thread::spawn(move || {
                    for (n, fast) in items.into_iter().enumerate() {
                        let lane = if fast { Lane::Interactive } else { Lane::Bulk };
                        lanes.push(lane, (fast, n)).unwrap();
                    }
                    lanes.close();
                })
            };
            let mut taken = Vec::new();
            while let Some(batch) = lanes.pop_batch(limit, Duration::ZERO) {
                prop_assert!(!batch.is_empty());
                prop_assert!(batch.len() <= limit);
                prop_assert!(batch.windows(2).all(|w| w[0].0 == w[1].0), "one lane a batch");
                taken.extend(batch);
            }
            producer.join().unwrap();
            for fast in [true, false] {
                let got: Vec<_> = taken.iter().filter(|t| t.0 == fast).map(|t| t.1).collect();
                let sent: Vec<_> = items.iter().enumerate().filter(|(_, f)| **f == fast).map(|(n, _)| n).collect();
                prop_assert_eq!(got, sent);
            }
        }
    }
}
