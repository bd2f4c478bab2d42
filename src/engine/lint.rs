//! Phrases of a draft, looked at by the model that will read them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::phrases;
use super::shared::EngineShared;
use super::worker::InferenceWorker;
use crate::prompts::PromptSet;
use crate::prompts::draft::DraftedPhrases;

/// Interval at which a waiting thread looks whether anybody still waits for it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A draft for the engine thread.
pub(super) struct LintRequest {
    draft: DraftedPhrases,
    set: PromptSet,
    answer: Sender<Result<DraftedPhrases, String>>,
}

impl LintRequest {
    /// Answers that there is no answer, for this reason.
    pub(super) fn refuse(self, reason: String) {
        // Nobody may wait any more.
        let _ = self.answer.send(Err(reason));
    }
}

/// Lets other threads ask an engine's model about phrases.
#[derive(Clone)]
pub struct PhraseLinter {
    shared: Arc<EngineShared>,
}

impl PhraseLinter {
    pub(super) fn new(shared: &Arc<EngineShared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Leaves out the phrases that the model does not read in full, or cannot tell from one before them. Waits until the model is open,
    /// and between two of its passes. `set`: the set that they are for, with the templates.
    ///
    /// # Errors
    ///
    /// Says why there is no answer; also once `is_stopped`.
    pub fn lint(
        &self,
        draft: DraftedPhrases,
        set: PromptSet,
        is_stopped: impl Fn() -> bool,
    ) -> Result<DraftedPhrases, String> {
        let (answer, answered) = bounded(1);
        self.shared.request_lint(LintRequest { draft, set, answer });
        loop {
            match answered.recv_timeout(POLL_INTERVAL) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Disconnected) => return Err("another draft came".to_owned()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.shared.has_failed.load(Ordering::SeqCst)
                || self.shared.is_stopped.load(Ordering::Relaxed)
            {
                return Err("there is no model".to_owned());
            }
            if is_stopped() {
                return Err("it was stopped".to_owned());
            }
        }
    }
}

impl InferenceWorker<'_> {
    /// Answers the draft that was handed in last, if any.
    pub(super) fn lint(&mut self) {
        let Some(request) = self.shared.requested_lint() else {
            return;
        };
        let LintRequest {
            mut draft,
            set,
            answer,
        } = request;
        let encoder = self.encoder.as_mut();
        let done = catch_unwind(AssertUnwindSafe(|| {
            let done = phrases::lint(&mut draft, &set, encoder);
            done.map_err(|error| error.to_string())
        }));
        let failed = || Err("internal error; see the log".to_owned());
        // Nobody may wait any more.
        let _ = answer.send(done.unwrap_or_else(|_| failed()).map(|()| draft));
    }
}
