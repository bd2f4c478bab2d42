//! Files and folders, as listings and the watch report them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::library::FileIdentity;

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
pub struct FoundFile {
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

impl From<FileIdentity> for Stamp {
    fn from(identity: FileIdentity) -> Self {
        let since = Duration::from_nanos(identity.modified.unsigned_abs());
        let modified = if identity.modified < 0 {
            UNIX_EPOCH.checked_sub(since)
        } else {
            UNIX_EPOCH.checked_add(since)
        };
        Self {
            modified,
            size: identity.size.unsigned_abs(),
        }
    }
}
