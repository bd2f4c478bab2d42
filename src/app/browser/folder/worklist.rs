//! The worklist: the images below a folder, at any depth, as one list that follows the results.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Folder, Listing, Row, RowKind};
use crate::app::entry::{EntryKind, Stamp};
use crate::app::folder_state::ListOptions;
use crate::app::results::Results;
use crate::app::sort::natural;
use crate::app::text;
use crate::paths;

/// Rows that are moved one by one; more are merged into the list in one pass over it.
const MAX_SINGLE: usize = 8;

impl Folder {
    /// The worklist of a folder. The cursor goes to `wish`, if that is an image there.
    pub fn worklist(
        dir: PathBuf,
        generation: u64,
        wish: Option<PathBuf>,
        options: ListOptions,
        results: &Results,
    ) -> Self {
        let mut list = Self::new(dir, generation, wish, options);
        (list.worklist, list.listing) = (true, Listing::Complete);
        let images = results.images_below(&list.dir);
        let rows = images.map(|(path, stamp, _)| Arc::new(list.image_row(path, stamp, results)));
        let mut rows: Vec<Arc<Row>> = rows.collect();
        rows.sort_unstable_by(|a, b| natural(list.name_of(&a.path), list.name_of(&b.path)));
        list.keep_cursor(|list| {
            list.rows = rows;
            list.order_anew(results);
        });
        list
    }

    /// Whether this is the worklist.
    pub fn is_worklist(&self) -> bool {
        self.worklist
    }

    /// Whether a file or folder at a path would have a row of its own.
    pub fn contains(&self, path: &Path) -> bool {
        if self.worklist {
            path.starts_with(&self.dir)
        } else {
            path.parent() == Some(&self.dir)
        }
    }

    /// Brings the rows up to date whose files were noted.
    pub fn settle(&mut self, results: &Results) {
        let outdated = std::mem::take(&mut self.outdated);
        if outdated.is_empty() {
            return;
        }
        let outdated: HashSet<PathBuf> = outdated.into_iter().collect();
        self.keep_cursor(|list| {
            let fresh: Vec<Arc<Row>> = outdated
                .iter()
                .filter_map(|path| {
                    let stamp = results.image(path)?;
                    Some(Arc::new(list.image_row(path, stamp, results)))
                })
                .collect();
            if outdated.len() > MAX_SINGLE {
                return list.replace(&outdated, fresh, results);
            }
            for path in &outdated {
                list.take_out(path);
            }
            for row in fresh {
                list.put_in(row, results);
            }
        });
    }

    /// Notes a file of the worklist whose result may have changed; false if this is not the worklist.
    pub(super) fn note(&mut self, path: &Path) -> bool {
        if self.worklist && self.contains(path) {
            self.outdated.push(path.to_owned());
        }
        self.worklist
    }

    /// Notes a file, or all files below a folder.
    pub(super) fn note_below(&mut self, path: &Path) {
        if self.row_at(path, EntryKind::File).is_ok() {
            self.outdated.push(path.to_owned());
            return;
        }
        let rows = self.rows.iter().filter(|row| row.path.starts_with(path));
        let below: Vec<PathBuf> = rows.map(|row| row.path.clone()).collect();
        self.outdated.extend(below);
    }

    /// Follows a file or folder, whose results have moved, to its new path; so does the cursor.
    pub(super) fn rename_below(&mut self, from: &Path, to: &Path, results: &Results) {
        let current = self.current().filter(|_| self.pinned);
        let followed = current.and_then(|row| paths::renamed(&row.path, from, to));
        self.note_below(from);
        let moved = self.outdated.iter();
        let moved: Vec<PathBuf> = moved
            .filter_map(|path| paths::renamed(path, from, to))
            .collect();
        self.note_below(to);
        self.outdated.extend(moved);
        self.settle(results);
        if let Some(path) = followed {
            self.go_to_path(&path);
        }
    }

    fn image_row(&self, path: &Path, stamp: Stamp, results: &Results) -> Row {
        let below = path.strip_prefix(&self.dir).unwrap_or(path);
        Row {
            path: path.to_owned(),
            shown: text::safe(below.as_os_str()),
            kind: EntryKind::File,
            stamp,
            represents: RowKind::Entry,
            rank: self.rank(path, stamp, results),
        }
    }

    /// Replaces the rows of files by new ones, in one pass over all rows.
    fn replace(&mut self, old: &HashSet<PathBuf>, mut fresh: Vec<Arc<Row>>, results: &Results) {
        let names = |a: &Row, b: &Row| natural(self.name_of(&a.path), self.name_of(&b.path));
        fresh.sort_unstable_by(|a, b| names(a, b));
        let mut is_old = vec![false; self.rows.len()];
        for path in old {
            if let Ok(at) = self.row_at(path, EntryKind::File) {
                is_old[at] = true;
            }
        }
        let places = fresh.iter().map(|row| {
            self.rows
                .partition_point(|other| names(other, row) == Ordering::Less)
        });
        let places: Vec<usize> = places.collect();
        let mut fresh = places.into_iter().zip(fresh).peekable();
        let mut rows = Vec::with_capacity(self.rows.len() + fresh.len());
        // Where each row is now, and where the new ones are.
        let (mut moved, mut added) = (vec![0_u32; self.rows.len()], Vec::new());
        for (at, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            while let Some((_, new)) = fresh.next_if(|(place, _)| *place <= at) {
                added.push(rows.len() as u32);
                rows.push(new);
            }
            if !is_old[at] {
                moved[at] = rows.len() as u32;
                rows.push(row);
            }
        }
        for (_, new) in fresh {
            added.push(rows.len() as u32);
            rows.push(new);
        }
        self.rows = rows;
        let kept = self.visible.iter().filter(|at| !is_old[**at as usize]);
        self.visible = kept.map(|at| moved[*at as usize]).collect();
        added.retain(|at| self.is_shown(&self.rows[*at as usize], results));
        added.sort_unstable_by(|a, b| self.order(*a, *b));
        self.merge_visible(&added);
    }

    /// Adds rows to those shown; both are in the order shown.
    fn merge_visible(&mut self, added: &[u32]) {
        let mut merged = Vec::with_capacity(self.visible.len() + added.len());
        let mut rest = self.visible.as_slice();
        for new in added {
            let place = rest.partition_point(|at| self.order(*at, *new) == Ordering::Less);
            merged.extend_from_slice(&rest[..place]);
            merged.push(*new);
            rest = &rest[place..];
        }
        merged.extend_from_slice(rest);
        self.visible = merged;
    }
}
