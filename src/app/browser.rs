//! The browser: the folder or worklist on screen, the state of folders visited before, and which files are marked or have been viewed.

pub mod folder;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::{EntryKind, FoundFile};
use super::filter::Filter;
use super::folder_state::{FolderMemory, FolderState, ListOptions};
use super::request::Request;
use super::results::Results;
use super::sort::Sort;
use crate::paths;
use folder::{Folder, Listing, Row};

/// How long the cursor stays on a file before it counts as viewed: longer than while a key is held down.
pub(crate) const REST_TIME: Duration = Duration::from_millis(80);

/// The row under the cursor, and since when the cursor has been there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct CursorRest {
    path: Option<PathBuf>,
    /// First tick that saw it there.
    since: Option<Duration>,
    rested: bool,
}

/// The state of the browser.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Browser {
    /// The folder on screen. If its files are grouped, [`super::studies`] arranges its rows.
    pub(super) folder: Folder,
    /// State of the folders visited before.
    left: HashMap<PathBuf, FolderMemory>,
    /// State of the worklist when it was left.
    worklist: FolderMemory,
    /// While the worklist is on screen: the folder from which it was opened, with its state.
    behind: Option<(PathBuf, FolderMemory)>,
    /// Files on which the cursor has rested.
    visited: HashSet<PathBuf>,
    /// Files that arrived after the start and have not been viewed.
    fresh: HashSet<PathBuf>,
    marked: BTreeSet<PathBuf>,
    /// Where a range of marks begins.
    mark_anchor: Option<PathBuf>,
    rest: CursorRest,
}

impl Browser {
    /// Begins in a folder, with its state from an earlier run.
    pub(super) fn new(dir: PathBuf, generation: u64, state: FolderState) -> Self {
        let left = FolderMemory::restore(&dir, state);
        Self {
            folder: Folder::new(
                dir.clone(),
                generation,
                left.cursor.clone(),
                left.options.clone(),
            ),
            left: HashMap::from([(dir, left)]),
            worklist: FolderMemory {
                cursor: None,
                options: ListOptions::of_worklist(),
            },
            behind: None,
            visited: HashSet::new(),
            fresh: HashSet::new(),
            marked: BTreeSet::new(),
            mark_anchor: None,
            rest: CursorRest::default(),
        }
    }

    // ── folders ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Whether the folder on screen is this one, and its listing the one requested last.
    pub(super) fn is_current_listing(&self, dir: &Path, generation: u64) -> bool {
        self.folder.generation() == generation && self.folder.dir() == dir
    }

    /// Remembers the state of what is on screen. Returns that of a folder; `None` while no part of its listing has arrived, when
    /// the state remembered before is kept.
    pub(super) fn remember(&mut self) -> Option<&FolderMemory> {
        let folder = &self.folder;
        let left = self.state();
        if folder.is_worklist() {
            self.worklist = left;
            return None;
        }
        if *folder.listing() == Listing::Underway && folder.count() == 0 {
            return None;
        }
        let dir = folder.dir().to_owned();
        Some(self.left.entry(dir).insert_entry(left).into_mut())
    }

    /// The state of what is on screen.
    fn state(&self) -> FolderMemory {
        FolderMemory {
            cursor: self.folder.anchor().map(Path::to_owned),
            options: self.folder.options().clone(),
        }
    }

    /// The state of a folder when it was left in this run; for the folder given at the start, in the last run.
    pub(super) fn left(&self, dir: &Path) -> Option<&FolderMemory> {
        self.left.get(dir)
    }

    /// Shows all images below a folder instead of the folder on screen, in the order, with the filter and with the cursor where
    /// they were last time.
    pub(super) fn show_worklist(&mut self, dir: PathBuf, generation: u64, results: &Results) {
        self.behind = Some((self.folder.dir().to_owned(), self.state()));
        let FolderMemory { cursor, options } = self.worklist.clone();
        self.folder = Folder::worklist(dir, generation, cursor, options, results);
    }

    /// The folder from which the worklist on screen was opened, and its row under the cursor then.
    pub(super) fn behind_worklist(&self) -> Option<(PathBuf, Option<PathBuf>)> {
        let (dir, left) = self.behind.as_ref()?;
        Some((dir.clone(), left.cursor.clone()))
    }

    /// Shows a folder before its listing arrives. The cursor goes to `cursor`, or to where it was last time.
    pub(super) fn show(&mut self, dir: PathBuf, generation: u64, cursor: Option<PathBuf>) {
        let behind = self.behind.take().map(|(_, left)| left.options);
        let (known, options) = if let Some(left) = self.left.get(&dir) {
            (left.cursor.clone(), left.options.clone())
        } else {
            // A filter is about the files of one folder; the rest goes along.
            let options = behind.unwrap_or_else(|| self.folder.options().clone());
            let filter = Filter::default();
            (None, ListOptions { filter, ..options })
        };
        self.folder = Folder::new(dir, generation, cursor.or(known), options);
    }

