//! Saved views, bookmarks, and the completion of what is typed.

use super::Model;
use crate::app::effect::Effect;
use crate::app::filter::{Completions, Filter, Vocabulary};
use crate::app::group_path::base_of;
use crate::app::keys::Action;
use crate::app::line::Purpose;
use crate::app::msg::{Msg, Severity};
use crate::app::places::{PlaceChange, Places, SavedView};
use crate::app::popup::{MenuKind, PickerKind};
use crate::app::sort::Sort;
use crate::app::status::EngineState;
use crate::app::text;
use crate::scoring::Decision;

/// Files whose values are offered when a filter is completed: a key must not wait for more.
const MAX_SCANNED: usize = 20_000;

impl Model {
    pub(super) fn act_on_places(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::OpenWith => self.begin_open_with(),
            Action::CopyTo => self.begin_transfer(Purpose::CopyTo),
            Action::MoveTo => self.begin_transfer(Purpose::MoveTo),
            Action::UndoFiles => return self.undo_transfer(),
            Action::StopFiles => return self.stop_transfer(),
            Action::SaveView => self.open_line(Purpose::SaveView),
            Action::Bookmark => self.open_line(Purpose::Bookmark),
            Action::Views => {
                // Read anew, as the user may have edited them.
                self.open_picker(PickerKind::Views);
                return vec![Effect::Places(None)];
            }
            Action::Bookmarks => {
                self.open_picker(PickerKind::Bookmarks);
                return vec![Effect::Places(None)];
            }
            _ => self.open_menu(MenuKind::Files),
        }
        Vec::new()
    }

    /// Handles messages about places and files.
    pub(super) fn places_changed(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Places(outcome) => self.places_read(outcome),
            Msg::Folders { typed, found } => self.folders_found(&typed, found),
            Msg::Transferred {
                is_undo,
                outcome,
                placed,
            } => self.transferred(is_undo, outcome, placed),
            _ => {}
        }
        Vec::new()
    }

    /// Takes the views and bookmarks that are stored.
    fn places_read(&mut self, outcome: Result<Places, String>) {
        match outcome {
            Ok(places) => self.places = places,
            Err(message) => self.say(Severity::Error, &text::safe_str(&message)),
        }
    }

    fn change_places(&mut self, change: PlaceChange) -> Vec<Effect> {
        self.places.apply(change.clone());
        vec![Effect::Places(Some(change))]
    }

    // ── views ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Saves filter and order of the list under a name.
    pub(super) fn save_view(&mut self, name: &str) -> Vec<Effect> {
        let name = name.trim();
        if name.is_empty() {
            return Vec::new();
        }
        let folder = self.folder();
        let options = folder.options();
        let dir = base_of(folder.dir()).unwrap_or(folder.dir());
        let worklist = folder.is_worklist();
        if !worklist && dir.to_str().is_none() {
            let words = "the name of this folder is not UTF-8, so it cannot be saved";
            self.say(Severity::Error, words);
            return Vec::new();
        }
        let view = SavedView {
            name: name.to_owned(),
            filter: options.filter.text().trim().to_owned(),
            sort: options.sort.by,
            reverse: options.sort.reversed,
            worklist,
            folder: (!worklist).then(|| dir.to_owned()),
        };
        let done = match self.places.view(name) {
            Some(_) => "replaced",
            None => "saved",
        };
        let words = format!("view “{}” {done}", text::safe_str(name));
        self.say(Severity::Info, &words);
        self.change_places(PlaceChange::SaveView(view))
    }

    pub(super) fn open_chosen_view(&mut self, chosen: usize) -> Vec<Effect> {
        self.popups.close_all();
        let view = self.places.views.get(chosen).cloned();
        view.map_or_else(Vec::new, |view| self.show_view(view))
    }

    /// Opens the view with a name, or the only one whose name begins so.
    pub(super) fn open_view(&mut self, name: &str) -> Vec<Effect> {
        let name = name.trim();
        let mut beginning = self.places.views.iter();
        let mut beginning = beginning
            .by_ref()
            .filter(|view| view.name.starts_with(name));
        let only = beginning.next().filter(|_| beginning.next().is_none());
        let found = self.places.view(name).or(only).cloned();
        if let Some(view) = found {
            return self.show_view(view);
        }
        let words = format!("there is no view “{}”", text::safe_str(name));
        self.say(Severity::Error, &words);
        Vec::new()
    }

    fn show_view(&mut self, view: SavedView) -> Vec<Effect> {
        self.screen.close_overlay();
        self.screen.set_focus(crate::view::panels::Panel::List);
        let is_worklist = self.folder().is_worklist();
        let effects = match view.folder {
            _ if view.worklist && !is_worklist => self.open_worklist(),
            _ if view.worklist => Vec::new(),
            Some(folder) if is_worklist || self.folder().dir() != folder => self.open(folder, None),
            _ => Vec::new(),
        };
        self.leave_similarity();
        self.browser.change_options(&self.results, |options| {
            options.filter = Filter::new(&view.filter);
            options.sort = Sort {
                by: view.sort,
                reversed: view.reverse,
            };
        });
        let words = format!("view “{}”", text::safe_str(&view.name));
        self.say(Severity::Info, &words);
        effects
    }

    pub(super) fn remove_view(&mut self, chosen: usize) -> Vec<Effect> {
        let Some(view) = self.places.views.get(chosen) else {
            return Vec::new();
        };
        let name = view.name.clone();
        self.say(
            Severity::Info,
            &format!("view “{}” removed", text::safe_str(&name)),
        );
        self.change_places(PlaceChange::RemoveView(name))
    }

    // ── bookmarks ─────────────────────────────────────────────────────────────────────────────────────────────

    /// Gives the folder on screen a letter.
    pub(super) fn set_bookmark(&mut self, typed: &str) -> Vec<Effect> {
        let mut letters = typed.trim().chars();
        let letter = letters.next().filter(|letter| letter.is_alphanumeric());
        let (Some(letter), None) = (letter, letters.next()) else {
            self.say(Severity::Error, "a bookmark has one letter or digit");
            return Vec::new();
        };
        let folder = self.folder();
        let dir = base_of(folder.dir()).unwrap_or(folder.dir()).to_owned();
        if dir.to_str().is_none() {
            let words = "the name of this folder is not UTF-8, so it cannot be saved";
            self.say(Severity::Error, words);
            return Vec::new();
        }
        let before = self.places.bookmarks.get(&letter);
        let before = before.filter(|before| **before != dir);
        let before = before.map(|before| format!(", no longer {}", self.env.show_path(before)));
        let words = format!(
            "{} {letter} is {}{}",
            self.env.key(Action::Bookmarks),
            self.env.show_path(&dir),
            before.unwrap_or_default()
        );
        self.say(Severity::Info, &words);
        self.change_places(PlaceChange::SetBookmark(letter, dir))
    }

    /// Goes to the bookmark with a letter; `None` if there is none.
    pub(super) fn jump_to_letter(&mut self, letter: char) -> Option<Vec<Effect>> {
        let folder = self.places.bookmarks.get(&letter)?.clone();
        self.popups.close_all();
        self.screen.close_overlay();
        Some(self.open(folder, None))
    }

    pub(super) fn jump_to_chosen(&mut self, chosen: usize) -> Vec<Effect> {
        let letter = self.places.bookmarks.keys().nth(chosen).copied();
        letter
            .and_then(|letter| self.jump_to_letter(letter))
            .unwrap_or_default()
    }

    pub(super) fn remove_bookmark(&mut self, chosen: usize) -> Vec<Effect> {
        let Some(letter) = self.places.bookmarks.keys().nth(chosen).copied() else {
            return Vec::new();
        };
        self.say(Severity::Info, &format!("bookmark {letter} removed"));
        self.change_places(PlaceChange::RemoveBookmark(letter))
    }

    // ── completion ────────────────────────────────────────────────────────────────────────────────────────────

    /// Completes what is typed, or inserts the next candidate.
    pub(super) fn complete_line(&mut self, forward: bool) -> Vec<Effect> {
        let is_shown = self.line.as_mut().is_some_and(|line| line.cycle(forward));
        let Some(line) = &self.line else {
            return Vec::new();
        };
        if !is_shown {
            let (purpose, start, typed) = line.argument();
            let found = match purpose {
                Purpose::Filter => Completions::of_filter(typed, &self.vocabulary()),
                Purpose::SaveView | Purpose::View => {
                    let views = self.places.views.iter();
                    let names = views.map(|view| view.name.clone()).collect();
                    Completions::beginning_with(start, typed, names)
                }
                Purpose::CopyTo | Purpose::MoveTo => {
                    let typed = typed.to_owned();
                    let base = self.transfer_base();
                    return vec![Effect::Folders { typed, base }];
                }
                Purpose::Palette => line.command_names(),
                _ => return Vec::new(),
            };
            if let Some(line) = &mut self.line {
                line.complete(found);
            }
        }
        if let Some(line) = &self.line
            && line.purpose() == Purpose::Filter
        {
            let text = line.input().value().to_owned();
            self.browser.filter(&text, &self.results);
        }
        Vec::new()
    }

    /// Offers folders for a path that was typed, if it still is what is typed.
    fn folders_found(&mut self, typed: &str, found: Vec<String>) {
        let Some(line) = &mut self.line else { return };
        let (purpose, start, now) = line.argument();
        if matches!(purpose, Purpose::CopyTo | Purpose::MoveTo) && now == typed {
            line.complete(Completions::beginning_with(start, typed, found));
        }
    }

    /// Values that occur in the list, and the conditions of the prompt set in use.
    fn vocabulary(&self) -> Vocabulary {
        let mut words = Vocabulary::default();
        for row in self.folder().visible_entries().take(MAX_SCANNED) {
            let Some(judged) = self.results.judged(&row.path) else {
                continue;
            };
            if let Some(time) = judged.modified {
                words.add_month(time, judged.zone);
            }
            let Some(record) = judged.state.record() else {
                continue;
            };
            if record.verdict.decision != Decision::Rejected
                && !words.labels.contains(&record.verdict.label)
            {
                words.labels.insert(record.verdict.label.clone());
            }
            if !words.sets.contains(&record.prompts) {
                words.sets.insert(record.prompts.clone());
            }
            if let Some(modality) = &record.modality
                && !words.modalities.contains(modality)
            {
                words.modalities.insert(modality.trim().to_owned());
            }
        }
        if let EngineState::Ready { prompts, .. } = &self.engine
            && let Some(conditions) = self.prompt_sets.order(prompts)
        {
            words.labels.extend(conditions.iter().cloned());
        }
        words
    }
}
