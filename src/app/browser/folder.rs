//! The folder on screen: its rows in order, a cursor that stays on its file whatever changes around it, and the scroll
//! position.

mod banner;
pub(crate) mod lines;
mod row;
mod similarity;
mod worklist;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::entry::{Entry, EntryKind, Stamp};
use crate::app::folder_state::ListOptions;
use crate::app::results::Results;
use crate::app::sort::{Key, Rank, Sort, natural};
pub use banner::{BannerMessage, ListBanner};
pub use row::{Row, RowKind};
use row::{by_name, merge, name_bytes};
use similarity::SimilarityOrder;

/// The state of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Parts are still to come.
    Underway,
    /// All is here.
    Complete,
    /// It cannot be read; the sentence says why.
    Failed(String),
}

/// The folder on screen, or the worklist: all images below a folder. Inserting or removing one row is cheap even among a hundred
/// thousand.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// Absolute.
    dir: PathBuf,
    /// The number of the listing that was requested.
    generation: u64,
    listing: Listing,
    /// All rows by name, dotfiles included.
    rows: Vec<Arc<Row>>,
    /// Indices into `rows` of those that are shown, in the order shown.
    visible: Vec<u32>,
    /// Shown instead of `visible`, in this order: the files in groups.
    arranged: Option<Vec<Row>>,
    options: ListOptions,
    /// The options were changed by a key.
    chosen: bool,
    /// Index into `visible`.
    cursor: usize,
    /// First line on screen. Lines are rows, with the banner above one of them.
    offset: usize,
    /// What is said above the rejected images.
    banner: Option<ListBanner>,
    /// The cursor stays on its file. Until then (while the listing comes in and no key has moved it) it waits at the first row,
    /// or at `wish` once that has been listed.
    pinned: bool,
    wish: Option<PathBuf>,
    /// Files removed during the listing: a part read earlier may still contain them.
    gone: HashSet<PathBuf>,
    /// Whether the rows are the images below the folder at any depth, rather than what lies in it.
    worklist: bool,
    /// Files of the worklist whose rows do not follow their results yet.
    outdated: Vec<PathBuf>,
    /// The similarities by which the files are ranked, instead of the order chosen.
    similar: Option<SimilarityOrder>,
}

impl Folder {
    /// A folder before its listing. The cursor goes to `wish` once that has been listed.
    pub fn new(dir: PathBuf, generation: u64, wish: Option<PathBuf>, options: ListOptions) -> Self {
        Self {
            dir,
            generation,
            listing: Listing::Underway,
            rows: Vec::new(),
            visible: Vec::new(),
            arranged: None,
            options,
            chosen: false,
            cursor: 0,
            offset: 0,
            banner: None,
            pinned: false,
            wish,
            gone: HashSet::new(),
            worklist: false,
            outdated: Vec::new(),
            similar: None,
        }
    }

    /// Adds a part of the listing.
    pub fn extend(&mut self, entries: Vec<Entry>, complete: bool, results: &Results) {
        let fresh = entries.into_iter().filter(|e| !self.gone.contains(&e.path));
        let mut fresh: Vec<Arc<Row>> = fresh.map(|e| Arc::new(self.new_row(e, results))).collect();
        // Parts usually come sorted.
        fresh.sort_by(|a, b| by_name(a, b));
        fresh.dedup_by(|a, b| a.path == b.path);
        self.keep_cursor(|folder| {
            folder.rows = merge(std::mem::take(&mut folder.rows), fresh);
            folder.order_anew(results);
        });
        if complete {
            self.listing = Listing::Complete;
            self.pinned = !self.rows.is_empty();
            self.gone.clear();
        }
    }

    /// Adds a file or folder, or replaces its stamp.
    pub fn insert(&mut self, entry: Entry, results: &Results) {
        if self.note(&entry.path) {
            return;
        }
        self.gone.remove(&entry.path);
        if matches!(self.listing, Listing::Failed(_)) && entry.path.parent() == Some(&self.dir) {
            self.listing = Listing::Complete;
        }
        let row = Arc::new(self.new_row(entry, results));
        self.keep_cursor(|folder| {
            folder.take_out(&row.path);
            folder.put_in(row, results);
        });
    }

    /// Removes a file or folder.
    pub fn remove(&mut self, path: &Path) {
        if self.worklist {
            return self.note_below(path);
        }
        if path.parent() != Some(&self.dir) {
            return;
        }
        if self.listing == Listing::Underway {
            self.gone.insert(path.to_owned());
        }
        self.keep_cursor(|folder| {
            folder.take_out(path);
            if let Some(arranged) = &mut folder.arranged {
                arranged.retain(|row| row.path != path);
            }
        });
    }

