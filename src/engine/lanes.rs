//! A bounded queue with a fast lane.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    stirred: bool,
}

impl<T> State<T> {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<T> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

/// Two bounded first-in-first-out lanes; takers empty the interactive one first.
pub(super) struct Lanes<T> {
    state: Mutex<State<T>>,
    capacity: usize,
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
            stirred: false,
        };
        Self {
            state: Mutex::new(state),
            capacity,
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
        while !state.closed && state.lane(lane).len() >= self.capacity {
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
        self.pop_batch(1)?.pop()
    }

    /// Waits for at least one item, then takes what is there, at most `limit`, from one lane only: an interactive
    /// item never waits for a batch's bulk. `None` once the queue is closed and drained; nothing when it was stirred.
    pub(super) fn pop_batch(&self, limit: usize) -> Option<Vec<T>> {
        let mut state = self.state();
        let empty = |state: &State<T>| state.interactive.is_empty() && state.bulk.is_empty();
        while !state.closed && !state.stirred && empty(&state) {
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.stirred = false;
        if state.closed && empty(&state) {
            return None;
        }
        let lane = if state.interactive.is_empty() {
            Lane::Bulk
        } else {
            Lane::Interactive
        };
        let queue = state.lane(lane);
        let count = queue.len().min(limit.max(1));
        let items = queue.drain(..count).collect();
        let more = !empty(&state);
        drop(state);
        self.drained.notify_all();
        if more {
            self.filled.notify_one();
        }
        Some(items)
    }

    /// Wakes one taker, whether there is something to take or not.
    pub(super) fn stir(&self) {
        self.state().stirred = true;
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
        assert_eq!(lanes.pop_batch(8).unwrap(), [9]);
        assert_eq!(lanes.pop_batch(2).unwrap(), [0, 1]);
        assert_eq!(lanes.pop_batch(8).unwrap(), [2]);
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
    fn a_stir_wakes_the_taker_once_and_closing_ends_it() {
        let lanes = Lanes::<u8>::new(1);
        lanes.stir();
        assert_eq!(lanes.pop_batch(8), Some(Vec::new()));
        lanes.stir();
        lanes.push(Lane::Bulk, 1).unwrap();
        assert_eq!(lanes.pop_batch(8), Some(vec![1]));
        lanes.close();
        assert_eq!(lanes.pop_batch(8), None);
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
            while let Some(batch) = lanes.pop_batch(limit) {
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
