//! The message in the status line, and the states of engine and watch.

use std::time::Duration;

use super::msg::Severity;
use super::text;

/// How long a message is shown at least.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a message is shown for each of its characters: 15 are read in a second.
const READING_TIME: Duration = Duration::from_millis(67);

/// A sentence in the status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusMessage {
    /// Whether something went wrong.
    pub severity: Severity,
    /// One sentence, safe to show.
    pub text: String,
    /// First tick that saw it.
    since: Option<Duration>,
}

impl StatusMessage {
    /// Cleans a sentence for the screen.
    pub(super) fn new(severity: Severity, sentence: &str) -> Self {
        Self {
            severity,
            text: text::safe_str(sentence),
            since: None,
        }
    }

    /// Returns whether it has been shown long enough.
    pub(super) fn has_expired(&mut self, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let characters = self.text.chars().count().try_into().unwrap_or(u32::MAX);
        let needed = READING_TIME.saturating_mul(characters);
        now.saturating_sub(since) >= needed.max(MESSAGE_TIMEOUT)
    }
}

/// The state of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineState {
    /// The model is being loaded.
    Loading,
    /// The model is ready.
    Ready {
        /// The model's name.
        model: String,
        /// The device that it computes on.
        device: String,
        /// The prompt set.
        prompts: String,
        /// Whether the model knows only synthetic phantoms.
        is_builtin: bool,
    },
    /// The model cannot be used; the sentence says why.
    Failed(String),
}

impl EngineState {
    /// Whether there is no model.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Whether the model knows only synthetic phantoms.
    pub(crate) fn is_builtin(&self) -> bool {
        matches!(
            self,
            Self::Ready {
                is_builtin: true,
                ..
            }
        )
    }
}

/// The state of the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// Switched off.
    Off,
    /// Requested.
    Starting,
    /// Running.
    On {
        /// Whether the tree is scanned at intervals.
        polling: bool,
    },
    /// It failed; the sentence says why.
    Failed(String),
}