    /// Shows other rows instead of the folder's own; `None`: its own again. The cursor stays on its row, or goes to the one
    /// it waits for.
    pub fn arrange(&mut self, rows: Option<Vec<Row>>) {
        self.keep_cursor(|folder| folder.arranged = rows);
        if let Some(at) = self.wish.as_deref().and_then(|wish| self.find(wish)) {
            self.go_to(at);
        }
    }

    /// Renames a file or folder; the cursor follows it.
    pub fn rename(&mut self, from: &Path, to: Entry, results: &Results) {
        if self.worklist {
            return self.rename_below(from, &to.path, results);
        }
        let followed = self.pinned && self.current().is_some_and(|row| row.path == from);
        let path = to.path.clone();
        self.remove(from);
        self.insert(to, results);
        if followed && let Some(at) = self.find(&path) {
            self.go_to(at);
        }
    }

    /// Changes the stamp of a file, which is added if it is new.
    pub fn restamp(&mut self, path: &Path, stamp: Stamp, results: &Results) {
        if self.note(path) {
            return;
        }
        let by_stamp = matches!(self.options.sort.by, Key::Time | Key::Size);
        match self.row_at(path, EntryKind::File) {
            Ok(at) if !by_stamp => Arc::make_mut(&mut self.rows[at]).stamp = stamp,
            _ => self.insert(
                Entry {
                    path: path.to_owned(),
                    kind: EntryKind::File,
                    stamp,
                },
                results,
            ),
        }
    }

    /// Follows a result that has changed, if order or filter depend on results. In the worklist, [`Self::settle`] does so.
    pub fn rerank(&mut self, path: &Path, results: &Results) {
        if self.note(path) || !self.needs_results() || path.parent() != Some(&self.dir) {
            return;
        }
        let Ok(at) = self.row_at(path, EntryKind::File) else {
            return;
        };
        let row = &self.rows[at];
        let rank = self.rank(path, row.stamp, results);
        let was_shown = self.place(at as u32).is_ok();
        if rank == row.rank && was_shown == self.is_shown(row, results) {
            return;
        }
        let row = Arc::new(Row {
            rank,
            ..Row::clone(row)
        });
        self.keep_cursor(|folder| {
            folder.take_out(path);
            folder.put_in(row, results);
        });
    }

    /// Sorts and filters anew after many results have changed.
    pub fn rerank_all(&mut self, results: &Results) {
        if !self.needs_results() {
            return;
        }
        self.keep_cursor(|folder| {
            folder.rank_rows(results);
            folder.order_anew(results);
        });
    }

    /// Whether order or filter depend on results.
    fn needs_results(&self) -> bool {
        self.options.sort.by.needs_results() || self.options.filter.needs_results()
    }

    /// Whether a row passes the filter, and is not hidden.
    fn is_shown(&self, row: &Row, results: &Results) -> bool {
        let filter = &self.options.filter;
        let state = || results.judged(&row.path).filter(|_| filter.needs_results());
        (self.options.hidden || !row.hidden()) && filter.admits(&row.shown, state())
    }

    fn rank_rows(&mut self, results: &Results) {
        let mut rows = std::mem::take(&mut self.rows);
        for row in rows.iter_mut().filter(|row| row.kind == EntryKind::File) {
            let rank = self.rank(&row.path, row.stamp, results);
            if rank != row.rank {
                Arc::make_mut(row).rank = rank;
            }
        }
        self.rows = rows;
    }

    /// The rank of a file by the order of the list.
    fn rank(&self, path: &Path, stamp: Stamp, results: &Results) -> Rank {
        match &self.similar {
            Some(similar) => similar.rank(path),
            None => Rank::of(self.options.sort.by, path, stamp, results),
        }
    }

    /// The folder's path, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number that the listing is answered by.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The state of the listing.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Notes that the listing is complete.
    pub(in crate::app) fn complete(&mut self) {
        self.listing = Listing::Complete;
    }

    /// Notes why the folder cannot be read (any more), as a sentence safe to show.
    pub(in crate::app) fn fail(&mut self, message: String) {
        self.listing = Listing::Failed(message);
    }

    /// Order, filter, hidden files.
    pub fn options(&self) -> &ListOptions {
        &self.options
    }

