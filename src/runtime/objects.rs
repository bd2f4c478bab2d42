//! Reads tags, headers, DICOMDIRs and related objects, on threads of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::folders::{MsgSender, spawn};
use crate::app::{Found, Msg};
use crate::media;

/// Maximum number of files in a message.
const MAX_BATCH: usize = 256;
/// Longest interval between messages.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Reads the tags of a file.
pub(super) fn tags(path: PathBuf, generation: u64, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("tags", &answer, move || {
        let outcome = media::tags(&path).map(Arc::new);
        send(Msg::Tags {
            generation,
            outcome,
        });
    });
}

/// Reads a DICOMDIR.
pub(super) fn directory(path: PathBuf, generation: u64, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("directory", &answer, move || {
        let outcome = media::directory(&path);
        send(Msg::Directory {
            generation,
            outcome,
        });
    });
}

/// Reads headers. `latest` is the newest generation requested: an older reading ends early.
pub(super) fn headers(files: Vec<Found>, generation: u64, latest: Arc<AtomicU64>, send: MsgSender) {
    read_in_batches(
        "headers",
        files,
        generation,
        latest,
        send,
        media::header,
        move |read, complete| Msg::Headers {
            generation,
            read,
            complete,
        },
    );
}

/// Finds the objects that relate to images. `latest` as in [`headers`].
pub(super) fn related(files: Vec<Found>, generation: u64, latest: Arc<AtomicU64>, send: MsgSender) {
    read_in_batches(
        "related",
        files,
        generation,
        latest,
        send,
        media::related,
        move |read, complete| Msg::Related {
            generation,
            read,
            complete,
        },
    );
}

/// Reads files one after the other on a thread of its own, and sends the results in batches.
fn read_in_batches<T: Send + 'static>(
    name: &str,
    files: Vec<Found>,
    generation: u64,
    latest: Arc<AtomicU64>,
    send: MsgSender,
    read_file: fn(&Path) -> Option<T>,
    message: impl Fn(Vec<(Found, Option<T>)>, bool) -> Msg + Send + 'static,
) {
    latest.fetch_max(generation, Ordering::Relaxed);
    let answer = Arc::clone(&send);
    spawn(name, &answer, move || {
        let mut read = Vec::new();
        let mut last = Instant::now();
        for found in files {
            let content = read_file(&found.path);
            read.push((found, content));
            let superseded = latest.load(Ordering::Relaxed) > generation;
            if superseded || read.len() == MAX_BATCH || last.elapsed() >= PROGRESS_INTERVAL {
                last = Instant::now();
                if !send(message(std::mem::take(&mut read), false)) || superseded {
                    return;
                }
            }
        }
        send(message(read, true));
    });
}
