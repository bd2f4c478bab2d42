//! Handles the events of engines (readiness, results, speed) and the change to another model.

use std::path::Path;

use super::Model;
use crate::app::activity::{self, Incident};
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::msg::Severity;
use crate::app::results::{Certainty, FileState, ResultChange};
use crate::app::status::EngineState;
use crate::app::text;
use crate::engine::{ClassifiedFile, Event, Lane};
use crate::library::Outcome;
use crate::prompts::Prompts;
use crate::rules::RuleAction;
use crate::scoring::Mode;

impl Model {
    /// Handles an event of the engine with this serial number. An engine other than the one in use is heard only while its
    /// model is being loaded.
    pub(super) fn engine_event(&mut self, serial: u64, event: Event) -> Vec<Effect> {
        if serial == self.models.engine() {
            let mut effects = self.current_engine_event(event);
            effects.extend(self.offer_model());
            return effects;
        }
        match event {
            event @ Event::Ready { .. } if self.models.loaded(serial) => {
                self.rate = None;
                self.prompt_sets.stop_rescoring();
                self.label_changes.clear();
                self.give_up_learning();
                let mut effects = vec![Effect::AdoptEngine { serial }];
                effects.extend(self.current_engine_event(event));
                self.classify_everything();
                effects
            }
            Event::Failed { message } => {
                let popup_open = self.popups.current().is_some();
                let requests = self
                    .models
                    .not_loaded(serial, &message, popup_open, &self.engine);
                self.carry_out(requests)
            }
            _ => Vec::new(),
        }
    }

