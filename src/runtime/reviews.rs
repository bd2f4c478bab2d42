//! Stores reviews, one after another, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use super::folders::{MsgSender, spawn};
use super::storing::Backlog;
use crate::app::Msg;
use crate::library::{Library, Review, ReviewRequest};

/// A request to the thread.
enum WriterRequest {
    /// A change, and what is shown again if it fails.
    Change(ReviewRequest, Option<Box<Review>>),
    /// Everything before is done; then this sender is dropped.
    Finish(#[allow(dead_code, reason = "dropping it is the answer")] Sender<()>),
}

/// The thread that stores reviews.
#[derive(Clone)]
pub(super) struct ReviewWriter {
    queue: Sender<WriterRequest>,
    /// The changes that are not stored.
    pub(super) backlog: Backlog,
}

impl ReviewWriter {
    /// Starts the thread.
    pub(super) fn start(library: Arc<Library>, send: MsgSender) -> Self {
        let (queue, requests) = unbounded();
        let report = Arc::clone(&send);
        let backlog = Backlog::default();
        let open = backlog.clone();
        spawn("reviews", &send, move || {
            for request in requests {
                let (request, before) = match request {
                    WriterRequest::Change(request, before) => (request, before),
                    WriterRequest::Finish(done) => {
                        drop(done);
                        continue;
                    }
                };
                match library.review(&request) {
                    Ok(outcome) => {
                        open.settle();
                        // Whether or not anybody still listens, the other reviews are to be stored.
                        let _ = report(Msg::Reviewed { request, outcome });
                    }
                    Err(error) => {
                        let message = format!("{}: {error}", library.file().display());
                        let reason = message.clone();
                        if report(Msg::ReviewFailed { before, message }) {
                            open.settle();
                        } else {
                            open.fail(reason);
                        }
                    }
                }
            }
        });
        Self { queue, backlog }
    }

    /// Adds a request.
    pub(super) fn request(&self, request: ReviewRequest, before: Option<Box<Review>>) {
        self.backlog.add();
        let request = WriterRequest::Change(request, before);
        if self.queue.send(request).is_err() {
            self.backlog.fail("their thread has ended".to_owned());
        }
    }

    /// Waits at most `timeout` until nothing waits any more; false if something still does.
    pub(super) fn finish(&self, timeout: Duration) -> bool {
        let (done, ended) = bounded::<()>(0);
        let is_sent = self.queue.send(WriterRequest::Finish(done)).is_ok();
        !is_sent || ended.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout)
    }
}
