//! The model: all components, and the state that they share.

mod actions;
mod classify;
mod engine;
mod files;
mod follow;
mod heat_map;
mod input;
mod learning;
mod library;
mod mouse;
mod neighbours;
mod open_with;
mod phrases;
mod places;
mod prompts;
mod review;
mod similar;
mod transfers;
mod update;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::activity::ActivityLog;
use super::browser::Browser;
use super::browser::folder::{Folder, Listing, Row};
use super::compare::Comparison;
use super::contact_sheet::ContactSheet;
use super::context::FileContext;
use super::drafting::Drafting;
use super::entry::FoundFile;
use super::environment::Environment;
use super::failures;
use super::folder_state::{FolderState, ScreenLayout};
use super::grid::Grid;
use super::heat_map::HeatMaps;
use super::keys::{Action, Keymap};
use super::label_changes::LabelChanges;
use super::line::Line;
use super::mix::{MixSetting, MixState};
use super::mode::InputMode;
use super::models::ModelChooser;
use super::places::Places;
use super::popup::{Choice, LanguageModel, PickerKind, Popup, PopupLine, Popups};
use super::preview::{Preview, PreviewKey, Previewed};
use super::prompt_sets::PromptSets;
use super::recall::RecallQueue;
use super::related::{RelatedObjects, legend_words};
use super::result_panel::findings_advice;
use super::result_panel::{self, Detail, ResultPanel};
use super::results::reviews::Reviews;
use super::results::{FileState, Results};
use super::review_keys::Leader;
use super::screen::{Overlay, ScreenState};
use super::status::{EngineState, StatusMessage, WatchState};
use super::studies::StudyBrowser;
use super::tags::TagBrowser;
use super::text;
use super::tiles::TileCache;
use super::transfers::Transfers;
use super::viewer::Viewer;
use super::viewer::corners::Corners;
use crate::config::Theme;
use crate::media::Legend;
use crate::prompts::Prompts;
use crate::rules::Rules;
use crate::scoring;
use crate::view::panels::Panels;
use files::PendingScan;
use mouse::Mouse;
use phrases::PendingPhrases;
use similar::PendingQuery;

/// Tick interval while the cursor comes to rest.
const REST_TICK: Duration = Duration::from_millis(40);
/// Tick interval while a spinner is shown.
const SPIN_TICK: Duration = Duration::from_millis(120);
/// Tick interval while ages are shown.
const AGE_TICK: Duration = Duration::from_secs(1);
/// Tick interval while a message is shown.
const MESSAGE_TICK: Duration = Duration::from_millis(500);

/// The initial settings.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Setup {
    /// The folder to browse, classify and watch; absolute.
    pub root: PathBuf,
    /// A file of the folder to begin on.
    pub file: Option<OsString>,
    /// The colour theme.
    pub theme: Theme,
    /// The key bindings.
    pub keymap: Keymap,
    /// The persisted state of the root, or the state of a folder that is shown the first time.
    pub folder_state: FolderState,
    /// Whether values that identify the patient are shown (`--show-phi`).
    pub show_phi: bool,
    /// Whether there is a library, which may know results.
    pub library: bool,
    /// The rules that may ring the bell.
    pub rules: Rules,
    /// Whether to begin with the worklist.
    pub worklist: bool,
    /// How images are reviewed.
    pub review: ReviewSetup,
    /// The prompts in use.
    pub prompts: Prompts,
    /// Whether one condition applies, or each on its own.
    pub mode: scoring::Mode,
    /// Whether a model for findings is still to be offered.
    pub offers_model: bool,
    /// The language model that drafts prompts; `None` if none is configured, an error if it is configured wrongly.
    pub language_model: Option<Result<LanguageModel, String>>,
    /// Whether results are adjusted to the folder's mix.
    pub mix: MixSetting,
    /// The time zone of the user, in which dates are read and shown.
    pub zone: TimeZone,
}

/// How images are reviewed.
#[derive(Clone, Debug, Default)]
pub struct ReviewSetup {
    /// The reviewer's name.
    pub reviewer: String,
    /// Whether the reviewer works without sight of results and of the reviews of others.
    pub blind: bool,
}

/// The state of the application.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    env: Environment,
    /// The message in the status line.
    message: Option<StatusMessage>,
    engine: EngineState,
    /// Whether a model for findings is still to be offered.
    offers_model: bool,
    /// Images a second, while something is queued.
    rate: Option<f64>,
    watch: WatchState,
    results: Results,
    recall: RecallQueue,
    scans: HashMap<u64, PendingScan>,
    browser: Browser,
    studies: StudyBrowser,
    viewer: Viewer,
    related: RelatedObjects,
    screen: ScreenState,
    mouse: Mouse,
    grid: Grid,
    contact_sheet: ContactSheet,
    tiles: TileCache,
    activity: ActivityLog,
    popups: Popups,
    /// A line being typed.
    line: Option<Line>,
    tags: TagBrowser,
    prompt_sets: PromptSets,
    drafting: Drafting,
    label_changes: LabelChanges,
    models: ModelChooser,
    rules: Rules,
    /// The query that is being answered.
    query: Option<PendingQuery>,
    /// First line of the result panel on screen.
    result_scroll: usize,
    leader: Leader,
    heat_maps: HeatMaps,
    mix: MixState,
    /// The image whose phrases are awaited.
    phrases: Option<PendingPhrases>,
    /// What is to be said once learned scores are in use.
    learned_words: Option<String>,
    /// Saved views and bookmarks.
    places: Places,
    transfers: Transfers,
    /// The program typed last to open a file with.
    last_program: String,
}