    fn current_engine_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Loading => self.engine = EngineState::Loading,
            Event::Ready {
                model,
                device,
                prompts,
                is_builtin,
                warnings,
            } => {
                let [model, device, prompts] =
                    [model, device, prompts].map(|name| text::safe_str(&name));
                let words = format!("{model} is ready on {device}, with prompts {prompts}");
                self.activity.note(Incident::Said(Severity::Info, words));
                self.results.jobs_mut().engine_found();
                self.engine = EngineState::Ready {
                    model,
                    device,
                    prompts,
                    is_builtin,
                };
                for warning in &warnings {
                    let words = text::safe_str(warning);
                    self.activity.note(Incident::Said(Severity::Info, words));
                }
                let new = self.prompt_sets.new_warning(&warnings);
                if let Some(warning) = new.filter(|_| !self.prompt_sets.are_chosen()) {
                    self.say(Severity::Info, warning);
                }
                return Vec::from_iter(self.prompt_sets.restore_mode());
            }
            Event::Failed { message } => {
                self.rate = None;
                self.results.jobs_mut().engine_lost();
                let words = text::safe_str(&message);
                self.activity.note(Incident::Said(Severity::Error, words));
                self.engine = EngineState::Failed(message);
                self.request_recalled();
            }
            Event::Done {
                generation,
                outcomes,
                ..
            } => return Vec::from_iter(self.apply_outcomes(generation, outcomes)),
            Event::Dropped { generation } => drop(self.results.jobs_mut().dropped(generation)),
            Event::Prompts {
                prompts,
                mode,
                warnings,
                revision,
            } => {
                let changed = mode != self.prompt_sets.mode();
                let in_use = self.prompt_sets.used(revision, mode).clone();
                self.results.use_prompts(in_use);
                return Vec::from_iter(self.prompts_changed(&prompts, changed, &warnings));
            }
            Event::PromptsFailed { revision, message } => {
                let kept = self.prompt_sets.refused(revision);
                self.say(Severity::Error, &message);
                return Vec::from_iter(kept);
            }
            Event::Noted { message } => self.say(Severity::Info, &message),
            Event::Rescored { files, left } => self.rescored(files, left),
            Event::Recalled { files, missing } => self.recalled(files, missing),
            Event::Compared {
                generation,
                outcome,
            } => self.compared(generation, outcome),
            Event::Explained {
                generation,
                outcome,
            } => self.explained(generation, outcome),
            Event::Mapped {
                generation,
                outcome,
            } => self.heat_maps.made(generation, outcome),
            Event::MapChecked {
                generation,
                outcome,
            } => self.heat_maps.checked(generation, outcome),
            Event::Learned {
                generation,
                outcome,
            } => self.learned(generation, outcome),
            Event::Rate {
                images_per_second, ..
            } => self.rate = Some(images_per_second),
        }
        Vec::new()
    }

    /// Offers a model for findings, once, as soon as the built-in model has seen a real image.
    fn offer_model(&mut self) -> Option<Effect> {
        let is_due = self.offers_model && self.engine.is_builtin();
        let all = self.results.tally(Path::new("/"))?;
        if !is_due || all.unjudged == 0 {
            return None;
        }
        self.offers_model = false;
        let key = self.env.keymap.key(Action::Model);
        let key = key.map_or_else(String::new, |key| format!("{key} gets one, for example "));
        self.say(
            Severity::Info,
            &format!("findings need a medical model: {key}BiomedCLIP (784 MB)"),
        );
        Some(Effect::ModelOffered)
    }

    /// Applies an answer. Returns the effect that a rule demands for it.
    fn apply_outcomes(&mut self, generation: u64, outcomes: Vec<Outcome>) -> Option<Effect> {
        match self.results.answer(generation, outcomes) {
            Some(ResultChange::State { path, is_new }) => {
                self.activity.note_answer(&path, &self.results);
                if self.results.has_vanished(&path) {
                    self.removed(&path);
                } else {
                    self.browser.folder.rerank(&path, &self.results);
                }
                let rings = is_new && self.rings(&path);
                return rings.then_some(Effect::Bell);
            }
            Some(ResultChange::NotAnImage(path)) => {
                self.browser.forget_arrival(&path);
                let view = self.screen.activity_mut();
                activity::remove_arrival(&mut self.activity, view, &path);
                self.browser.folder.rerank(&path, &self.results);
            }
            None => {}
        }
        None
    }

    /// Whether a rule rings the bell for the result of a file.
    fn rings(&self, path: &Path) -> bool {
        let record = self.results.get(path).and_then(FileState::record);
        record.is_some_and(|record| {
            let actions = self.rules.actions(record.traits(), &record.verdict);
            actions.contains(&RuleAction::Bell)
        })
    }

    /// Handles that a file of the prompts in use was edited: they are put into use, or what is wrong is shown.
    pub(super) fn prompts_edited(
        &mut self,
        revision: u64,
        prompts: Option<Prompts>,
        fault: Option<String>,
    ) -> Vec<Effect> {
        if !self.prompt_sets.is_in_use(revision) {
            return Vec::new();
        }
        if let Some(fault) = &fault {
            let words = text::safe_str(fault);
            self.activity.note(Incident::Said(Severity::Error, words));
        }
        // It would hide the fault, or still tell of the one before.
        self.message = None;
        Vec::from_iter(self.prompt_sets.edited(prompts, fault.as_deref()))
    }

    /// Notes the prompts and the mode now in use. Returns the effect that scores all results again.
    fn prompts_changed(
        &mut self,
        name: &str,
        changed: bool,
        warnings: &[String],
    ) -> Option<Effect> {
        if let EngineState::Ready { prompts, .. } = &mut self.engine {
            *prompts = text::safe_str(name);
        }
        let learned = self.scored_words.take();
        let warning = self.prompt_sets.new_warning(warnings);
        let is_switch = changed && warning.is_none();
        let subject = match (learned, warning) {
            (Some(words), _) => words,
            (None, Some(warning)) => format!("{warning}; prompts: {name}"),
            (None, None) => format!("prompts: {name}"),
        };
        let words = match self.prompt_sets.mode() {
            Mode::Single if is_switch => "one label for each image",
            Mode::Multi if is_switch => {
                "each condition by itself: an image may have several labels"
            }
            _ => &subject,
        };
        // What the mode means stays on screen.
        let told = Some(subject.clone()).filter(|_| !changed);
        self.say(Severity::Info, words);
        let mut files = self.results.classified();
        self.label_changes.begin(&files, told);
        let on_screen = self.paths_on_screen();
        let dir = self.folder().dir();
        files.sort_by_cached_key(|file| {
            let is_elsewhere = file.path.parent() != Some(dir);
            (!on_screen.contains(&file.path), is_elsewhere)
        });
        self.prompt_sets.rescore(files)
    }

    fn rescored(&mut self, files: Vec<ClassifiedFile>, left: usize) {
        for file in files {
            self.results.rescored(file);
        }
        if self.prompt_sets.rescored(left) {
            // Once rather than for each file: if the order depends on results, every row may move.
            self.browser.folder.rerank_all(&self.results);
            self.tell_label_changes();
        }
    }

    /// Handles the end of a download: the model is loaded, or the error shown.
    pub(super) fn pulled(&mut self, serial: u64, outcome: Result<(), String>) -> Vec<Effect> {
        let popup_open = self.popups.current().is_some();
        let downloaded = outcome.is_ok();
        let requests = self
            .models
            .pulled(serial, outcome, popup_open, &self.engine, &mut self.env);
        if downloaded && !requests.is_empty() && self.popups.picker().is_some() {
            self.popups.close_all();
        }
        self.carry_out(requests)
    }

    /// Requests the result of every image from the engine now in use, that of the one under the cursor first.
    pub(super) fn classify_everything(&mut self) {
        // Another model's similarities are of no use.
        self.leave_similarity();
        self.results.jobs_mut().engine_lost();
        self.results.jobs_mut().engine_found();
        self.recall.restart();
        let current = self.folder().current().map(|row| row.path.clone());
        let all = self.results.answerable();
        let (first, rest): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|found| Some(&found.path) == current.as_ref());
        if let Some(path) = &current {
            self.results.promote(path);
        }
        self.look_up(first, Lane::Interactive, Certainty::Told);
        self.look_up(rest, Lane::Bulk, Certainty::Told);
    }
}
