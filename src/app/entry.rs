//! Files and folders, as listings and the watch report them.

use std::path::PathBuf;
use std::time::SystemTime;

/// A file or folder in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute.
    pub path: PathBuf,
    /// Folder or file; links are followed.
    pub kind: EntryKind,
    /// Its content when it was reported.
    pub stamp: Stamp,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A folder, or a link to one.
    Folder,
    /// Anything else.
    File,
}

/// An image found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Absolute.
    pub path: PathBuf,
    /// Its content.
    pub stamp: Stamp,
}

/// The content of a file, by its size and the time of its last change. Of two stamps of one path the
/// greater is the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Time of the last change, where known.
    pub modified: Option<SystemTime>,
    /// Bytes.
    pub size: u64,
}
