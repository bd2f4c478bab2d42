//! The life of a file's classification, from the request to its result: one pure state machine, driven by the interface
//! and by every command that classifies. No I/O, no clock: time arrives with [`Jobs::tick`], and what the engine is to do
//! leaves as [`Command`]s.
//!
//! ```text
//!            request          commands          answered
//!  (unknown) ───────► Queued ──────────► Running ───────► Done, Failed
//!                       ▲                   │ may pass         │
//!                       │ tick              ▼                  │ touched
//!                       ├──────────────── Waiting              │
//!                       └──────────────────────────────────────┘
//! ```
//!
//! * Each request for another content of a file begins a **generation**. Only the newest generation of a file is wanted:
//!   answers under an older one are outdated and never reported.
//! * Each wanted generation ends once: answered, or gone with its file. Whoever asked meanwhile shares its end.
//! * Interactive files start before those in bulk, each lane in the order of the requests.
//! * A file that came while somebody watched, and fails as an unfinished one would, is tried again ([`retry`]).
//! * At most [`MAX_RUNNING`] files a lane are with the engine. A consumer that stalls therefore stops the producer.
//!
//! Every request enters the queue in [`Jobs::request`]: that is where a library can be asked whether the result is known.

mod attempts;
mod messages;
mod queue;
pub mod retry;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{Job, Lane};
use crate::library::{Failure, Outcome};
use crate::media::ErrorKind;
pub use messages::{Command, End, Ended, Reason};
use queue::{Claim, Queue, Running};
pub use tree::moved;

/// Files a lane that are with the engine at one time: more than it takes to fill its largest batches while others are
/// decoded; few enough that their results fit into memory when nobody reads them.
pub const MAX_RUNNING: usize = 1024;

/// The files that were asked about. `W` names who asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Jobs<W = ()> {
    files: BTreeMap<PathBuf, File<W>>,
    queue: Queue,
    running: Running<W>,
    /// Files that wait for their next attempt, by the time of it.
    due: BTreeSet<(Duration, PathBuf)>,
    /// Those that failed since the last tick.
    undated: BTreeSet<PathBuf>,
    commands: Vec<Command>,
    last_generation: u64,
    /// There is an engine to start files with.
    has_engine: bool,
    /// Nothing is tried again.
    is_draining: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct File<W> {
    /// The newest; of a finished file the one that was answered.
    generation: u64,
    lane: Lane,
    /// Whoever writes it may not be done.
    is_arriving: bool,
    /// Failed attempts of this generation.
    attempts: usize,
    phase: Phase,
    /// Who waits for the end of this generation.
    waiters: Vec<W>,
    /// Content of the last result that was reported.
    reported: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Queued,
    /// With the engine.
    Running,
    /// Failed, to be tried again; `due` is known from the first tick after the failure on.
    Waiting {
        outcomes: Vec<Outcome>,
        due: Option<Duration>,
    },
    Done,
    Failed(ErrorKind),
}

impl Phase {
    fn is_finished(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

impl<W> Default for Jobs<W> {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            queue: Queue::default(),
            running: Running::default(),
            due: BTreeSet::new(),
            undated: BTreeSet::new(),
            commands: Vec::new(),
            last_generation: 0,
            has_engine: true,
            is_draining: false,
        }
    }
}

impl<W> Jobs<W> {
    /// Asks for the result of a file; the generation that will bring it. A file that is on its way already is joined
    /// (and goes ahead, if asked for interactively), unless it [arrived](Reason::Arrived) anew: then its older
    /// generation is outdated, and those who wait for it wait for the new one.
    pub fn request(&mut self, path: &Path, lane: Lane, reason: Reason, waiter: W) -> u64 {
        let pending = self
            .files
            .get(path)
            .filter(|file| !file.phase.is_finished());
        let is_arriving = reason == Reason::Arrived;
        match pending {
            Some(file) if !is_arriving => {
                let generation = file.generation;
                if lane == Lane::Interactive {
                    self.promote(path);
                }
                self.hurry(path);
                if let Some(file) = self.files.get_mut(path) {
                    file.waiters.push(waiter);
                }
                generation
            }
            Some(file) => {
                let lane = if file.lane == Lane::Interactive {
                    Lane::Interactive
                } else {
                    lane
                };
                let generation = self.renew(path, lane);
                if let Some(file) = self.files.get_mut(path) {
                    file.is_arriving = true;
                    file.waiters.push(waiter);
                }
                generation
            }
            None => self.begin(path, lane, is_arriving, waiter),
        }
    }

