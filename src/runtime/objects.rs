//! What the application asks of DICOM objects beside their pictures, answered from threads of its own.

use std::path::PathBuf;
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
    latest.fetch_max(generation, Ordering::Relaxed);
    let answer = Arc::clone(&send);
    spawn("headers", &answer, move || {
        let part = |read, complete| {
            send(Msg::Headers {
                generation,
                read,
                complete,
            })
        };
        let mut read = Vec::new();
        let mut told = Instant::now();
        for found in files {
            let header = media::header(&found.path);
            read.push((found, header));
            let superseded = latest.load(Ordering::Relaxed) > generation;
            if superseded || read.len() == PART || told.elapsed() >= TELL {
                told = Instant::now();
                if !part(std::mem::take(&mut read), false) || superseded {
                    return;
                }
            }
        }
        part(read, true);
    });
}
