//! Editing and drafting prompt sets, and what their change does to the labels.

use super::Model;
use crate::app::activity::Incident;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::msg::Severity;
use crate::app::popup::{DraftedSet, PickerKind, Popup, UnsavedDraft};
use crate::app::request::Request;
use crate::app::results::FileState;
use crate::app::status::StatusMessage;
use crate::app::text;
use crate::prompts::PromptSet;

impl Model {
    /// Acts on the set in a row of the list, or without the list on the set in use.
    pub(super) fn act_on_prompts(&mut self, action: Action, row: Option<usize>) -> Vec<Effect> {
        let set = match row {
            Some(row) => self.prompt_sets.listed(row),
            None => self.prompt_sets.in_use_for(self.set_in_sight().as_deref()),
        };
        let set = match set {
            Ok(set) => set,
            Err(reason) => {
                self.say(Severity::Info, &reason);
                return Vec::new();
            }
        };
        if action == Action::EditPrompts {
            return vec![Effect::EditPrompts(Box::new(set))];
        }
        match self.drafting.propose(&set) {
            Ok(proposal) => {
                self.popups.open(Popup::Draft(Box::new(proposal)));
                Vec::new()
            }
            Err(requests) => self.carry_out(requests),
        }
    }

    /// The name of the set that scored the file under the cursor.
    fn set_in_sight(&self) -> Option<String> {
        let record = self.current_state().and_then(FileState::subject)?;
        Some(record.prompts.clone())
    }

    /// Sends the draft that is shown.
    pub(super) fn send_draft(&mut self) -> Vec<Effect> {
        let Some(proposal) = self.popups.take_proposal() else {
            return Vec::new();
        };
        let requests = self.drafting.send(proposal);
        self.carry_out(requests)
    }

    /// Shows a draft beside the set that it is to replace.
    pub(super) fn drafted(
        &mut self,
        serial: u64,
        outcome: Result<Box<DraftedSet>, String>,
    ) -> Vec<Effect> {
        match self.drafting.drafted(serial, outcome) {
            None => Vec::new(),
            Some(Ok(drafted)) => {
                self.message = None;
                self.popups.open(Popup::Drafted(drafted));
                Vec::new()
            }
            Some(Err(requests)) => {
                self.note_errors(&requests);
                self.carry_out(requests)
            }
        }
    }

    /// Adds what is said of failures to the activity log, where it can be read in full.
    fn note_errors(&mut self, requests: &[Request]) {
        for request in requests {
            if let Request::Say(Severity::Error, words) = request {
                let words = text::safe_str(words);
                self.activity.note(Incident::Said(Severity::Error, words));
            }
        }
    }

    /// Saves the draft that is shown.
    pub(super) fn save_draft(&mut self) -> Vec<Effect> {
        let Some(drafted) = self.popups.take_drafted() else {
            return Vec::new();
        };
        vec![self.drafting.save(drafted)]
    }

    pub(super) fn draft_saved(&mut self, outcome: Result<String, UnsavedDraft>) -> Vec<Effect> {
        let [list, edit] = [Action::PromptSet, Action::EditPrompts].map(|key| self.env.key(key));
        let requests = self.drafting.saved(outcome, [&list, &edit]);
        self.note_errors(&requests);
        self.carry_out(requests)
    }

    /// Handles the end of an editor: a set that was changed is put into use.
    pub(super) fn prompt_set_edited(
        &mut self,
        outcome: Result<Option<PromptSet>, String>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        match outcome {
            Err(reason) => self.say(Severity::Error, &reason),
            Ok(None) => self.say(Severity::Info, "the prompt set was not changed"),
            Ok(Some(set)) => effects.extend(self.prompt_sets.edited_by_hand(set)),
        }
        if self.popups.picker() == Some(PickerKind::Prompts) {
            effects.push(Effect::PromptSets);
        }
        effects
    }

    /// Opens the list of files whose label changed with the prompts.
    pub(super) fn open_label_changes(&mut self) {
        if self.results.is_blind() {
            return self.say(Severity::Info, "blind, changes of labels are hidden");
        }
        match self.label_changes.nothing_to_list() {
            Some(words) => self.say(Severity::Info, words),
            None => self.open_picker(PickerKind::Changes),
        }
    }

    /// Tells how many labels changed, once all results are scored again.
    pub(super) fn tell_label_changes(&mut self) {
        let Some(words) = self.label_changes.finish(&self.results) else {
            return;
        };
        let is_error_shown = |shown: &StatusMessage| shown.severity == Severity::Error;
        if self.label_changes.count() == 0 && self.message.as_ref().is_some_and(is_error_shown) {
            // That nothing changed is no reason to take an error away.
            return;
        }
        let view = self.env.key(Action::View);
        let how = match self.label_changes.count() {
            0 => String::new(),
            _ => format!("; {view} d lists them"),
        };
        self.say(Severity::Info, &format!("{words}{how}"));
    }
}
