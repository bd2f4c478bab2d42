//! The folder on screen: its rows in order, a cursor that stays on its file whatever happens around it, and the scroll.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::entry::{Entry, EntryKind, Stamp};
use super::text;

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Absolute.
    pub path: PathBuf,
    /// The name, safe to show.
    pub shown: String,
    /// Folder or file.
    pub kind: EntryKind,
    /// What the file looked like when last heard of.
    pub stamp: Stamp,
    /// What the row is, where it is not simply what lies at its path.
    pub stands: Stands,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// The file or folder at its path.
    Itself,
    /// A study, by its index; its path is no file's.
    Study(usize),
    /// A series, by the indices of its study and its own; its path is no file's.
    Series(usize, usize),
    /// A file that a DICOMDIR refers to and that is not there.
    Missing,
}

impl Row {
    fn new(entry: Entry) -> Self {
        let shown = entry.path.file_name().map_or_else(String::new, text::safe);
        Self {
            path: entry.path,
            shown,
            kind: entry.kind,
            stamp: entry.stamp,
            stands: Stands::Itself,
        }
    }

    /// Named with a dot in front.
    fn hidden(&self) -> bool {
        name_bytes(&self.path).starts_with(b".")
    }
}

/// How far the listing has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Parts are still to come.
    Underway,
    /// All is here.
    Complete,
    /// It cannot be read; the sentence says why.
    Failed(String),
}

/// The folder on screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// Absolute.
    pub dir: PathBuf,
    /// Of the listing that was asked for.
    pub generation: u64,
    /// How far it has come.
    pub reading: Reading,
    /// Sorted, dotfiles among them.
    rows: Vec<Row>,
    /// Those of `rows` that are shown.
    visible: Vec<usize>,
    /// Shown instead of them, in this order: the files in groups.
    arranged: Option<Vec<Row>>,
    show_hidden: bool,
    /// Index into `visible`.
    cursor: usize,
    /// First row on screen, index into `visible`.
    offset: usize,
    /// The cursor belongs to its file. Before (while the listing comes in and no key has moved it) it waits at the first row,
    /// or at `wish` once that is there.
    pinned: bool,
    wish: Option<PathBuf>,
    /// Removed while the listing was under way: a part read before that may still name them.
    gone: HashSet<PathBuf>,
}

/// Rows kept in sight above and below the cursor.
const SCROLL_MARGIN: usize = 2;

impl Folder {
    /// A folder of which nothing is known yet; the cursor goes to `wish` when that turns up.
    pub fn new(dir: PathBuf, generation: u64, wish: Option<PathBuf>, show_hidden: bool) -> Self {
        Self {
            dir,
            generation,
            reading: Reading::Underway,
            rows: Vec::new(),
            visible: Vec::new(),
            arranged: None,
            show_hidden,
            cursor: 0,
            offset: 0,
            pinned: false,
            wish,
            gone: HashSet::new(),
        }
    }

    /// Takes a part of the listing in.
    pub fn extend(&mut self, entries: Vec<Entry>, complete: bool) {
        self.change(|folder| {
            let known: HashSet<PathBuf> = folder.rows.iter().map(|row| row.path.clone()).collect();
            let fresh = entries
                .into_iter()
                .filter(|e| !known.contains(&e.path) && !folder.gone.contains(&e.path));
            folder.rows.extend(fresh.map(Row::new));
            folder.rows.sort_by(order);
        });
        if complete {
            self.reading = Reading::Complete;
            self.pinned = !self.rows.is_empty();
            self.gone.clear();
        }
    }

    /// A file or folder is here now; known already, it may have another stamp.
    pub fn insert(&mut self, entry: Entry) {
        self.gone.remove(&entry.path);
        self.change(|folder| {
            folder.rows.retain(|row| row.path != entry.path);
            let row = Row::new(entry);
            let at = folder
                .rows
                .partition_point(|other| order(other, &row) == Ordering::Less);
            folder.rows.insert(at, row);
        });
    }

    /// A file or folder is no longer here.
    pub fn remove(&mut self, path: &Path) {
        if self.reading == Reading::Underway {
            self.gone.insert(path.to_owned());
        }
        self.change(|folder| {
            folder.rows.retain(|row| row.path != path);
            if let Some(arranged) = &mut folder.arranged {
                arranged.retain(|row| row.path != path);
            }
        });
    }