    /// A first generation, or one after an earlier one ended.
    fn begin(&mut self, path: &Path, lane: Lane, is_arriving: bool, waiter: W) -> u64 {
        let generation = self.next_generation();
        let before = self.files.remove(path);
        let file = File {
            generation,
            lane,
            is_arriving,
            attempts: 0,
            phase: Phase::Queued,
            waiters: vec![waiter],
            reported: before.and_then(|file| file.reported),
        };
        self.queue.push(lane, generation, path.to_owned());
        self.files.insert(path.to_owned(), file);
        generation
    }

    /// Puts another generation of a file in the place of its pending one, whose waiters it keeps.
    fn renew(&mut self, path: &Path, lane: Lane) -> u64 {
        self.withdraw(path);
        let generation = self.next_generation();
        if let Some(file) = self.files.get_mut(path) {
            file.generation = generation;
            file.lane = lane;
            file.attempts = 0;
            file.phase = Phase::Queued;
            self.queue.push(lane, generation, path.to_owned());
        }
        generation
    }

    fn next_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Takes a pending file out of wherever it waits; the engine's work for it is called off.
    fn withdraw(&mut self, path: &Path) {
        let Some(file) = self.files.get(path) else {
            return;
        };
        match &file.phase {
            Phase::Queued => self.queue.remove(file.lane, file.generation),
            Phase::Running => {
                self.running.disown(file.generation);
                self.commands.push(Command::Cancel(file.generation));
            }
            Phase::Waiting { due: Some(due), .. } => {
                self.due.remove(&(*due, path.to_owned()));
            }
            Phase::Waiting { due: None, .. } => {
                self.undated.remove(path);
            }
            Phase::Done | Phase::Failed(_) => {}
        }
    }

    /// Moves a pending file to the interactive lane; true if it was still in bulk.
    pub fn promote(&mut self, path: &Path) -> bool {
        let Some(file) = self.files.get_mut(path) else {
            return false;
        };
        if file.phase.is_finished() || file.lane == Lane::Interactive {
            return false;
        }
        file.lane = Lane::Interactive;
        let generation = file.generation;
        match file.phase {
            Phase::Queued => {
                self.queue.remove(Lane::Bulk, generation);
                self.queue
                    .push(Lane::Interactive, generation, path.to_owned());
            }
            Phase::Running => {
                self.running.promote(generation);
                self.commands.push(Command::Promote(generation));
            }
            Phase::Waiting { .. } | Phase::Done | Phase::Failed(_) => {}
        }
        true
    }

    /// A file that waits for its next attempt need not wait longer.
    fn hurry(&mut self, path: &Path) {
        let waits = |file: &File<W>| matches!(file.phase, Phase::Waiting { .. });
        if self.files.get(path).is_some_and(waits) {
            self.withdraw(path);
            self.enqueue(path);
        }
    }