    /// Restores the state of the folder being listed from an earlier run; false if it is no longer needed. State of this run
    /// takes precedence.
    pub(super) fn restore(
        &mut self,
        dir: &Path,
        generation: u64,
        state: FolderState,
        results: &Results,
    ) -> bool {
        if !self.is_current_listing(dir, generation) || self.left.contains_key(dir) {
            return false;
        }
        let left = FolderMemory::restore(dir, state);
        self.folder.restore(left.cursor, left.options, results);
        true
    }

    // ── order and filter ──────────────────────────────────────────────────────────────────────────────────────

    /// Changes the list options of the folder.
    pub(super) fn change_options(
        &mut self,
        results: &Results,
        change: impl FnOnce(&mut ListOptions),
    ) {
        let mut options = self.folder.options().clone();
        change(&mut options);
        self.folder.set_options(options, results);
    }

    /// Shows only the rows that pass a filter; all for an empty one.
    pub(super) fn filter(&mut self, text: &str, results: &Results) {
        self.change_options(results, |options| options.filter = Filter::new(text));
    }

    /// Changes the order.
    pub(super) fn sort(&mut self, results: &Results, change: impl FnOnce(&mut Sort)) -> Request {
        self.change_options(results, |options| change(&mut options.sort));
        let Sort { by, reversed } = self.folder.options().sort;
        let way = if reversed { ", reversed" } else { "" };
        Request::info(format!("sorted by {}{way}", by.name()))
    }

    // ── marks ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Whether a file is marked.
    pub(crate) fn is_marked(&self, path: &Path) -> bool {
        self.marked.contains(path)
    }

    /// The marked files, in whichever folder, by path.
    pub(super) fn marked(&self) -> &BTreeSet<PathBuf> {
        &self.marked
    }

    /// Marks the file under the cursor, or removes its mark, and moves the cursor to the next row.
    pub(super) fn toggle_mark(&mut self) {
        let current = self.folder.current();
        let Some(row) = current.filter(|row| row.kind == EntryKind::File) else {
            return;
        };
        if !self.marked.remove(&row.path) {
            self.marked.insert(row.path.clone());
        }
        self.mark_anchor = Some(row.path.clone());
        self.folder.go_by(1);
    }

    /// Marks all files from the one that was marked last to the one under the cursor, in the order shown.
    pub(super) fn mark_range(&mut self) -> Request {
        let anchor = self.mark_anchor.as_deref();
        let Some(from) = anchor.and_then(|path| self.folder.find(path)) else {
            return Request::info("mark one end of the range first");
        };
        let to = self.folder.cursor();
        let (first, last) = (from.min(to), from.max(to));
        let rows = self.folder.rows_from(first).take(last - first + 1);
        let files: Vec<_> = rows
            .filter(|row| row.kind == EntryKind::File)
            .map(|row| row.path.clone())
            .collect();
        let before = self.marked.len();
        self.marked.extend(files);
        self.mark_anchor = self.folder.current().map(|row| row.path.clone());
        let all = self.marked.len();
        Request::info(format!("{} more marked, {all} in all", all - before))
    }

    /// Removes the mark of a file.
    pub(super) fn unmark(&mut self, path: &Path) {
        self.marked.remove(path);
    }

    /// Removes all marks; says how many there were.
    pub(super) fn clear_marks(&mut self) -> Request {
        let words = match self.marked.len() {
            0 => "nothing is marked".to_owned(),
            1 => "1 mark removed".to_owned(),
            count => format!("{count} marks removed"),
        };
        self.marked.clear();
        self.mark_anchor = None;
        Request::info(words)
    }

    /// The number of marked files, in whichever folder.
    pub(crate) fn marked_count(&self) -> usize {
        self.marked.len()
    }

    /// The number of marked files that are not in the list on screen: the filter hides them, or they lie elsewhere.
    pub(crate) fn marked_out_of_sight(&self) -> usize {
        let here = self.folder.rows();
        let here = here.filter(|row| self.marked.contains(&row.path)).count();
        self.marked.len() - here
    }

    /// The marked files with their contents, as far as those are known.
    pub(super) fn marked_files(&self, results: &Results) -> Vec<FoundFile> {
        let rows = self.folder.rows().map(|row| (&row.path, row.stamp));
        let here: HashMap<_, _> = rows.collect();
        let stamp = |path: &PathBuf| here.get(path).copied().or_else(|| results.stamp(path));
        let found = |path: &PathBuf| FoundFile {
            path: path.clone(),
            stamp: stamp(path).unwrap_or_default(),
        };
        self.marked.iter().map(found).collect()
    }

