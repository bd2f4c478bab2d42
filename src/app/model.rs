//! All that is known, in one place.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::activity::Activity;
use super::folder::{Folder, Reading, Row};
use super::grid::Grid;
use super::kept::{Kept, Left};
use super::keys::{Action, Keymap};
use super::layout::{self, Panel, Panels};
use super::menu::Switches;
use super::models::Models;
use super::mouse::Mouse;
use super::msg::Severity;
use super::picture::{Graphics, PreviewKey, Previewed, Quality};
use super::popup::Popup;
use super::prompt::Prompt;
use super::related::RelatedObjects;
use super::results::{FileState, Results};
use super::sets::{Named, Rescoring};
use super::shelf::{Headers, Shelf};
use super::stage::{Over, Stage};
use super::tags::Tags;
use super::text;
use super::tiles::Tiles;
use super::viewer::Viewer;
use crate::config::Theme;

/// How long the cursor stays before its file counts as looked at: long enough for a key held down to pass by.
pub(crate) const REST: Duration = Duration::from_millis(80);
/// How long a report stays.
const REPORT: Duration = Duration::from_secs(5);
/// Ticks while the cursor comes to rest.
const REST_TICK: Duration = Duration::from_millis(40);
/// Ticks while something on screen turns.
const SPIN_TICK: Duration = Duration::from_millis(120);
/// Ticks while ages are shown.
const AGE_TICK: Duration = Duration::from_secs(1);
/// Ticks while a report waits to go.
const REPORT_TICK: Duration = Duration::from_millis(500);

/// What the program starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder to browse, classify and watch; absolute.
    pub root: PathBuf,
    /// How much colour.
    pub theme: Theme,
    /// Which key does what.
    pub keymap: Keymap,
    /// How the root was left, or how a folder is shown that was not shown before.
    pub kept: Kept,
    /// Values that identify the patient are shown (`--show-phi`).
    pub show_phi: bool,
}

/// How far the engine has come.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineState {
    /// The model is being read.
    Loading,
    /// It answers.
    Ready {
        /// The model's name.
        model: String,
        /// Where it computes.
        device: String,
        /// The prompt set.
        prompts: String,
        /// It knows phantoms only.
        synthetic_only: bool,
    },
    /// It cannot be used; the sentence says why.
    Failed(String),
}

/// How far the watch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// Not wanted.
    Off,
    /// Asked for.
    Starting,
    /// It stands.
    On {
        /// By reading the tree again and again.
        polling: bool,
    },
    /// It broke; the sentence says why.
    Failed(String),
}

/// Something said in the status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether something went wrong.
    pub severity: Severity,
    /// One sentence, safe to show.
    pub text: String,
    /// First tick that saw it.
    since: Option<Duration>,
}

/// A scan under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub root: PathBuf,
    /// Asked for by key: what failed is tried again, and the outcome is reported.
    pub by_key: bool,
    /// Pictures handed over so far.
    pub asked: usize,
}

/// The cursor and how long it has been where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    pub path: Option<PathBuf>,
    /// First tick that saw it there.
    pub since: Option<Duration>,
    pub rested: bool,
}

/// All that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(crate) root: PathBuf,
    pub(crate) theme: Theme,
    pub(crate) keymap: Keymap,
    pub(crate) cols: u16,
    pub(crate) rows: u16,
    /// `None` until the terminal has been asked.
    pub(crate) graphics: Option<Graphics>,
    pub(crate) epoch: u32,
    pub(crate) now: Duration,
    pub(crate) engine: EngineState,
    /// Pictures a second, while something is queued.
    pub(crate) rate: Option<f64>,
    pub(crate) watch: WatchState,
    pub(crate) folder: Folder,
    /// How folders seen before were left.
    pub(crate) places: HashMap<PathBuf, Left>,
    pub(crate) results: Results,
    /// Files on which the cursor has rested.
    pub(crate) looked: HashSet<PathBuf>,
    /// Files that came after the start and have not been looked at.
    pub(crate) fresh: HashSet<PathBuf>,
    pub(crate) marked: BTreeSet<PathBuf>,
    /// Where a range of marks begins.
    pub(crate) mark_end: Option<PathBuf>,
    pub(crate) scans: HashMap<u64, Scan>,
    /// The root has been scanned once: a file there without a state is no picture.
    pub(crate) root_scanned: bool,
    pub(crate) rest: Rest,
    pub(crate) wanted: Option<PreviewKey>,
    pub(crate) shown: Option<Previewed>,
    pub(crate) viewer: Viewer,
    /// Objects about the picture.
    pub(crate) related: RelatedObjects,
    pub(crate) stage: Stage,
    pub(crate) mouse: Mouse,
    /// Percent of the columns that the list is wished to have.
    pub(crate) split: Option<f64>,
    pub(crate) grid: Grid,
    pub(crate) activity: Activity,
    pub(crate) tiles: Tiles,
    pub(crate) focus: Panel,
    pub(crate) result_scroll: usize,
    pub(crate) popup: Option<Popup>,
    pub(crate) popup_scroll: usize,
    /// A line is being typed: keys go there.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) report: Option<Report>,
    /// The tags, while they are open.
    pub(crate) tags: Option<Tags>,
    /// The tag that the cursor was on when they were closed.
    pub(crate) last_tag: Option<String>,
    pub(crate) switches: Switches,
    pub(crate) shelf: Option<Shelf>,
    pub(crate) headers: Headers,
    /// The prompt sets, once they were read.
    pub(crate) sets: Option<Vec<Named>>,
    pub(crate) rescoring: Option<Rescoring>,
    pub(crate) models: Models,
    generation: u64,
}

