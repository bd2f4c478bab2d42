//! News is heard of files: listings, scans, the watch.

use std::path::{Path, PathBuf};

use super::activity::News;
use super::entry::{Entry, EntryKind, Found, Stamp};
use super::folder::{Folder, Reading};
use super::kept::Left;
use super::model::{Model, Scan, WatchState};
use super::msg::{Msg, Severity};
use super::results::{Certainty, FileState, Standing};
use super::stage::Over;
use super::{Effect, shelf, text};
use crate::engine::Lane;
use crate::jobs::Reason;
use crate::library::Failure;
use crate::media::MediaError;

impl Model {
    /// Takes in what concerns files.
    pub(super) fn files_said(&mut self, msg: Msg) -> Vec<Effect> {
        let heard = self.shelf_hears(&msg);
        let mut effects = self.files_change(msg);
        effects.extend(self.shelf_follows(heard));
        effects
    }

    fn files_change(&mut self, msg: Msg) -> Vec<Effect> {
        match &msg {
            Msg::Removed { path } => self.related_changed(path),
            Msg::Modified { path, stamp, .. } if self.is_other_content(path, *stamp) => {
                self.related_changed(path);
            }
            Msg::Renamed { from, .. } => self.related_changed(from),
            _ => {}
        }
        match msg {
            Msg::Listed {
                dir,
                generation,
                entries,
                complete,
            } if self.is_current_listing(&dir, generation) => {
                if self.results.is_unreadable(&dir) {
                    // It can be read now.
                    self.results.forget(&dir);
                }
                self.folder.extend(entries, complete, &self.results);
                Vec::new()
            }
            Msg::Unlisted {
                dir,
                generation,
                message,
            } if self.is_current_listing(&dir, generation) => {
                self.folder.reading = Reading::Failed(text::safe_str(&message));
                Vec::new()
            }
            Msg::Scanned {
                generation,
                files,
                complete,
            } => self.scanned(generation, files, complete),
            Msg::Touched { path, stamp } => {
                let found = Found { path, stamp };
                if self.results.touched(found.clone()) {
                    self.folder.rerank(&found.path, &self.results);
                }
                Vec::new()
            }
            Msg::Unreadable { path, error } => {
                self.unreadable(&path, error);
                Vec::new()
            }
            Msg::Appeared { entry, picture } => {
                self.appeared(entry, picture);
                Vec::new()
            }
            Msg::Modified {
                path,
                stamp,
                picture,
            } => self.modified(&path, stamp, picture),
            Msg::Removed { path } => {
                self.removed(&path);
                Vec::new()
            }
            Msg::Renamed { from, to } => self.renamed(&from, to),
            _ => Vec::new(),
        }
    }

    pub(super) fn is_current_listing(&self, dir: &Path, generation: u64) -> bool {
        self.folder.generation == generation && self.folder.dir == dir
    }

    /// Goes to a folder; the cursor goes to `wish`, or where it was last time.
    pub(super) fn open(&mut self, dir: PathBuf, wish: Option<PathBuf>) -> Vec<Effect> {
        // A series of a folder that is no longer grouped.
        let dir = match shelf::base_of(&dir) {
            Some(base) if self.shelf.as_ref().is_none_or(|shelf| shelf.path != base) => {
                base.to_owned()
            }
            _ => dir,
        };
        let mut effects = Vec::from_iter(self.leave_behind());
        let (cursor, look) = self.find_again(&dir);
        let generation = self.next_generation();
        self.folder = Folder::new(dir.clone(), generation, wish.or(cursor), look);
        match self.open_shelf(&dir) {
            Some(opened) => effects.extend(opened),
            None => effects.push(Effect::List { dir, generation }),
        }
        effects
    }

    /// Watches the root, and looks for what came while nobody did.
    pub(super) fn start_watch(&mut self) -> Vec<Effect> {
        self.watch = WatchState::Starting;
        let watch = Effect::Watch {
            root: self.root.clone(),
        };
        vec![watch, self.scan(self.root.clone(), false)]
    }

    /// The effect that looks for pictures under a folder, to have them classified.
    pub(super) fn scan(&mut self, root: PathBuf, by_key: bool) -> Effect {
        let generation = self.next_generation();
        self.scans.insert(
            generation,
            Scan {
                root: root.clone(),
                by_key,
                asked: 0,
            },
        );
        Effect::Scan { root, generation }
    }

    fn scanned(&mut self, generation: u64, files: Vec<Found>, complete: bool) -> Vec<Effect> {
        let Some(scan) = self.scans.get(&generation) else {
            return Vec::new();
        };
        let by_key = scan.by_key;
        let wanted = |model: &Self, found: &Found| match model.results.get(&found.path) {
            Some(FileState::Failed(_)) if by_key => true,
            _ => !model.results.knows(&found.path, found.stamp),
        };
        let files: Vec<Found> = files
            .into_iter()
            .filter(|found| wanted(self, found))
            .collect();
        if let Some(scan) = self.scans.get_mut(&generation) {
            scan.asked += files.len();
        }
        if complete {
            self.scan_ends(generation);
        }
        self.ask(files, Lane::Bulk);
        Vec::new()
    }

