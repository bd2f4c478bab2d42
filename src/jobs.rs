//! The life of a file's classification, from the request to its result: one pure state machine, driven by the interface
//! and by every command that classifies. It has no I/O and no clock: time is passed to [`Jobs::tick`], and the engine is
//! driven by [`JobCommand`]s.
//!
//! ```text
//!            request          commands          answered
//!  (unknown) ───────► Queued ──────────► Running ───────► Done, Failed
//!                       ▲                   │ may succeed      │
//!                       │ tick              ▼ later            │ touched
//!                       ├──────────────── Waiting              │
//!                       └──────────────────────────────────────┘
//! ```
//!
//! * Each request for a new content of a file begins a **generation**. Only the newest generation of a file is wanted:
//!   answers to an older one are outdated and never reported.
//! * Each wanted generation ends exactly once: it is answered, or gone with its file. All who requested it meanwhile get
//!   this end.
//! * Interactive files start before those in bulk; each lane keeps the order of the requests.
//! * A file that arrived under a watch, and fails as an incomplete one would, is tried again ([`retry`]).
//! * At most [`MAX_RUNNING`] files per lane are with the engine, so that a consumer that stalls stops the producer.
//!
//! Every request enters the queue in [`Jobs::request`], which is the place to look up results that are already known.

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
pub use messages::{End, Ended, JobCommand, Reason};
use queue::{JobQueue, ResultClaim, Running};

/// Maximum number of files per lane that are with the engine: enough to fill its largest batches while others are decoded,
/// and few enough that their results fit into memory when nobody reads them.
pub const MAX_RUNNING: usize = 1024;

