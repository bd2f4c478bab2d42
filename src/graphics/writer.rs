//! A thread that writes frames to the terminal. An image is megabytes and a slow link blocks: the loop goes on, and hands over
//! its newest state once the frame before is through.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use tokio::sync::Notify;

/// How long a flush waits for the link; a terminal that does not read by then is as good as gone.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the chunk that is being written may still take when the rest is dropped.
const ABANDON_TIMEOUT: Duration = Duration::from_millis(100);
/// Bytes written at a time, so that leaving does not wait for a whole image.
const CHUNK_BYTES: usize = 16 << 10;
/// How long a frame with an image may take to be written: a key that is pressed meanwhile waits that long.
const FRAME_TIME: Duration = Duration::from_millis(6);
/// Bytes of a frame that take no longer on a slow link, and what to begin with.
const MIN_BUDGET: usize = 8 << 10;
/// Bytes of a frame at most: more at once helps no link.
const MAX_BUDGET: usize = 4 << 20;

struct State {
    busy: AtomicBool,
    /// What is not written yet is dropped.
    abandoned: AtomicBool,
    /// Bytes that the link takes in a frame's time.
    budget: AtomicUsize,
    free: Notify,
}

/// Collects what the backend writes into whole frames. Clones share one buffer: the backend keeps its writer to itself.
#[derive(Clone)]
pub(super) struct Frames {
    buffer: Arc<Mutex<Vec<u8>>>,
    out: Sender<Vec<u8>>,
    state: Arc<State>,
}

impl Frames {
    /// Hands the collected frame over. The caller saw [`Writer::idle`] before it drew.
    pub(super) fn send(&self) {
        let frame = std::mem::take(&mut *self.buffer());
        if frame.is_empty() {
            return;
        }
        self.state.busy.store(true, Ordering::SeqCst);
        if self.out.send(frame).is_err() {
            self.state.busy.store(false, Ordering::SeqCst);
        }
    }

    /// Puts what was collected into other words.
    pub(super) fn change(&self, by: impl FnOnce(&[u8]) -> Vec<u8>) {
        let mut buffer = self.buffer();
        *buffer = by(&buffer);
    }

    fn buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// ratatui flushes in the middle of a frame; only [`Frames::send`] ends one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The loop's view of the thread.
pub(super) struct Writer {
    state: Arc<State>,
}

/// Starts the thread; it ends when [`Frames`] is dropped.
pub(super) fn start() -> io::Result<(Frames, Writer)> {
    // Not std's stdout: a write that never ends would keep its lock from everyone else.
    start_on(File::from(rustix::io::dup(rustix::stdio::stdout())?))
}

fn start_on(mut out: impl Write + Send + 'static) -> io::Result<(Frames, Writer)> {
    let state = Arc::new(State {
        busy: AtomicBool::new(false),
        abandoned: AtomicBool::new(false),
        budget: AtomicUsize::new(MIN_BUDGET),
        free: Notify::new(),
    });
    let (frames, received) = bounded::<Vec<u8>>(1);
    let writing = Arc::clone(&state);
    std::thread::Builder::new()
        .name("terminal".into())
        .spawn(move || {
            for frame in received {
                let begun = Instant::now();
                for chunk in frame.chunks(CHUNK_BYTES) {
                    if writing.abandoned.load(Ordering::SeqCst) || out.write_all(chunk).is_err() {
                        break;
                    }
                }
                let _ = out.flush();
                let budget = writing.budget.load(Ordering::Relaxed);
                let budget = adapted(budget, frame.len(), begun.elapsed());
                writing.budget.store(budget, Ordering::Relaxed);
                writing.busy.store(false, Ordering::SeqCst);
                writing.free.notify_one();
            }
        })?;
    Ok((
        Frames {
            buffer: Arc::default(),
            out: frames,
            state: Arc::clone(&state),
        },
        Writer { state },
    ))
}

/// What the link takes in a frame's time, by how long so many bytes took. The system takes some thousand bytes at once, whatever
/// the link: small frames tell nothing, and the budget grows step by step.
fn adapted(budget: usize, bytes: usize, took: Duration) -> usize {
    if bytes < budget / 2 {
        return budget;
    }
    let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
    let taken = (rate * FRAME_TIME.as_secs_f64()) as usize;
    taken.clamp(MIN_BUDGET, budget.saturating_mul(2).min(MAX_BUDGET))
}

impl Writer {
    /// Bytes of images that the next frame may have.
    pub(super) fn budget(&self) -> usize {
        self.state.budget.load(Ordering::Relaxed)
    }

    /// A frame would be taken now.
    pub(super) fn idle(&self) -> bool {
        !self.state.busy.load(Ordering::SeqCst)
    }

    /// Returns once a frame would be taken.
    pub(super) async fn wait(&self) {
        while !self.idle() {
            self.state.free.notified().await;
        }
    }

    /// Blocks until what was handed over is written, or the link is stalled.
    pub(super) fn flush(&self) {
        let begun = Instant::now();
        while !self.idle() && begun.elapsed() < FLUSH_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Drops what is not written yet, and waits for the chunk that is being written.
    pub(super) fn abandon(&self) {
        self.state.abandoned.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while !self.idle() && begun.elapsed() < ABANDON_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a chunk only when told to.
    struct Slow {
        go: crossbeam_channel::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_slow_terminal_keeps_the_writer_busy_and_not_the_caller() {
        let (go, wait) = crossbeam_channel::unbounded();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut frames, writer) = start_on(Slow {
            go: wait,
            written: Arc::clone(&written),
        })
        .unwrap();
        assert!(writer.idle());
        frames.write_all(b"frame").unwrap();
        frames.flush().unwrap();
        assert!(writer.idle(), "a frame is whole only when it is sent");
        frames.send();
        assert!(!writer.idle());
        go.send(()).unwrap();
        writer.wait().await;
        assert_eq!(*written.lock().unwrap(), b"frame");
    }

    #[test]
    fn what_is_abandoned_is_not_written() {
        let (go, wait) = crossbeam_channel::unbounded();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut frames, writer) = start_on(Slow {
            go: wait,
            written: Arc::clone(&written),
        })
        .unwrap();
        frames.write_all(&vec![b'x'; 10 * CHUNK_BYTES]).unwrap();
        frames.send();
        go.send(()).unwrap();
        writer.state.abandoned.store(true, Ordering::SeqCst);
        drop(go); // every chunk would be taken from now on
        writer.flush();
        assert!(written.lock().unwrap().len() < 10 * CHUNK_BYTES);
    }

    #[test]
    fn the_budget_follows_the_link() {
        let mut budget = MIN_BUDGET;
        for _ in 0..12 {
            budget = adapted(budget, budget, Duration::from_micros(50));
        }
        assert_eq!(budget, MAX_BUDGET, "a fast one");
        // A megabyte a second.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e6);
            budget = adapted(budget, budget, took);
        }
        assert_eq!(budget, MIN_BUDGET);
        // Ten of them.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e7);
            budget = adapted(budget, budget, took);
        }
        assert_eq!(budget, 60_000);
        assert_eq!(adapted(budget, 100, Duration::from_secs(1)), budget);
        assert_eq!(adapted(budget, budget, Duration::from_secs(9)), MIN_BUDGET);
    }

    #[test]
    fn an_empty_frame_is_no_frame() {
        let (frames, writer) = start_on(io::sink()).unwrap();
        frames.send();
        assert!(writer.idle());
    }
}
