//! Lets the thread that reads the terminal pause while another program reads it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

/// How long the reading thread may take to pause.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Interval between two attempts to wake it.
const WAKE_INTERVAL: Duration = Duration::from_millis(20);

/// Passed by the reading thread before each event; pauses it while closed.
#[derive(Clone, Default)]
pub struct InputGate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    is_closed: bool,
    /// Whether the reading thread waits for the gate to open.
    is_held: bool,
}

impl InputGate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while the gate is closed.
    pub(super) fn pass(&self) {
        let mut state = self.lock();
        while state.is_closed {
            state.is_held = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_held = false;
    }

    /// Closes the gate, and waits until the reading thread is held by it.
    pub(super) fn close(&self) -> io::Result<()> {
        let begun = Instant::now();
        let mut state = self.lock();
        state.is_closed = true;
        while !state.is_held {
            if begun.elapsed() > MAX_WAIT {
                drop(state);
                self.open();
                return Err(io::ErrorKind::TimedOut.into());
            }
            // crossterm takes it for a resize, and so returns from reading.
            kill_process(getpid(), Signal::WINCH)?;
            let waited = self.0.1.wait_timeout(state, WAKE_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Lets the reading thread go on.
    pub(super) fn open(&self) {
        self.lock().is_closed = false;
        self.0.1.notify_all();
    }
}
