//! Drafts of prompt sets by a language model: what would be sent is shown, and sent only when the user agrees.

use super::effect::Effect;
use super::popup::{DraftProposal, DraftedSet, LanguageModel, Popup, UnsavedDraft};
use super::request::Request;
use super::text;
use crate::prompts::PromptSet;

/// Drafts with the language model, one at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drafting {
    /// `None` if none is configured; an error if it is, but wrongly.
    model: Option<Result<LanguageModel, String>>,
    serial: u64,
    is_underway: bool,
    /// The draft that is being saved.
    saving: Option<Box<DraftedSet>>,
}

impl Drafting {
    pub(super) fn new(model: Option<Result<LanguageModel, String>>) -> Self {
        Self {
            model,
            ..Self::default()
        }
    }

    /// Whether the language model is at work.
    pub(crate) fn is_underway(&self) -> bool {
        self.is_underway
    }

    /// What would be sent to draft phrases for the conditions of a set; stops a draft that is under way instead.
    ///
    /// # Errors
    ///
    /// The requests that say why there is nothing to show.
    pub(super) fn propose(&mut self, base: &PromptSet) -> Result<DraftProposal, Vec<Request>> {
        if self.is_underway {
            self.is_underway = false;
            let stopped = Request::info("the draft was stopped");
            return Err(vec![Request::Effect(Effect::StopDraft), stopped]);
        }
        let refused = |words: &str| vec![Request::error(words)];
        let model = match &self.model {
            None => {
                let words = "no language model is configured; set MEDIVISION_LLM_URL and MEDIVISION_LLM_MODEL";
                return Err(vec![Request::info(words)]);
            }
            Some(Err(fault)) => return Err(refused(fault)),
            Some(Ok(model)) => model.clone(),
        };
        DraftProposal::new(base, model).map_err(|error| refused(&error.to_string()))
    }

    /// Sends what the user agreed to.
    pub(super) fn send(&mut self, proposal: DraftProposal) -> Vec<Request> {
        self.serial += 1;
        self.is_underway = true;
        let words = format!("{} writes phrases …", text::safe_str(&proposal.model.name));
        vec![
            Request::info(words),
            Request::Effect(Effect::DraftPrompts {
                request: proposal.request,
                base: Box::new(proposal.base),
                serial: self.serial,
            }),
        ]
    }

    /// Handles an answer: the draft to be shown, or the requests that say why there is none. `None` if nobody waits for it any more.
    pub(super) fn drafted(
        &mut self,
        serial: u64,
        outcome: Result<Box<DraftedSet>, String>,
    ) -> Option<Result<Box<DraftedSet>, Vec<Request>>> {
        if serial != self.serial || !self.is_underway {
            return None;
        }
        self.is_underway = false;
        Some(outcome.map_err(|reason| vec![Request::error(reason)]))
    }

    /// Saves a draft, which stays until that is done.
    pub(super) fn save(&mut self, drafted: Box<DraftedSet>) -> Effect {
        self.saving = Some(drafted.clone());
        Effect::SaveDraft(drafted)
    }

    /// What follows once a draft is saved, or could not be: then it is shown again. `keys`: those that list sets, and open one there.
    pub(super) fn saved(
        &mut self,
        outcome: Result<String, UnsavedDraft>,
        keys: [&str; 2],
    ) -> Vec<Request> {
        let drafted = self.saving.take();
        match outcome {
            // The popup may cover the status line, so it says so, too.
            Err(UnsavedDraft { reason, kept }) => {
                let shown = drafted.map(|mut drafted| {
                    drafted.not_saved = Some(reason.clone());
                    drafted.kept = kept;
                    Request::Open(Popup::Drafted(drafted))
                });
                shown.into_iter().chain([Request::error(reason)]).collect()
            }
            // The list may be open, and is read again.
            Ok(name) => vec![
                Request::info(format!(
                    "saved {name}; {} lists it, {} there opens it",
                    keys[0], keys[1]
                )),
                Request::Effect(Effect::PromptSets),
            ],
        }
    }
}