impl Model {
    pub(crate) fn new(setup: Setup) -> Self {
        let layout = setup.kept.layout.clone();
        let left = Left::of(&setup.root, setup.kept);
        let (cursor, look) = (left.cursor.clone(), left.look.clone());
        let mut model = Self {
            folder: Folder::new(setup.root.clone(), 0, cursor, look),
            places: HashMap::from([(setup.root.clone(), left)]),
            root: setup.root,
            theme: setup.theme,
            keymap: setup.keymap,
            cols: 80,
            rows: 24,
            graphics: None,
            epoch: 0,
            now: Duration::ZERO,
            engine: EngineState::Loading,
            rate: None,
            watch: WatchState::Off,
            results: Results::default(),
            looked: HashSet::new(),
            fresh: HashSet::new(),
            marked: BTreeSet::new(),
            mark_end: None,
            scans: HashMap::new(),
            root_scanned: false,
            rest: Rest::default(),
            wanted: None,
            shown: None,
            viewer: Viewer::default(),
            related: RelatedObjects::default(),
            stage: Stage {
                grid: layout.grid,
                over: None,
            },
            mouse: Mouse::default(),
            split: layout.list,
            grid: Grid::of(layout.tiles),
            activity: Activity::default(),
            tiles: Tiles::default(),
            focus: Panel::List,
            result_scroll: 0,
            popup: None,
            popup_scroll: 0,
            prompt: None,
            report: None,
            tags: None,
            last_tag: None,
            switches: Switches {
                show_phi: setup.show_phi,
                by_series: layout.series,
            },
            shelf: None,
            headers: Headers::default(),
            sets: None,
            rescoring: None,
            models: Models::default(),
            generation: 0,
        };
        model.folder.generation = model.next_generation();
        model
    }

