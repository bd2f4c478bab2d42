//! Watches a folder tree, and reports each file once it is complete: from the kernel's events, or by scanning repeatedly.
//!
//! A created file is not a complete file; [`settle`] decides when it is. Each folder has its own kernel watch, and a new folder
//! is read after its watch is in place, so that nothing is missed between the two.

mod events;
mod filesystem;
mod mounts;
mod names;
mod scan;
mod service;
pub mod settle;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use filesystem::is_remote;
pub use mounts::RemoteMounts;
pub use settle::{FileStamp, WriterPresence};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::paths;

/// How long stopping waits for the thread. Only a file system that does not answer takes longer; then the thread is left
/// behind.
const STOP_TIMEOUT: Duration = Duration::from_millis(100);

/// Options of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Scan the tree at this interval instead of relying on the kernel's events. `None` decides by the file system.
    pub poll: Option<Duration>,
}

/// Why a complete file is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyKind {
    /// It existed when the watch began, and was complete.
    Existing,
    /// It existed when the watch began, but was written to shortly before, or may have been open for writing.
    Unsettled,
    /// It appeared later.
    New,
    /// It was reported before, and its content has changed.
    Changed,
}

/// An event in the watched tree. Paths are the watched folder as given, joined with the relative path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The watch has started. Sent first, and again when it changes to polling.
    Started {
        /// Whether the tree is scanned repeatedly, instead of relying on the kernel's events.
        polling: bool,
    },
    /// The first scan is done. Files that are still being written follow once they are complete.
    Scanned,
    /// A file is complete. Sent once for each content, and again if it may have changed although size and time did not.
    Ready {
        /// The file.
        path: PathBuf,
        /// Why it is reported.
        kind: ReadyKind,
        /// Its stamp at that time.
        stamp: FileStamp,
        /// Whether its writer was seen to close it, or the system knows of none.
        is_closed: bool,
    },
    /// Permissions or times of a reported file changed, but not its content.
    Touched {
        /// The file.
        path: PathBuf,
        /// Its new stamp.
        stamp: FileStamp,
    },
    /// Permission to read a folder was denied. Nothing in it is reported until its permissions change.
    Refused(PathBuf),
    /// A folder appeared after the start, or the watched one can be read again.
    Folder(PathBuf),
    /// A file, or a folder with everything in it, is gone, whether or not it was reported. Also the watched folder itself, whose
    /// return is awaited.
    Removed(PathBuf),
    /// A reported file, or a folder with everything in it, was renamed; the content is the same. A previous `to` is
    /// overwritten.
    Renamed {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    },
    /// A problem, as a sentence for the user. The watch continues as well as it can.
    Problem(String),
}

impl WatchEvent {
    /// Maps the paths in the event.
    fn renamed(self, name: &impl Fn(PathBuf) -> PathBuf) -> Self {
        match self {
            Self::Ready {
                path,
                kind,
                stamp,
                is_closed,
            } => Self::Ready {
                path: name(path),
                kind,
                stamp,
                is_closed,
            },
            Self::Touched { path, stamp } => Self::Touched {
                path: name(path),
                stamp,
            },
            Self::Refused(path) => Self::Refused(name(path)),
            Self::Folder(path) => Self::Folder(name(path)),
            Self::Removed(path) => Self::Removed(name(path)),
            Self::Renamed { from, to } => Self::Renamed {
                from: name(from),
                to: name(to),
            },
            Self::Started { .. } | Self::Scanned | Self::Problem(_) => self,
        }
    }
}

/// Asks the system whether a process has a file open for writing.
pub fn writer_of(path: &Path) -> WriterPresence {
    writer::ignore_lease_breaks();
    writer::writer_of(path, is_remote(path))
}

/// Whether [`writer_of`] can tell who writes to files of other users.
pub fn sees_all_writers() -> bool {
    writer::sees_all_writers()
}

/// The stamp of a file as it is now; `None` if it is gone or not a file. Links are followed.
pub fn stamp_of(path: &Path) -> Option<FileStamp> {
    scan::stamp(path, filesystem::filesystem_of(path).inodes)
}

/// The sentence that tells the user about [`WatchEvent::Refused`].
pub fn refusal(path: &Path) -> String {
    let name = names::display(path);
    format!("{name}: no permission to read this folder; its files are not seen until that changes.")
}

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The folder does not exist or cannot be read.
    #[error("{} cannot be watched: {reason}", names::display(path))]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's error message.
        reason: String,
    },
    /// The thread could not be started.
    #[error("the watch could not be started: {0}")]
    Thread(std::io::Error),
}

/// Receives the events, on the watch's own thread. Must not block for long, because stopping waits for it.
pub type EventSink = Box<dyn Fn(WatchEvent) + Send>;

/// A running watch. Dropping it stops it.
#[derive(Debug)]
pub struct Watch {
    stopped: Arc<AtomicBool>,
    wake: Sender<events::WatchMessage>,
    /// Disconnects when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches `root` and all folders below it, except hidden ones and links to folders. Returns at once; the first scan
    /// runs on the watch's thread.
    pub fn start(root: &Path, options: WatchOptions, sink: EventSink) -> Result<Self, WatchError> {
        let unreadable = |error: std::io::Error| WatchError::Unreadable {
            path: root.to_owned(),
            reason: names::reason(&error),
        };
        std::fs::read_dir(root).map_err(unreadable)?;
        let absolute = paths::absolute(root).map_err(unreadable)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (wake, messages) = unbounded();
        let (alive, ended) = crossbeam_channel::bounded::<()>(0);
        let mut service = service::Service::new(
            service::Roots {
                given: root.to_owned(),
                absolute,
            },
            options,
            sink,
            Arc::clone(&stopped),
            wake.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                let _alive = alive;
                let ended = catch_unwind(AssertUnwindSafe(|| service.run(&messages)));
                if ended.is_err() {
                    service.report_panic();
                }
            })
            .map_err(WatchError::Thread)?;
        Ok(Self {
            stopped,
            wake,
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = self.wake.send(events::WatchMessage::Stop);
        // Nothing is ever sent on this channel; it disconnects when the thread ends.
        let over = self.ended.recv_timeout(STOP_TIMEOUT) == Err(RecvTimeoutError::Disconnected);
        if let (true, Some(thread)) = (over, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
