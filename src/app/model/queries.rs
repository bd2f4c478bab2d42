//! What views ask of the model: its components, and what no component knows alone.

use std::collections::HashSet;
use std::path::PathBuf;

use super::Model;
use crate::app::activity::ActivityLog;
use crate::app::browser::Browser;
use crate::app::browser::folder::{Folder, Listing, Row};
use crate::app::contact_sheet::ContactSheet;
use crate::app::context::FileContext;
use crate::app::entry::FoundFile;
use crate::app::environment::Environment;
use crate::app::failures;
use crate::app::folder_state::ScreenLayout;
use crate::app::grid::Grid;
use crate::app::keys::Action;
use crate::app::line::Line;
use crate::app::mix::MixState;
use crate::app::mode::InputMode;
use crate::app::models::ModelChooser;
use crate::app::popup::{Choice, PickerKind, Popup, PopupLine, Popups};
use crate::app::preview::{Preview, PreviewKey, Previewed};
use crate::app::prompt_sets::PromptSets;
use crate::app::related::legend_words;
use crate::app::result_panel::{self, Detail, ResultPanel, findings_advice};
use crate::app::results::{FileState, Results};
use crate::app::screen::{Overlay, ScreenState};
use crate::app::status::{EngineState, StatusMessage, WatchState};
use crate::app::studies::StudyBrowser;
use crate::app::tags::TagBrowser;
use crate::app::text;
use crate::app::viewer::Viewer;
use crate::app::viewer::corners::Corners;
use crate::media::Legend;
use crate::view::panels::Panels;