    /// What cannot be looked into counts as `classify` counts it.
    fn unreadable(&mut self, path: &Path, error: MediaError) {
        let news = self.results.get(path).is_none();
        self.results.fail(path, Failure::from(error));
        if news {
            self.note_answer(path);
        }
        self.folder.rerank(path, &self.results);
    }

    fn scan_ends(&mut self, generation: u64) {
        let Some(scan) = self.scans.remove(&generation) else {
            return;
        };
        self.root_scanned |= scan.root == self.root;
        if scan.by_key {
            // Those asked for by this scan are queued only after it.
            let tally = self.results.tally(&scan.root);
            let queued = tally.map_or(0, |tally| tally.count(Standing::Queued));
            let text = match (scan.asked, queued) {
                (0, 0) => "everything here has been classified".to_owned(),
                (0, 1) => "1 image here is queued already".to_owned(),
                (0, n) => format!("{n} images here are queued already"),
                (1, _) => "1 picture to classify".to_owned(),
                (n, _) => format!("{n} pictures to classify"),
            };
            self.say(Severity::Info, &text);
        }
    }

    /// Asks about files that are, or are to be taken for, images.
    pub(super) fn ask(&mut self, files: Vec<Found>, lane: Lane) {
        for found in files {
            // Of another content than is known, an answer that is on its way says nothing.
            let reason = match self.results.stamp(&found.path) {
                Some(stamp) if stamp != found.stamp => Reason::Arrived,
                _ => Reason::Wanted,
            };
            self.ask_about(found, lane, reason, Certainty::Told);
        }
    }

    fn ask_about(&mut self, found: Found, lane: Lane, reason: Reason, certainty: Certainty) {
        let path = found.path.clone();
        self.results.ask(found, lane, reason, certainty);
        self.folder.rerank(&path, &self.results);
    }

    fn appeared(&mut self, entry: Entry, picture: bool) {
        let file = entry.kind == EntryKind::File;
        if file && picture {
            self.looked.remove(&entry.path);
            self.fresh.insert(entry.path.clone());
            self.activity.note(News::Arrived(entry.path.clone()));
        }
        if entry.path.parent() == Some(&self.folder.dir) {
            self.folder.insert(entry.clone(), &self.results);
        }
        if file {
            let certainty = Certainty::Assumed;
            self.changed(entry.path, entry.stamp, picture, certainty, Reason::Arrived);
        }
    }

    fn modified(&mut self, path: &Path, stamp: Stamp, picture: bool) -> Vec<Effect> {
        if path.parent() == Some(&self.folder.dir) {
            self.folder.restamp(path, stamp, &self.results);
        }
        if picture && self.results.get(path).is_some() && !self.results.knows(path, stamp) {
            self.activity.note(News::Changed(path.to_owned()));
        }
        let effects = self.tags_changed(path, stamp);
        let (certainty, reason) = match self.results.get(path) {
            Some(_) => (Certainty::Told, Reason::Arrived),
            // The scan did not call it an image.
            None if self.root_scanned => (Certainty::Doubted, Reason::Arrived),
            // It was there when the watch began.
            None => (Certainty::Assumed, Reason::Wanted),
        };
        self.changed(path.to_owned(), stamp, picture, certainty, reason);
        effects
    }

    /// A file has this content now. The same content may be reported more than once, by the scan and by the watch: it is
    /// asked about once.
    fn changed(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        picture: bool,
        certainty: Certainty,
        reason: Reason,
    ) {
        if self.results.knows(&path, stamp) {
            return;
        }
        if !picture {
            self.results.forget(&path);
            return;
        }
        let found = Found { path, stamp };
        self.ask_about(found, Lane::Bulk, reason, certainty);
    }

    pub(super) fn removed(&mut self, path: &Path) {
        if self.results.get(path).is_some() {
            self.activity.note(News::Removed(path.to_owned()));
        }
        self.results.removed(path);
        self.looked.retain(|file| !file.starts_with(path));
        self.fresh.retain(|file| !file.starts_with(path));
        self.marked.retain(|file| !file.starts_with(path));
        self.folder.remove(path);
        if self.folder.dir.starts_with(path) {
            self.folder.reading = Reading::Failed("It has been removed.".to_owned());
        }
    }

    fn renamed(&mut self, from: &Path, to: Entry) -> Vec<Effect> {
        self.results.rename(from, &to.path);
        let moved = |path: &PathBuf| match path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => to.path.clone(),
            Ok(rest) => to.path.join(rest),
            Err(_) => path.clone(),
        };
        self.looked = self.looked.iter().map(moved).collect();
        self.fresh = self.fresh.iter().map(moved).collect();
        self.marked = self.marked.iter().map(moved).collect();
        if let Some(Over::Compare(compare)) = &mut self.stage.over {
            compare.files = compare.files.each_ref().map(moved);
        }
        let mut effects = Vec::new();
        if self.folder.dir.starts_with(from) {
            let wish = self.folder.current().map(|row| moved(&row.path));
            let dir = moved(&self.folder.dir);
            let left = Left {
                cursor: wish.clone(),
                look: self.folder.look().clone(),
            };
            self.places.insert(dir.clone(), left);
            effects = self.open(dir, wish);
        } else if to.path.parent() == Some(&self.folder.dir) {
            self.folder.rename(from, to, &self.results);
        } else {
            self.folder.remove(from);
        }
        effects
    }
}