    /// Queues a file under the generation that it has.
    fn enqueue(&mut self, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            file.phase = Phase::Queued;
            self.queue.push(file.lane, file.generation, path.to_owned());
        }
    }

    /// Rights or times of a file changed and its content did not: one that might not be read is asked about again, for
    /// `waiter`. True if it was.
    pub fn touched(&mut self, path: &Path, waiter: W) -> bool {
        let refused = |file: &File<W>| file.phase == Phase::Failed(ErrorKind::Permission);
        let again = self.files.get(path).is_some_and(refused);
        if again {
            self.begin(path, Lane::Bulk, true, waiter);
        }
        again
    }

    /// Nobody wants anything of a file any more.
    pub fn forget(&mut self, path: &Path) {
        self.withdraw(path);
        self.files.remove(path);
    }

    /// The engine's outcomes for a file that was started. `None`: nothing to report, because they are outdated, or
    /// because the file will be tried again.
    pub fn answered(&mut self, generation: u64, outcomes: Vec<Outcome>) -> Option<Ended<W>> {
        match self.running.finish(generation)? {
            Claim::Disowned => None,
            Claim::Orphan { path, waiters } => {
                // It was read before it went: that is a result. That it is gone is none.
                let end = if outcomes.iter().all(Result::is_ok) {
                    End::Answered(outcomes)
                } else {
                    End::Gone
                };
                Some(Ended {
                    path,
                    generation,
                    waiters,
                    end,
                    is_there: false,
                    is_repeated: false,
                })
            }
            Claim::Wanted(path) => self.settle(path, outcomes),
        }
    }

    /// Takes in the outcomes of a file's wanted generation.
    fn settle(&mut self, path: PathBuf, outcomes: Vec<Outcome>) -> Option<Ended<W>> {
        let file = self.files.get_mut(&path)?;
        let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        if let Some(failure) = failure
            && file.is_arriving
            && !self.is_draining
            && retry::wait(failure, file.attempts).is_some()
        {
            file.attempts += 1;
            file.phase = Phase::Waiting {
                outcomes,
                due: None,
            };
            self.undated.insert(path);
            return None;
        }
        Some(file.end(path, outcomes))
    }

    /// The engine let a file go that was started. One that is still wanted is queued again.
    pub fn dropped(&mut self, generation: u64) -> Option<Ended<W>> {
        match self.running.finish(generation)? {
            Claim::Disowned => None,
            Claim::Orphan { path, waiters } => Some(Ended::gone(path, generation, waiters)),
            Claim::Wanted(path) => {
                self.enqueue(&path);
                None
            }
        }
    }

    /// The engine is gone, with all it had: what is wanted of that is queued again, under new generations. Nothing is
    /// started until [`Self::engine_found`]. Returns the files that went while they were being read.
    pub fn engine_lost(&mut self) -> Vec<Ended<W>> {
        self.has_engine = false;
        let mut ended = Vec::new();
        for (generation, claim) in self.running.take() {
            match claim {
                Claim::Disowned => {}
                Claim::Orphan { path, waiters } => {
                    ended.push(Ended::gone(path, generation, waiters));
                }
                Claim::Wanted(path) => {
                    let generation = self.next_generation();
                    if let Some(file) = self.files.get_mut(&path) {
                        file.generation = generation;
                        self.enqueue(&path);
                    }
                }
            }
        }
        // What was not told the lost engine concerns it alone.
        self.commands.clear();
        ended
    }

    /// There is an engine again.
    pub fn engine_found(&mut self) {
        self.has_engine = true;
    }

    /// What the engine is to do since the last call, files that can start among it.
    pub fn commands(&mut self) -> Vec<Command> {
        while self.has_engine
            && let Some((lane, generation, path)) =
                self.queue.next(|lane| self.running.has_room(lane))
        {
            if let Some(file) = self.files.get_mut(&path) {
                file.phase = Phase::Running;
            }
            self.running.start(generation, lane, path.clone());
            self.commands.push(Command::Start(Job {
                path,
                lane,
                generation,
            }));
        }
        std::mem::take(&mut self.commands)
    }

    /// Files that wait to be started. While there are some, more requests only fill memory.
    pub fn queued_count(&self) -> usize {
        self.queue.len()
    }

    /// Every generation that was wanted has ended.
    pub fn is_idle(&self) -> bool {
        self.queue.len() == 0
            && self.due.is_empty()
            && self.undated.is_empty()
            && !self.running.has_wanted()
    }
}

impl<W> File<W> {
    /// Ends the file's wanted generation.
    fn end(&mut self, path: PathBuf, outcomes: Vec<Outcome>) -> Ended<W> {
        let failure: Option<&Failure> = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        self.phase = failure.map_or(Phase::Done, |failure| Phase::Failed(failure.kind));
        self.is_arriving = false;
        let record = outcomes.iter().flatten().next();
        let content = record.map(|record| record.content.clone());
        let is_repeated = content.is_some() && content == self.reported;
        self.reported = content;
        Ended {
            path,
            generation: self.generation,
            waiters: std::mem::take(&mut self.waiters),
            end: End::Answered(outcomes),
            is_there: true,
            is_repeated,
        }
    }
}

#[cfg(test)]
mod tests;
