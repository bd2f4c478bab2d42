//! Progress on stderr when that is a terminal; nothing otherwise.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shown only once work has taken this long.
const DELAY: Duration = Duration::from_millis(500);

/// A line that tells how far a long command is.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: std::time::Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            bar,
            begun: std::time::Instant::now(),
        }
    }

    /// Shows nothing.
    pub(super) fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            begun: std::time::Instant::now(),
        }
    }

    /// What is being waited for before the first file is through.
    pub(super) fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// `done` files are through, of `total` if that is known.
    pub(super) fn set(&self, done: u64, total: Option<u64>) {
        if self.begun.elapsed() < DELAY {
            return;
        }
        let template = match total {
            Some(total) => {
                self.bar.set_length(total);
                "{bar:30} {pos}/{len}  {per_sec}  {eta} left  {msg}"
            }
            None => "{spinner} {pos} files  {per_sec}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_position(done);
    }

    /// Runs `write` with the line out of the way.
    pub(super) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