    /// Changes order, filter and hidden files.
    pub fn set_options(&mut self, options: ListOptions, results: &Results) {
        self.chosen = true;
        self.apply_options(options, results);
    }

    /// Restores how the folder was left, while it is being listed. What keys have changed meanwhile takes precedence.
    pub fn restore(&mut self, cursor: Option<PathBuf>, options: ListOptions, results: &Results) {
        if !self.chosen {
            self.apply_options(options, results);
        }
        if !self.pinned && self.wish.is_none() {
            self.wish = cursor;
            self.keep_cursor(|_| {});
        }
    }

    fn apply_options(&mut self, options: ListOptions, results: &Results) {
        let sorted = options.sort.by != self.options.sort.by;
        self.keep_cursor(|folder| {
            folder.options = options;
            if sorted {
                folder.rank_rows(results);
            }
            folder.order_anew(results);
        });
    }

    fn new_row(&self, entry: Entry, results: &Results) -> Row {
        let rank = match entry.kind {
            EntryKind::File => self.rank(&entry.path, entry.stamp, results),
            EntryKind::Folder => Rank::default(),
        };
        Row::new(entry, rank)
    }

    /// Recomputes which rows are shown, and their order.
    fn order_anew(&mut self, results: &Results) {
        let rows = self.rows.iter();
        let rows = rows.map(|row| (row.shown.as_str(), || results.judged(&row.path)));
        let passes = self.options.filter.passes(rows);
        let shown = |at: &u32| {
            let row = &self.rows[*at as usize];
            (self.options.hidden || !row.hidden())
                && passes.as_ref().is_none_or(|p| p[*at as usize])
        };
        let mut visible: Vec<u32> = (0..self.rows.len() as u32).filter(shown).collect();
        if self.options.sort != Sort::default() || self.similar.is_some() {
            visible.sort_by(|a, b| self.order(*a, *b));
        }
        self.visible = visible;
    }

    /// Compares two rows by their indices: folders first, then by the order chosen, then by name.
    fn order(&self, a: u32, b: u32) -> Ordering {
        let (left, right) = (&self.rows[a as usize], &self.rows[b as usize]);
        let Sort { by, reversed } = match self.similar {
            // Ranks are of similarity, and names in their order.
            Some(_) => Sort::default(),
            None => self.options.sort,
        };
        let names = if reversed && by == Key::Name && left.kind == EntryKind::File {
            b.cmp(&a)
        } else {
            a.cmp(&b)
        };
        let ranks = || left.rank.cmp(&right.rank, reversed);
        left.kind
            .cmp(&right.kind)
            .then_with(|| match left.kind {
                EntryKind::File => ranks(),
                EntryKind::Folder => Ordering::Equal,
            })
            .then(names)
    }

    /// Removes a row from `rows` and `visible`.
    fn take_out(&mut self, path: &Path) {
        let found = [EntryKind::File, EntryKind::Folder]
            .into_iter()
            .find_map(|kind| self.row_at(path, kind).ok());
        let Some(at) = found else { return };
        if let Ok(place) = self.place(at as u32) {
            self.visible.remove(place);
        }
        self.rows.remove(at);
        for other in &mut self.visible {
            *other -= u32::from(*other > at as u32);
        }
    }

    /// Inserts a new row into `rows` and `visible`.
    fn put_in(&mut self, row: Arc<Row>, results: &Results) {
        let at = self.rows.partition_point(|other| {
            let order = other.kind.cmp(&row.kind);
            let names = || natural(self.name_of(&other.path), self.name_of(&row.path));
            order.then_with(names) == Ordering::Less
        });
        let shown = self.is_shown(&row, results);
        self.rows.insert(at, row);
        for other in &mut self.visible {
            *other += u32::from(*other >= at as u32);
        }
        if shown {
            let place = self.place(at as u32).unwrap_or_else(|place| place);
            self.visible.insert(place, at as u32);
        }
    }

    /// The position in `visible` of a row of `rows`, or where to insert it.
    fn place(&self, at: u32) -> Result<usize, usize> {
        self.visible
            .binary_search_by(|other| self.order(*other, at))
    }

    /// The index in `rows` of a file or folder, or where to insert it.
    fn row_at(&self, path: &Path, kind: EntryKind) -> Result<usize, usize> {
        let name = self.name_of(path);
        self.rows.binary_search_by(|row| {
            row.kind
                .cmp(&kind)
                .then_with(|| natural(self.name_of(&row.path), name))
        })
    }