impl Model {
    pub(super) fn new(setup: Setup) -> Self {
        let mut state = setup.folder_state;
        if let Some(name) = &setup.file {
            state.begin_on(name);
        }
        let layout = state.layout.clone();
        let mut env = Environment::new(
            setup.root.clone(),
            setup.theme,
            setup.keymap,
            setup.show_phi,
        );
        let generation = env.next_generation();
        Self {
            browser: Browser::new(setup.root, generation, state),
            env,
            message: None,
            engine: EngineState::Loading,
            rate: None,
            watch: WatchState::Off,
            results: Results::new(
                Reviews::new(setup.review.reviewer.clone()).under(setup.prompts.clone()),
                setup.review.blind,
                setup.zone,
            ),
            recall: RecallQueue::new(setup.library),
            scans: HashMap::new(),
            studies: StudyBrowser::new(layout.series),
            viewer: Viewer::new(setup.review.reviewer, setup.review.blind),
            related: RelatedObjects::default(),
            screen: ScreenState::new(layout.grid, layout.list),
            mouse: Mouse::default(),
            grid: Grid::new(layout.tiles),
            contact_sheet: ContactSheet::default(),
            tiles: TileCache::default(),
            activity: ActivityLog::default(),
            popups: Popups::default(),
            line: None,
            tags: TagBrowser::default(),
            prompt_sets: PromptSets::new(setup.prompts, setup.mode, layout.mode),
            drafting: Drafting::new(setup.language_model),
            label_changes: LabelChanges::default(),
            models: ModelChooser::default(),
            rules: setup.rules,
            query: None,
            result_scroll: 0,
            leader: Leader::default(),
            heat_maps: HeatMaps::default(),
            mix: MixState::new(setup.mix),
            phrases: None,
            learned_words: None,
            places: Places::default(),
            transfers: Transfers::default(),
            last_program: String::new(),
            offers_model: setup.offers_model,
        }
    }

    // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// When the model wants the next [`super::Msg::Tick`], counted from the last one: `None` while nothing on screen depends
    /// on time.
    pub fn next_tick(&self) -> Option<Duration> {
        let viewer_rests = self.env.is_slow_to_draw() && self.viewer.is_coming_to_rest();
        let comparison = self.screen.comparison();
        let side_rests =
            self.env.is_slow_to_draw() && comparison.is_some_and(Comparison::is_coming_to_rest);
        let resting = self.browser.is_coming_to_rest() || viewer_rests || side_rests;
        let ages = self.screen.mode(&self.env) == InputMode::Activity;
        [
            resting.then_some(REST_TICK),
            self.is_busy().then_some(SPIN_TICK),
            self.message.as_ref().map(|_| MESSAGE_TICK),
            self.activity.is_untimed().then_some(REST_TICK),
            self.results.jobs().next_tick(self.env.now),
            ages.then_some(AGE_TICK),
            self.contact_sheet.next_tick(self.results.revision()),
            self.mix.next_tick(self.results.revision()),
            self.viewer
                .film_due()
                .map(|due| due.saturating_sub(self.env.now)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Columns and rows of the terminal.
    pub fn size(&self) -> (u16, u16) {
        (self.env.cols, self.env.rows)
    }

    /// The time of the last tick, since the start of the program.
    pub fn now(&self) -> Duration {
        self.env.now
    }

    /// Whether frames are being played: each is drawn before the next one is requested.
    pub fn is_playing(&self) -> bool {
        self.viewer.is_playing()
    }

    /// Whether the status line shows a spinner.
    fn is_busy(&self) -> bool {
        let awaits_headers = self.studies.awaited_headers(self.folder()).is_some();
        let rescores = self.prompt_sets.rescoring().is_some();
        if awaits_headers
            || rescores
            || self.drafting.is_underway()
            || self.query.is_some()
            || self.models.is_busy()
            || self.heat_maps.is_awaited()
            || self.phrases.is_some()
        {
            return true;
        }
        match self.engine {
            EngineState::Loading => true,
            EngineState::Ready { .. } => self.results.queued_count() > 0,
            EngineState::Failed(_) => false,
        }
    }

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

    /// The files that list, grid, preview or comparison show.
    fn paths_on_screen(&self) -> HashSet<PathBuf> {
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
    fn choices(&self, kind: PickerKind) -> Option<Vec<Choice>> {
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
    fn layout(&self) -> ScreenLayout {
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
