//! Handles changes to files reported by listings, scans and the watch: notifies components, and requests results.

use std::path::{Path, PathBuf};

use super::Model;
use crate::app::activity::Incident;
use crate::app::browser::folder::Listing;
use crate::app::effect::Effect;
use crate::app::entry::{Entry, EntryKind, FoundFile, Stamp};
use crate::app::folder_state::FolderMemory;
use crate::app::msg::{Msg, Severity};
use crate::app::results::{Certainty, FileState, FileStatus};
use crate::app::status::WatchState;
use crate::app::text;
use crate::engine::Lane;
use crate::jobs::Reason;
use crate::library::Failure;
use crate::media::MediaError;

/// A scan under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingScan {
    root: PathBuf,
    /// Whether it was requested by key: then failed files are tried again, and the outcome is reported.
    by_key: bool,
    /// Images handed over so far.
    requested: usize,
}

impl Model {
    /// Handles messages about files. The study browser handles them before and after the folder on screen does.
    pub(super) fn files_changed(&mut self, msg: Msg) -> Vec<Effect> {
        let change = self.studies.note(&msg, &self.browser.folder);
        let mut effects = self.take_in_files(msg);
        effects.extend(self.studies.follow(
            change,
            &mut self.browser.folder,
            &self.results,
            &mut self.env,
        ));
        effects
    }

