//! The settle machine, which decides when a file is complete. Pure: events, stamps and time go in, [`WatchEvent`]s come out.
//!
//! ```text
//!            created            opened, written              closed, renamed into
//!  (unknown) ───────► Unchanged ──────────────► Written ──────────────────────► Complete
//!                         │  same twice            │  same twice, much later        │  checked
//!                         └──► WriterQueried ◄─────┘                                │
//!                               ▲  │   │  nobody has it open for writing            │
//!               same for longer │  │   └───────────────► Ready ◄────────────────────┘
//!                              Unsure ◄── nobody knows
//! ```
//!
//! That a file does not change proves little, because its writer may pause. The machine therefore
//! [asks](Settle::take_writer_queries) its caller whether a process has the file open for writing. Where nobody knows, it waits for
//! as long as what else is known suggests ([`SettleTimes::patience`]).
//!
//! A file is reported once for each content; contents are told apart by [`FileStamp`].

mod input;
mod phase;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names::is_ignored;
use super::{ReadyKind, WatchEvent};
use crate::paths;
pub use input::{FileStamp, FsEvent, SettleTimes, TreeScan, WriterPresence};
use phase::{SettlePhase, SettlingFile};

/// A path that was renamed away, until its new name is known or it is clear that there is none in the tree.
#[derive(Debug)]
struct PendingDeparture {
    path: PathBuf,
    tracker: Option<usize>,
    due: Duration,
}

/// Reads the stamp of a file; `None` if there is no file.
pub type StampFn<'a> = dyn FnMut(&Path) -> Option<FileStamp> + 'a;

/// The settle machine. Times are relative to any fixed moment.
#[derive(Debug)]
pub struct Settle {
    root: PathBuf,
    /// The name of the root in events.
    name: PathBuf,
    times: SettleTimes,
    files: BTreeMap<PathBuf, SettlingFile>,
    folders: BTreeSet<PathBuf>,
    /// Folders that may not be read.
    refused: BTreeSet<PathBuf>,
    /// Files by the time of their next check.
    due: BTreeSet<(Duration, PathBuf)>,
    departures: Vec<PendingDeparture>,
    writer_queries: Vec<PathBuf>,
    events: Vec<WatchEvent>,
}

impl Settle {
    /// Creates a machine that knows nothing yet about the tree at `root`.
    pub fn new(root: PathBuf, times: SettleTimes) -> Self {
        Self {
            name: root.clone(),
            root,
            times,
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            refused: BTreeSet::new(),
            due: BTreeSet::new(),
            departures: Vec::new(),
            writer_queries: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Sets the name of the root in events: the path as the user gave it.
    #[must_use]
    pub fn with_name(self, name: PathBuf) -> Self {
        Self { name, ..self }
    }

    /// Sets how long to wait in the future; checks already planned keep their time.
    pub fn set_times(&mut self, times: SettleTimes) {
        self.times = times;
    }

    /// How long it waits.
    pub fn times(&self) -> SettleTimes {
        self.times
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<WatchEvent> {
        let events = std::mem::take(&mut self.events);
        let name = |path: PathBuf| paths::renamed(&path, &self.root, &self.name).unwrap_or(path);
        events
            .into_iter()
            .map(|event| event.renamed(&name))
            .collect()
    }

    /// Whether permission to read a folder was denied at the last attempt.
    pub fn is_refused(&self, path: &Path) -> bool {
        self.refused.contains(path)
    }

    /// The time at which [`tick`](Self::tick) has to be called next.
    pub fn next_due(&self) -> Option<Duration> {
        let file = self.due.first().map(|(due, _)| *due);
        let departure = self.departures.iter().map(|d| d.due).min();
        [file, departure].into_iter().flatten().min()
    }

    /// Applies an event.
    pub fn apply_event(&mut self, now: Duration, event: FsEvent) {
        match event {
            FsEvent::Arrived {
                path,
                tracker,
                folder,
            } => {
                let left =
                    tracker.and_then(|_| self.departures.iter().position(|d| d.tracker == tracker));
                let from = left.map(|index| self.departures.remove(index).path);
                self.finish_departures(&path);
                match from {
                    Some(from) => self.renamed_inside(now, &from, path, folder),
                    None => self.arrived_from_outside(now, path, folder),
                }
            }
            FsEvent::Left { path, tracker } => {
                self.finish_departures(&path);
                if !is_ignored(&self.root, &path) {
                    let due = now + self.times.grace;
                    self.departures
                        .push(PendingDeparture { path, tracker, due });
                }
            }
            FsEvent::Gone(path) => {
                self.finish_departures(&path);
                self.remove(&path);
            }
            FsEvent::Folder(path) => {
                self.finish_departures(&path);
                self.add_folder(path);
            }
            FsEvent::Created(path) => {
                self.set_phase(now, path, |times| (SettlePhase::Unchanged, times.settle));
            }
            FsEvent::Written(path) => {
                self.set_phase(now, path, |times| (SettlePhase::Written, times.held));
            }
            FsEvent::Closed(path) => {
                self.set_phase(now, path, |times| (SettlePhase::Complete, times.grace));
            }
            FsEvent::Opened(path) => {
                // Right after the file was created this is its writer; later it may well be a reader.
                let is_new = |file: &SettlingFile| {
                    file.phase == SettlePhase::Unchanged && file.last.is_none()
                };
                if self.files.get(&path).is_some_and(is_new) {
                    self.set_phase(now, path, |times| (SettlePhase::Written, times.held));
                }
            }
            FsEvent::Touched(path) => {
                let is_resting = |file: &SettlingFile| file.phase == SettlePhase::Resting;
                if self.files.get(&path).is_some_and(is_resting) {
                    self.set_phase(now, path, |times| (SettlePhase::Touched, times.grace));
                }
            }
        }
    }

    /// Performs the checks that are due, and reports the files that are complete.
    pub fn tick(&mut self, now: Duration, stamp_of: &mut StampFn) {
        while let Some(index) = self.departures.iter().position(|d| d.due <= now) {
            let path = self.departures.remove(index).path;
            self.remove(&path);
            // Another file has this name by now, and its events were lost.
            if stamp_of(&path).is_some() {
                self.set_phase(now, path, |times| (SettlePhase::Unchanged, times.settle));
            }
        }
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, path)) = self.due.pop_first() else {
                break;
            };
            let stamp = stamp_of(&path);
            self.checked(now, &path, stamp);
        }
    }

