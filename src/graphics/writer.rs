//! The thread that writes frames to the terminal. An image is megabytes, and writing blocks on a slow link: meanwhile the event
//! loop goes on, and draws its newest state once the previous frame is written.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use tokio::sync::Notify;

/// How long a flush waits; a terminal that does not read by then is as good as gone.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the chunk that is being written may still take when the rest is dropped.
const ABANDON_TIMEOUT: Duration = Duration::from_millis(100);
/// Bytes written at a time, so that leaving does not wait for a whole image.
const CHUNK_BYTES: usize = 16 << 10;
/// How long writing a frame with an image may take: a key pressed meanwhile waits that long.
const MAX_FRAME_TIME: Duration = Duration::from_millis(6);
/// Initial and smallest number of image bytes per frame: slow links take them in [`MAX_FRAME_TIME`].
const MIN_BUDGET: usize = 8 << 10;
/// Largest number of image bytes per frame: sending more at once helps no link.
const MAX_BUDGET: usize = 4 << 20;

/// State shared by the thread and its handles.
struct WriterState {
    busy: AtomicBool,
    /// Whether output that is not written yet is to be dropped.
    abandoned: AtomicBool,
    /// Bytes that the link takes in [`MAX_FRAME_TIME`].
    budget: AtomicUsize,
    free: Notify,
}

/// Collects what the backend writes into whole frames. Clones share one buffer, because the backend does not give access to its
/// writer.
#[derive(Clone)]
pub(super) struct FrameBuffer {
    buffer: Arc<Mutex<Vec<u8>>>,
    out: Sender<Vec<u8>>,
    state: Arc<WriterState>,
}

impl FrameBuffer {
    /// Passes the collected frame to the thread. The caller must have checked [`TerminalWriter::is_idle`] before drawing it.
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

    /// Rewrites the collected bytes.
    pub(super) fn transform(&self, by: impl FnOnce(&[u8]) -> Vec<u8>) {
        let mut buffer = self.buffer();
        *buffer = by(&buffer);
    }

    fn buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for FrameBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// ratatui flushes in the middle of a frame; only [`FrameBuffer::send`] ends one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The event loop's handle to the thread.
pub(super) struct TerminalWriter {
    state: Arc<WriterState>,
}

/// Starts the thread; it ends when [`FrameBuffer`] is dropped.
pub(super) fn start() -> io::Result<(FrameBuffer, TerminalWriter)> {
    // Not std's stdout: a write that never ends would keep its lock from everyone else.
    start_on(File::from(rustix::io::dup(rustix::stdio::stdout())?))
}

fn start_on(mut out: impl Write + Send + 'static) -> io::Result<(FrameBuffer, TerminalWriter)> {
    let state = Arc::new(WriterState {
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
                let budget = adjusted_budget(budget, frame.len(), begun.elapsed());
                writing.budget.store(budget, Ordering::Relaxed);
                writing.busy.store(false, Ordering::SeqCst);
                writing.free.notify_one();
            }
        })?;
    Ok((
        FrameBuffer {
            buffer: Arc::default(),
            out: frames,
            state: Arc::clone(&state),
        },
        TerminalWriter { state },
    ))
}

/// The bytes that the link takes in [`MAX_FRAME_TIME`], given that it took `took` for `bytes`. The system buffers some thousand
/// bytes whatever the link: small frames say nothing about it, and the budget at most doubles at a time.
fn adjusted_budget(budget: usize, bytes: usize, took: Duration) -> usize {
    if bytes < budget / 2 {
        return budget;
    }
    let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
    let measured = (rate * MAX_FRAME_TIME.as_secs_f64()) as usize;
    measured.clamp(MIN_BUDGET, budget.saturating_mul(2).min(MAX_BUDGET))
}

impl TerminalWriter {
    /// Bytes of images that the next frame may contain.
    pub(super) fn budget(&self) -> usize {
        self.state.budget.load(Ordering::Relaxed)
    }

    /// Whether the thread could write a frame now.
    pub(super) fn is_idle(&self) -> bool {
        !self.state.busy.load(Ordering::SeqCst)
    }

    /// Waits until the thread can write a frame.
    pub(super) async fn wait_idle(&self) {
        while !self.is_idle() {
            self.state.free.notified().await;
        }
    }

    /// Blocks until the frame is written, at most for [`FLUSH_TIMEOUT`].
    pub(super) fn flush(&self) {
        let begun = Instant::now();
        while !self.is_idle() && begun.elapsed() < FLUSH_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Drops the rest of the frame, and waits up to [`ABANDON_TIMEOUT`] for the chunk that is being written.
    pub(super) fn abandon(&self) {
        self.state.abandoned.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while !self.is_idle() && begun.elapsed() < ABANDON_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts a chunk only when told to.
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
        assert!(writer.is_idle());
        frames.write_all(b"frame").unwrap();
        frames.flush().unwrap();
        assert!(writer.is_idle(), "a frame is whole only when it is sent");
        frames.send();
        assert!(!writer.is_idle());
        go.send(()).unwrap();
        writer.wait_idle().await;
        assert_eq!(*written.lock().unwrap(), b"frame");
    }

    #[test]
    fn abandoned_output_is_not_written() {
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
            budget = adjusted_budget(budget, budget, Duration::from_micros(50));
        }
        assert_eq!(budget, MAX_BUDGET, "a fast one");
        // A megabyte a second.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e6);
            budget = adjusted_budget(budget, budget, took);
        }
        assert_eq!(budget, MIN_BUDGET);
        // Ten of them.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e7);
            budget = adjusted_budget(budget, budget, took);
        }
        assert_eq!(budget, 60_000);
        assert_eq!(adjusted_budget(budget, 100, Duration::from_secs(1)), budget);
        assert_eq!(
            adjusted_budget(budget, budget, Duration::from_secs(9)),
            MIN_BUDGET
        );
    }

    #[test]
    fn an_empty_frame_is_not_sent() {
        let (frames, writer) = start_on(io::sink()).unwrap();
        frames.send();
        assert!(writer.is_idle());
    }
}
