//! Copies and moves of files: the one under way, and those that can be undone.

use std::collections::VecDeque;

use crate::transfer::Transfer;

/// Copies and moves that can be undone.
const MAX_UNDO: usize = 50;

/// The state of copies and moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transfers {
    /// Whether one is under way.
    pub is_running: bool,
    /// What can be undone, the last one at the end.
    done: VecDeque<Transfer>,
    /// The folder typed last.
    last_folder: String,
}

impl Transfers {
    /// Notes that a transfer to a folder, as typed, has begun.
    pub(super) fn begin(&mut self, folder: &str) {
        self.is_running = true;
        folder.clone_into(&mut self.last_folder);
    }

    /// The folder typed last.
    pub(super) fn last_folder(&self) -> &str {
        &self.last_folder
    }

    /// Notes a transfer that can be undone.
    pub(super) fn push(&mut self, done: Transfer) {
        if done.files.is_empty() {
            return;
        }
        if self.done.len() == MAX_UNDO {
            self.done.pop_front();
        }
        self.done.push_back(done);
    }

    /// Begins to undo the last transfer; `None` if there is none.
    pub(super) fn undo(&mut self) -> Option<Transfer> {
        let last = self.done.pop_back()?;
        self.is_running = true;
        Some(last)
    }
}
