//! Shows what the library knows of files, without their having been requested.

use std::path::{Path, PathBuf};

use super::Model;
use crate::app::effect::Effect;
use crate::app::entry::{Entry, EntryKind, FoundFile, Stamp};
use crate::app::recall::Fallback;
use crate::app::results::{Certainty, FileState};
use crate::app::status::EngineState;
use crate::engine::{Lane, RecalledFile};
use crate::jobs::Reason;
use crate::library::FileWithResult;

/// Results that are put in their places one by one; for more, the list is sorted anew.
const MAX_RERANKED: usize = 16;

impl Model {
    /// Requests results of images: from the library if it knows them, else from the engine. `lane`: the lane where there is no
    /// library.
    pub(super) fn look_up(&mut self, files: Vec<FoundFile>, lane: Lane, certainty: Certainty) {
        for found in files {
            let reason = self.reason(&found);
            if reason == Reason::Arrived || !self.recall.is_enabled() || self.engine.has_failed() {
                self.request_one(found, lane, reason, certainty);
                continue;
            }
            self.results.expect(found.clone(), certainty);
            self.browser.folder.rerank(&found.path, &self.results);
            self.recall.add(found, Some(Fallback { reason, certainty }));
        }
    }

    /// The lane in which a file is requested that the user did not ask for.
    fn lane(&self, path: &Path) -> Lane {
        let is_current = self.folder().current().is_some_and(|row| row.path == path);
        if is_current {
            Lane::Interactive
        } else {
            Lane::Bulk
        }
    }

    /// Looks up the files of a listing of which nothing is known.
    pub(super) fn recall_listed(&mut self, entries: &[Entry]) {
        for entry in entries {
            let is_unknown = self.results.stamp(&entry.path).is_none();
            if entry.kind == EntryKind::File && is_unknown {
                let (path, stamp) = (entry.path.clone(), entry.stamp);
                self.recall.add(FoundFile { path, stamp }, None);
            }
        }
    }

    /// Looks up files for which a process has added results, as far as they are listed or known, and show no result of that
    /// content.
    pub(super) fn library_changed(&mut self, files: Vec<FileWithResult>) {
        for FileWithResult { path, content } in files {
            let listed = self.folder().row(&path).map(|row| row.stamp);
            let Some(stamp) = listed.or(self.results.stamp(&path)) else {
                continue;
            };
            let has_answer = match self.results.get(&path) {
                // A job will answer, and itself asks the library first.
                Some(FileState::Queued) => true,
                // Its result under other prompts is of no interest.
                Some(FileState::Done(records) | FileState::Blind(records)) => records
                    .first()
                    .is_some_and(|first| first.content == content),
                Some(FileState::Failed(_)) | None => false,
            };
            if !has_answer {
                self.recall.add(FoundFile { path, stamp }, None);
            }
        }
    }

    /// The effect that looks up the next files, those on screen first.
    pub(super) fn next_recall(&mut self) -> Option<Effect> {
        if !matches!(self.engine, EngineState::Ready { .. }) || self.recall.is_idle() {
            return None;
        }
        let first = self.paths_on_screen();
        self.recall.next(&first).map(Effect::Recall)
    }

    /// Applies the results that follow from the library, and requests those of the other files.
    pub(super) fn recalled(&mut self, files: Vec<RecalledFile>, missing: Vec<PathBuf>) {
        let mut changed = Vec::new();
        for RecalledFile {
            path,
            identity,
            records,
        } in files
        {
            let Some(lookup) = self.recall.take(&path) else {
                continue;
            };
            let (stamp, expected) = (Stamp::from(identity), lookup.otherwise.is_some());
            if !self.results.recall(&path, stamp, records, expected) {
                continue;
            }
            let row = self.folder().row(&path);
            if row.is_some_and(|row| row.stamp != stamp) {
                self.browser.folder.restamp(&path, stamp, &self.results);
            }
            changed.push(path);
        }
        for path in missing {
            let Some(lookup) = self.recall.take(&path) else {
                continue;
            };
            if let Some(Fallback { reason, certainty }) = lookup.otherwise {
                let (lane, stamp) = (self.lane(&path), lookup.stamp);
                self.request_one(FoundFile { path, stamp }, lane, reason, certainty);
            }
        }
        self.recall.answered();
        self.sort_recalled(&changed);
        if let Some(all) = self.recall.count(changed.len()) {
            self.activity.note_recalled(all);
        }
    }

    /// Moves files with results of the library to their places in the list, if many more are to come only now and then.
    fn sort_recalled(&mut self, changed: &[PathBuf]) {
        let folder = &mut self.browser.folder;
        let mut unsorted = changed.len();
        if folder.is_worklist() || changed.len() <= MAX_RERANKED {
            for path in changed {
                folder.rerank(path, &self.results);
            }
            unsorted = 0;
        }
        if self.recall.needs_sorting(unsorted, folder.len()) {
            folder.rerank_all(&self.results);
        }
    }

    /// Moves files to their places in the list whose results or reviews have changed.
    pub(super) fn rerank_files(&mut self, changed: &[PathBuf]) {
        let folder = &mut self.browser.folder;
        if folder.is_worklist() || changed.len() <= MAX_RERANKED {
            for path in changed {
                folder.rerank(path, &self.results);
            }
        } else {
            folder.rerank_all(&self.results);
        }
    }

    /// Requests all results that were to be looked up, because there is no engine that could score what the library holds.
    pub(super) fn request_recalled(&mut self) {
        for (path, lookup) in self.recall.take_all() {
            if let Some(Fallback { reason, certainty }) = lookup.otherwise {
                let (lane, stamp) = (self.lane(&path), lookup.stamp);
                self.request_one(FoundFile { path, stamp }, lane, reason, certainty);
            }
        }
    }
}
