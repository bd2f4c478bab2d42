//! How the interface ends: soon, but not before what people have said and measured is stored.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::UnboundedSender;

use crate::app::Msg;
use crate::commands::{exit, print};
use crate::graphics;
use crate::runtime::{STORE_TIMEOUT, Storing};

/// How long an exit requested by the user may take until it stores what is left: engine, exports and folder states have a second each.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);
/// How long an exit because of a signal or the loss of the terminal may take until then.
const FORCED_EXIT_TIMEOUT: Duration = Duration::from_millis(1800);
/// How long storing may take without a word.
const NOTICE_DELAY: Duration = Duration::from_millis(500);
/// How long storing goes on when it is given up: terminals and shells send some signals twice.
const GIVE_UP_DELAY: Duration = Duration::from_millis(200);
/// How long a message may take: a terminal that has stopped reading takes none.
const MESSAGE_TIMEOUT: Duration = Duration::from_millis(200);

/// The end of the program, however it comes.
#[derive(Clone)]
pub(super) struct Ending {
    storing: Storing,
    /// Whether there is a time limit already.
    is_limited: Arc<AtomicBool>,
    /// Whether a thread has begun the last step, which is to store what is left.
    is_storing: Arc<AtomicBool>,
}

impl Ending {
    pub(super) fn new(storing: Storing) -> Self {
        Self {
            storing,
            is_limited: Arc::default(),
            is_storing: Arc::default(),
        }
    }

    /// Turns signals into messages. Signals that end the program also make sure that it ends, whatever the loop is stuck in; the
    /// second one ends it at once, and so does the first while what is left is being stored.
    pub(super) fn on_signals(&self, messages: UnboundedSender<Msg>) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT])?;
        let ending = self.clone();
        let body = move || {
            let mut is_ending = false;
            for signal in signals.forever() {
                let msg = match signal {
                    SIGTSTP => Msg::Stopping,
                    SIGCONT => Msg::Continued,
                    _ if is_ending || ending.is_storing.load(Ordering::SeqCst) => ending.give_up(),
                    _ => {
                        is_ending = true;
                        ending.force();
                        Msg::Terminated
                    }
                };
                let _ = messages.send(msg);
            }
        };
        let thread = thread::Builder::new().name("signals".into());
        thread.spawn(body).map(drop)
    }

    /// Limits the time that an exit because of a signal or the loss of the terminal takes.
    pub(super) fn force(&self) {
        self.limit(FORCED_EXIT_TIMEOUT);
    }

    /// Limits the time that an exit requested by the user takes.
    pub(super) fn begin(&self) {
        self.limit(SHUTDOWN_TIMEOUT);
    }

    /// Ends the process if it has not come to storing what is left within `timeout`. Only the first call counts.
    fn limit(&self, timeout: Duration) {
        if self.is_limited.swap(true, Ordering::SeqCst) {
            return;
        }
        let ending = self.clone();
        let body = move || {
            thread::sleep(timeout);
            if !ending.is_storing.swap(true, Ordering::SeqCst) {
                graphics::restore();
                end_at_once(ending.store_rest());
            }
        };
        // Without a thread only the orderly exit remains.
        let _ = thread::Builder::new().name("end".into()).spawn(body);
    }

    /// Stores what is left, after the terminal was restored; returns the exit code.
    pub(super) fn finish(&self) -> u8 {
        if self.is_storing.swap(true, Ordering::SeqCst) {
            // The time was up, and another thread is at it, which ends the process.
            loop {
                thread::park();
            }
        }
        self.store_rest()
    }

    fn store_rest(&self) -> u8 {
        let mut finished = self.storing.finish(NOTICE_DELAY);
        if let Err(unstored) = &finished
            && unstored.may_follow
        {
            say(unstored.notice());
            finished = self.storing.finish(STORE_TIMEOUT);
        }
        code_of(finished.map_err(|unstored| unstored.to_string()))
    }

    /// Ends the process with what is stored so far.
    fn give_up(&self) -> ! {
        graphics::restore();
        let finished = self.storing.finish(GIVE_UP_DELAY);
        end_at_once(code_of(finished.map_err(|unstored| unstored.to_string())))
    }
}

/// The exit code; says what is not stored.
fn code_of(finished: Result<(), String>) -> u8 {
    match finished {
        Ok(()) => exit::OK,
        Err(text) => {
            say(format!("medivision-tui: {text}"));
            exit::SOME_FAILED
        }
    }
}

/// Prints a message, as long as somebody reads it.
fn say(text: String) {
    let (done, said) = bounded::<()>(0);
    let printing = thread::Builder::new().spawn(move || {
        print::message(text);
        drop(done);
    });
    if printing.is_ok() {
        let _ = said.recv_timeout(MESSAGE_TIMEOUT);
    }
}

fn end_at_once(code: u8) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(code)) }
}