    /// Events may have been lost, among them that a writer closed its file.
    pub fn events_lost(&mut self, now: Duration) {
        let mut assumed = Vec::new();
        for (path, file) in &mut self.files {
            if file.phase == SettlePhase::Written {
                (file.phase, file.since) = (SettlePhase::Unsure, now);
            }
            // That only times changed was true unless an event followed.
            if file.phase == SettlePhase::Touched
                || file.phase == SettlePhase::Resting && file.assumed
            {
                assumed.push(path.clone());
            }
        }
        for path in assumed {
            let next = (SettlePhase::Unchanged, self.times.settle);
            self.schedule(now, &path, next);
        }
    }

    /// Returns the files that are complete unless a process has them open for writing. Each has to be
    /// [answered](Self::answer_writer_query) at once.
    pub fn take_writer_queries(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.writer_queries)
    }

    /// Answers a query: the file is reported, or checked again later. `is_filled` tells whether the file ends in something other
    /// than zeros; `None` if it cannot be read.
    pub fn answer_writer_query(
        &mut self,
        now: Duration,
        path: &Path,
        writer: WriterPresence,
        is_filled: impl FnOnce() -> Option<bool>,
    ) {
        let Some(file) = self.files.get(path) else {
            return;
        };
        let (SettlePhase::WriterQueried { seen }, Some(stamp)) = (file.phase, file.last) else {
            return;
        };
        let is_written = match writer {
            WriterPresence::Present => true,
            WriterPresence::Absent => false,
            WriterPresence::Unknown => now < file.since + self.times.patience(seen, is_filled),
        };
        if is_written {
            let is_seen = seen || writer == WriterPresence::Present;
            let phase = if is_seen {
                SettlePhase::Written
            } else {
                SettlePhase::Unsure
            };
            self.schedule(now, path, (phase, self.times.held));
        } else {
            self.report(path, stamp, writer == WriterPresence::Absent);
        }
    }

    /// Makes the pending departures of `path` and the folders above it final, because the name is used again.
    fn finish_departures(&mut self, path: &Path) {
        while let Some(index) = self
            .departures
            .iter()
            .position(|d| path.starts_with(&d.path))
        {
            let left = self.departures.remove(index).path;
            self.remove(&left);
        }
    }

    /// Handles a rename from outside the tree, or from an ignored name.
    fn arrived_from_outside(&mut self, now: Duration, path: PathBuf, folder: bool) {
        if folder {
            self.add_folder(path);
        } else {
            self.set_phase(now, path, |times| (SettlePhase::Complete, times.grace));
        }
    }

    /// Handles a rename inside the tree.
    fn renamed_inside(&mut self, now: Duration, from: &Path, to: PathBuf, folder: bool) {
        if is_ignored(&self.root, &to) {
            self.remove(from);
        } else if self.folders.contains(from) {
            self.rename_folder(from, &to);
        } else if self.files.contains_key(from) {
            self.rename_file(now, from, to);
        } else {
            self.arrived_from_outside(now, to, folder);
        }
    }

    fn rename_file(&mut self, now: Duration, from: &Path, to: PathBuf) {
        self.rest(&to);
        let overwritten = self.files.remove(&to).and_then(|file| file.reported);
        let phase = self.files.get(from).map(|file| file.phase);
        self.rest(from);
        let Some(mut file) = self.files.remove(from) else {
            return;
        };
        let was_reported = file.reported.is_some();
        if was_reported {
            let (from, to) = (from.to_owned(), to.clone());
            self.events.push(WatchEvent::Renamed { from, to });
        } else {
            file.reported = overwritten;
            self.events.push(WatchEvent::Removed(from.to_owned()));
        }
        self.files.insert(to.clone(), file);
        // A writer that has it open keeps writing under the new name; otherwise a rename means that it is complete.
        let next = match phase {
            Some(phase @ (SettlePhase::Written | SettlePhase::Unsure)) => (phase, self.times.held),
            // A rename changes the times of the file, and not its content.
            Some(SettlePhase::Resting | SettlePhase::Touched) if was_reported => {
                (SettlePhase::Touched, self.times.grace)
            }
            _ => (SettlePhase::Complete, self.times.grace),
        };
        self.schedule(now, &to, next);
    }
}

#[cfg(test)]
mod tests;
