//! What the application asks of DICOM objects beside their pictures, answered from threads of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::folders::{Send, spawn};
use crate::app::{Found, Msg};
use crate::media;

/// Headers in one message, at most.
const PART: usize = 256;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

/// Reads the tags of a file.
pub(super) fn tags(path: PathBuf, generation: u64, send: Send) {
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
pub(super) fn directory(path: PathBuf, generation: u64, send: Send) {
    let answer = Arc::clone(&send);
    spawn("directory", &answer, move || {
        let outcome = media::directory(&path);
        send(Msg::Directory {
            generation,
            outcome,
        });
    });
}

/// Reads headers. `latest` holds the newest generation asked for: an older reading ends early.
pub(super) fn headers(files: Vec<Found>, generation: u64, latest: Arc<AtomicU64>, send: Send) {
    in_parts(
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

/// Finds objects about images. `latest` as in [`headers`].
pub(super) fn related(files: Vec<Found>, generation: u64, latest: Arc<AtomicU64>, send: Send) {
    in_parts(
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

/// Reads files one after the other on a thread of its own, and tells of them in parts.
fn in_parts<T: std::marker::Send + 'static>(
    name: &str,
    files: Vec<Found>,
    generation: u64,
    latest: Arc<AtomicU64>,
    send: Send,
    read_file: fn(&Path) -> Option<T>,
    told: impl Fn(Vec<(Found, Option<T>)>, bool) -> Msg + std::marker::Send + 'static,
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
            if superseded || read.len() == PART || last.elapsed() >= TELL {
                last = Instant::now();
                if !send(told(std::mem::take(&mut read), false)) || superseded {
                    return;
                }
            }
        }
        send(told(read, true));
    });
}
