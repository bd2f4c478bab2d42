//! The worker that turns files into terminal graphics: decode ▸ window ▸ resize ▸ encode. The latest request wins; one for
//! another file that is overtaken while it waits is forgotten. Between requests it decodes ahead.

mod draw;
mod letters;
mod marks;
mod ranges;
mod related;
mod renderer;
mod slide;
mod store;
mod tiles;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::drivers::Output;
use crate::app::{PreviewKey, Previewed, Stamp};
pub use renderer::Renderer;
pub use tiles::Tiles;

/// What is wanted now.
enum Wanted {
    Nothing,
    Picture(Box<PreviewKey>),
    Stop,
}

struct Slot {
    wanted: Mutex<Wanted>,
    /// Files that may be wanted next, not yet handed to the renderer.
    nearby: Mutex<Option<Vec<(PathBuf, Stamp)>>>,
    changed: Condvar,
}

impl Slot {
    /// The lock; a panic elsewhere leaves the slot whole.
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nearby(&self) -> MutexGuard<'_, Option<Vec<(PathBuf, Stamp)>>> {
        self.nearby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, wanted: Wanted) {
        *self.wanted() = wanted;
        self.changed.notify_one();
    }

    /// Waits for a request; `None` at the end.
    fn next_request(&self) -> Option<PreviewKey> {
        let mut wanted = self.wanted();
        loop {
            match std::mem::replace(&mut *wanted, Wanted::Nothing) {
                Wanted::Picture(key) => return Some(*key),
                Wanted::Stop => {
                    *wanted = Wanted::Stop;
                    return None;
                }
                Wanted::Nothing => {
                    wanted = self
                        .changed
                        .wait(wanted)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Something waits.
    fn is_busy(&self) -> bool {
        !matches!(*self.wanted(), Wanted::Nothing)
    }

    /// What waits makes `key` pointless. Another view of the same file does not: with a key held down something new would
    /// wait each time, and nothing would ever be seen.
    fn overtakes(&self, key: &PreviewKey) -> bool {
        match &*self.wanted() {
            Wanted::Nothing => false,
            Wanted::Picture(next) => !next.same_file(key),
            Wanted::Stop => true,
        }
    }
}

/// The running worker. Dropping it lets the thread end after what it is doing.
pub struct Worker {
    slot: Arc<Slot>,
}

/// How much below the interface images are made (`nice`): a key is seen before what it asks for.
const NICENESS: i32 = 5;

impl Worker {
    /// Starts the thread; `sink` gets each finished preview there.
    pub fn start(
        output: Output,
        sink: impl Fn(Previewed) + Send + 'static,
    ) -> std::io::Result<Self> {
        let slot = Arc::new(Slot {
            wanted: Mutex::new(Wanted::Nothing),
            nearby: Mutex::new(None),
            changed: Condvar::new(),
        });
        let worker = Arc::clone(&slot);
        thread::Builder::new()
            .name("preview".into())
            .spawn(move || {
                let _ = rustix::process::nice(NICENESS);
                let mut renderer = Renderer::new(output);
                while let Some(key) = worker.next_request() {
                    render(&mut renderer, key, &worker, &sink);
                    if let Some(files) = worker.nearby().take() {
                        renderer.near(files);
                    }
                    while !worker.is_busy() && renderer.decode_ahead() {
                        if let Some(key) = renderer.outdated() {
                            render(&mut renderer, key, &worker, &sink);
                        }
                    }
                }
            })?;
        Ok(Self { slot })
    }

    /// Asks for an image, instead of the one that waits.
    pub fn request(&self, key: PreviewKey) {
        self.slot.put(Wanted::Picture(Box::new(key)));
    }

    /// Names the files that may be asked for next, the likeliest first; before the request for the file between them.
    pub fn near(&self, files: Vec<(PathBuf, Stamp)>) {
        *self.slot.nearby() = Some(files);
    }

    /// Forgets the request that waits.
    pub fn forget(&self) {
        self.slot.put(Wanted::Nothing);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.slot.put(Wanted::Stop);
    }
}

/// Answers a request; one that takes long in parts.
fn render(renderer: &mut Renderer, key: PreviewKey, slot: &Slot, sink: &impl Fn(Previewed)) {
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
