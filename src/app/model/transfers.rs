//! Copies and moves files, and follows them where the watch does not.

use std::path::{Path, PathBuf};

use super::Model;
use crate::app::browser::folder::RowKind;
use crate::app::effect::Effect;
use crate::app::entry::{Entry, EntryKind};
use crate::app::group_path::base_of;
use crate::app::keys::Action;
use crate::app::line::Purpose;
use crate::app::msg::Severity;
use crate::app::status::WatchState;
use crate::app::text;
use crate::transfer::{Transfer, TransferKind};

impl Model {
    /// The marked files or, without marks, the file under the cursor or those of the series there.
    pub(crate) fn files_to_transfer(&self) -> Vec<PathBuf> {
        if !self.browser.marked().is_empty() {
            return self.browser.marked().iter().cloned().collect();
        }
        let folder = self.folder();
        match folder.current() {
            Some(row) if matches!(row.represents, RowKind::Study(_) | RowKind::Series(..)) => {
                let files = self.studies.found_in(row, folder, &self.results);
                files.into_iter().map(|found| found.path).collect()
            }
            Some(row) if row.represents == RowKind::Entry && row.kind == EntryKind::File => {
                vec![row.path.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Where relative paths begin that are typed.
    pub(super) fn transfer_base(&self) -> PathBuf {
        let dir = self.folder().dir();
        base_of(dir).unwrap_or(dir).to_owned()
    }

    /// Asks for the folder to copy or move to.
    pub(super) fn begin_transfer(&mut self, purpose: Purpose) {
        if self.files_to_transfer().is_empty() {
            let key = self.env.key(Action::Mark);
            let words = format!("there is no file under the cursor, and none is marked ({key})");
            self.say(Severity::Info, &words);
        } else if self.says_transfer_runs() {
        } else {
            self.open_line(purpose);
        }
    }

    fn says_transfer_runs(&mut self) -> bool {
        if self.transfers.is_running {
            let key = self.env.key(Action::Files);
            let words = format!("files are being copied or moved; {key} x stops that");
            self.say(Severity::Info, &words);
        }
        self.transfers.is_running
    }

    /// Copies or moves the chosen files to the folder typed.
    pub(super) fn transfer(&mut self, kind: TransferKind, folder: &str) -> Vec<Effect> {
        let files = self.files_to_transfer();
        let folder = folder.trim();
        if folder.is_empty() || files.is_empty() || self.says_transfer_runs() {
            return Vec::new();
        }
        self.transfers.begin(folder);
        let base = self.transfer_base();
        let folder = folder.to_owned();
        vec![Effect::Transfer {
            kind,
            files,
            folder,
            base,
        }]
    }

    pub(super) fn stop_transfer(&mut self) -> Vec<Effect> {
        if self.transfers.is_running {
            return vec![Effect::StopTransfer];
        }
        self.say(Severity::Info, "no file is being copied or moved");
        Vec::new()
    }

    pub(super) fn undo_transfer(&mut self) -> Vec<Effect> {
        if self.says_transfer_runs() {
            return Vec::new();
        }
        if let Some(last) = self.transfers.undo() {
            return vec![Effect::UndoTransfer(last)];
        }
        self.say(Severity::Info, "there is no copy or move to undo");
        Vec::new()
    }

    /// Reports a transfer that has ended, and shows its files where they are now.
    pub(super) fn transferred(
        &mut self,
        is_undo: bool,
        outcome: Result<Transfer, String>,
        placed: Vec<Entry>,
    ) {
        self.transfers.is_running = false;
        let done = match outcome {
            Ok(done) => done,
            Err(message) => {
                self.say(Severity::Error, &text::safe_str(&message));
                return;
            }
        };
        for file in &done.files {
            let gone = match (done.kind, is_undo) {
                (TransferKind::Copy, false) => None,
                (_, true) => Some(&file.to),
                (TransferKind::Move, false) => Some(&file.from),
            };
            self.browser.unmark(&file.from);
            if let Some(gone) = gone.filter(|path| !self.is_watched(path)) {
                self.removed(gone);
            }
        }
        for entry in placed {
            if !self.is_watched(&entry.path) && self.folder().contains(&entry.path) {
                self.browser.folder.insert(entry, &self.results);
            }
        }
        self.report_transfer(is_undo, &done);
        if !is_undo {
            self.transfers.push(done);
        }
    }

    /// Whether the watch reports what happens to a file.
    fn is_watched(&self, path: &Path) -> bool {
        matches!(self.watch, WatchState::On { .. }) && path.starts_with(&self.env.root)
    }

    fn report_transfer(&mut self, is_undo: bool, done: &Transfer) {
        let count = done.files.len();
        let files = if count == 1 { "file" } else { "files" };
        let folder = self.env.show_path(&done.folder);
        let key = self.env.key(Action::Files);
        let mut words = match (is_undo, done.kind) {
            (false, kind) => format!("{count} {files} {} to {folder}", kind.done()),
            (true, TransferKind::Copy) => format!("undone: {count} {files} removed from {folder}"),
            (true, TransferKind::Move) => format!("undone: {count} {files} moved back"),
        };
        if done.is_stopped {
            words.push_str("; stopped");
        }
        let severity = if let Some(first) = done.failures.first() {
            let others = match done.failures.len() - 1 {
                0 => String::new(),
                others => format!(", and {others} more"),
            };
            let path = self.env.show_path(&first.path);
            let reason = text::safe_str(&first.reason);
            words = format!("{path} {reason}{others}; {words}");
            Severity::Error
        } else {
            if !is_undo && count > 0 {
                words = format!("{words}; {key} u undoes it");
            }
            Severity::Info
        };
        self.say(severity, &words);
    }
}