/// The files requested so far. `W` identifies who waits for a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Jobs<W = ()> {
    files: BTreeMap<PathBuf, FileJob<W>>,
    queue: JobQueue,
    running: Running<W>,
    /// Files that wait for their next attempt, by its time.
    due: BTreeSet<(Duration, PathBuf)>,
    /// Files that failed since the last tick, whose next attempt has no time yet.
    undated: BTreeSet<PathBuf>,
    commands: Vec<JobCommand>,
    last_generation: u64,
    /// Whether there is an engine to start files with.
    has_engine: bool,
    /// Whether failed files are no longer tried again.
    is_draining: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct FileJob<W> {
    /// The newest generation; of a finished file the one that was answered.
    generation: u64,
    lane: Lane,
    /// Whether its writer may not be done.
    is_arriving: bool,
    /// Failed attempts of this generation.
    attempts: usize,
    phase: JobPhase,
    /// Those who wait for the end of this generation.
    waiters: Vec<W>,
    /// Content hash of the result reported last.
    reported: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum JobPhase {
    Queued,
    /// With the engine.
    Running,
    /// Failed, to be tried again; `due` is set by the first tick after the failure.
    Waiting {
        outcomes: Vec<Outcome>,
        due: Option<Duration>,
    },
    Done,
    Failed(ErrorKind),
}

impl JobPhase {
    fn is_finished(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

impl<W> Default for Jobs<W> {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            queue: JobQueue::default(),
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
    /// Requests the result of a file, and returns the generation that will bring it. A request for a file that is pending
    /// joins its generation (and promotes it, if interactive), unless the file has [arrived](Reason::Arrived) again: then
    /// the older generation is outdated, and those who wait for it wait for the new one.
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
                self.retry_now(path);
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

    /// Begins a generation of a file that is unknown or finished.
    fn begin(&mut self, path: &Path, lane: Lane, is_arriving: bool, waiter: W) -> u64 {
        let generation = self.next_generation();
        let before = self.files.remove(path);
        let file = FileJob {
            generation,
            lane,
            is_arriving,
            attempts: 0,
            phase: JobPhase::Queued,
            waiters: vec![waiter],
            reported: before.and_then(|file| file.reported),
        };
        self.queue.push(lane, generation, path.to_owned());
        self.files.insert(path.to_owned(), file);
        generation
    }

    /// Replaces the pending generation of a file by a new one, which keeps the waiters.
    fn renew(&mut self, path: &Path, lane: Lane) -> u64 {
        self.withdraw(path);
        let generation = self.next_generation();
        if let Some(file) = self.files.get_mut(path) {
            file.generation = generation;
            file.lane = lane;
            file.attempts = 0;
            file.phase = JobPhase::Queued;
            self.queue.push(lane, generation, path.to_owned());
        }
        generation
    }

    fn next_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Takes a pending file out of the queue or the waiting files, or cancels the engine's work on it.
    fn withdraw(&mut self, path: &Path) {
        let Some(file) = self.files.get(path) else {
            return;
        };
        match &file.phase {
            JobPhase::Queued => self.queue.remove(file.lane, file.generation),
            JobPhase::Running => {
                self.running.disown(file.generation);
                self.commands.push(JobCommand::Cancel(file.generation));
            }
            JobPhase::Waiting { due: Some(due), .. } => {
                self.due.remove(&(*due, path.to_owned()));
            }
            JobPhase::Waiting { due: None, .. } => {
                self.undated.remove(path);
            }
            JobPhase::Done | JobPhase::Failed(_) => {}
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
            JobPhase::Queued => {
                self.queue.remove(Lane::Bulk, generation);
                self.queue
                    .push(Lane::Interactive, generation, path.to_owned());
            }
            JobPhase::Running => {
                self.running.promote(generation);
                self.commands.push(JobCommand::Promote(generation));
            }
            JobPhase::Waiting { .. } | JobPhase::Done | JobPhase::Failed(_) => {}
        }
        true
    }

    /// Queues a file that waits for its next attempt without further delay.
    fn retry_now(&mut self, path: &Path) {
        let waits = |file: &FileJob<W>| matches!(file.phase, JobPhase::Waiting { .. });
        if self.files.get(path).is_some_and(waits) {
            self.withdraw(path);
            self.enqueue(path);
        }
    }

    /// Queues a file under its current generation.
    fn enqueue(&mut self, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            file.phase = JobPhase::Queued;
            self.queue.push(file.lane, file.generation, path.to_owned());
        }
    }

    /// Permissions or times of a file changed, but not its content: a file that failed for lack of permission is requested
    /// again, for `waiter`. True if it was.
    pub fn touched(&mut self, path: &Path, waiter: W) -> bool {
        let refused = |file: &FileJob<W>| file.phase == JobPhase::Failed(ErrorKind::Permission);
        let again = self.files.get(path).is_some_and(refused);
        if again {
            self.begin(path, Lane::Bulk, true, waiter);
        }
        again
    }

    /// Requests the results of all files that have one again, because something that all of them depend on has changed. The new
    /// results are not repetitions, even of the same content.
    pub fn start_over(&mut self) {
        let done = |(path, file): (&PathBuf, &mut FileJob<W>)| {
            file.reported = None;
            (file.phase == JobPhase::Done).then(|| path.clone())
        };
        let done: Vec<PathBuf> = self.files.iter_mut().filter_map(done).collect();
        for path in done {
            self.renew(&path, Lane::Bulk);
        }
    }

    /// Drops a file whose result nobody wants any more.
    pub fn forget(&mut self, path: &Path) {
        self.withdraw(path);
        self.files.remove(path);
    }

    /// Applies the engine's outcomes for a started file. `None` if there is nothing to report, because they are outdated or
    /// because the file will be tried again.
    pub fn answered(&mut self, generation: u64, outcomes: Vec<Outcome>) -> Option<Ended<W>> {
        match self.running.finish(generation)? {
            ResultClaim::Disowned => None,
            ResultClaim::Orphan { path, waiters } => {
                // If the file was read before it was removed, the result counts; an error does not.
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
                    has_arrived: false,
                })
            }
            ResultClaim::Wanted(path) => self.apply_outcomes(path, outcomes),
        }
    }

    /// Applies the outcomes of a file's wanted generation.
    fn apply_outcomes(&mut self, path: PathBuf, outcomes: Vec<Outcome>) -> Option<Ended<W>> {
        let file = self.files.get_mut(&path)?;
        let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        if let Some(failure) = failure
            && file.is_arriving
            && !self.is_draining
            && retry::wait(failure, file.attempts).is_some()
        {
            file.attempts += 1;
            file.phase = JobPhase::Waiting {
                outcomes,
                due: None,
            };
            self.undated.insert(path);
            return None;
        }
        Some(file.end(path, outcomes))
    }

    /// The engine dropped a started file. It is queued again if it is still wanted.
    pub fn dropped(&mut self, generation: u64) -> Option<Ended<W>> {
        match self.running.finish(generation)? {
            ResultClaim::Disowned => None,
            ResultClaim::Orphan { path, waiters } => Some(Ended::gone(path, generation, waiters)),
            ResultClaim::Wanted(path) => {
                self.enqueue(&path);
                None
            }
        }
    }

    /// The engine is gone, with all files it had: those still wanted are queued again, under new generations. Nothing is
    /// started until [`Self::engine_found`]. Returns the ends of files that were removed while they were being read.
    pub fn engine_lost(&mut self) -> Vec<Ended<W>> {
        self.has_engine = false;
        let mut ended = Vec::new();
        for (generation, claim) in self.running.take_all() {
            match claim {
                ResultClaim::Disowned => {}
                ResultClaim::Orphan { path, waiters } => {
                    ended.push(Ended::gone(path, generation, waiters));
                }
                ResultClaim::Wanted(path) => {
                    let generation = self.next_generation();
                    if let Some(file) = self.files.get_mut(&path) {
                        file.generation = generation;
                        self.enqueue(&path);
                    }
                }
            }
        }
        // The remaining commands were for the lost engine only.
        self.commands.clear();
        ended
    }

    /// There is an engine again, so that files can be started.
    pub fn engine_found(&mut self) {
        self.has_engine = true;
    }

    /// Starts the files that can be started, and returns the commands for the engine since the last call.
    pub fn commands(&mut self) -> Vec<JobCommand> {
        while self.has_engine
            && let Some((lane, generation, path)) =
                self.queue.next(|lane| self.running.has_room(lane))
        {
            if let Some(file) = self.files.get_mut(&path) {
                file.phase = JobPhase::Running;
            }
            self.running.start(generation, lane, path.clone());
            self.commands.push(JobCommand::Start(Job {
                path,
                lane,
                generation,
            }));
        }
        std::mem::take(&mut self.commands)
    }

    /// Number of files that wait to be started. While there are some, more requests only fill memory.
    pub fn queued_count(&self) -> usize {
        self.queue.len()
    }

    /// Number of files that wait to be started, or are with the engine.
    pub fn pending_count(&self) -> usize {
        self.queue.len() + self.running.wanted_count()
    }

    /// Number of files that failed and wait for their next attempt.
    pub fn retrying_count(&self) -> usize {
        self.due.len() + self.undated.len()
    }

    /// The newest generation that was requested.
    pub fn newest_generation(&self) -> u64 {
        self.last_generation
    }

    /// The oldest wanted generation that has not ended.
    pub fn oldest_pending(&self) -> Option<u64> {
        let due = self.due.iter().map(|(_, path)| path);
        let waiting = due.chain(&self.undated);
        let waiting = waiting.filter_map(|path| self.files.get(path));
        let waiting = waiting.map(|file| file.generation);
        let queued = self.queue.oldest().into_iter();
        queued.chain(self.running.oldest()).chain(waiting).min()
    }

    /// Whether every wanted generation has ended.
    pub fn is_idle(&self) -> bool {
        self.queue.len() == 0
            && self.due.is_empty()
            && self.undated.is_empty()
            && !self.running.has_wanted()
    }
}

impl<W> FileJob<W> {
    /// Ends the file's wanted generation.
    fn end(&mut self, path: PathBuf, outcomes: Vec<Outcome>) -> Ended<W> {
        let failure: Option<&Failure> = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        self.phase = failure.map_or(JobPhase::Done, |failure| JobPhase::Failed(failure.kind));
        let has_arrived = std::mem::take(&mut self.is_arriving);
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
            has_arrived,
        }
    }
}

#[cfg(test)]
mod tests;
