//! Signals to `watch`: the first ends it after the accepted files are classified, the second ends it at once. Without a
//! controlling terminal, SIGHUP does not say that the terminal is gone, but asks a service to read its settings again.

use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::commands::run::SHUTDOWN_TIMEOUT;
use crate::commands::{Fault, exit, on_signals};

/// Signals so soon after the first are the same one, sent both to this process and to its process group.
const SAME_SIGNAL_INTERVAL: Duration = Duration::from_millis(100);
/// How long after the second signal the process is ended even if writing blocks because nobody reads its output.
const FORCED_EXIT_DELAY: Duration = SHUTDOWN_TIMEOUT.saturating_add(Duration::from_millis(500));

/// What a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchSignal {
    /// The end.
    Stop,
    /// That settings and prompts are read again.
    Reload,
}

/// Starts to receive signals. The second [`WatchSignal::Stop`] ends the process in any case, because the main loop handles no
/// signals while it writes to a reader that has stopped reading.
pub(super) fn receive() -> Result<Receiver<WatchSignal>, Fault> {
    let (sender, receiver) = unbounded();
    let mut signals = vec![SIGINT, SIGTERM];
    // `nohup` ignores it; that is respected.
    if !is_ignored(SIGHUP) {
        if has_controlling_terminal() {
            signals.push(SIGHUP);
        } else {
            let sender = sender.clone();
            on_signals(&[SIGHUP], move || {
                let _ = sender.send(WatchSignal::Reload);
            })?;
        }
    }
    let first: Mutex<Option<Instant>> = Mutex::new(None);
    on_signals(&signals, move || {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        match *first {
            None => {
                *first = Some(Instant::now());
                let _ = sender.send(WatchSignal::Stop);
            }
            Some(first) if first.elapsed() < SAME_SIGNAL_INTERVAL => {}
            Some(_) => {
                let _ = sender.send(WatchSignal::Stop);
                sleep(FORCED_EXIT_DELAY);
                // SAFETY: ends the process without flushing buffers, because flushing may block.
                unsafe { libc::_exit(i32::from(exit::OK)) }
            }
        }
    })?;
    Ok(receiver)
}

/// Whether this process belongs to a terminal (tty(4)), whose end SIGHUP reports.
fn has_controlling_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: a zeroed `sigaction` is valid, and the call only reads the current action.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