    /// What rows are ordered by first: the name, in the worklist the path below the folder.
    fn name_of<'a>(&self, path: &'a Path) -> &'a [u8] {
        if !self.worklist {
            return name_bytes(path);
        }
        let (all, dir) = (path.as_os_str(), self.dir.as_os_str());
        let below = all.as_encoded_bytes().get(dir.len()..);
        below.unwrap_or_default()
    }

    /// Applies a change; the cursor stays on its file, and the file on its line of the screen.
    fn keep_cursor(&mut self, change: impl FnOnce(&mut Self)) {
        let anchor = self
            .current()
            .filter(|_| self.pinned)
            .map(|row| row.path.clone());
        change(self);
        let target = if self.pinned {
            anchor
        } else {
            self.wish.clone()
        };
        match target.and_then(|path| self.find(&path)) {
            Some(at) => {
                self.offset = (self.offset + at).saturating_sub(self.cursor);
                self.cursor = at;
            }
            None if self.pinned => {
                self.cursor = self.cursor.min(self.len().saturating_sub(1));
            }
            None => self.cursor = 0,
        }
    }

    /// The position of a file or folder among the rows shown.
    pub(crate) fn find(&self, path: &Path) -> Option<usize> {
        if let Some(rows) = &self.arranged {
            return rows.iter().position(|row| row.path == path);
        }
        let kinds = [EntryKind::File, EntryKind::Folder];
        let at = kinds
            .into_iter()
            .find_map(|kind| self.row_at(path, kind).ok())?;
        self.place(at as u32).ok()
    }

    /// Moves the cursor to a row, or to the last one.
    pub fn go_to(&mut self, at: usize) {
        self.pinned = true;
        self.wish = None;
        self.cursor = at.min(self.len().saturating_sub(1));
    }

    /// Moves the cursor to a file or folder; false if that is not shown.
    pub fn go_to_path(&mut self, path: &Path) -> bool {
        let found = self.find(path);
        if let Some(at) = found {
            self.go_to(at);
        }
        found.is_some()
    }

    /// The row of a file or folder, shown or not.
    pub fn row(&self, path: &Path) -> Option<&Row> {
        if let Some(rows) = &self.arranged {
            return rows.iter().find(|row| row.path == path);
        }
        let kinds = [EntryKind::File, EntryKind::Folder];
        let at = kinds
            .into_iter()
            .find_map(|kind| self.row_at(path, kind).ok())?;
        self.rows.get(at).map(|row| &**row)
    }

    /// Moves the cursor by rows, at most to the ends.
    pub fn go_by(&mut self, rows: isize) {
        self.go_to(self.cursor.saturating_add_signed(rows));
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&Row> {
        self.rows_from(self.cursor).next()
    }

    /// The path under the cursor, or the one it waits for.
    pub fn anchor(&self) -> Option<&Path> {
        let wish = self.wish.as_deref().filter(|_| !self.pinned);
        wish.or_else(|| self.current().map(|row| row.path.as_path()))
    }

    /// The position of the cursor, from 0.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The number of rows shown.
    pub fn len(&self) -> usize {
        self.arranged.as_ref().map_or(self.visible.len(), Vec::len)
    }

    /// Whether no rows are shown.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of all rows, shown or not.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows that the filter chooses from: without hidden files, unless those are shown.
    pub fn unfiltered_count(&self) -> usize {
        let shows_hidden = self.options.hidden;
        let rows = self.rows.iter();
        rows.filter(|row| shows_hidden || !row.hidden()).count()
    }

    /// The rows shown, in order, from position `first`.
    pub fn rows_from(&self, first: usize) -> impl DoubleEndedIterator<Item = &Row> {
        let arranged = self.arranged.as_deref().unwrap_or_default();
        let own = match self.arranged {
            Some(_) => &[][..],
            None => &self.visible,
        };
        let own = own.get(first..).unwrap_or_default();
        let own = own.iter().map(|at| &*self.rows[*at as usize]);
        arranged.get(first..).unwrap_or_default().iter().chain(own)
    }

    /// The files and folders that are not hidden, by name, regardless of the filter.
    pub fn visible_entries(&self) -> impl Iterator<Item = &Row> {
        let shown = |row: &&Row| self.options.hidden || !row.hidden();
        self.rows.iter().map(|row| &**row).filter(shown)
    }

    /// The rows shown, in order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows_from(0)
    }
}

#[cfg(test)]
mod tests;
