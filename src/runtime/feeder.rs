//! Hands files to the engine, whose bounded lanes may hold the producer: one thread a lane, so that a full bulk lane
//! does not hold the file under the cursor.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::engine::{Job, Lane, Submitter};

#[derive(Default)]
struct State {
    interactive: VecDeque<(u64, Job)>,
    bulk: VecDeque<(u64, Job)>,
    /// The newest request for each waiting file; an older one still in a queue is passed over.
    newest: HashMap<PathBuf, u64>,
    tickets: u64,
    closed: bool,
}

impl State {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<(u64, Job)> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// The next file of a lane that was not asked for again since.
    fn next(&mut self, lane: Lane) -> Option<Job> {
        while let Some((ticket, job)) = self.lane(lane).pop_front() {
            if self.newest.get(&job.path) == Some(&ticket) {
                self.newest.remove(&job.path);
                return Some(job);
            }
        }
        None
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// The lock; a panic elsewhere leaves the queues whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, lane: Lane) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.next(lane) {
                return Some(job);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Takes any number of files without blocking. Dropping it forgets those that wait.
pub(super) struct Feeder {
    queue: Arc<Queue>,
}

impl Feeder {
    pub(super) fn start(engine: &Submitter) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for (name, lane) in [
            ("feed-bulk", Lane::Bulk),
            ("feed-interactive", Lane::Interactive),
        ] {
            let (queue, engine) = (Arc::clone(&queue), engine.clone());
            thread::Builder::new().name(name.into()).spawn(move || {
                while let Some(job) = queue.take(lane) {
                    // Closed: the engine failed or is stopping, and has said so.
                    if engine.submit(job).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok(Self { queue })
    }

    /// Queues files behind those of their lane; each replaces its own earlier request.
    pub(super) fn give(&self, paths: Vec<PathBuf>, lane: Lane, generation: u64) {
        let mut state = self.queue.state();
        for path in paths {
            state.tickets += 1;
            let ticket = state.tickets;
            state.newest.insert(path.clone(), ticket);
            state.lane(lane).push_back((
                ticket,
                Job {
                    path,
                    lane,
                    generation,
                },
            ));
        }
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.queue.state().closed = true;
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(state: &mut State, path: &str, lane: Lane) {
        state.tickets += 1;
        let (ticket, path) = (state.tickets, PathBuf::from(path));
        state.newest.insert(path.clone(), ticket);
        state.lane(lane).push_back((
            ticket,
            Job {
                path,
                lane,
                generation: ticket,
            },
        ));
    }

    #[test]
    fn a_file_asked_for_again_is_classified_once_and_ahead() {
        let mut state = State::default();
        push(&mut state, "a", Lane::Bulk);
        push(&mut state, "b", Lane::Bulk);
        push(&mut state, "a", Lane::Interactive);
        let mut taken = Vec::new();
        for lane in [Lane::Interactive, Lane::Bulk] {
            while let Some(job) = state.next(lane) {
                taken.push((job.path.display().to_string(), job.generation));
            }
        }
        assert_eq!(taken, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert!(state.newest.is_empty());
    }
}
