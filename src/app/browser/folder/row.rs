//! The rows of a list, by name.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::entry::{Entry, EntryKind, FoundFile, Stamp};
use crate::app::sort::{Rank, natural};
use crate::app::text;

/// A row of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Absolute.
    pub path: PathBuf,
    /// The name, safe to show.
    pub shown: String,
    /// Folder or file.
    pub kind: EntryKind,
    /// The content of the file, as last reported.
    pub stamp: Stamp,
    /// What the row represents.
    pub represents: RowKind,
    /// Its place in the folder's order.
    pub(super) rank: Rank,
}

/// What a row of the list represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The file or folder at its path.
    Entry,
    /// A study, by its index. No file has its path.
    Study(usize),
    /// A series, by the indices of its study and its own. No file has its path.
    Series(usize, usize),
    /// A file that a DICOMDIR refers to and that does not exist.
    Missing,
}

impl Row {
    pub(super) fn new(entry: Entry, rank: Rank) -> Self {
        let shown = entry.path.file_name().map_or_else(String::new, text::safe);
        Self {
            path: entry.path,
            shown,
            kind: entry.kind,
            stamp: entry.stamp,
            represents: RowKind::Entry,
            rank,
        }
    }

    /// A row for a study, a series or a file of a series, which the folder's order does not move.
    pub(in crate::app) fn in_group(
        path: PathBuf,
        shown: String,
        kind: EntryKind,
        stamp: Stamp,
        represents: RowKind,
    ) -> Self {
        Self {
            path,
            shown,
            kind,
            stamp,
            represents,
            rank: Rank::default(),
        }
    }

    /// The file or folder of the row, with its content.
    pub(in crate::app) fn found(&self) -> FoundFile {
        FoundFile {
            path: self.path.clone(),
            stamp: self.stamp,
        }
    }

    /// Whether its name begins with a dot.
    pub(super) fn hidden(&self) -> bool {
        name_bytes(&self.path).starts_with(b".")
    }
}

/// Merges two sorted lists; of equal rows, the left one's is kept.
pub(super) fn merge(left: Vec<Arc<Row>>, right: Vec<Arc<Row>>) -> Vec<Arc<Row>> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut right = right.into_iter().peekable();
    for row in left {
        while let Some(first) = right.next_if(|next| by_name(next, &row) == Ordering::Less) {
            merged.push(first);
        }
        right.next_if(|next| by_name(next, &row) == Ordering::Equal);
        merged.push(row);
    }
    merged.extend(right);
    merged
}

/// Compares two rows: folders first, then by name.
pub(super) fn by_name(a: &Row, b: &Row) -> Ordering {
    a.kind
        .cmp(&b.kind)
        .then_with(|| natural(name_bytes(&a.path), name_bytes(&b.path)))
}

/// The bytes of a file name.
pub(super) fn name_bytes(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_encoded_bytes())
}
