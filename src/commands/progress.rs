//! A progress line on stderr, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::run::Interruption;
use crate::scoring::metrics::DrawProgress;

/// How long a command runs before progress is shown.
const SHOW_AFTER: Duration = Duration::from_millis(500);

/// A line that shows the progress of a long command.
pub(super) struct ProgressLine {
    bar: ProgressBar,
    begun: std::time::Instant,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            bar,
            begun: std::time::Instant::now(),
        }
    }

    /// Creates a line that is never shown.
    pub(super) fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            begun: std::time::Instant::now(),
        }
    }

    /// Shows what the command is doing before the first file is done.
    pub(super) fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Shows what the command waits for, once it takes long.
    pub(super) fn spin(&self, text: &str) {
        if self.begun.elapsed() < SHOW_AFTER {
            return;
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            self.bar.set_style(style);
        }
        self.bar.set_message(text.to_owned());
        self.bar.tick();
    }

    /// Shows that `done` files are done, of `total` if that is known.
    pub(super) fn set(&self, done: u64, total: Option<u64>) {
        if self.begun.elapsed() < SHOW_AFTER {
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

    /// Runs `write` while the line is hidden.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Shows how many of the bootstrap draws are made, as `work` tells it, and ends them when a signal comes. Also returns how many
    /// were made.
    pub(super) fn of_draws<T>(
        draws: usize,
        interruption: &Interruption,
        work: impl FnOnce(DrawProgress<'_>) -> T,
    ) -> (T, usize) {
        let line = Self::new();
        let mut made = 0;
        let done = interruption.while_drawing(|goes_on| {
            work(&mut |draw| {
                line.spin(&format!("{draw} of {draws} bootstrap draws"));
                let flow = goes_on();
                made = draw + usize::from(flow.is_continue());
                flow
            })
        });
        line.end();
        (done, made)
    }

    /// Removes the line.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
