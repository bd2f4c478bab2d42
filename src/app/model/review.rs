//! Reviews images: each decision is shown at once, stored by an effect, and moves on to the next unreviewed image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, KeyEvent};

use super::Model;
use super::input::has_modifier;
use crate::app::agreement::AgreementView;
use crate::app::effect::Effect;
use crate::app::entry::EntryKind;
use crate::app::keys::Action;
use crate::app::line::Purpose;
use crate::app::msg::Severity;
use crate::app::results::FileStatus;
use crate::app::results::could_be_taught;
use crate::app::results::reviews::{ImageReviews, label_words};
use crate::app::review_keys::{self, DIGITS};
use crate::app::screen::Overlay;
use crate::app::sort::{Key, Sort};
use crate::app::text;
use crate::library::{Record, Review, ReviewChanges, ReviewOutcome, ReviewRequest};
use crate::scoring::{Mode, Score};
use crate::transfer::TransferKind;

/// Reviewed images from which it is worth to try what can be learned.
const ENOUGH_TO_LEARN: usize = 10;
/// Images drawn unless the user says how many.
const SAMPLE: &str = "40";

impl Model {
    // ── the leader ────────────────────────────────────────────────────────────────────────────────────────────

    /// Waits for the key after the leader.
    fn begin_review(&mut self) {
        if self.recall.is_enabled() {
            self.leader.end();
            self.leader.awaits = true;
            self.message = None;
        } else {
            let words = "reviews are kept in the library, and there is none in this run";
            self.say(Severity::Error, words);
        }
    }

