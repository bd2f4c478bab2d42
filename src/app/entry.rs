//! What lies in a folder, as the shell reports it.

use std::path::PathBuf;
use std::time::SystemTime;

/// A file or folder in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute.
    pub path: PathBuf,
    /// Folder or file; links are followed.
    pub kind: EntryKind,
    /// What it looked like when it was reported.
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

/// A picture found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Absolute.
    pub path: PathBuf,
    /// What it looked like.
    pub stamp: Stamp,
}

/// Tells whether a file is still the one that was seen: same time of change and same size. Of two stamps of one path the
/// greater is the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Time of the last change, where the file system tells it.
    pub modified: Option<SystemTime>,
    /// Bytes.
    pub size: u64,
}
