//! Which files of a folder tree are there, complete, and worth opening: the kernel's signs (or repeated reading) in,
//! "this file is ready" out.
//!
//! A created file is not a complete file. [`settle`] decides when it is; this room feeds it. Folders are watched one by
//! one, and a new folder is read after its watch stands, so that nothing is missed between the two.

mod mounts;
mod names;
mod place;
mod scan;
mod service;
pub mod settle;
mod signs;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use settle::Stamp;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

/// How long a stop is waited for: only a file system that does not answer takes longer, and is left behind.
const STOP: Duration = Duration::from_millis(100);

/// How to watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Read the tree again this often, instead of relying on the kernel's signs. `None`: as the file system demands.
    pub poll: Option<Duration>,
}

/// What is new about a file that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was there when the watch began.
    There,
    /// It came later.
    New,
    /// It was reported before, and has another content now.
    Changed,
}

/// What happened in the watched tree. Paths are the watched folder, as it was given, joined with the relative path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The watch stands. Comes first, and again when the kernel's signs are no longer relied on.
    Standing {
        /// The tree is read again and again.
        polling: bool,
    },
    /// All that was there at the start has been found; what is still being written will follow when complete.
    Scanned,
    /// A file is complete. Once for each content.
    Ready {
        /// The file.
        path: PathBuf,
        /// Why it is reported.
        news: News,
        /// What it looked like then.
        stamp: Stamp,
    },
    /// Rights or times of a file that was reported changed, and its content did not.
    Touched {
        /// The file.
        path: PathBuf,
        /// What it looks like now.
        stamp: Stamp,
    },
    /// A folder may not be read. Nothing in it is seen until its rights change.
    Refused(PathBuf),
    /// A folder came after the start.
    Folder(PathBuf),
    /// A file, or a folder with all in it, is gone, whether it was reported or not.
    Removed(PathBuf),
    /// A file that was reported, or a folder with all in it, has another name; the content is the same. What was called
    /// `to` before is overwritten.
    Renamed {
        /// Its name until now.
        from: PathBuf,
        /// Its name from now on.
        to: PathBuf,
    },
    /// Something does not work as it should; a sentence for the user. The watch goes on as well as it can.
    Problem(String),
}

impl WatchEvent {
    /// The same event with other names for the files and folders in it.
    fn renamed(self, name: &impl Fn(PathBuf) -> PathBuf) -> Self {
        match self {
            Self::Ready { path, news, stamp } => Self::Ready {
                path: name(path),
                news,
                stamp,
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
            Self::Standing { .. } | Self::Scanned | Self::Problem(_) => self,
        }
    }
}

/// A sentence for the user on [`WatchEvent::Refused`].
pub fn refusal(path: &Path) -> String {
    let name = names::shown(path);
    format!("{name}: no permission to read this folder; nothing in it is seen until that changes.")
}

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no such folder, or it cannot be read.
    #[error("{} cannot be watched: {reason}", names::shown(path))]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        reason: String,
    },
    /// No thread could be started.
    #[error("the watch could not be started: {0}")]
    Thread(std::io::Error),
}

/// Takes the events, on the watch's own thread; it must not block for long, or stopping takes as long.
pub type Sink = Box<dyn Fn(WatchEvent) + Send>;

/// A running watch. Dropping it stops it.
#[derive(Debug)]
pub struct Watch {
    stopped: Arc<AtomicBool>,
    wake: Sender<signs::Signal>,
    /// Disconnects when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches `root` and all folders below it, except hidden ones and links to folders. Returns at once; what is
    /// there is read behind it.
    pub fn start(root: &Path, options: Options, sink: Sink) -> Result<Self, WatchError> {
        let unreadable = |error: std::io::Error| WatchError::Unreadable {
            path: root.to_owned(),
            reason: names::reason(&error),
        };
        std::fs::read_dir(root).map_err(unreadable)?;
        let absolute = std::path::absolute(root).map_err(unreadable)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (wake, signals) = unbounded();
        let (alive, ended) = crossbeam_channel::bounded::<()>(0);
        let service = service::Service::new(
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
                service.run(&signals);
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
        let _ = self.wake.send(signs::Signal::Stop);
        // Nothing is ever sent: the channel only disconnects.
        let over = self.ended.recv_timeout(STOP) == Err(RecvTimeoutError::Disconnected);
        if let (true, Some(thread)) = (over, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
