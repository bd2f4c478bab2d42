//! Learns from reviews: asks for a proposal, shows it, and puts it into use or takes it back.

use crossterm::event::{KeyCode, KeyEvent};

use super::Model;
use crate::app::activity::Incident;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::learning::{
    LearnSubject, LearningState, LearningView, images, in_use, judges_only_if_taught,
};
use crate::app::msg::{Msg, Severity};
use crate::app::results::could_be_taught;
use crate::app::screen::Overlay;
use crate::app::text;
use crate::engine::learning::{LearnRequest, Proposal};
use crate::learn::LearnedSets;
use crate::scoring::calibration::Calibrations;

impl Model {
    /// Opens the view of what reviews teach, and asks for it; in the view, accepts it.
    pub(super) fn learn(&mut self) -> Vec<Effect> {
        if self.screen.learning_mut().is_some() {
            return self.accept_learned();
        }
        if self.results.is_blind() {
            let words = "blind, there is no result that could be learned to be better";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let Some((_, record)) = self.review_subject() else {
            return self.say_no_subject();
        };
        let findings = self.results.reviews().findings_set(record);
        let subject = match findings {
            Some(set) => LearnSubject::of_findings(record, set, self.prompt_sets.mode()),
            None => LearnSubject::of(record),
        };
        let is_untaught = findings.is_some() || could_be_taught(record);
        let (in_use, is_judged) = in_use(&self.results, &self.env.root, &subject, record.synthetic);
        let is_first = is_untaught && !is_judged;
        let is_in_use = in_use.is_some() || (is_judged && judges_only_if_taught(record, &subject));
        let generation = self.env.next_generation();
        let (images, unused) = images(&self.results, &self.env.root, &subject);
        let request = LearnRequest {
            prompts: subject.prompts.clone(),
            images,
            generation,
        };
        self.viewer.stop();
        self.message = None;
        self.screen
            .open_overlay(Overlay::Learning(Box::new(LearningView {
                generation,
                subject,
                is_first,
                in_use,
                is_in_use,
                answer: None,
                unused,
                state: LearningState::Open,
                cursor: 0,
                scroll: 0,
            })));
        vec![Effect::Learn(Box::new(request))]
    }

    /// Shows what was learned, if it is still asked for.
    pub(super) fn learned(&mut self, generation: u64, outcome: Result<Box<Proposal>, String>) {
        let view = self.screen.learning_mut();
        if let Some(view) = view.filter(|view| view.generation == generation) {
            view.answer = Some(outcome);
        }
    }

    /// Says in the view that the model is another one, and nothing can be learned with it.
    pub(super) fn give_up_learning(&mut self) {
        if let Some(view) = self.screen.learning_mut()
            && view.answer.is_none()
        {
            view.answer = Some(Err("the model was changed".to_owned()));
        }
    }

    /// Puts what was learned into use.
    fn accept_learned(&mut self) -> Vec<Effect> {
        let view = self
            .screen
            .learning_mut()
            .filter(|view| view.state != LearningState::Changing);
        let Some(view) = view else {
            return Vec::new();
        };
        if view.state == LearningState::Outdated {
            return self.say_outdated();
        }
        let proposal = view.proposal().map(|own| own.learned.clone());
        match proposal {
            Some(learned) if learned.changes_results() => {
                view.state = LearningState::Changing;
                vec![Effect::KeepLearned(Box::new(learned))]
            }
            Some(_) => {
                let words =
                    "there is nothing to accept: what was learned is no better than zero-shot";
                self.say(Severity::Info, words);
                Vec::new()
            }
            None => {
                self.say(Severity::Info, "there is nothing to accept yet");
                Vec::new()
            }
        }
    }

    /// Lets the keys of the view work again.
    fn end_change(&mut self) {
        let view = self.screen.learning_mut();
        if let Some(view) = view.filter(|view| view.state == LearningState::Changing) {
            view.state = LearningState::Open;
        }
    }

    fn say_outdated(&mut self) -> Vec<Effect> {
        let words = "another process has changed what is in use; close this and ask again";
        self.say(Severity::Info, words);
        Vec::new()
    }

    /// Takes what the files hold that scores follow.
    pub(super) fn score_files_found(&mut self, files: Msg) -> Vec<Effect> {
        match files {
            Msg::LearnedFiles {
                learned,
                is_in_use,
                faults,
            } => self.learned_found(learned, is_in_use, &faults),
            Msg::CalibrationFiles {
                calibrations,
                is_in_use,
                faults,
            } => self.calibrations_found(calibrations, is_in_use, &faults),
            _ => Vec::new(),
        }
    }

    /// Names files that cannot be used, and notes what is in use, or scores with it where another process has changed it.
    fn learned_found(
        &mut self,
        learned: LearnedSets,
        is_in_use: bool,
        faults: &[String],
    ) -> Vec<Effect> {
        self.say_unusable(faults);
        if let Some(view) = self.screen.learning_mut() {
            let of_view = |all: &LearnedSets| view.subject.learned(all).cloned();
            if of_view(self.results.learned()) != of_view(&learned) {
                view.state = LearningState::Outdated;
            }
        }
        self.results.set_learned(learned.clone());
        if is_in_use {
            return Vec::new();
        }
        self.say_with_prompts(
            faults,
            "another process has changed what was learned; scores follow it",
        );
        vec![Effect::UseLearned(learned), self.prompt_sets.renew()]
    }

    /// Scores with the calibrations that another process has changed.
    fn calibrations_found(
        &mut self,
        calibrations: Calibrations,
        is_in_use: bool,
        faults: &[String],
    ) -> Vec<Effect> {
        self.say_unusable(faults);
        if is_in_use {
            return Vec::new();
        }
        self.say_with_prompts(
            faults,
            "another process has calibrated scores; results follow it",
        );
        vec![
            Effect::UseCalibrations(calibrations),
            self.prompt_sets.renew(),
        ]
    }

    fn say_unusable(&mut self, faults: &[String]) {
        for fault in faults {
            let words = text::safe_str(fault);
            self.say(Severity::Error, &words);
            self.activity.note(Incident::Said(Severity::Error, words));
        }
    }

    /// Says it once prompts are put into use. What cannot be used stays on screen with it.
    fn say_with_prompts(&mut self, faults: &[String], words: &str) {
        let words = faults.iter().map(String::as_str).chain([words]);
        self.scored_words = Some(text::safe_str(&words.collect::<Vec<_>>().join("; ")));
    }

    /// Scores with what is in use now.
    pub(super) fn learned_kept(
        &mut self,
        outcome: Result<(Option<LearnedSets>, String), String>,
    ) -> Vec<Effect> {
        match outcome {
            Ok((Some(learned), words)) => {
                if self.screen.learning_mut().is_some() {
                    self.screen.close_overlay();
                }
                self.scored_words = Some(words);
                self.results.set_learned(learned.clone());
                vec![Effect::UseLearned(learned), self.prompt_sets.renew()]
            }
            Ok((None, words)) => {
                self.end_change();
                self.say(Severity::Info, &words);
                Vec::new()
            }
            Err(message) => {
                self.end_change();
                let words = format!("nothing was changed: {}", text::safe_str(&message));
                self.say(Severity::Error, &words);
                Vec::new()
            }
        }
    }

    /// Carries out a letter of the view.
    pub(super) fn press_in_learning(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        match key.code {
            KeyCode::Char('a') => Some(self.accept_learned()),
            KeyCode::Char('u') => {
                let view = self.screen.learning_mut()?;
                if view.state == LearningState::Changing {
                    return Some(Vec::new());
                }
                if view.state == LearningState::Outdated {
                    return Some(self.say_outdated());
                }
                view.state = LearningState::Changing;
                Some(vec![Effect::UndoLearned(view.subject.clone())])
            }
            _ => None,
        }
    }

    /// Carries out an action in the view.
    pub(super) fn act_in_learning(&mut self, action: Action) -> Vec<Effect> {
        let page = usize::from(self.env.rows / 2).max(1);
        let Some(view) = self.screen.learning_mut() else {
            return Vec::new();
        };
        if action == Action::Enter {
            if let Some(path) = view.current() {
                self.screen.close_overlay();
                return self.show_file(&path);
            }
        } else {
            view.act(action, page);
        }
        Vec::new()
    }
}
