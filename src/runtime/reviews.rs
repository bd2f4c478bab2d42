//! Stores reviews, one after another, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::folders::{MsgSender, spawn};
use crate::app::Msg;
use crate::library::{Library, Review, ReviewRequest};

/// A request, and what is shown again if it fails.
type PendingReview = (ReviewRequest, Option<Box<Review>>);

/// The thread that stores reviews.
pub(super) struct ReviewWriter {
    queue: Sender<PendingReview>,
    ended: crossbeam_channel::Receiver<()>,
}

impl ReviewWriter {
    /// Starts the thread.
    pub(super) fn start(library: Arc<Library>, send: MsgSender) -> Self {
        let (queue, requests) = unbounded::<PendingReview>();
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let report = Arc::clone(&send);
        spawn("reviews", &send, move || {
            for (request, before) in requests {
                let msg = match library.review(&request) {
                    Ok(outcome) => Msg::Reviewed { request, outcome },
                    Err(error) => Msg::ReviewFailed {
                        before,
                        message: format!("{}: {error}", library.file().display()),
                    },
                };
                // Whether or not anybody still listens, the other reviews are to be stored.
                let _ = report(msg);
            }
            drop(end);
        });
        Self { queue, ended }
    }

    /// Adds a request.
    pub(super) fn request(&self, request: ReviewRequest, before: Option<Box<Review>>) {
        // Cannot fail while the thread runs, which ends when this is dropped.
        let _ = self.queue.send((request, before));
    }

    /// Waits at most `timeout` until everything is stored.
    pub(super) fn finish(self, timeout: Duration) {
        drop(self.queue);
        let _ = self.ended.recv_timeout(timeout);
    }
}