    /// Shows other rows instead of those that lie here; `None`: these again. The cursor stays on its row, or goes to the one
    /// that was wished for.
    pub fn arrange(&mut self, rows: Option<Vec<Row>>) {
        self.change(|folder| folder.arranged = rows);
        if let Some(at) = self.wish.as_deref().and_then(|wish| self.find(wish)) {
            self.go_to(at);
        }
    }

    /// What was `from` is now `to`, here; the cursor goes along.
    pub fn rename(&mut self, from: &Path, to: Entry) {
        let followed = self.pinned && self.current().is_some_and(|row| row.path == from);
        let path = to.path.clone();
        self.remove(from);
        self.insert(to);
        if followed {
            self.go_to_path(&path);
        }
    }

    /// The file has this content; it may be new here.
    pub fn restamp(&mut self, path: &Path, stamp: Stamp) {
        let file = Entry {
            path: path.to_owned(),
            kind: EntryKind::File,
            stamp,
        };
        let row = Row::new(file.clone());
        // Rows are in order: a watch that begins reports every file, so looking at each row would not do.
        let at = self
            .rows
            .partition_point(|other| order(other, &row) == Ordering::Less);
        match self.rows.get_mut(at) {
            Some(known) if known.path == row.path => known.stamp = stamp,
            _ => self.insert(file),
        }
    }

    /// Shows or hides names with a dot in front.
    pub fn show_hidden(&mut self, show: bool) {
        self.change(|folder| folder.show_hidden = show);
    }

    /// Changes rows while the cursor stays on its file, and that at its place on screen.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let anchor = self
            .current()
            .filter(|_| self.pinned)
            .map(|row| row.path.clone());
        change(self);
        let shown = |row: &Row| self.show_hidden || !row.hidden();
        self.visible = (0..self.rows.len())
            .filter(|&i| shown(&self.rows[i]))
            .collect();
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

    fn find(&self, path: &Path) -> Option<usize> {
        self.rows().position(|row| row.path == path)
    }

    fn go_to_path(&mut self, path: &Path) {
        if let Some(at) = self.find(path) {
            self.go_to(at);
        }
    }

    /// Puts the cursor on a row, or on the last.
    pub fn go_to(&mut self, at: usize) {
        self.pinned = true;
        self.wish = None;
        self.cursor = at.min(self.len().saturating_sub(1));
    }

    /// Moves the cursor, as far as there are rows.
    pub fn go_by(&mut self, rows: isize) {
        self.go_to(self.cursor.saturating_add_signed(rows));
    }

    /// Scrolls so that the cursor is in sight with rows around it, as little as possible.
    pub fn fit(&mut self, height: usize) {
        let margin = SCROLL_MARGIN.min(height.saturating_sub(1) / 2);
        let lowest = (self.cursor + margin + 1).saturating_sub(height);
        let highest = self.cursor.saturating_sub(margin);
        let end = self.len().saturating_sub(height);
        self.offset = self.offset.clamp(lowest.min(highest), highest).min(end);
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&Row> {
        match &self.arranged {
            Some(rows) => rows.get(self.cursor),
            None => self.visible.get(self.cursor).map(|&i| &self.rows[i]),
        }
    }

    /// Where the cursor is, from 0.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The first row on screen, from 0.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Rows shown.
    pub fn len(&self) -> usize {
        self.arranged.as_ref().map_or(self.visible.len(), Vec::len)
    }

    /// No rows are shown.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that are there but hidden.
    pub fn hidden_count(&self) -> usize {
        self.rows.len() - self.visible.len()
    }

    /// The rows shown, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let arranged = self.arranged.iter().flatten();
        let own = self.visible_entries();
        let own = own.filter(|_| self.arranged.is_none());
        arranged.chain(own)
    }

    /// What lies here and is not hidden.
    pub fn visible_entries(&self) -> impl Iterator<Item = &Row> {
        self.visible.iter().map(|&i| &self.rows[i])
    }
}

/// Folders first, then by name.
fn order(a: &Row, b: &Row) -> Ordering {
    a.kind
        .cmp(&b.kind)
        .then_with(|| natural(name_bytes(&a.path), name_bytes(&b.path)))
}

fn name_bytes(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_encoded_bytes())
}

