//! The worker thread that turns files into terminal graphics: decode ▸ window ▸ resize ▸ encode. The latest request wins: it
//! replaces the one that waits, and cancels the one in progress if that is for another file. Between requests the worker
//! decodes ahead.

mod draw;
pub(crate) mod letters;
mod marks;
mod ranges;
mod related;
mod renderer;
mod slide;
mod store;
mod thumbnails;
mod volumes;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::drivers::Output;
use crate::app::{PreviewKey, Previewed, Stamp, VolumeProgress};
pub use renderer::Renderer;
pub use thumbnails::ThumbnailWorkers;

/// The request that waits for the worker.
enum PendingRequest {
    Nothing,
    Picture(Box<PreviewKey>),
    Stop,
}

/// Hands requests to the worker thread.
struct RequestSlot {
    wanted: Mutex<PendingRequest>,
    /// Files likely to be requested next, not yet handed to the renderer.
    nearby: Mutex<Option<Vec<(PathBuf, Stamp)>>>,
    changed: Condvar,
}

impl RequestSlot {
    /// Locks the request. A panic while the lock is held leaves it consistent.
    fn wanted(&self) -> MutexGuard<'_, PendingRequest> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nearby(&self) -> MutexGuard<'_, Option<Vec<(PathBuf, Stamp)>>> {
        self.nearby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, wanted: PendingRequest) {
        *self.wanted() = wanted;
        self.changed.notify_one();
    }

    /// Waits for a request; `None` when the worker is to stop.
    fn next_request(&self) -> Option<PreviewKey> {
        let mut wanted = self.wanted();
        loop {
            match std::mem::replace(&mut *wanted, PendingRequest::Nothing) {
                PendingRequest::Picture(key) => return Some(*key),
                PendingRequest::Stop => {
                    *wanted = PendingRequest::Stop;
                    return None;
                }
                PendingRequest::Nothing => {
                    wanted = self
                        .changed
                        .wait(wanted)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Whether a request waits.
    fn is_busy(&self) -> bool {
        !matches!(*self.wanted(), PendingRequest::Nothing)
    }

    /// Whether the waiting request makes `key` pointless. Another view of the same file does not: while a key is held down
    /// there would always be a newer request, and nothing would ever be shown.
    fn overtakes(&self, key: &PreviewKey) -> bool {
        match &*self.wanted() {
            PendingRequest::Nothing => false,
            PendingRequest::Picture(next) => {
                // A volume that is being read is given up when the reformat is left.
                let is_left = key.reformat.is_some() && next.reformat.is_none();
                is_left || !next.same_file(key)
            }
            PendingRequest::Stop => true,
        }
    }
}

/// A handle to the preview thread. Dropping it ends the thread after its current request.
pub struct PreviewWorker {
    slot: Arc<RequestSlot>,
}

/// Niceness of preview threads: below the interface, so that a key press is shown before the image it requests.
const NICENESS: i32 = 5;

impl PreviewWorker {
    /// Starts the thread, which passes each finished preview to `sink`, and to `on_volume` how much of a volume that takes
    /// long has been read.
    pub fn start(
        output: Output,
        sink: impl Fn(Previewed) + Send + 'static,
        on_volume: impl Fn(VolumeProgress) + Send + 'static,
    ) -> std::io::Result<Self> {
        let slot = Arc::new(RequestSlot {
            wanted: Mutex::new(PendingRequest::Nothing),
            nearby: Mutex::new(None),
            changed: Condvar::new(),
        });
        let requests = Arc::clone(&slot);
        thread::Builder::new()
            .name("preview".into())
            .spawn(move || {
                let _ = rustix::process::nice(NICENESS);
                let mut renderer = Renderer::new(output).with_volume_progress(Box::new(on_volume));
                while let Some(key) = requests.next_request() {
                    render(&mut renderer, key, &requests, &sink);
                    if let Some(files) = requests.nearby().take() {
                        renderer.prefetch(files);
                    }
                    while !requests.is_busy() && renderer.decode_ahead() {
                        if let Some(key) = renderer.take_outdated() {
                            render(&mut renderer, key, &requests, &sink);
                        }
                    }
                }
            })?;
        Ok(Self { slot })
    }

    /// Requests an image; replaces a request that still waits.
    pub fn request(&self, key: PreviewKey) {
        self.slot.put(PendingRequest::Picture(Box::new(key)));
    }

    /// Names the files to decode ahead, the likeliest first. To be called before the request for the current file.
    pub fn prefetch(&self, files: Vec<(PathBuf, Stamp)>) {
        *self.slot.nearby() = Some(files);
    }

    /// Cancels the request that waits.
    pub fn cancel(&self) {
        self.slot.put(PendingRequest::Nothing);
    }
}

impl Drop for PreviewWorker {
    fn drop(&mut self) {
        self.slot.put(PendingRequest::Stop);
    }
}

/// Renders a request; slow ones are passed to `sink` in parts as well.
fn render(renderer: &mut Renderer, key: PreviewKey, slot: &RequestSlot, sink: &impl Fn(Previewed)) {
    let overtaken = || slot.overtakes(&key);
    let outcome = renderer.render_in_parts(&key, &overtaken, &mut |preview| {
        sink(Previewed {
            key: key.clone(),
            outcome: Ok(preview),
        });
    });
    if let Some(outcome) = outcome {
        sink(Previewed { key, outcome });
    }
}

#[cfg(test)]
mod tests;
