//! Reports the results and reviews that other processes add to the library; of reviews, at first all that it has.
//!
//! SQLite notifies no other process of a change, so the library is asked again and again; the answer that there is nothing new
//! costs some microseconds.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::folders::{MsgSender, spawn};
use crate::app::Msg;
use crate::library::{Library, ReviewPosition};

/// Interval at which the library is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The asking thread, which ends when this is dropped.
pub(super) struct LibraryWatch {
    _stop: Sender<()>,
}

impl LibraryWatch {
    /// Starts the thread, which reports all reviews, and results that are added from now on.
    pub(super) fn start(library: Arc<Library>, send: MsgSender) -> Self {
        let (stop, stopped) = bounded(0);
        let report = Arc::clone(&send);
        spawn("library-changes", &send, move || {
            run(&library, &report, &stopped);
        });
        Self { _stop: stop }
    }
}

fn run(library: &Library, send: &MsgSender, stopped: &Receiver<()>) {
    // The position up to which results are reported; `i64::MAX` until the library could be read.
    let mut position = i64::MAX;
    let mut reviewed = ReviewPosition::default();
    loop {
        if let Some((changes, last)) = library.review_changes(reviewed) {
            reviewed = last;
            if !changes.is_empty() && !send(Msg::ReviewsChanged(changes)) {
                return;
            }
        }
        if let Some((files, last)) = library.changes(position) {
            position = last;
            if !files.is_empty() && !send(Msg::LibraryChanged(files)) {
                return;
            }
        }
        if stopped.recv_timeout(POLL_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
