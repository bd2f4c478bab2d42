//! The activity log: which files arrived, were classified or failed and why, and the throughput.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::keys::Action;
use super::msg::Severity;
use super::popup::{Explanation, Popup};
use super::request::Request;
use super::results::reviews::label_shown;
use super::results::{FileState, FileStatus, Results};
use super::text;
use crate::library::Failure;
use crate::media::{ErrorKind, FileContent};
use crate::view::activity_areas;

/// Maximum number of entries kept.
const MAX_ENTRIES: usize = 2000;
/// Span of time over which answers are counted together.
pub(crate) const SPAN: Duration = Duration::from_secs(2);
/// Maximum number of spans kept: more than any screen has columns.
const MAX_SPANS: usize = 400;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Incident {
    /// An image arrived.
    Arrived(PathBuf),
    /// The content of an image changed.
    Changed(PathBuf),
    /// An image is gone.
    Removed(PathBuf),
    /// The model answered.
    Classified {
        path: PathBuf,
        label: String,
        probability: f64,
        status: FileStatus,
    },
    /// A file failed.
    Failed {
        path: PathBuf,
        kind: ErrorKind,
        message: String,
    },
    /// The library had this many results, which nobody had asked for.
    Recalled(usize),
    /// Something about engine or watch; safe to show.
    Said(Severity, String),
}

impl Incident {
    /// The file that it is about.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Arrived(path)
            | Self::Changed(path)
            | Self::Removed(path)
            | Self::Classified { path, .. }
            | Self::Failed { path, .. } => Some(path),
            Self::Recalled(_) | Self::Said(..) => None,
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogEntry {
    pub what: Incident,
    /// The first tick after it; `None` until then.
    pub at: Option<Duration>,
}

/// Numbers of files since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActivityCounts {
    pub arrived: usize,
    pub classified: usize,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ActivityLog {
    /// Oldest first.
    log: VecDeque<LogEntry>,
    /// Number of entries ever added, including those dropped since.
    count: usize,
    /// Number of latest entries that have no time yet.
    untimed: usize,
    counts: ActivityCounts,
    /// Answers in each span, without the oldest spans.
    spans: VecDeque<u64>,
    /// The number of the span after the last one, from the start of the program.
    span_end: u64,
    /// Answers since the last tick.
    uncounted: u64,
}

/// The activity view: where the user is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActivityView {
    /// Number of the entry under the cursor, counted from the first ever; `None` stays with the newest.
    cursor: Option<usize>,
    /// The first one on screen, from the newest.
    top: usize,
}

impl ActivityLog {
    /// Adds an entry.
    pub(super) fn note(&mut self, what: Incident) {
        match what {
            Incident::Arrived(_) => self.counts.arrived += 1,
            Incident::Classified { .. } => self.counts.classified += 1,
            Incident::Failed { .. }
            | Incident::Changed(_)
            | Incident::Removed(_)
            | Incident::Recalled(_)
            | Incident::Said(..) => {}
        }
        self.uncounted += u64::from(matches!(
            what,
            Incident::Classified { .. } | Incident::Failed { .. }
        ));
        self.log.push_back(LogEntry { what, at: None });
        self.count += 1;
        self.untimed += 1;
        if self.log.len() > MAX_ENTRIES {
            self.log.pop_front();
        }
        self.untimed = self.untimed.min(self.log.len());
    }

    /// Adds an entry about results of the library, or adds them to the newest entry if that is about such results, too: another
    /// process may store one after the other for hours.
    pub(super) fn note_recalled(&mut self, results: usize) {
        if let Some(newest) = self.log.back_mut()
            && let Incident::Recalled(before) = &mut newest.what
        {
            *before += results;
            newest.at = None;
            self.untimed = self.untimed.max(1);
        } else {
            self.note(Incident::Recalled(results));
        }
    }