    // ── viewed files ────────────────────────────────────────────────────────────────────────────────────

    /// Whether a file arrived after the start and has not been viewed.
    pub(crate) fn is_fresh(&self, path: &Path) -> bool {
        self.fresh.contains(path)
    }

    /// Notes that a file arrived, or changed, and has not been viewed since.
    pub(super) fn note_arrival(&mut self, path: &Path) {
        self.visited.remove(path);
        self.fresh.insert(path.to_owned());
    }

    /// Notes that a file that arrived is not an image.
    pub(super) fn forget_arrival(&mut self, path: &Path) {
        self.fresh.remove(path);
    }

    /// Moves the cursor to the next file in a direction that has not been viewed, wrapping around at the end.
    pub(super) fn go_to_unvisited(&mut self, forward: bool, results: &Results) -> Option<Request> {
        let cursor = self.folder.cursor();
        let unvisited = |(_, row): &(usize, &Row)| {
            row.kind == EntryKind::File
                && !self.visited.contains(&row.path)
                && !results.is_ruled_out(&row.path)
        };
        let rows = self.folder.rows().enumerate().filter(unvisited);
        let rows: Vec<usize> = rows.map(|(at, _)| at).collect();
        let found = if forward {
            rows.iter().find(|at| **at > cursor).or(rows.first())
        } else {
            rows.iter().rfind(|at| **at < cursor).or(rows.last())
        };
        match found {
            Some(at) => {
                self.folder.go_to(*at);
                None
            }
            None => Some(Request::info("no unseen files here")),
        }
    }

    /// Notes where the cursor is; true if it is on another row than before.
    pub(super) fn follow_cursor(&mut self) -> bool {
        let current = self.folder.current().map(|row| row.path.clone());
        let moved = self.rest.path != current;
        if moved {
            self.rest = CursorRest {
                path: current,
                ..CursorRest::default()
            };
        }
        moved
    }

    /// Whether the cursor has stayed on its row for [`REST_TIME`].
    pub(super) fn has_rested(&self) -> bool {
        self.rest.rested
    }

    /// Whether the cursor is on a row and will come to rest there.
    pub(super) fn is_coming_to_rest(&self) -> bool {
        self.rest.path.is_some() && !self.rest.rested
    }

    /// Whether no row is under the cursor.
    pub(super) fn has_no_cursor(&self) -> bool {
        self.rest.path.is_none()
    }

    /// Advances the time. Returns the file on which the cursor came to rest with this tick.
    pub(super) fn tick(&mut self, now: Duration) -> Option<PathBuf> {
        let path = self.rest.path.clone().filter(|_| !self.rest.rested)?;
        let since = *self.rest.since.get_or_insert(now);
        if now.saturating_sub(since) < REST_TIME {
            return None;
        }
        self.rest.rested = true;
        self.fresh.remove(&path);
        self.visited.insert(path.clone());
        Some(path)
    }

    // ── changes on disk ───────────────────────────────────────────────────────────────────────────────────────

    /// Removes a file, or a folder with everything below it.
    pub(super) fn removed(&mut self, path: &Path) {
        self.visited.retain(|file| !file.starts_with(path));
        self.fresh.retain(|file| !file.starts_with(path));
        self.marked.retain(|file| !file.starts_with(path));
        self.folder.remove(path);
        if self.folder.dir().starts_with(path) {
            self.folder.fail("It has been removed.".to_owned());
        }
    }

    /// Follows a file or folder to its new path. Returns the folder to open and the row to go to if the folder on screen was
    /// moved.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
        let new = |path: &PathBuf| paths::renamed(path, from, to).unwrap_or_else(|| path.clone());
        self.visited = self.visited.iter().map(new).collect();
        self.fresh = self.fresh.iter().map(new).collect();
        self.marked = self.marked.iter().map(new).collect();
        if let Some((dir, left)) = &mut self.behind {
            *dir = new(dir);
            left.cursor = left.cursor.as_ref().map(new);
        }
        self.worklist.cursor = self.worklist.cursor.as_ref().map(new);
        if !self.folder.dir().starts_with(from) {
            return None;
        }
        let cursor = self.folder.current().map(|row| new(&row.path));
        let dir = new(&self.folder.dir().to_owned());
        let left = self
            .behind
            .take()
            .map_or_else(|| self.state(), |(_, left)| left);
        let left = FolderMemory {
            cursor: cursor.clone(),
            ..left
        };
        self.left.insert(dir.clone(), left);
        Some((dir, cursor))
    }
}