    /// A number never given before.
    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// When the model wants the next [`super::Msg::Tick`], counted from the last one: `None` while nothing on screen depends
    /// on time.
    pub fn next_tick(&self) -> Option<Duration> {
        let resting = self.rest.path.is_some() && !self.rest.rested;
        let calming = self.is_slow_to_draw() && !self.viewer.calm.calm;
        [
            (resting || calming).then_some(REST_TICK),
            self.busy().then_some(SPIN_TICK),
            self.report.as_ref().map(|_| REPORT_TICK),
            self.activity.is_untimed().then_some(REST_TICK),
            self.results.jobs().next_tick(self.now),
            matches!(self.over(), Some(Over::Activity(_))).then_some(AGE_TICK),
            self.film_due().map(|due| due.saturating_sub(self.now)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The time of the last tick, since the start of the program.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// A film runs: the screen takes a frame before the next one is asked for.
    pub fn is_playing(&self) -> bool {
        self.viewer.film.is_some()
    }

    /// The terminal takes long to be sent a picture.
    fn is_slow_to_draw(&self) -> bool {
        matches!(self.graphics, Some(Graphics::Sixel | Graphics::Iterm2))
    }

    /// Something is under way that the status line shows as turning.
    pub(crate) fn busy(&self) -> bool {
        let choosing = self.models.pull.is_some() || self.models.coming.is_some();
        if self.headers_awaited().is_some() || self.rescoring.is_some() || choosing {
            return true;
        }
        match self.engine {
            EngineState::Loading => true,
            EngineState::Ready { .. } => self.queued() > 0,
            EngineState::Failed(_) => false,
        }
    }

    /// Pictures whose result is awaited.
    pub(crate) fn queued(&self) -> usize {
        self.results.queued_count()
    }

    /// Where everything lies.
    pub(crate) fn panels(&self) -> Panels {
        if self.is_whole() {
            return layout::picture_alone(self.cols, self.rows);
        }
        if self.shows_panels() {
            return self.panels_with(self.focus);
        }
        layout::list_alone(self.cols, self.rows)
    }

    /// Where the panels lie with the focus on one of them.
    pub(crate) fn panels_with(&self, focus: Panel) -> Panels {
        let columns = |percent: f64| (percent / 100.0 * f64::from(self.cols)).round() as u16;
        let split = self.split.map(columns);
        layout::panels(self.cols, self.rows, focus, self.graphics, split)
    }

    /// Where the file under the cursor stands.
    pub(crate) fn current_state(&self) -> Option<&FileState> {
        self.folder
            .current()
            .and_then(|row| self.results.get(&row.path))
    }

    /// A file in a scanned folder that the scan did not call a picture.
    pub(crate) fn is_other(&self, row: &Row) -> bool {
        self.root_scanned
            && row.kind == super::EntryKind::File
            && row.path.starts_with(&self.root)
            && self.results.get(&row.path).is_none()
    }

    /// The preview that belongs on screen now.
    pub(crate) fn preview_target(&self) -> Option<PreviewKey> {
        let graphics = self.graphics.filter(|g| *g != Graphics::None)?;
        let area = self
            .panels()
            .preview
            .filter(|a| a.width > 0 && a.height > 0)?;
        let (path, stamp) = self.file_in_sight()?;
        let quality = match graphics {
            Graphics::Halfblocks => Quality::Full,
            _ if !self.rest.rested => Quality::Fast,
            _ if self.is_slow_to_draw() && self.viewer.is_moving() => Quality::Half,
            _ => Quality::Full,
        };
        Some(PreviewKey {
            path,
            stamp,
            frame: self.viewer.frame,
            view: self.viewer.view.clone(),
            for_series: self.viewer.for_series(),
            stack: self.stack_looked_at(),
            marks: self.viewer.marks(),
            related: self.overlaid(),
            cols: area.width,
            rows: area.height,
            graphics,
            quality,
            epoch: self.epoch,
        })
    }

    /// Says something in the status line.
    pub(crate) fn say(&mut self, severity: Severity, sentence: &str) {
        self.report = Some(Report {
            severity,
            text: text::safe_str(sentence),
            since: None,
        });
    }

    /// Takes the report away when it has been there long enough.
    pub(crate) fn age_report(&mut self) {
        let now = self.now;
        if let Some(report) = &mut self.report {
            let since = *report.since.get_or_insert(now);
            if now.saturating_sub(since) >= REPORT {
                self.report = None;
            }
        }
    }

    /// A folder as the user knows it: from the root's own name on, or in full where it lies elsewhere. Safe to show.
    pub(crate) fn show_path(&self, path: &Path) -> String {
        let base = self.root.parent().unwrap_or(&self.root);
        let inside = path.starts_with(&self.root);
        let shown = if inside {
            path.strip_prefix(base).unwrap_or(path)
        } else {
            path
        };
        text::safe(shown.as_os_str())
    }

    /// What a key does, in a sentence; `None` when nothing is bound.
    pub(crate) fn advice(&self, action: Action, does: &str) -> Option<String> {
        let key = self.keymap.key(action)?;
        Some(format!("{key} {does}."))
    }

    /// The folder on screen has nothing to show: why, and what to do next; `None` when it has rows.
    pub(crate) fn nothing_to_list(&self) -> Option<String> {
        let leave = || self.advice(Action::Leave, "leaves it");
        let said = |words: &str, advice: Option<String>| {
            let lines = std::iter::once(words.to_owned()).chain(advice);
            Some(lines.collect::<Vec<_>>().join("\n"))
        };
        if let Reading::Failed(message) = &self.folder.reading {
            let what = if self.shelf_here().is_some() {
                "DICOMDIR"
            } else {
                "folder"
            };
            let words = format!("This {what} cannot be read.\n{message}");
            return said(&words, leave());
        }
        if !self.folder.is_empty() {
            return None;
        }
        let filter = &self.folder.look().filter;
        if !filter.is_empty() && self.folder.count() > 0 {
            let typed = text::safe_str(filter.text());
            let away = self.advice(Action::Back, "clears the filter");
            return said(&format!("No name here matches “{typed}”."), away);
        }
        let hidden = self.folder.count() - self.folder.len();
        match (&self.folder.reading, hidden, &self.watch) {
            (Reading::Underway, ..) => said("Reading …", None),
            (_, 1, _) => {
                let show = self.advice(Action::Hidden, "shows it");
                said("Only a hidden file here.", show)
            }
            (_, 2.., _) => {
                let show = self.advice(Action::Hidden, "shows them");
                said("Only hidden files here.", show)
            }
            (_, _, WatchState::On { .. }) => said(
                "This folder is empty.\nNew pictures appear as they arrive.",
                leave(),
            ),
            (_, _, WatchState::Starting) => said("This folder is empty.", leave()),
            (_, _, WatchState::Off | WatchState::Failed(_)) => {
                let watch = self.advice(Action::Watch, "watches it for new pictures");
                said("This folder is empty.", watch.or_else(leave))
            }
        }
    }
}