    /// Removes the entry of a file that arrived and is not an image. Returns that entry's number.
    fn remove_arrival(&mut self, path: &Path) -> Option<usize> {
        let arrived = |entry: &LogEntry| matches!(&entry.what, Incident::Arrived(p) if p == path);
        let at = self.log.iter().rposition(arrived)?;
        let from_newest = self.log.len() - 1 - at;
        let number = self.count - 1 - from_newest;
        self.log.remove(at);
        self.count -= 1;
        self.counts.arrived -= 1;
        if from_newest < self.untimed {
            self.untimed -= 1;
        }
        Some(number)
    }

    /// Whether an entry has no time yet.
    pub(super) fn is_untimed(&self) -> bool {
        self.untimed > 0
    }

    /// Gives the entries added since the last tick this time.
    pub(super) fn tick(&mut self, now: Duration) {
        for entry in self.log.iter_mut().rev().take(self.untimed) {
            entry.at = Some(now);
        }
        self.untimed = 0;
        let span = (now.as_nanos() / SPAN.as_nanos()) as u64;
        let missing = (span + 1)
            .saturating_sub(self.span_end)
            .min(MAX_SPANS as u64);
        self.spans.extend(std::iter::repeat_n(0, missing as usize));
        self.span_end = self.span_end.max(span + 1);
        if let Some(last) = self.spans.back_mut() {
            *last += std::mem::take(&mut self.uncounted);
        }
        while self.spans.len() > MAX_SPANS {
            self.spans.pop_front();
        }
    }

    /// Numbers of files since the start.
    pub(crate) fn counts(&self) -> ActivityCounts {
        self.counts
    }

    /// Adds an entry about the answer for a file.
    pub(super) fn note_answer(&mut self, path: &Path, results: &Results) {
        let path = path.to_owned();
        // The log is not shown to a reviewer who works blind, but later.
        let state = results
            .get(&path)
            .cloned()
            .map(|state| state.blinded(false));
        let what = match &state {
            Some(state @ FileState::Done(_)) => match state.record() {
                Some(record) => Incident::Classified {
                    label: label_shown(record),
                    probability: record.verdict.probability,
                    status: state.status(),
                    path,
                },
                None => return,
            },
            Some(FileState::Failed(failure)) if failure.content.is_image() => Incident::Failed {
                kind: failure.kind,
                message: text::safe_str(&failure.message),
                path,
            },
            _ => return,
        };
        self.note(what);
    }

    /// Answers in each of the last spans, the newest last.
    pub(crate) fn throughput(&self, spans: usize) -> Vec<u64> {
        let from = self.spans.len().saturating_sub(spans);
        self.spans.range(from..).copied().collect()
    }

    /// Number of entries kept.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// The entries, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &LogEntry> {
        self.log.iter().rev()
    }

    /// Position of the cursor, counted from the newest entry.
    pub(crate) fn cursor(&self, view: ActivityView) -> usize {
        let last = self.count.saturating_sub(1);
        let at = view.cursor.map_or(0, |number| last.saturating_sub(number));
        at.min(self.log.len().saturating_sub(1))
    }

    /// The entry under the cursor.
    pub(crate) fn current(&self, view: ActivityView) -> Option<&LogEntry> {
        self.newest_first().nth(self.cursor(view))
    }
}

impl ActivityView {
    /// The first entry on screen, from the newest.
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// Scrolls the cursor into view.
    pub(super) fn follow(&mut self, log: &ActivityLog, env: &Environment) {
        let rows = log_rows(env).max(1);
        let at = log.cursor(*self);
        self.top = self.top.clamp((at + 1).saturating_sub(rows), at);
    }

    /// Puts the cursor on an entry, counted from the newest.
    fn go_to(&mut self, at: usize, log: &ActivityLog) {
        let number = log.count.saturating_sub(1 + at);
        self.cursor = (at > 0).then_some(number);
    }

    /// Puts the cursor on the entry at a cell; false when there is none.
    pub(super) fn click(
        &mut self,
        (_, y): (u16, u16),
        log: &ActivityLog,
        env: &Environment,
    ) -> bool {
        let area = activity_areas(env.body()).log;
        let Some(row) = y.checked_sub(area.y).filter(|row| *row < area.height) else {
            return false;
        };
        let at = self.top + usize::from(row);
        let is_there = at < log.len();
        if is_there {
            self.go_to(at, log);
        }
        is_there
    }

