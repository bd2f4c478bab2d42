//! The input of the settle machine: events, scans, stamps of files, and how long to wait.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A file's metadata, by which its content is told apart. Any write changes at least the time of the last change of status, which
/// no program can set; so do other things, such as a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last modification.
    pub modified: Option<SystemTime>,
    /// Inode number; 0 where inode numbers do not identify files.
    pub inode: u64,
    /// Time of the last change of status (permissions, times or content), in nanoseconds.
    pub status_changed: i128,
}

impl FileStamp {
    /// The stamp of a file with this metadata, where inode numbers identify files.
    pub fn new(found: &Metadata) -> Self {
        Self {
            size: found.len(),
            modified: found.modified().ok(),
            inode: found.ino(),
            status_changed: i128::from(found.ctime()) * 1_000_000_000
                + i128::from(found.ctime_nsec()),
        }
    }

    /// Whether `now` may be the same content with other times.
    pub(super) fn may_be_touched(&self, now: &Self) -> bool {
        (self.size, self.inode) == (now.size, now.inode)
    }

    /// Whether size and time of modification are the same, which hold still while nobody writes.
    pub fn is_unwritten(&self, now: &Self) -> bool {
        (self.size, self.modified) == (now.size, now.modified)
    }

    /// Whether `other` is the same file under another name, as far as metadata can tell.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.identifies_file() && self.inode == other.inode && self.is_unwritten(other)
    }

    /// Whether inode and time of change mean anything on this file system.
    pub fn identifies_file(&self) -> bool {
        self.inode != 0
    }
}

/// An event in the tree. Paths are absolute; the machine ignores hidden and temporary names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsEvent {
    /// A file or link was created.
    Created(PathBuf),
    /// A process opened the file.
    Opened(PathBuf),
    /// A process wrote to the file; its close will be reported.
    Written(PathBuf),
    /// A process that had the file open for writing closed it.
    Closed(PathBuf),
    /// Times, owner or permissions changed.
    Touched(PathBuf),
    /// A folder was created.
    Folder(PathBuf),
    /// A file or folder was renamed or moved away from this path.
    Left {
        /// The old path.
        path: PathBuf,
        /// Connects it to an [`FsEvent::Arrived`].
        tracker: Option<usize>,
    },
    /// A file or folder was renamed or moved to this path.
    Arrived {
        /// The new path.
        path: PathBuf,
        /// Connects it to a [`FsEvent::Left`].
        tracker: Option<usize>,
        /// Whether it is a folder.
        folder: bool,
    },
    /// A file or folder was deleted.
    Gone(PathBuf),
}

/// The result of reading a folder tree.
#[derive(Clone, Debug)]
pub struct TreeScan {
    /// The folder that was read with everything below it.
    pub under: PathBuf,
    /// All files.
    pub files: Vec<(PathBuf, FileStamp)>,
    /// All folders, without `under`.
    pub folders: Vec<PathBuf>,
    /// Folders whose content is unknown because they could not be read.
    pub unreadable: Vec<PathBuf>,
    /// The unreadable folders for which permission was denied.
    pub refused: Vec<PathBuf>,
}

impl TreeScan {
    /// Creates an empty scan.
    pub fn new(under: PathBuf) -> Self {
        Self {
            under,
            files: Vec::new(),
            folders: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
        }
    }
}

/// Whether a process has a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterPresence {
    /// One has.
    Present,
    /// None has.
    Absent,
    /// Unknown: the file belongs to another user, or lies on another machine.
    Unknown,
}

/// How long the machine waits before it checks a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleTimes {
    /// After a close: joins the bursts in which programs open, append, close, and set times.
    pub grace: Duration,
    /// A file no writer of which was seen is complete once it has not changed for this long.
    pub settle: Duration,
    /// Like `settle`, while a writer was seen that has not closed the file, and for files that are still empty.
    pub held: Duration,
    /// Like `held`, where it is unknown whether a process has the file open, and no writer was seen.
    pub unsure: Duration,
    /// Like `unsure`, for a file that ends in zeros, like one that got its full size before its content.
    pub unfilled: Duration,
    /// Like `unsure`, where a writer was seen: its close will be seen, too, unless it is lost.
    pub unclosed: Duration,
}

impl SettleTimes {
    /// How long a file has to be unchanged, if it is unknown whether a process has it open for writing. `seen`: whether a writer was
    /// seen that has not closed it. `is_filled`: whether it ends in something other than zeros; `None` if it cannot be read, which is
    /// reported at once.
    pub fn patience(&self, seen: bool, is_filled: impl FnOnce() -> Option<bool>) -> Duration {
        if seen {
            return self.unclosed;
        }
        match is_filled() {
            Some(true) => self.unsure,
            Some(false) => self.unfilled,
            None => Duration::ZERO,
        }
    }
}

impl Default for SettleTimes {
    fn default() -> Self {
        Self {
            grace: Duration::from_millis(60),
            settle: Duration::from_millis(500),
            held: Duration::from_secs(3),
            unsure: Duration::from_secs(60),
            // Longer than transfers usually stall, but no more: complete images may end in zeros, too, as those with a black
            // border and without compression do.
            unfilled: Duration::from_secs(180),
            unclosed: Duration::from_secs(3600),
        }
    }
}