impl Model {
    // ── components ────────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn env(&self) -> &Environment {
        &self.env
    }

    pub(crate) fn message(&self) -> Option<&StatusMessage> {
        self.message.as_ref()
    }

    pub(crate) fn engine(&self) -> &EngineState {
        &self.engine
    }

    /// Images a second, while something is queued.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    pub(crate) fn watch(&self) -> &WatchState {
        &self.watch
    }

    pub(crate) fn results(&self) -> &Results {
        &self.results
    }

    pub(crate) fn browser(&self) -> &Browser {
        &self.browser
    }

    /// The folder on screen.
    pub(crate) fn folder(&self) -> &Folder {
        &self.browser.folder
    }

    pub(crate) fn studies(&self) -> &StudyBrowser {
        &self.studies
    }

    pub(crate) fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    pub(crate) fn screen(&self) -> &ScreenState {
        &self.screen
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    pub(crate) fn contact_sheet(&self) -> &ContactSheet {
        &self.contact_sheet
    }

    pub(crate) fn activity(&self) -> &ActivityLog {
        &self.activity
    }

    pub(crate) fn popups(&self) -> &Popups {
        &self.popups
    }

    pub(crate) fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    pub(crate) fn tags(&self) -> &TagBrowser {
        &self.tags
    }

    pub(crate) fn prompt_sets(&self) -> &PromptSets {
        &self.prompt_sets
    }

    pub(crate) fn mix(&self) -> &MixState {
        &self.mix
    }

    pub(crate) fn models(&self) -> &ModelChooser {
        &self.models
    }

    // ── what no component knows alone ─────────────────────────────────────────────────────────────────────────

    /// The component that receives keys.
    pub(crate) fn mode(&self) -> InputMode {
        if self.line.is_some() {
            return InputMode::Line;
        }
        if let Some(mode) = self.popups.mode() {
            return mode;
        }
        if self.leader.awaits {
            InputMode::Review
        } else if self.tags.is_typing() {
            InputMode::TagSearch
        } else if self.tags.is_open() {
            InputMode::Tags
        } else {
            self.screen.mode(&self.env)
        }
    }

    /// The mode of what fills the screen behind popup, line and tags.
    pub(crate) fn view(&self) -> InputMode {
        self.screen.mode(&self.env)
    }

    /// The areas of the panels.
    pub(crate) fn panels(&self) -> Panels {
        self.screen.panels(&self.env)
    }

    /// The files on screen, with their groups and results.
    pub(crate) fn files(&self) -> FileContext<'_> {
        FileContext {
            browser: &self.browser,
            studies: &self.studies,
            results: &self.results,
            env: &self.env,
        }
    }

    /// Whether what is listed lies in the folder that is watched.
    pub(crate) fn is_below_root(&self) -> bool {
        self.folder().is_worklist() || self.folder().dir().starts_with(&self.env.root)
    }

    /// The files that list, grid, preview or comparison show.
    pub(super) fn paths_on_screen(&self) -> HashSet<PathBuf> {
        let env = &self.env;
        let (first, count) = match self.view() {
            InputMode::Grid => (self.grid.first_row(env), self.grid.sheet(env).count()),
            _ => (self.folder().first_row(), usize::from(env.rows)),
        };
        let rows = self.folder().rows_from(first).take(count);
        let rows = rows.map(|row| row.path.clone());
        let sides = self
            .screen
            .comparison()
            .map(|shown| shown.files().map(Clone::clone));
        let shown = self.files().file_in_sight().map(|file| file.path);
        rows.chain(shown)
            .chain(sides.into_iter().flatten())
            .collect()
    }

    /// The state of the file under the cursor.
    pub(crate) fn current_state(&self) -> Option<&FileState> {
        let row = self.folder().current()?;
        self.results.get(&row.path)
    }

    /// The overlay, if one is open and no image fills the screen.
    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        let hidden = self.view() == InputMode::FullScreen;
        self.screen.overlay().filter(|_| !hidden)
    }

    /// The lines of the result panel, `width` columns wide.
    pub(crate) fn result_lines(&self, width: usize) -> Vec<Detail> {
        let panel = ResultPanel {
            files: self.files(),
            engine: &self.engine,
            leader: Some(&self.leader).filter(|leader| leader.awaits),
            conditions: self.review_conditions(),
            map: self.heat_map_words(),
            map_method: self.heat_maps.method(),
            mix: &self.mix,
        };
        panel.lines(width)
    }

    /// The conditions of the result in sight, in the order of their digits; empty unless digits are to be shown.
    pub(crate) fn review_conditions(&self) -> Vec<String> {
        let row = self.folder().current();
        let state = row.and_then(|row| self.results.get(&row.path));
        let subject = state.and_then(FileState::subject);
        let subject = subject.filter(|_| self.leader.awaits || self.results.is_blind());
        subject.map_or_else(Vec::new, |record| self.conditions(record))
    }

    /// The conditions with their digits, as in `2✓ pneumonia`, while the review leader waits for one and no result panel has room for them.
    pub(crate) fn digit_names(&self) -> Vec<String> {
        let is_in_panel = matches!(self.view(), InputMode::Panels(_)) && self.panel_shows_digits();
        if !self.leader.awaits || is_in_panel {
            return Vec::new();
        }
        let named = self.review_conditions().into_iter().enumerate();
        let named = named.map(|(at, name)| {
            let is_chosen = self.leader.chosen.contains(&name);
            let mark = if is_chosen { "✓" } else { "" };
            format!("{}{mark} {}", at + 1, text::safe_str(&name))
        });
        named.collect()
    }

    /// Whether all conditions with their digits are seen in the result panel, below the headline and what was reviewed.
    fn panel_shows_digits(&self) -> bool {
        const ABOVE: usize = 2;
        let (rows, _) = self.result_extent();
        self.result_scroll() == 0 && rows >= ABOVE + self.review_conditions().len()
    }

    /// The first line of the result panel on screen.
    pub(crate) fn result_scroll(&self) -> usize {
        self.result_scroll
    }

    /// Rows of the result panel that scroll, and how many lines there are to scroll through.
    pub(crate) fn result_extent(&self) -> (usize, usize) {
        let Some(area) = self.panels().result else {
            return (0, 0);
        };
        let (columns, rows) = (
            usize::from(area.width).saturating_sub(2),
            usize::from(area.height),
        );
        (
            rows.saturating_sub(result_panel::notice(columns, rows).len()),
            self.result_lines(columns).len(),
        )
    }

    /// The choices of a picker; `None` while they are being read.
    pub(super) fn choices(&self, kind: PickerKind) -> Option<Vec<Choice>> {
        match kind {
            PickerKind::Prompts => self.prompt_sets.choices(&self.engine),
            PickerKind::Model => self.models.choices(&self.engine),
            PickerKind::Related => self.related.choices(&self.viewer, &self.env),
            PickerKind::Measurements => Some(self.viewer.measurement_choices()),
            PickerKind::Views => Some(self.places.view_choices(&self.env)),
            PickerKind::Bookmarks => Some(self.places.bookmark_choices(&self.env)),
            PickerKind::Failures => Some(failures::choices(&self.results, &self.env)),
            PickerKind::Changes => Some(self.label_changes.choices(&self.env)),
        }
    }

    /// The lines of a popup.
    pub(crate) fn popup_lines(&self, popup: &Popup) -> Vec<PopupLine> {
        let choices = match popup {
            Popup::Picker { kind, .. } => self.choices(*kind),
            _ => None,
        };
        popup.lines(&self.env, choices.as_deref())
    }

    /// The facts about the image that a viewer shows, the most important first.
    pub(crate) fn facts(
        &self,
        viewer: &Viewer,
        key: &PreviewKey,
        preview: &Preview,
    ) -> Vec<String> {
        let mut facts = viewer.facts(key, preview);
        let is_own = std::ptr::eq(viewer, &raw const self.viewer);
        if let Some(words) = self.heat_map_words().filter(|_| is_own) {
            facts.insert(0, format!("map {words}"));
        }
        if key.marks.overlays && is_own {
            facts.extend(self.related.fact(&self.viewer, &self.env));
        }
        facts
    }

    /// The corners of the image that a viewer shows; `None` if it has none.
    pub(crate) fn corners(
        &self,
        viewer: &Viewer,
        key: &PreviewKey,
        preview: &Preview,
    ) -> Option<Corners> {
        let series = self.studies.position(self.folder());
        let series = series.filter(|_| std::ptr::eq(viewer, &raw const self.viewer));
        Viewer::corners(key, preview, series, self.env.show_phi)
    }

    /// `1 liver`: the number and the name of a segment or region.
    pub(crate) fn legend_words(&self, entry: &Legend) -> String {
        legend_words(entry, &self.env)
    }

    /// The number of a frame or image being typed, what it counts, and how many there are.
    pub(crate) fn frame_input(&self) -> Option<(&str, &'static str, u32)> {
        self.viewer
            .frame_input(self.studies.position(self.folder()))
    }

    /// The image of a row's tile, or its error; `None` if it has not arrived or the tile has none.
    pub(crate) fn tile(&self, row: &Row) -> Option<&Previewed> {
        self.grid.tile(row, &self.tiles, self.files())
    }

    /// The image of a file on the contact sheet, or its error; `None` if it has not arrived.
    pub(crate) fn contact_tile(&self, file: &FoundFile) -> Option<&Previewed> {
        self.contact_sheet.tile(file, &self.tiles, &self.env)
    }

    /// Whether the tile of a row has an image, which may still be awaited.
    pub(crate) fn has_tile(&self, row: &Row) -> bool {
        self.grid.has_image(row, self.files())
    }

    /// The layout of the screen, to be persisted.
    pub(super) fn layout(&self) -> ScreenLayout {
        ScreenLayout {
            list: self.screen.split(),
            grid: self.screen.has_grid(),
            tiles: self.grid.tiles(),
            series: self.studies.is_enabled(),
            mode: self.prompt_sets.lasting_mode(),
        }
    }

    /// How to get findings where the model judges none, in fewer and fewer words.
    pub(crate) fn findings_advice(&self) -> [String; 4] {
        findings_advice(&self.env)
    }

    /// Why the folder on screen has nothing to show, and what to do next; `None` when it has rows.
    pub(crate) fn nothing_to_list(&self) -> Option<String> {
        let folder = self.folder();
        let leave = || self.env.advice(Action::Leave, "leaves it");
        let said = |words: &str, advice: Option<String>| {
            let lines = std::iter::once(words.to_owned()).chain(advice);
            Some(lines.collect::<Vec<_>>().join("\n"))
        };
        if let Listing::Failed(message) = folder.listing() {
            let what = if self.studies.is_shown(folder) {
                "DICOMDIR"
            } else {
                "folder"
            };
            let words = format!("This {what} cannot be read.\n{message}");
            return said(&words, leave());
        }
        if !folder.is_empty() {
            return None;
        }
        let filter = &folder.options().filter;
        if !filter.is_empty() && folder.count() > 0 {
            let clear = self.env.advice(Action::Back, "clears the filter");
            if let Some(fault) = filter.fault() {
                return said(&text::safe_str(fault), clear);
            }
            let typed = text::safe_str(filter.text());
            return said(&format!("Nothing here matches “{typed}”."), clear);
        }
        if folder.is_worklist() {
            return match self.watch {
                _ if self.is_searching() => said("Searching for images …", None),
                WatchState::On { .. } => said(
                    "No images in this folder or below.\nNew images appear as they arrive.",
                    leave(),
                ),
                _ => said("No images in this folder or below.", leave()),
            };
        }
        let hidden = folder.count() - folder.len();
        match (folder.listing(), hidden, &self.watch) {
            (Listing::Underway, ..) => said("Reading …", None),
            (_, 1, _) => {
                let show = self.env.advice(Action::Hidden, "shows it");
                said("Only a hidden file here.", show)
            }
            (_, 2.., _) => {
                let show = self.env.advice(Action::Hidden, "shows them");
                said("Only hidden files here.", show)
            }
            (_, _, WatchState::On { .. }) => said(
                "This folder is empty.\nNew images appear as they arrive.",
                leave(),
            ),
            (_, _, WatchState::Starting) => said("This folder is empty.", leave()),
            (_, _, WatchState::Off | WatchState::Failed(_)) => {
                let watch = self.env.advice(Action::Watch, "watches it for new images");
                said("This folder is empty.", watch.or_else(leave))
            }
        }
    }
}