    fn take_in_files(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Listed {
                dir,
                generation,
                entries,
                complete,
            } if self.browser.is_current_listing(&dir, generation) => {
                if self.results.is_unreadable(&dir) {
                    // It can be read now.
                    self.results.forget(&dir);
                }
                self.recall_listed(&entries);
                self.browser.folder.extend(entries, complete, &self.results);
            }
            Msg::ListFailed {
                dir,
                generation,
                message,
            } if self.browser.is_current_listing(&dir, generation) => {
                self.browser.folder.fail(text::safe_str(&message));
            }
            Msg::Scanned {
                generation,
                files,
                complete,
            } => self.scanned(generation, files, complete),
            Msg::Touched { path, stamp } => {
                let found = FoundFile { path, stamp };
                if self.results.touched(found.clone()) {
                    self.browser.folder.rerank(&found.path, &self.results);
                }
            }
            Msg::Unreadable { path, error } => self.unreadable(&path, error),
            Msg::Appeared { entry, picture } => self.appeared(entry, picture),
            Msg::Modified {
                path,
                stamp,
                picture,
            } => return Vec::from_iter(self.modified(&path, stamp, picture)),
            Msg::Removed { path } => {
                self.related.removed(&path);
                self.removed(&path);
            }
            Msg::Renamed { from, to } => return self.renamed(&from, to),
            _ => {}
        }
        Vec::new()
    }

    // ── folders ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Opens a folder, a series or a DICOMDIR. The cursor goes to `cursor`, or to where it was last time.
    pub(super) fn open(&mut self, dir: PathBuf, cursor: Option<PathBuf>) -> Vec<Effect> {
        let dir = self.studies.resolve(dir);
        let mut effects = Vec::from_iter(self.persist_folder());
        let generation = self.env.next_generation();
        self.browser.show(dir.clone(), generation, cursor);
        let folder = &mut self.browser.folder;
        match self.studies.open(folder, &self.results, &self.env) {
            Some(opened) => effects.extend(opened),
            None => effects.push(Effect::List { dir, generation }),
        }
        effects
    }

    /// Shows all images below the root in one list.
    pub(in crate::app) fn open_worklist(&mut self) -> Vec<Effect> {
        let effects = Vec::from_iter(self.persist_folder());
        let generation = self.env.next_generation();
        let root = self.env.root.clone();
        self.browser.show_worklist(root, generation, &self.results);
        effects
    }

    /// Shows the folder from which the worklist was opened.
    pub(super) fn leave_worklist(&mut self) -> Vec<Effect> {
        let behind = self.browser.behind_worklist();
        behind.map_or_else(Vec::new, |(dir, cursor)| self.open(dir, cursor))
    }

    /// Whether images below the root are still being searched for.
    pub(super) fn is_searching(&self) -> bool {
        self.scans.values().any(|scan| scan.root == self.env.root)
    }

    /// Remembers the state of the folder on screen. Returns the effect that persists it for the next run.
    fn persist_folder(&mut self) -> Option<Effect> {
        let layout = self.layout();
        let folder = &self.browser.folder;
        let is_folder = self.studies.shows_real_folder(folder);
        let persists = is_folder && !matches!(folder.listing(), Listing::Failed(_));
        let dir = folder.dir().to_owned();
        let left = self.browser.remember()?;
        persists.then(|| Effect::PersistFolder {
            dir,
            state: left.to_state(layout),
        })
    }

    /// Quits the program. Persists the current layout with the root, where the next run begins.
    pub(super) fn quit(&mut self) -> Vec<Effect> {
        let mut effects = self.viewer.store_measurements();
        effects.extend(self.persist_folder());
        let root = &self.env.root;
        let shows_root = self.folder().dir() == root && !self.folder().is_worklist();
        if !shows_root && let Some(left) = self.browser.left(root) {
            effects.push(Effect::PersistFolder {
                dir: root.clone(),
                state: FolderMemory::to_state(left, self.layout()),
            });
        }
        effects.push(Effect::Quit);
        effects
    }

    // ── scans ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Starts the watch, and a scan for files that arrived while it was off.
    pub(in crate::app) fn start_watch(&mut self) -> Vec<Effect> {
        self.watch = WatchState::Starting;
        let root = self.env.root.clone();
        let watch = Effect::Watch { root: root.clone() };
        vec![watch, self.scan(root, false)]
    }

    /// The effect that searches for images under a folder, to have them classified.
    pub(super) fn scan(&mut self, root: PathBuf, by_key: bool) -> Effect {
        let generation = self.env.next_generation();
        let scan = PendingScan {
            root: root.clone(),
            by_key,
            requested: 0,
        };
        self.scans.insert(generation, scan);
        Effect::Scan { root, generation }
    }

    fn scanned(&mut self, generation: u64, files: Vec<FoundFile>, complete: bool) {
        let Some(scan) = self.scans.get_mut(&generation) else {
            return;
        };
        let results = &self.results;
        let wanted = |found: &FoundFile| match results.get(&found.path) {
            Some(FileState::Failed(_)) if scan.by_key => true,
            _ => !results.knows(&found.path, found.stamp),
        };
        let files: Vec<FoundFile> = files.into_iter().filter(wanted).collect();
        scan.requested += files.len();
        let by_key = scan.by_key;
        if complete {
            self.scan_ends(generation);
        }
        if by_key {
            self.request(files, Lane::Bulk);
        } else {
            self.look_up(files, Lane::Bulk, Certainty::Told);
        }
    }

    fn scan_ends(&mut self, generation: u64) {
        let Some(scan) = self.scans.remove(&generation) else {
            return;
        };
        if scan.root == self.env.root {
            self.results.note_search(&scan.root);
        }
        if scan.by_key {
            // Those requested by this scan are queued only after it.
            let tally = self.results.tally(&scan.root);
            let queued = tally.map_or(0, |tally| tally.count(FileStatus::Queued));
            let text = match (scan.requested, queued) {
                (0, 0) => "everything here has been classified".to_owned(),
                (0, 1) => "1 image here is already queued".to_owned(),
                (0, n) => format!("{n} images here are already queued"),
                (1, _) => "1 image to classify".to_owned(),
                (n, _) => format!("{n} images to classify"),
            };
            self.say(Severity::Info, &text);
        }
    }

    /// Counts an unreadable file or folder as `classify` does.
    fn unreadable(&mut self, path: &Path, error: MediaError) {
        let is_new = self.results.get(path).is_none();
        self.results.fail(path, Failure::from(error));
        if is_new {
            self.activity.note_answer(path, &self.results);
        }
        self.browser.folder.rerank(path, &self.results);
    }

    // ── what is classified ────────────────────────────────────────────────────────────────────────────────────

    /// Classifies files even if they have results.
    pub(super) fn classify(&mut self, files: Vec<FoundFile>) {
        if !self.says_no_model() {
            self.request(files, Lane::Interactive);
        }
    }

    /// Requests results of files that are images, or are treated as images.
    pub(super) fn request(&mut self, files: Vec<FoundFile>, lane: Lane) {
        for found in files {
            let reason = self.reason(&found);
            self.request_one(found, lane, reason, Certainty::Told);
        }
    }

    /// Why a file is requested. Of another content than is known, an answer that is on its way says nothing.
    pub(super) fn reason(&self, found: &FoundFile) -> Reason {
        match self.results.stamp(&found.path) {
            Some(stamp) if stamp != found.stamp => Reason::Arrived,
            _ => Reason::Wanted,
        }
    }

    pub(super) fn request_one(
        &mut self,
        found: FoundFile,
        lane: Lane,
        reason: Reason,
        certainty: Certainty,
    ) {
        let path = found.path.clone();
        self.recall.forget(&path);
        self.results.ask(found, lane, reason, certainty);
        self.browser.folder.rerank(&path, &self.results);
    }

    // ── the watch ─────────────────────────────────────────────────────────────────────────────────────────────

    fn appeared(&mut self, entry: Entry, may_be_image: bool) {
        let is_file = entry.kind == EntryKind::File;
        if is_file && may_be_image {
            self.browser.note_arrival(&entry.path);
            self.activity.note(Incident::Arrived(entry.path.clone()));
        }
        if self.folder().contains(&entry.path) {
            self.browser.folder.insert(entry.clone(), &self.results);
        } else if self.folder().dir() == entry.path {
            // It was removed, and is back with nothing in it yet.
            self.browser.folder.complete();
        }
        if is_file {
            let found = FoundFile {
                path: entry.path,
                stamp: entry.stamp,
            };
            self.changed(found, may_be_image, Certainty::Assumed, Reason::Arrived);
        }
    }

    fn modified(&mut self, path: &Path, stamp: Stamp, may_be_image: bool) -> Option<Effect> {
        self.related.modified(path, stamp);
        if self.folder().contains(path) {
            self.browser.folder.restamp(path, stamp, &self.results);
        }
        if may_be_image && self.results.get(path).is_some() && !self.results.knows(path, stamp) {
            self.activity.note(Incident::Changed(path.to_owned()));
        }
        let effect = self.tags.modified(path, stamp, &mut self.env);
        let (certainty, reason) = match self.results.get(path) {
            Some(_) => (Certainty::Told, Reason::Arrived),
            // The scan did not call it an image.
            None if self.results.is_searched() => (Certainty::Doubted, Reason::Arrived),
            // It was there when the watch began.
            None => (Certainty::Assumed, Reason::Wanted),
        };
        let path = path.to_owned();
        self.changed(FoundFile { path, stamp }, may_be_image, certainty, reason);
        effect
    }

    /// Handles a file with new content. The scan and the watch may both report it: its result is requested once.
    fn changed(
        &mut self,
        found: FoundFile,
        may_be_image: bool,
        certainty: Certainty,
        reason: Reason,
    ) {
        if self.results.knows(&found.path, found.stamp) {
            return;
        }
        if !may_be_image {
            self.recall.forget(&found.path);
            self.results.forget(&found.path);
            self.browser.folder.rerank(&found.path, &self.results);
        } else if reason == Reason::Wanted {
            self.look_up(vec![found], Lane::Bulk, certainty);
        } else {
            self.request_one(found, Lane::Bulk, reason, certainty);
        }
    }

    /// Handles the removal of a file, or of a folder with everything below it.
    pub(super) fn removed(&mut self, path: &Path) {
        if self.results.get(path).is_some() {
            self.activity.note(Incident::Removed(path.to_owned()));
        }
        self.recall.removed(path);
        self.results.removed(path);
        self.browser.removed(path);
    }

    fn renamed(&mut self, from: &Path, to: Entry) -> Vec<Effect> {
        self.related.removed(from);
        self.recall.renamed(from, &to.path);
        self.results.rename(from, &to.path);
        if let Some(comparison) = self.screen.comparison_mut() {
            comparison.renamed(from, &to.path);
        }
        if let Some((dir, cursor)) = self.browser.renamed(from, &to.path) {
            return self.open(dir, cursor);
        }
        let folder = &mut self.browser.folder;
        if folder.contains(&to.path) {
            folder.rename(from, to, &self.results);
        } else {
            folder.remove(from);
        }
        Vec::new()
    }
}
