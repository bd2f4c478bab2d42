//! Passes each message to the components that it concerns.

use super::Model;
use crate::app::activity::Incident;
use crate::app::browser::REST_TIME;
use crate::app::effect::Effect;
use crate::app::folder_state::FolderState;
use crate::app::keys::Action;
use crate::app::msg::{Msg, Severity};
use crate::app::popup::PickerKind;
use crate::app::request::Request;
use crate::app::status::{StatusMessage, WatchState};
use crate::app::text;

impl Model {
    /// Applies a message. Returns the resulting effects, in order.
    pub(in crate::app) fn update(&mut self, msg: Msg) -> Vec<Effect> {
        let mut effects = self.take_in(msg);
        let commands = self.results.jobs_mut().commands();
        if !commands.is_empty() {
            effects.push(Effect::Jobs(commands));
        }
        effects.extend(self.follow());
        effects.extend(self.next_recall());
        effects
    }

    fn take_in(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => return self.press(key),
            Msg::Pasted(text) => return self.paste(&text),
            Msg::Mouse { event, at } => return self.mouse(event, at),
            Msg::Resized { cols, rows } => self.resize(cols, rows),
            Msg::Graphics(graphics) => self.env.graphics = Some(graphics),
            Msg::Resumed => self.lose_images(),
            Msg::Stopping => return vec![Effect::Suspend],
            Msg::Continued => return vec![Effect::Resume],
            Msg::Terminated => return self.quit(),
            Msg::Tick(now) => self.tick(now),
            Msg::Report { severity, text } => self.say(severity, &text),
            Msg::Previewed(previewed) => return self.viewer.take_preview(*previewed),
            Msg::VolumeProgress(progress) => self.viewer.note_volume_progress(progress),
            Msg::Measurements { file, all } => self.viewer.measurements_read(&file, all),
            Msg::SidePreviewed { side, previewed } => {
                if let Some(comparison) = self.screen.comparison_mut() {
                    comparison.take_preview(side, *previewed);
                }
            }
            Msg::Tile(tile) => self.tiles.insert(*tile),
            Msg::Engine(event) => return self.engine_event(0, event),
            Msg::OtherEngine { serial, event } => return self.engine_event(serial, event),
            Msg::LibraryChanged(files) => self.library_changed(files),
            Msg::ReviewsChanged(changes) => self.show_reviews(changes),
            Msg::Reviewed { request, outcome } => return self.reviewed(&request, outcome),
            Msg::ReviewFailed { before, message } => self.review_failed(before, &message),
            Msg::LearnedKept { outcome } => return self.learned_kept(outcome),
            files @ (Msg::LearnedFiles { .. } | Msg::CalibrationFiles { .. }) => {
                return self.score_files_found(files);
            }
            Msg::Adjusted { generation, mixes } => {
                if let Some(words) = self.mix.answered(generation, *mixes) {
                    self.say(Severity::Info, &text::safe_str(&words));
                }
            }
            Msg::PromptSets(sets) => {
                let first = self.prompt_sets.sets_read(sets);
                self.choices_read(first, PickerKind::Prompts);
            }
            Msg::PromptsEdited {
                revision,
                prompts,
                fault,
            } => {
                return self.prompts_edited(revision, prompts, fault);
            }
            Msg::PromptSetEdited(outcome) => return self.prompt_set_edited(outcome),
            Msg::Drafted { serial, outcome } => return self.drafted(serial, outcome),
            Msg::DraftSaved(outcome) => return self.draft_saved(outcome),
            places @ (Msg::Places(_) | Msg::Folders { .. } | Msg::Transferred { .. }) => {
                return self.places_changed(places);
            }
            Msg::Models(offered) => {
                let first = self.models.models_read(offered);
                self.choices_read(first, PickerKind::Model);
            }
            Msg::Pulling {
                serial,
                came,
                size,
                waits,
            } => self.models.pulling(serial, came, size, waits),
            Msg::Pulled { serial, outcome } => return self.pulled(serial, outcome),
            Msg::Watching { polling } => self.watching(polling),
            Msg::WatchFailed { message } => self.watch_failed(&message),
            Msg::FolderState {
                dir,
                generation,
                state,
            } => self.restore(&dir, generation, *state),
            Msg::Tags {
                generation,
                outcome,
            } => self.tags.tags_read(generation, outcome, &self.env),
            headers @ (Msg::Headers { .. } | Msg::Directory { .. }) => {
                return self.headers_read(headers);
            }
            Msg::Related {
                generation,
                read,
                complete,
            } => self.related.objects_read((generation, complete), read),
            files @ (Msg::Listed { .. }
            | Msg::ListFailed { .. }
            | Msg::Scanned { .. }
            | Msg::Unreadable { .. }
            | Msg::Appeared { .. }
            | Msg::Modified { .. }
            | Msg::Touched { .. }
            | Msg::Removed { .. }
            | Msg::Renamed { .. }) => return self.files_changed(files),
        }
        Vec::new()
    }

    /// Handles what was read to group files.
    fn headers_read(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Headers {
                generation,
                read,
                complete,
            } => {
                return self.studies.headers_read(
                    (generation, complete),
                    read,
                    &mut self.browser.folder,
                    &self.results,
                    &mut self.env,
                );
            }
            Msg::Directory {
                generation,
                outcome,
            } => self.studies.directory_read(
                generation,
                outcome,
                &mut self.browser.folder,
                &self.results,
                &self.env,
            ),
            _ => {}
        }
        Vec::new()
    }

    /// Carries out the requests of components, in order.
    pub(super) fn carry_out(&mut self, requests: impl IntoIterator<Item = Request>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for request in requests {
            match request {
                Request::Effect(effect) => effects.push(effect),
                Request::Say(severity, sentence) => self.say(severity, &sentence),
                Request::Open(popup) => self.popups.open(popup),
                Request::ClosePopup => self.popups.close_all(),
                Request::Act(action) => effects.extend(self.act(action)),
                Request::SelectRow(row) => self.browser.folder.go_to(row),
                Request::SelectFile(path) => {
                    self.browser.folder.go_to_path(&path);
                }
                Request::ShowFile(path) => effects.extend(self.show_file(&path)),
                Request::Retry(path) => effects.extend(self.retry(vec![path])),
                Request::RetryAll => effects.extend(self.retry_all()),
                Request::EnterRow => effects.extend(self.enter_row()),
                Request::FullScreen => self.screen.set_full(true),
                Request::CloseOverlay => {
                    self.screen.close_overlay();
                }
                Request::CloseTags => {
                    self.tags.close();
                }
                Request::Copy { text, name } => effects.extend(self.copy(text, &name)),
                Request::ScrollSeries(place) => {
                    self.studies.scroll_to(place, &self.browser.folder);
                }
                Request::ResetPresentation => self.related.reset(),
            }
        }
        effects
    }

    /// Shows a sentence in the status line.
    pub(super) fn say(&mut self, severity: Severity, sentence: &str) {
        self.message = Some(StatusMessage::new(severity, sentence));
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        if (self.env.cols, self.env.rows) != (cols, rows) {
            (self.env.cols, self.env.rows) = (cols, rows);
            self.lose_images();
        }
    }

    /// Handles the loss of the images that the terminal was sent.
    fn lose_images(&mut self) {
        self.env.epoch += 1;
        self.viewer.lose_image();
        if let Some(comparison) = self.screen.comparison_mut() {
            comparison.lose_images();
        }
    }

    fn tick(&mut self, now: std::time::Duration) {
        self.env.now = now;
        self.results.jobs_mut().tick(now);
        self.activity.tick(now);
        self.message.take_if(|message| message.has_expired(now));
        self.viewer.tick(now, REST_TIME);
        if let Some(comparison) = self.screen.comparison_mut() {
            comparison.tick(now);
        }
        if self.viewer.advance_film(now) {
            self.studies.scroll_on(&self.browser.folder);
        }
        if let Some(path) = self.browser.tick(now) {
            self.results.promote(&path);
        }
    }

    /// Puts the cursor of a picker that waited for its choices on the current one.
    fn choices_read(&mut self, first: bool, kind: PickerKind) {
        if first && self.popups.picker() == Some(kind) {
            self.open_picker(kind);
        }
    }

    // ── the watch ─────────────────────────────────────────────────────────────────────────────────────────────

    fn watching(&mut self, polling: bool) {
        // An answer to a watch that was switched off again changes nothing.
        if self.watch != WatchState::Off {
            self.watch = WatchState::On { polling };
            let words = "watching for new files".to_owned();
            self.activity.note(Incident::Said(Severity::Info, words));
        }
    }

    fn watch_failed(&mut self, message: &str) {
        self.say(Severity::Error, message);
        let words = text::safe_str(message);
        self.watch = WatchState::Failed(words.clone());
        self.activity.note(Incident::Said(Severity::Error, words));
    }

    // ── how folders are left ──────────────────────────────────────────────────────────────────────────────────

    /// Restores the state of the folder being listed from an earlier run.
    fn restore(&mut self, dir: &std::path::Path, generation: u64, state: FolderState) {
        if self.browser.restore(dir, generation, state, &self.results) {
            self.announce_filter();
        }
    }

    /// Reports a filter that was restored from an earlier run, because it hides files.
    pub(in crate::app) fn announce_filter(&mut self) {
        let filter = &self.folder().options().filter;
        if filter.is_empty() {
            return;
        }
        let key = self.env.key(Action::Back);
        let words = format!(
            "filtered by “{}”, as last time; {key} clears it",
            text::safe_str(filter.text())
        );
        self.say(Severity::Info, &words);
    }
}
