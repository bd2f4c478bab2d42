//! What is said in the status line, and for how long; what is known of engine and watch.

use std::time::Duration;

use super::msg::Severity;
use super::text;

/// How long a sentence stays.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// Returns whether it has been there long enough.
    pub(super) fn has_expired(&mut self, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        now.saturating_sub(since) >= MESSAGE_TIMEOUT
    }
}

/// The state of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineState {
    /// The model is being loaded.
    Loading,
    /// It answers.
    Ready {
        /// The model's name.
        model: String,
        /// Where it computes.
        device: String,
        /// The prompt set.
        prompts: String,
        /// It knows phantoms only.
        synthetic_only: bool,
    },
    /// It cannot be used; the sentence says why.
    Failed(String),
}

impl EngineState {
    /// Whether there is no model.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Whether the model knows phantoms only.
    pub(crate) fn is_synthetic_only(&self) -> bool {
        matches!(
            self,
            Self::Ready {
                synthetic_only: true,
                ..
            }
        )
    }
}

/// The state of the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// Not wanted.
    Off,
    /// Requested.
    Starting,
    /// It runs.
    On {
        /// By reading the tree again and again.
        polling: bool,
    },
    /// It failed; the sentence says why.
    Failed(String),
}
