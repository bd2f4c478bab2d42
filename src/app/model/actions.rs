//! Actions on the files on screen.

use std::path::Path;
use std::sync::Arc;

use super::Model;
use crate::app::activity::ActivityView;
use crate::app::browser::folder::{Folder, RowKind};
use crate::app::compare::Comparison;
use crate::app::effect::Effect;
use crate::app::entry::EntryKind;
use crate::app::keys::Action;
use crate::app::line::Purpose;
use crate::app::mode::InputMode;
use crate::app::msg::Severity;
use crate::app::popup::{MenuKind, PickerKind};
use crate::app::request::Request;
use crate::app::results::FileState;
use crate::app::screen::Overlay;
use crate::app::sort::{Key, Sort};
use crate::app::studies::StudyBrowser;
use crate::app::text;
use crate::library::export::TableFormat;
use crate::view::panels::Panel;

/// Images of a stack that a page key moves by.
const STACK_PAGE: usize = 10;
/// Longest text copied, in bytes: what terminals that limit it take.
const MAX_COPY: usize = 74_000;

impl Model {
    pub(super) fn act_on_files(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::View => self.open_menu(MenuKind::View),
            Action::Grid => {
                self.viewer.stop();
                self.screen.toggle_grid();
            }
            Action::Compare => return self.toggle_comparison(),
            Action::Activity => self.toggle_activity(),
            Action::Failures => self.open_failures(),
            Action::Series => return self.toggle_series(),
            Action::Tags => return self.toggle_tags(),
            Action::Copy => return self.copy_path(),
            Action::Search => self.begin_filter(),
            Action::Export => self.open_line(Purpose::Export),
            Action::Find => self.begin_find(),
            Action::MoreLikeThis => return self.find_like_current(),
            Action::Palette => self.open_line(Purpose::Palette),
            Action::Why => return self.explain(),
            Action::NextPanel => self.screen.focus_after(self.screen.focus(), &self.env),
            Action::Hidden => return self.toggle_hidden(),
            Action::Sort | Action::SortReversed => self.sort(action),
            Action::Worklist => return self.toggle_worklist(),
            Action::Enter => return self.enter(),
            Action::Leave => return self.leave(),
            Action::Mark => self.browser.toggle_mark(),
            Action::MarkRange => {
                let said = self.browser.mark_range();
                return self.carry_out([said]);
            }
            Action::UnmarkAll => {
                let said = self.browser.clear_marks();
                return self.carry_out([said]);
            }
            Action::NextNew | Action::PreviousNew => {
                let forward = action == Action::NextNew;
                let said = self.browser.go_to_unvisited(forward, &self.results);
                return self.carry_out(said);
            }
            Action::Classify => return self.classify_current(),
            Action::ClassifyMarked => self.classify_marked(),
            Action::ClassifyAll => return self.classify_all(),
            Action::Watch => return self.toggle_watch(),
            Action::PromptSet => {
                // They are read anew, as the user may be writing one.
                self.open_picker(PickerKind::Prompts);
                return vec![Effect::PromptSets];
            }
            Action::EditPrompts | Action::DraftPrompts => return self.act_on_prompts(action, None),
            Action::LabelChanges => self.open_label_changes(),
            Action::Model => {
                // The cache may have changed: it is read again.
                self.open_picker(PickerKind::Model);
                return vec![Effect::Models];
            }
            Action::HeatMap => self.toggle_heat_map(),
            Action::HeatMapNext => self.next_heat_map(),
            Action::Adjust => self.toggle_mix(),
            Action::Related => return self.choose_related(),
            Action::Measurements => self.list_measurements(),
            Action::Reformat => return self.reformat(false),
            Action::Planes => return self.reformat(true),
            Action::Whole => {
                if self.view() != InputMode::Grid {
                    self.screen.set_full(!self.screen.is_full());
                }
            }
            _ if action.is_review() => return self.act_on_review(action),
            _ if action.is_about_files() => return self.act_on_places(action),
            _ if action.distance(1) != 0 => return self.move_cursor(action),
            _ if Key::chosen_by(action).is_some() => self.sort(action),
            _ => return self.act_on_image(action),
        }
        Vec::new()
    }

    /// Adjusts results to the folder's mix, or no longer.
    fn toggle_mix(&mut self) {
        self.mix.toggle();
        let words = if self.mix.is_on() {
            "finding the mix of this folder …"
        } else {
            "scores are shown as they are"
        };
        self.say(Severity::Info, words);
    }

    /// An action on the image; on a series these are the keys of its stack.
    fn act_on_image(&mut self, action: Action) -> Vec<Effect> {
        let context = self.viewer_context();
        let requests = match self.viewer.scroll_series(action, context.series) {
            Some(requests) => requests,
            None if self.view() == InputMode::Grid => Vec::new(),
            None => self.viewer.act(action, &context),
        };
        self.carry_out(requests)
    }

    /// Moves the cursor of the list, pages the stack of the image that has the focus, or scrolls the result.
    fn move_cursor(&mut self, action: Action) -> Vec<Effect> {
        let panels = self.panels();
        let on_image = match self.view() {
            InputMode::FullScreen => true,
            InputMode::Panels(focus) => focus == Panel::Preview && panels.preview.is_some(),
            _ => false,
        };
        if on_image {
            let series = self.studies.position(self.folder());
            let distance = action.distance(STACK_PAGE);
            if let Some(requests) = self.viewer.page_by(distance, series) {
                return self.carry_out(requests);
            }
        }
        if self.screen.focus() == Panel::Result && panels.result.is_some() {
            let (page, lines) = self.result_extent();
            self.result_scroll = action.scroll(self.result_scroll, page, lines);
            return Vec::new();
        }
        let page = panels.list.map_or(1, |area| usize::from(area.height));
        self.browser.folder.go_by(action.distance(page));
        Vec::new()
    }

    // ── views ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn toggle_comparison(&mut self) -> Vec<Effect> {
        if self.screen.comparison().is_some() {
            self.screen.close_overlay();
            return Vec::new();
        }
        match Comparison::begin(self.files()) {
            Ok((mut comparison, hint)) => {
                self.viewer.stop();
                let mut requests = comparison.choose(1);
                requests.extend(hint);
                self.screen
                    .open_overlay(Overlay::Compare(Box::new(comparison)));
                self.carry_out(requests)
            }
            Err(sentence) => self.carry_out([Request::info(sentence)]),
        }
    }

    fn toggle_activity(&mut self) {
        if self.results.is_blind() {
            return self.say(
                Severity::Info,
                "blind, the activity log is hidden: it names results",
            );
        }
        if matches!(self.screen.overlay(), Some(Overlay::Activity(_))) {
            self.screen.close_overlay();
        } else {
            self.viewer.stop();
            self.screen
                .open_overlay(Overlay::Activity(ActivityView::default()));
        }
    }

    /// Shows the worklist, or leaves it.
    fn toggle_worklist(&mut self) -> Vec<Effect> {
        self.viewer.stop();
        let was_covered = self.screen.close_overlay();
        if !self.folder().is_worklist() {
            self.screen.set_focus(Panel::List);
            return self.open_worklist();
        }
        if was_covered {
            return Vec::new();
        }
        self.leave_worklist()
    }

    /// Shows folders by study and series, or by name.
    fn toggle_series(&mut self) -> Vec<Effect> {
        if self.folder().is_worklist() {
            let words = "the worklist is not grouped: folders are";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let folder = &mut self.browser.folder;
        if self.studies.shows_directory(folder) {
            let words = "a DICOMDIR is always shown by study and series";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        if !self.studies.is_enabled() {
            return self.studies.enable(folder, &self.results, &mut self.env);
        }
        let base = self.studies.disable(folder);
        let cursor = self.folder().current().map(|row| row.path.clone());
        base.map_or_else(Vec::new, |base| self.open(base, cursor))
    }

    /// Opens the tags of the file under the cursor, or closes them.
    pub(super) fn toggle_tags(&mut self) -> Vec<Effect> {
        if self.tags.close() {
            return Vec::new();
        }
        let Some(file) = self.file_in_sight() else {
            let words = "there is no file under the cursor";
            self.say(Severity::Info, words);
            return Vec::new();
        };
        self.popups.close_all();
        // Nothing moves behind the tags.
        self.viewer.stop();
        vec![self.tags.open(file, &mut self.env)]
    }

    /// Opens the list of related objects, and searches for those that have arrived since the last search.
    fn choose_related(&mut self) -> Vec<Effect> {
        if self.viewer.image().is_none() {
            let words = "no image, so no related objects";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let search = self.related.search(
            &self.browser.folder,
            &self.studies,
            &self.results,
            &mut self.env,
        );
        self.open_picker(PickerKind::Related);
        Vec::from_iter(search)
    }

    /// Shows the next plane across the stack of the image, or all of them: the stack is the files of its series, or its frames.
    fn reformat(&mut self, all_planes: bool) -> Vec<Effect> {
        let is_seen = self.panels().preview.is_some() && self.viewer.image().is_some();
        let Some(file) = self.file_in_sight().filter(|_| is_seen) else {
            return Vec::new();
        };
        let folder = &self.browser.folder;
        let slices = self.studies.slices(&file.path, folder, &self.results);
        let stack = match slices {
            _ if self.viewer.frames() > 1 || self.viewer.is_reformatting() => vec![file],
            Some(slices) if slices.len() > 1 => {
                slices.into_iter().map(|slice| slice.file).collect()
            }
            _ => {
                let words = "a reformat takes a series or a file with frames";
                let view = self.env.advice(Action::View, "s groups files by series");
                let words = view.map_or_else(|| words.to_owned(), |how| format!("{words}; {how}"));
                self.say(Severity::Info, &words);
                return Vec::new();
            }
        };
        if all_planes {
            self.viewer.toggle_planes(stack);
            return Vec::new();
        }
        let requests = self.viewer.next_plane(stack);
        self.carry_out(requests)
    }

    /// Opens the list of the image's measurements.
    fn list_measurements(&mut self) {
        if self.viewer.measurement_choices().is_empty() {
            let [ruler, next] = [Action::Ruler, Action::NextPanel].map(|key| self.env.key(key));
            let words = format!(
                "no measurements on this image; {ruler} begins one, {next} then chooses its kind"
            );
            self.say(Severity::Info, &words);
        } else {
            self.open_picker(PickerKind::Measurements);
        }
    }

    // ── order and filter ──────────────────────────────────────────────────────────────────────────────────────

    fn toggle_hidden(&mut self) -> Vec<Effect> {
        self.browser
            .change_options(&self.results, |look| look.hidden = !look.hidden);
        self.studies
            .group_by_series(&mut self.browser.folder, &self.results, &mut self.env)
    }

    /// Opens the menu of sort orders, or changes the order.
    fn sort(&mut self, action: Action) {
        if self.studies.fixes_order(self.folder()) {
            return self.say(
                Severity::Info,
                "series cannot be sorted: they have a fixed order",
            );
        }
        if action == Action::Sort {
            return self.open_menu(MenuKind::Sort);
        }
        self.leave_similarity();
        let said = self
            .browser
            .sort(&self.results, |sort| match Key::chosen_by(action) {
                Some(by) => {
                    let reversed = false;
                    *sort = Sort { by, reversed };
                }
                None => sort.reversed = !sort.reversed,
            });
        self.carry_out([said]);
    }

    fn begin_filter(&mut self) {
        if self.studies.fixes_order(self.folder()) {
            self.say(Severity::Info, "series cannot be filtered");
        } else {
            self.open_line(Purpose::Filter);
        }
    }

    // ── into and out of folders ───────────────────────────────────────────────────────────────────────────────

    /// Opens the folder, study, series or DICOMDIR under the cursor; false if it is something else.
    fn open_current(&mut self) -> Option<Vec<Effect>> {
        let folder = &mut self.browser.folder;
        if self.studies.toggle_study(folder, &self.results, &self.env) {
            return Some(Vec::new());
        }
        let row = folder.current()?;
        let is_folder = row.kind == EntryKind::Folder;
        if is_folder || StudyBrowser::opens(row, &self.results) {
            let path = row.path.clone();
            return Some(self.open(path, None));
        }
        None
    }

    fn enter(&mut self) -> Vec<Effect> {
        let worklist = Some(self.folder()).filter(|folder| folder.is_worklist());
        if let Some(row) = worklist.and_then(Folder::current) {
            let path = row.path.clone();
            return self.show_file(&path);
        }
        if let Some(effects) = self.open_current() {
            return effects;
        }
        if self.folder().current().is_none() {
            return Vec::new();
        }
        if self.panels().preview.is_none() {
            // On a small screen a file is entered too: there its image has a panel of its own.
            self.screen.focus_after(Panel::List, &self.env);
        } else if self.viewer.image().is_some() {
            self.screen.set_full(true);
        }
        Vec::new()
    }

    /// Opens the folder or file under the cursor; the image of a file fills the screen.
    pub(super) fn enter_row(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.open_current() {
            return effects;
        }
        if self.folder().current().is_none() {
            return Vec::new();
        }
        if self.env.drawable().is_none() && self.env.graphics.is_some() {
            self.screen.leave_grid();
            self.screen.focus_after(Panel::List, &self.env);
        } else {
            self.screen.set_full(true);
        }
        Vec::new()
    }

    fn leave(&mut self) -> Vec<Effect> {
        if self.screen.leave_full() {
            return Vec::new();
        }
        if self.panels().list.is_none() {
            self.screen.set_focus(Panel::List);
            return Vec::new();
        }
        if self.folder().is_worklist() {
            return self.leave_worklist();
        }
        let left = self.folder().dir().to_owned();
        match left.parent() {
            Some(parent) => self.open(parent.to_owned(), Some(left.clone())),
            None => Vec::new(),
        }
    }

    /// Shows a file in its folder, under the cursor.
    pub(super) fn show_file(&mut self, path: &Path) -> Vec<Effect> {
        self.screen.close_overlay();
        let Some(folder) = path.parent() else {
            return Vec::new();
        };
        if self.folder().dir() != folder || self.folder().is_worklist() {
            return self.open(folder.to_owned(), Some(path.to_owned()));
        }
        let is_filtered = !self.folder().options().filter.is_empty();
        if !self.browser.folder.go_to_path(path) && is_filtered {
            self.browser.filter("", &self.results);
            self.browser.folder.go_to_path(path);
        }
        if self.folder().current().is_none_or(|row| row.path != path) {
            self.say(Severity::Info, "the file is no longer here");
        }
        Vec::new()
    }

    // ── clipboard ─────────────────────────────────────────────────────────────────────────────────────────────

    fn copy_path(&mut self) -> Vec<Effect> {
        let row = self.folder().current();
        let path = row
            .filter(|row| row.represents == RowKind::Entry)
            .map(|row| row.path.clone())
            .or_else(|| Some(self.file_in_sight()?.path));
        let Some(path) = path else {
            self.say(Severity::Info, "there is no file under the cursor");
            return Vec::new();
        };
        let shown = self.env.show_path(&path);
        match text::quoted(&path) {
            Some(quoted) => self.copy(quoted, &format!("{shown}, quoted for a shell")),
            None => self.copy(path.to_string_lossy().into_owned(), &shown),
        }
    }

    /// Copies a text to the clipboard, and reports it.
    pub(super) fn copy(&mut self, text: String, name: &str) -> Vec<Effect> {
        if text.len() > MAX_COPY {
            let words = "too long to be copied through the terminal";
            self.say(Severity::Error, words);
            return Vec::new();
        }
        self.say(Severity::Info, &format!("copied: {name}"));
        vec![Effect::Copy(text)]
    }

    // ── export ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Writes the results of the files on screen, in their order, to a file.
    pub(super) fn export(&mut self, file: String) -> Vec<Effect> {
        let file = file.trim();
        if file.is_empty() {
            return Vec::new();
        }
        if TableFormat::of_file(Path::new(file)).is_none() {
            let file = text::safe_str(file);
            let words = format!("{file}: no known format; name it .jsonl, .csv or .parquet");
            self.say(Severity::Error, &words);
            return Vec::new();
        }
        let rows = self.folder().rows();
        let results = rows.filter_map(|row| match self.results.get(&row.path)? {
            FileState::Done(records) => Some((row.path.clone(), Arc::clone(records))),
            // What is hidden from a blind reader stays so.
            FileState::Blind(_) | FileState::Queued | FileState::Failed(_) => None,
        });
        let results: Vec<_> = results.collect();
        if results.is_empty() {
            self.say(Severity::Info, "there are no results here");
            return Vec::new();
        }
        vec![Effect::Export {
            file: file.to_owned(),
            base: self.transfer_base(),
            results,
        }]
    }
}
