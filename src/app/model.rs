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
mod queries;
mod review;
mod similar;
mod transfers;
mod update;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::activity::ActivityLog;
use super::browser::Browser;
use super::compare::Comparison;
use super::contact_sheet::ContactSheet;
use super::drafting::Drafting;
use super::environment::Environment;
use super::folder_state::FolderState;
use super::grid::Grid;
use super::heat_map::HeatMaps;
use super::keys::Keymap;
use super::label_changes::LabelChanges;
use super::line::Line;
use super::mix::{MixSetting, MixState};
use super::mode::InputMode;
use super::models::ModelChooser;
use super::places::Places;
use super::popup::{LanguageModel, Popups};
use super::prompt_sets::PromptSets;
use super::recall::RecallQueue;
use super::related::RelatedObjects;
use super::results::Results;
use super::results::reviews::Reviews;
use super::review_keys::Leader;
use super::screen::ScreenState;
use super::status::{EngineState, StatusMessage, WatchState};
use super::studies::StudyBrowser;
use super::tags::TagBrowser;
use super::tiles::TileCache;
use super::transfers::Transfers;
use super::viewer::Viewer;
use crate::config::Theme;
use crate::prompts::Prompts;
use crate::rules::Rules;
use crate::scoring;
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
    /// What is to be said once scores follow what was learned or calibrated.
    scored_words: Option<String>,
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
            scored_words: None,
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
}