    /// Handles the key after the leader.
    pub(super) fn press_after_leader(&mut self, key: KeyEvent) -> Vec<Effect> {
        // No key behind the leader has a modifier: Ctrl-C quits here, too.
        if has_modifier(key) {
            self.leader.end();
            return self.press(key);
        }
        if let KeyCode::Char(digit @ '1'..='9') = key.code {
            return self.choose_condition(digit as usize - '1' as usize);
        }
        if key.code == KeyCode::Char('?') {
            self.popups.open_help(crate::app::mode::InputMode::Review);
            return Vec::new();
        }
        let chosen = std::mem::take(&mut self.leader.chosen);
        self.leader.end();
        let action = match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Enter => Some(Action::ReviewAccept),
            KeyCode::Char(key) => review_keys::action(key),
            _ => None,
        };
        match action {
            Some(Action::ReviewAccept) if !chosen.is_empty() => self.decide(chosen),
            Some(action) => self.act(action),
            None => {
                let leader = self.env.key(Action::Review);
                let words = format!("{leader} has no such key; {leader} ? shows those it has");
                self.say(Severity::Info, &words);
                Vec::new()
            }
        }
    }

    /// Decides on the condition with a number, from 0; where several may apply, chooses it.
    fn choose_condition(&mut self, number: usize) -> Vec<Effect> {
        let Some((_, record)) = self.review_subject() else {
            self.leader.end();
            return self.say_no_subject();
        };
        let findings = self.results.reviews().findings_set(record);
        let mode = findings.map_or(record.mode, |set| self.prompt_sets.mode().for_set(set));
        let conditions = self.conditions(record);
        let Some(condition) = conditions.get(number) else {
            self.leader.end();
            let words = format!("there are only {} conditions", conditions.len());
            self.say(Severity::Info, &words);
            return Vec::new();
        };
        match mode {
            Mode::Single => {
                self.leader.end();
                self.decide(vec![condition.clone()])
            }
            Mode::Multi => {
                self.leader.toggle(condition);
                Vec::new()
            }
        }
    }

    /// The scores of a result beside their operating points, in the order of its prompt set, where that is known; else the highest
    /// first.
    pub(crate) fn scores_in_order(&self, record: &Record) -> Vec<f64> {
        let scores = &record.verdict.scores;
        let Some(order) = self.prompt_sets.order(&record.prompts) else {
            return scores.iter().map(Score::beside_threshold).collect();
        };
        let of = |name: &String| scores.iter().find(|score| score.condition == *name);
        let known = order.iter().filter_map(of);
        known.map(Score::beside_threshold).collect()
    }

    /// The conditions of which an image with this result may be said to show one, in the order of the prompt set, as far as they have
    /// digits; by name where that order is not known.
    pub(crate) fn conditions(&self, record: &Record) -> Vec<String> {
        if let Some(set) = self.results.reviews().findings_set(record) {
            let names = set.conditions.iter().map(|own| own.name.clone());
            return names.take(DIGITS).collect();
        }
        let scores = record.verdict.scores.iter();
        let mut names: Vec<String> = scores.map(|score| score.condition.clone()).collect();
        match self.prompt_sets.order(&record.prompts) {
            Some(order) => names.sort_by_key(|name| order.iter().position(|own| own == name)),
            None => names.sort_unstable(),
        }
        names.truncate(DIGITS);
        names
    }

    // ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn act_on_review(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::ReviewAccept => return self.accept(),
            Action::ReviewNone => return self.decide(Vec::new()),
            Action::ReviewNote => self.begin_note(),
            Action::ReviewFlag => return self.toggle_flag(),
            Action::ReviewClear => return self.clear_decision(),
            Action::ReviewNext => self.go_to_unreviewed(),
            Action::ReviewUndo | Action::ReviewRedo => return self.turn(action),
            Action::ReviewSample => self.open_line(Purpose::Sample),
            Action::ReviewLabels => return self.switch_labels(),
            Action::ReviewBlind => self.toggle_blind(),
            Action::ReviewErrors => return self.list_disagreements(),
            Action::ReviewAgreement => self.toggle_agreement(),
            Action::ReviewLearn => return self.learn(),
            _ => self.begin_review(),
        }
        Vec::new()
    }

    /// The image to be reviewed, with its result.
    pub(super) fn review_subject(&self) -> Option<(PathBuf, &Record)> {
        let path = self.file_in_sight()?.path;
        let record = self.results.get(&path)?.subject()?;
        Some((path, record))
    }

    pub(super) fn say_no_subject(&mut self) -> Vec<Effect> {
        let words = "an image can be reviewed once it has a result";
        self.say(Severity::Info, words);
        Vec::new()
    }

    /// The reviewer's review of the image in sight, as it is; an empty one if there is none.
    fn review_in_sight(&self) -> Option<Review> {
        let (path, record) = self.review_subject()?;
        let reviews = self.results.reviews_of(&path);
        let mine = reviews.and_then(|reviews| reviews.mine.clone());
        Some(Review {
            path,
            content: record.content.clone(),
            prompts: self.results.reviews().set_of(record).to_owned(),
            reviewer: self.results.reviews().reviewer().to_owned(),
            ..mine.unwrap_or_default()
        })
    }

    fn accept(&mut self) -> Vec<Effect> {
        if self.results.is_blind() {
            let words = "blind, there is no result to accept: press the digit of a condition";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let Some((_, record)) = self.review_subject() else {
            return self.say_no_subject();
        };
        if self.results.reviews().findings_set(record).is_some() {
            let words =
                "the model tells only the kind of this image: press the digit of a condition, or 0";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        if let Some(claim) = record.claim() {
            let labels = claim.into_iter().map(str::to_owned).collect();
            return self.decide(labels);
        }
        let words =
            "a rejected image has no result to accept: press the digit of a condition, or 0";
        self.say(Severity::Info, words);
        Vec::new()
    }

    /// Decides that the image in sight shows these conditions, and moves on.
    fn decide(&mut self, labels: Vec<String>) -> Vec<Effect> {
        let Some(review) = self.review_in_sight() else {
            return self.say_no_subject();
        };
        let is_untaught = self.review_subject().is_some_and(|(_, record)| {
            could_be_taught(record) || self.results.reviews().findings_set(record).is_some()
        });
        let words = label_words(&labels);
        let blind = self.results.is_blind();
        let (path, labels) = (review.path.clone(), Some(labels));
        // Looked for before, as the filter may hide the image as soon as it is reviewed.
        let next = self.next_unreviewed(&path);
        let effects = self.store_review(Review {
            labels,
            blind,
            ..review
        });
        let tally = self.results.tally(self.folder().dir());
        let (reviewed, all) = tally.map_or((0, 0), |tally| (tally.reviewed, tally.pictures));
        let rest = match &next {
            Some(next) => {
                self.browser.folder.go_to_path(next);
                String::new()
            }
            None => match self.without_result() {
                0 => "; no unreviewed image is left here".to_owned(),
                1 => "; the last unreviewed image here has no result yet".to_owned(),
                n => format!("; {n} unreviewed images here have no result yet"),
            },
        };
        let leader = self.env.key(Action::Review);
        let advice = if is_untaught && !blind && reviewed >= ENOUGH_TO_LEARN {
            format!("; {leader} l learns from them")
        } else {
            String::new()
        };
        let name = path.file_name().map_or_else(String::new, text::safe);
        let words = format!("{name}: {words} · {reviewed} of {all} reviewed{advice}{rest}");
        self.say(Severity::Info, &words);
        effects
    }

    /// Switches between one label for each image and each condition by itself.
    fn switch_labels(&mut self) -> Vec<Effect> {
        if self.engine.has_failed() {
            self.say(Severity::Error, "there is no model to score with");
            return Vec::new();
        }
        vec![self.prompt_sets.switch_mode()]
    }

    fn toggle_flag(&mut self) -> Vec<Effect> {
        let Some(review) = self.review_in_sight() else {
            return self.say_no_subject();
        };
        let flagged = !review.flagged;
        let words = if flagged { "flagged" } else { "flag removed" };
        self.say(Severity::Info, words);
        self.store_review(Review { flagged, ..review })
    }

    fn clear_decision(&mut self) -> Vec<Effect> {
        match self.review_in_sight() {
            Some(review) if review.labels.is_some() => {
                self.say(Severity::Info, "review cleared");
                let labels = None;
                self.store_review(Review { labels, ..review })
            }
            _ => {
                self.say(Severity::Info, "the image is not reviewed");
                Vec::new()
            }
        }
    }

    fn begin_note(&mut self) {
        if self.review_in_sight().is_some() {
            self.open_line(Purpose::Note);
        } else {
            self.say_no_subject();
        }
    }

    /// The text that a line for a note or a sample begins with.
    pub(super) fn line_text(&self, purpose: Purpose) -> String {
        match purpose {
            Purpose::Note => self.review_in_sight().map_or_else(String::new, |r| r.note),
            Purpose::Sample => SAMPLE.to_owned(),
            Purpose::Filter => self.folder().options().filter.text().to_owned(),
            Purpose::Find => self
                .folder()
                .similarity_order()
                .unwrap_or_default()
                .to_owned(),
            Purpose::OpenWith => self.last_program.clone(),
            Purpose::CopyTo | Purpose::MoveTo => self.transfers.last_folder().to_owned(),
            Purpose::Palette
            | Purpose::Export
            | Purpose::SaveView
            | Purpose::View
            | Purpose::Bookmark => String::new(),
        }
    }

    /// Takes a line that was entered.
    pub(super) fn entered(&mut self, purpose: Purpose, text: &str) -> Vec<Effect> {
        match purpose {
            Purpose::Note => match self.review_in_sight() {
                Some(review) if review.note != text.trim() => {
                    let note = text.trim().to_owned();
                    self.store_review(Review { note, ..review })
                }
                _ => Vec::new(),
            },
            Purpose::Sample => match text.trim().parse() {
                Ok(count) if count > 0 => self.draw_sample(count),
                _ => {
                    self.say(
                        Severity::Error,
                        "how many images to draw is a number from 1",
                    );
                    Vec::new()
                }
            },
            Purpose::CopyTo => self.transfer(TransferKind::Copy, text),
            Purpose::MoveTo => self.transfer(TransferKind::Move, text),
            Purpose::OpenWith => self.open_with(text),
            Purpose::SaveView => self.save_view(text),
            Purpose::View => self.open_view(text),
            Purpose::Bookmark => self.set_bookmark(text),
            Purpose::Filter | Purpose::Palette | Purpose::Find | Purpose::Export => Vec::new(),
        }
    }

    /// Shows a review, and stores it.
    fn store_review(&mut self, review: Review) -> Vec<Effect> {
        let before = self.review_in_sight().map(Box::new);
        self.show_reviews(ReviewChanges {
            reviews: vec![review.clone()],
            samples: Vec::new(),
        });
        let request = ReviewRequest::Store(Box::new(review));
        vec![Effect::Review { request, before }]
    }

    /// Shows changes of reviews.
    pub(super) fn show_reviews(&mut self, changes: ReviewChanges) {
        let concerned = self.results.take_reviews(changes);
        self.rerank_files(&concerned);
        if let Some(view) = self.screen.agreement_mut() {
            view.follow(&self.results, &self.env.root);
        }
    }

    // ── undo ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn turn(&mut self, action: Action) -> Vec<Effect> {
        let reviewer = self.results.reviews().reviewer().to_owned();
        let root = self.env.root.clone();
        let request = if action == Action::ReviewUndo {
            ReviewRequest::Undo { reviewer, root }
        } else {
            ReviewRequest::Redo { reviewer, root }
        };
        let before = None;
        vec![Effect::Review { request, before }]
    }

    /// Shows what a request has done.
    pub(super) fn reviewed(
        &mut self,
        request: &ReviewRequest,
        outcome: ReviewOutcome,
    ) -> Vec<Effect> {
        let (word, done) = match request {
            ReviewRequest::Undo { .. } => ("undo", "undone"),
            ReviewRequest::Redo { .. } => ("redo", "redone"),
            ReviewRequest::Store(_) | ReviewRequest::Sample { .. } => ("", ""),
        };
        match outcome {
            // It is shown already; only its time is new.
            ReviewOutcome::Review(_) if word.is_empty() => {}
            ReviewOutcome::Review(review) => {
                let path = review.path.clone();
                let now = review
                    .labels
                    .as_deref()
                    .map_or("not reviewed".to_owned(), label_words);
                let name = self.env.show_path(&path);
                self.show_reviews(ReviewChanges {
                    reviews: vec![*review],
                    samples: Vec::new(),
                });
                self.browser.folder.go_to_path(&path);
                self.say(Severity::Info, &format!("{done}: {name}: {now}"));
            }
            ReviewOutcome::Import(reviews) => {
                let words = match reviews.len() {
                    1 => format!("{done}: the import of one label"),
                    count => format!("{done}: the import of {count} labels"),
                };
                self.show_reviews(ReviewChanges {
                    reviews,
                    samples: Vec::new(),
                });
                self.say(Severity::Info, &words);
            }
            ReviewOutcome::Nothing => {
                self.say(Severity::Info, &format!("there is nothing to {word}"));
            }
            ReviewOutcome::Sampled(samples) => return self.show_sample(samples),
        }
        Vec::new()
    }

    /// Takes a review back that could not be stored.
    pub(super) fn review_failed(&mut self, before: Option<Box<Review>>, message: &str) {
        if let Some(before) = before {
            self.show_reviews(ReviewChanges {
                reviews: vec![*before],
                samples: Vec::new(),
            });
        }
        let words = format!("the review was not stored: {}", text::safe_str(message));
        self.say(Severity::Error, &words);
    }

    // ── where to go ───────────────────────────────────────────────────────────────────────────────────────────

    /// The next image in the list after a file, from the beginning after the end, that is not reviewed.
    fn next_unreviewed(&self, after: &Path) -> Option<PathBuf> {
        let rows = || {
            self.folder()
                .rows()
                .filter(|row| row.kind == EntryKind::File)
        };
        let awaits = |path: &Path| {
            path != after
                && self.results.judged(path).is_some_and(|judged| {
                    let is_decided = judged.reviews.is_some_and(ImageReviews::is_decided);
                    judged.state.subject().is_some() && !is_decided
                })
        };
        let cursor = self.folder().cursor();
        let behind = self.folder().rows_from(cursor);
        let behind = behind.filter(|row| row.kind == EntryKind::File);
        let mut all = behind.chain(rows());
        all.find(|row| awaits(&row.path))
            .map(|row| row.path.clone())
    }

    /// How many files here are to get a result.
    fn without_result(&self) -> usize {
        let rows = self.folder().rows();
        let states = rows.filter_map(|row| self.results.get(&row.path));
        let queued = states.filter(|state| state.status() == FileStatus::Queued);
        queued.count()
    }

    fn go_to_unreviewed(&mut self) {
        let here = self
            .file_in_sight()
            .map(|file| file.path)
            .unwrap_or_default();
        match self.next_unreviewed(&here) {
            Some(path) => {
                self.browser.folder.go_to_path(&path);
            }
            None => match self.without_result() {
                0 => self.say(Severity::Info, "no other unreviewed image here"),
                n => {
                    let words =
                        format!("no other unreviewed image here has a result yet; {n} queued");
                    self.say(Severity::Info, &words);
                }
            },
        }
    }

    /// Lists the images where the reviewer says something else than the result, the most confident results first.
    fn list_disagreements(&mut self) -> Vec<Effect> {
        if self.results.is_blind() {
            self.say(Severity::Info, "blind, there is nothing to compare with");
            return Vec::new();
        }
        let differs = self
            .results
            .judged_below(&self.env.root)
            .any(|(_, judged)| judged.agrees() == Some(false));
        if !differs {
            self.say(Severity::Info, "no review differs from its result");
            return Vec::new();
        }
        let effects = self.show_in_worklist("disagrees", Key::Probability);
        let words = match self.folder().len() {
            1 => "one review differs from its result".to_owned(),
            n => format!("{n} reviews differ from their results, the most confident results first"),
        };
        self.say(Severity::Info, &words);
        effects
    }

    /// Shows how far the reviewer agrees with the results and with others, or leaves that view.
    fn toggle_agreement(&mut self) {
        if self.results.is_blind() {
            self.say(Severity::Info, "blind, there is nothing to compare with");
        } else if self.screen.agreement_mut().is_some() {
            self.screen.close_overlay();
        } else {
            self.viewer.stop();
            let view = AgreementView::new(&self.results, &self.env.root);
            self.screen.open_overlay(Overlay::Agreement(Box::new(view)));
        }
    }

    /// Carries out a key in the agreement view: of the keys that enter a folder, Return lists images and the others move.
    pub(super) fn press_in_agreement(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let enters = self.env.keymap.action(key) == Some(Action::Enter);
        if enters && key.code == KeyCode::Enter {
            return Some(self.list_cell());
        }
        None
    }

    /// Carries out an action in the agreement view.
    pub(super) fn act_in_agreement(&mut self, action: Action) -> Option<Vec<Effect>> {
        self.screen.agreement_mut()?.act(action);
        Some(Vec::new())
    }

    /// Lists the images of the cell under the cursor of the agreement view.
    fn list_cell(&mut self) -> Vec<Effect> {
        let view = self.screen.agreement_mut();
        if let Some(filter) = view.and_then(|view| view.filter()) {
            return self.show_in_worklist(&filter, Key::Probability);
        }
        self.say(Severity::Info, "there is no image in that cell");
        Vec::new()
    }

    /// Opens the worklist with a filter and an order.
    fn show_in_worklist(&mut self, filter: &str, by: Key) -> Vec<Effect> {
        self.screen.close_overlay();
        self.screen.set_focus(crate::view::panels::Panel::List);
        let effects = if self.folder().is_worklist() {
            Vec::new()
        } else {
            self.open_worklist()
        };
        self.browser.filter(filter, &self.results);
        let reversed = false;
        self.browser
            .sort(&self.results, |sort| *sort = Sort { by, reversed });
        self.browser.folder.go_to(0);
        effects
    }

    // ── samples ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Draws images from all that are below the root, not reviewed and not drawn before.
    fn draw_sample(&mut self, count: usize) -> Vec<Effect> {
        let images = self.results.judged_below(&self.env.root);
        let images = images.filter_map(|(_, judged)| {
            let is_free = judged
                .reviews
                .is_none_or(|reviews| !reviews.is_decided() && !reviews.sampled);
            let record = judged.state.subject().filter(|_| is_free)?;
            let set = self.results.reviews().set_of(record);
            Some((record.content.clone(), set.to_owned()))
        });
        // Copies of an image are one image.
        let images: BTreeSet<(String, String)> = images.collect();
        if images.is_empty() {
            self.say(Severity::Info, "there is no unreviewed image to draw");
            return Vec::new();
        }
        let request = ReviewRequest::Sample {
            reviewer: self.results.reviews().reviewer().to_owned(),
            images: images.into_iter().collect(),
            count,
        };
        let before = None;
        vec![Effect::Review { request, before }]
    }

    fn show_sample(&mut self, samples: Vec<crate::library::SampledImage>) -> Vec<Effect> {
        let drawn = samples.len();
        self.show_reviews(ReviewChanges {
            reviews: Vec::new(),
            samples,
        });
        let effects = self.show_in_worklist("sampled !reviewed", Key::Name);
        let images = if drawn == 1 { "image" } else { "images" };
        let words =
            format!("{drawn} {images} drawn at random; the filter shows those left to review");
        self.say(Severity::Info, &words);
        effects
    }

    // ── blind ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn toggle_blind(&mut self) {
        let blind = !self.results.is_blind();
        self.screen.close_overlay();
        self.results.set_blind(blind);
        self.viewer.set_blind(blind);
        let needs_results = self.folder().options().sort.by.needs_results();
        if blind && needs_results {
            self.browser
                .sort(&self.results, |sort| *sort = Sort::default());
        }
        self.browser.folder.rerank_all(&self.results);
        let key = self.env.key(Action::Review);
        let words = if blind {
            format!("blind: results and what others say are hidden; {key} b shows them again")
        } else {
            "results and reviews are shown".to_owned()
        };
        self.say(Severity::Info, &words);
    }
}