/// Names as people number them: `IM2` before `IM10`; case counts only between names that are otherwise the same.
fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let step = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, other) = (digits(&mut left), digits(&mut right));
            number
                .len()
                .cmp(&other.len())
                .then_with(|| number.cmp(other))
        } else {
            let step = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
            (left, right) = (&left[1..], &right[1..]);
            step
        };
        if step != Ordering::Equal {
            return step;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the number at the front off; without its leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    let zeros = number.iter().take_while(|c| **c == b'0').count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str) -> Entry {
        Entry {
            path: Path::new("/d").join(name),
            kind: EntryKind::File,
            stamp: Stamp::default(),
        }
    }

    fn folder(names: &[&str]) -> Folder {
        let mut folder = Folder::new(PathBuf::from("/d"), 1, None, false);
        folder.extend(names.iter().map(|name| file(name)).collect(), true);
        folder
    }

    fn names(folder: &Folder) -> Vec<&str> {
        folder.rows().map(|row| row.shown.as_str()).collect()
    }

    #[test]
    fn numbers_sort_by_value_and_folders_come_first() {
        let mut folder = folder(&["IM10", "im2", "IM1", "a"]);
        folder.insert(Entry {
            kind: EntryKind::Folder,
            ..file("zoo")
        });
        assert_eq!(names(&folder), ["zoo", "a", "IM1", "im2", "IM10"]);
    }

    #[test]
    fn the_cursor_stays_on_its_file_and_its_file_on_its_line() {
        let mut folder = folder(&["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]);
        folder.go_to(5);
        folder.fit(4);
        let line = folder.cursor() - folder.offset();
        folder.insert(file("a"));
        folder.insert(file("z"));
        folder.remove(Path::new("/d/c"));
        folder.insert(file("bb"));
        folder.fit(4);
        assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("g"));
        assert_eq!(folder.cursor() - folder.offset(), line);
    }

    #[test]
    fn when_its_file_goes_the_cursor_goes_to_the_next_and_a_rename_takes_it_along() {
        let mut folder = folder(&["a", "b", "c"]);
        folder.go_to(1);
        folder.remove(Path::new("/d/b"));
        assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("c"));
        folder.rename(Path::new("/d/c"), file("0"));
        assert_eq!((names(&folder), folder.cursor()), (vec!["0", "a"], 0));
    }

    #[test]
    fn a_file_removed_while_the_listing_comes_in_does_not_come_back() {
        let mut folder = Folder::new(PathBuf::from("/d"), 1, None, false);
        folder.remove(Path::new("/d/a"));
        folder.extend(vec![file("a"), file("b")], true);
        assert_eq!(names(&folder), ["b"]);
    }

    #[test]
    fn hidden_files_are_hidden_until_asked_for() {
        let mut folder = folder(&["a", ".b"]);
        assert_eq!((names(&folder), folder.hidden_count()), (vec!["a"], 1));
        folder.show_hidden(true);
        assert_eq!(names(&folder), [".b", "a"]);
        assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("a"));
    }

    proptest! {
        #[test]
        fn parts_in_any_order_make_the_same_folder(order in Just((0..24usize).collect::<Vec<_>>()).prop_shuffle(), part in 1..9usize) {
            let entry = |i: &usize| file(&format!("IM{}", i * 7 % 24));
            let mut whole = Folder::new(PathBuf::from("/d"), 1, Some(PathBuf::from("/d/IM9")), false);
            whole.extend((0..24).map(|i| entry(&i)).collect(), true);
            let mut parts = Folder::new(PathBuf::from("/d"), 1, Some(PathBuf::from("/d/IM9")), false);
            for chunk in order.chunks(part) {
                parts.extend(chunk.iter().map(entry).collect(), false);
            }
            parts.extend(Vec::new(), true);
            whole.fit(8);
            parts.fit(8);
            prop_assert_eq!(names(&parts), names(&whole));
            prop_assert_eq!(parts.current(), whole.current());
        }

        #[test]
        fn the_cursor_is_always_in_sight(count in 0..60usize, height in 1..20usize, moves in prop::collection::vec(-20..20isize, 0..20)) {
            let all: Vec<String> = (0..count).map(|i| i.to_string()).collect();
            let mut folder = folder(&all.iter().map(String::as_str).collect::<Vec<_>>());
            for rows in moves {
                folder.go_by(rows);
                folder.fit(height);
                prop_assert!(folder.offset() <= folder.cursor() && folder.cursor() < folder.offset() + height);
                prop_assert!(folder.offset() == 0 || folder.offset() + height <= folder.len());
            }
        }
    }
}
