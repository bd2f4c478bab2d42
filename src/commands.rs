//! The commands, one file each, and what they share: exit codes, faults and signals here, settings in `setup`, printing in `print`.

mod ask;
pub mod bench;
pub mod browse;
pub mod calibrate;
pub mod classify;
mod comparison;
pub mod completions;
pub mod demo;
mod describe;
pub mod doctor;
pub mod eval;
pub mod explain;
pub mod export;
pub mod inspect;
mod language_model;
pub mod learn;
pub mod library;
mod mix;
pub mod models;
mod output;
pub mod print;
mod progress;
pub mod prompts;
mod reviewer;
pub mod reviews;
mod run;
pub mod search;
mod setup;
mod summary;
pub mod train;
pub mod watch;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

pub use reviewer::Reviewer;
pub use setup::{CommandSetup, PromptChoice};

use crate::cli::ResultArgs;
use crate::encoder::EncoderError;
use crate::engine::{self, Settings};
use crate::library::export::ResultFormat;
use crate::prompts::Prompts;

/// Exit codes, a contract with scripts.
pub mod exit {
    /// Everything was done.
    pub const OK: u8 = 0;
    /// Some inputs failed; each has its error line.
    pub const SOME_FAILED: u8 = 1;
    /// The command line or the settings file is wrong.
    pub const USAGE: u8 = 2;
    /// The model, device, library or prompts cannot be used.
    pub const UNUSABLE: u8 = 3;
    /// Interrupted by Ctrl-C; finished results are printed.
    pub const INTERRUPTED: u8 = 130;
}

/// The error of a command that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The exit code.
    pub code: u8,
    /// A sentence for the user.
    pub message: String,
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature that `map_err` needs"
)]
impl Fault {
    /// A wrong command line or settings file.
    pub fn usage(message: impl ToString) -> Self {
        Self {
            code: exit::USAGE,
            message: message.to_string(),
        }
    }

    /// An unusable model, device, library or prompt set.
    pub fn unusable(message: impl ToString) -> Self {
        Self {
            code: exit::UNUSABLE,
            message: message.to_string(),
        }
    }

    /// The error of a fine-tuning: of what it writes, an output that cannot be written, else an unusable model.
    pub fn training(error: EncoderError) -> Self {
        match error {
            EncoderError::Output { .. } => Self {
                code: exit::SOME_FAILED,
                message: error.to_string(),
            },
            other => Self::unusable(other),
        }
    }

    /// An output that cannot be written.
    pub fn output(error: &io::Error) -> Self {
        Self {
            code: exit::SOME_FAILED,
            message: format!("the output cannot be written: {error}"),
        }
    }
}

impl ResultArgs {
    /// The engine's settings.
    pub fn settings(&self, prompts: Prompts, setup: &CommandSetup) -> Settings {
        Settings {
            prompts,
            mode: self.mode,
            calibrations: setup.calibrations(self.fit),
            learned: setup.learned(),
            frames: self.frames,
            batch_size: self.batch_size.map(usize::from),
            decode_threads: self.jobs.map(usize::from),
            exact: self.exact,
            pass_time: engine::BULK_PASS_TIME,
            library: setup.library_with_messages(),
            stores_results: true,
        }
    }

    /// The requested format, else a table on a terminal and JSON lines elsewhere.
    pub fn format(&self) -> ResultFormat {
        self.format.unwrap_or(if io::stdout().is_terminal() {
            ResultFormat::Table
        } else {
            ResultFormat::Jsonl
        })
    }
}

/// Starts a thread that calls `handle` for each of the signals.
pub fn on_signals(signals: &[i32], handle: impl Fn() + Send + 'static) -> Result<(), Fault> {
    let fault = |error: io::Error| Fault {
        code: exit::SOME_FAILED,
        message: format!("signals cannot be handled: {error}"),
    };
    let mut signals = signal_hook::iterator::Signals::new(signals).map_err(fault)?;
    let body = move || {
        for _ in signals.forever() {
            handle();
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(body)
        .map(drop)
        .map_err(fault)
}

/// Exits without running destructors. libtorch's take longer than many commands, and crash if its thread is still working
/// while they run.
pub fn leave(code: u8) -> ! {
    use std::io::Write as _;
    // There is nowhere to report a failure any more.
    let _ = (io::stdout().flush(), io::stderr().flush());
    // SAFETY: ends the process; buffered output is flushed.
    unsafe { libc::_exit(i32::from(code)) }
}

/// A path as text for a message, without control characters.
pub(crate) fn shown(path: &Path) -> String {
    crate::media::clean(&path.to_string_lossy())
}

/// A sink for an engine's events that sends them to a channel.
pub(crate) fn sink<T: Send + 'static>(
    sender: crossbeam_channel::Sender<T>,
    wrap: fn(crate::engine::Event) -> T,
) -> crate::engine::EventHandler {
    // Fails only when the command is ending.
    Arc::new(move |event| drop(sender.send(wrap(event))))
}
