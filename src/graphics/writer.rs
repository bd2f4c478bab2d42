//! A thread that writes frames to the terminal. A picture is megabytes and a slow link blocks: the loop goes on, and
//! hands over its newest state once the frame before is through.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use tokio::sync::Notify;

/// How long anything waits for the link; a terminal that does not read by then is as good as gone.
const STALLED: Duration = Duration::from_secs(2);
/// Bytes written at a time, so that leaving does not wait for a whole picture.
const PIECE: usize = 16 << 10;
/// How long a frame with a picture may take to be written: a key that is pressed meanwhile waits that long.
const MOMENT: Duration = Duration::from_millis(6);
/// Bytes of a frame that take no longer on a slow link, and what to begin with.
const LEAST: usize = 8 << 10;
/// More at once helps no link.
const MOST: usize = 4 << 20;

struct State {
    busy: AtomicBool,
    /// What is not written yet is dropped.
    abandoned: AtomicBool,
    /// Bytes that the link takes in a moment.
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
    start_on(io::stdout())
}

fn start_on(mut out: impl Write + Send + 'static) -> io::Result<(Frames, Writer)> {
    let state = Arc::new(State {
        busy: AtomicBool::new(false),
        abandoned: AtomicBool::new(false),
        budget: AtomicUsize::new(LEAST),
        free: Notify::new(),
    });
    let (frames, received) = bounded::<Vec<u8>>(1);
    let writing = Arc::clone(&state);
    std::thread::Builder::new()
        .name("terminal".into())
        .spawn(move || {
            for frame in received {
                let begun = Instant::now();
                for piece in frame.chunks(PIECE) {
                    if writing.abandoned.load(Ordering::SeqCst) || out.write_all(piece).is_err() {
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

/// What the link takes in a moment, by how long so many bytes took. The system takes some thousand bytes at once, whatever
/// the link: small frames tell nothing, and the budget grows step by step.
fn adapted(budget: usize, bytes: usize, took: Duration) -> usize {
    if bytes < budget / 2 {
        return budget;
    }
    let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
    let taken = (rate * MOMENT.as_secs_f64()) as usize;
    taken.clamp(LEAST, budget.saturating_mul(2).min(MOST))
}

impl Writer {
    /// Bytes of pictures that the next frame may have.
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
    pub(super) fn settle(&self) {
        let begun = Instant::now();
        while !self.idle() && begun.elapsed() < STALLED {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Drops what is not written yet, and waits for the piece that is being written.
    pub(super) fn abandon(&self) {
        self.state.abandoned.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while !self.idle() && begun.elapsed() < Duration::from_millis(100) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a piece only when told to.
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
        frames.write_all(&vec![b'x'; 10 * PIECE]).unwrap();
        frames.send();
        go.send(()).unwrap();
        writer.state.abandoned.store(true, Ordering::SeqCst);
        drop(go); // every piece would be taken from now on
        writer.settle();
        assert!(written.lock().unwrap().len() < 10 * PIECE);
    }

    #[test]
    fn the_budget_follows_the_link() {
        let mut budget = LEAST;
        for _ in 0..12 {
            budget = adapted(budget, budget, Duration::from_micros(50));
        }
        assert_eq!(budget, MOST, "a fast one");
        // A megabyte a second.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e6);
            budget = adapted(budget, budget, took);
        }
        assert_eq!(budget, LEAST);
        // Ten of them.
        for _ in 0..12 {
            let took = Duration::from_secs_f64(budget as f64 / 1e7);
            budget = adapted(budget, budget, took);
        }
        assert_eq!(budget, 60_000);
        assert_eq!(adapted(budget, 100, Duration::from_secs(1)), budget);
        assert_eq!(adapted(budget, budget, Duration::from_secs(9)), LEAST);
    }

    #[test]
    fn an_empty_frame_is_no_frame() {
        let (frames, writer) = start_on(io::sink()).unwrap();
        frames.send();
        assert!(writer.idle());
    }
}