    /// Carries out an action.
    pub(super) fn act(
        &mut self,
        action: Action,
        log: &ActivityLog,
        results: &Results,
        env: &Environment,
    ) -> Vec<Request> {
        let current = log.current(*self).map(|entry| &entry.what);
        match (action, current) {
            (Action::ClassifyAll, _) => return vec![Request::RetryAll],
            (Action::NextNew | Action::PreviousNew, _) => {
                return self.go_to_failed(action == Action::NextNew, log, results);
            }
            (Action::Classify, Some(what)) => {
                if let Some(path) = what.path().filter(|path| results.stamp(path).is_some()) {
                    return vec![Request::Retry(path.to_owned())];
                }
            }
            (Action::Enter | Action::Why, Some(Incident::Said(severity, words))) => {
                let subject = match severity {
                    Severity::Error => "What failed",
                    Severity::Info => "What happened",
                };
                let explanation = Explanation::of_words(subject, words);
                return vec![Request::Open(Popup::Explanation(explanation))];
            }
            (Action::Enter, Some(what)) => {
                if let Some(path) = what.path() {
                    return vec![Request::ShowFile(path.to_owned())];
                }
            }
            (
                Action::Why,
                Some(Incident::Failed {
                    path,
                    kind,
                    message,
                }),
            ) => {
                let failure = Failure {
                    kind: *kind,
                    message: message.clone(),
                    content: FileContent::Image,
                };
                let explanation = Explanation::of_failure(path, &failure, env);
                return vec![Request::Open(Popup::Explanation(explanation))];
            }
            (Action::Leave, _) => return vec![Request::CloseOverlay],
            (action, _) => {
                let by = action.distance(log_rows(env));
                let last = log.len().saturating_sub(1);
                self.go_to(log.cursor(*self).saturating_add_signed(by).min(last), log);
            }
        }
        Vec::new()
    }

    /// Puts the cursor on the next entry of a file that has failed, older or newer; after the last one on the first. Of a file
    /// only its newest failure counts, and none if it has a result by now.
    fn go_to_failed(&mut self, older: bool, log: &ActivityLog, results: &Results) -> Vec<Request> {
        let mut seen = HashSet::new();
        let mut is_failed = |entry: &LogEntry| {
            let Incident::Failed { path, .. } = &entry.what else {
                return false;
            };
            matches!(results.get(path), Some(FileState::Failed(_))) && seen.insert(path.clone())
        };
        let all = log.newest_first().enumerate();
        let failed: Vec<usize> = all
            .filter_map(|(at, entry)| is_failed(entry).then_some(at))
            .collect();
        let at = log.cursor(*self);
        let next = if older {
            let after = failed.iter().find(|next| **next > at);
            after.or(failed.first())
        } else {
            let before = failed.iter().rev().find(|next| **next < at);
            before.or(failed.last())
        };
        match next {
            Some(next) => self.go_to(*next, log),
            None if results.count(FileStatus::Failed) == 0 => {
                return vec![Request::info("no file failed")];
            }
            None => return vec![Request::Act(Action::Failures)],
        }
        Vec::new()
    }

    /// Keeps the cursor on its entry after another was removed from the log.
    fn entry_removed(&mut self, number: usize) {
        if let Some(cursor) = &mut self.cursor
            && *cursor > number
        {
            *cursor -= 1;
        }
    }
}

/// Removes the entry of a file that arrived and is not an image; the cursor of an open view stays on its entry.
pub(super) fn remove_arrival(log: &mut ActivityLog, view: Option<&mut ActivityView>, path: &Path) {
    let removed = log.remove_arrival(path);
    if let (Some(number), Some(view)) = (removed, view) {
        view.entry_removed(number);
    }
}

/// Rows of the log on screen.
fn log_rows(env: &Environment) -> usize {
    usize::from(activity_areas(env.body()).log.height)
}
