//! The phases of a single file: when it is checked next, and what the check leads to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FileStamp, ReadyKind, Settle, SettleTimes, WatchEvent, is_ignored};

/// What the machine waits for before it reports a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettlePhase {
    /// Nothing: the file was reported as it is.
    Resting,
    /// The file to stay unchanged.
    Unchanged,
    /// The writer that was seen to close the file.
    Written,
    /// The file to stay unchanged for longer, because it is unknown whether there is a writer.
    Unsure,
    /// The file to get content.
    Empty,
    /// The answer to whether a process has it open for writing.
    WriterQueried {
        /// Whether a writer was seen that has not closed the file.
        seen: bool,
    },
    /// The last check: the file is complete.
    Complete,
    /// The check after permissions or times changed.
    Touched,
}

/// What the machine knows about a file.
#[derive(Clone, Debug)]
pub(super) struct SettlingFile {
    pub(super) phase: SettlePhase,
    /// When it is checked next.
    pub(super) due: Option<Duration>,
    /// Its stamp at the last check.
    pub(super) last: Option<FileStamp>,
    /// The first check that found this stamp.
    pub(super) since: Duration,
    /// Its stamp when it was reported.
    pub(super) reported: Option<FileStamp>,
    /// Whether `reported` was updated after a mere touch, on the assumption that the content is the same.
    pub(super) assumed: bool,
    pub(super) kind: ReadyKind,
}

impl Settle {
    /// Sets the phase of a file, known or not; `next` gives the phase and how long to wait.
    pub(super) fn set_phase(
        &mut self,
        now: Duration,
        path: PathBuf,
        next: impl FnOnce(&SettleTimes) -> (SettlePhase, Duration),
    ) {
        self.finish_departures(&path);
        if is_ignored(&self.root, &path) || self.folders.contains(&path) {
            return;
        }
        let next = next(&self.times);
        if self.files.contains_key(&path) {
            self.schedule(now, &path, next);
        } else {
            self.insert(now, path, ReadyKind::New, next);
        }
    }

    pub(super) fn insert(
        &mut self,
        now: Duration,
        path: PathBuf,
        kind: ReadyKind,
        next: (SettlePhase, Duration),
    ) {
        let file = SettlingFile {
            phase: SettlePhase::Resting,
            due: None,
            last: None,
            since: now,
            reported: None,
            assumed: false,
            kind,
        };
        self.files.insert(path.clone(), file);
        self.schedule(now, &path, next);
    }

    /// Moves a known file to a phase and plans its next check.
    pub(super) fn schedule(
        &mut self,
        now: Duration,
        path: &Path,
        (phase, wait): (SettlePhase, Duration),
    ) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        if let Some(due) = file.due.take() {
            self.due.remove(&(due, path.to_owned()));
        }
        file.phase = phase;
        file.due = Some(now + wait);
        self.due.insert((now + wait, path.to_owned()));
    }

    /// Moves a known file to the resting phase and cancels its next check.
    pub(super) fn rest(&mut self, path: &Path) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.phase = SettlePhase::Resting;
        if let Some(due) = file.due.take() {
            self.due.remove(&(due, path.to_owned()));
        }
    }

    /// Applies the stamp that a due check found; `None` if the file is gone.
    pub(super) fn checked(&mut self, now: Duration, path: &Path, stamp: Option<FileStamp>) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.due = None;
        let Some(stamp) = stamp else {
            self.remove(path);
            return;
        };
        let last = file.last.replace(stamp);
        let unchanged = last.is_some_and(|last| last.is_unwritten(&stamp));
        if !unchanged {
            file.since = now;
        }
        match file.phase {
            SettlePhase::Unchanged if stamp.size == 0 && unchanged => {
                self.schedule(now, path, (SettlePhase::Empty, self.times.held));
            }
            SettlePhase::Unchanged | SettlePhase::Empty if !unchanged => {
                self.schedule(now, path, (SettlePhase::Unchanged, self.times.settle));
            }
            phase @ (SettlePhase::Written | SettlePhase::Unsure) if !unchanged => {
                self.schedule(now, path, (phase, self.times.held));
            }
            SettlePhase::Unchanged
            | SettlePhase::Empty
            | SettlePhase::Written
            | SettlePhase::Unsure => {
                let seen = file.phase == SettlePhase::Written;
                file.phase = SettlePhase::WriterQueried { seen };
                self.writer_queries.push(path.to_owned());
            }
            SettlePhase::Touched
                if file
                    .reported
                    .is_some_and(|reported| reported.may_be_touched(&stamp)) =>
            {
                file.assumed |= file.reported.replace(stamp) != Some(stamp);
                self.rest(path);
                let path = path.to_owned();
                self.events.push(WatchEvent::Touched { path, stamp });
            }
            SettlePhase::Touched => {
                self.schedule(now, path, (SettlePhase::Unchanged, self.times.settle));
            }
            SettlePhase::Complete | SettlePhase::Resting | SettlePhase::WriterQueried { .. } => {
                self.report(path, stamp, true);
            }
        }
    }

    /// Reports a complete file, unless this content was reported before. `is_closed`: whether it is known that nobody writes to it.
    pub(super) fn report(&mut self, path: &Path, stamp: FileStamp, is_closed: bool) {
        self.rest(path);
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        let before = file.reported.replace(stamp);
        file.last = Some(stamp);
        // The stamp recorded after a touch may already include a write whose event arrived later.
        let assumed = std::mem::take(&mut file.assumed);
        if before == Some(stamp) && !assumed {
            return;
        }
        let kind = if before.is_some() {
            ReadyKind::Changed
        } else {
            file.kind
        };
        let path = path.to_owned();
        self.events.push(WatchEvent::Ready {
            path,
            kind,
            stamp,
            is_closed,
        });
    }
}
