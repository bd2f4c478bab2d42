//! Signals: the first asks for the end after what was accepted, the second for the end at once.

use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::commands::run::{Note, SHUTDOWN_TIMEOUT};
use crate::commands::{Fault, exit, on_signals};

/// Signals that come so soon after the first are the same one, sent to us and to our whole process group.
const SAME_SIGNAL: Duration = Duration::from_millis(100);
/// How long after the second signal the process ends by itself, where nobody reads what it writes.
const LAST_RESORT: Duration = SHUTDOWN_TIMEOUT.saturating_add(Duration::from_millis(500));

/// Sends signals on as [`Note::Stop`]. A second one ends the process in any case: whoever writes to a reader that has
/// stopped reading takes no notes.
pub(super) fn forward(notes: Sender<Note>) -> Result<(), Fault> {
    let mut signals = vec![SIGINT, SIGTERM];
    // `nohup` has it ignored, and so it stays.
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    let first: Mutex<Option<Instant>> = Mutex::new(None);
    on_signals(&signals, move || {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match *first {
            None => {
                *first = Some(Instant::now());
                let _ = notes.send(Note::Stop);
            }
            Some(first) if first.elapsed() < SAME_SIGNAL => {}
            Some(_) => {
                let _ = notes.send(Note::Stop);
                sleep(LAST_RESORT);
                // SAFETY: ends the process. Buffers are not flushed: that is what it hangs at.
                unsafe { libc::_exit(i32::from(exit::OK)) }
            }
        }
    })
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: zeros are a valid `sigaction`; asking changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
