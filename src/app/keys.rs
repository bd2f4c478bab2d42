//! The bindings of keys to actions. The defaults are in `keys.toml`; the help is made from the current bindings.

mod words;

use std::collections::{BTreeMap, HashMap};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

pub(super) use words::HELP;
pub use words::{HelpLine, PaletteEntry};

use crate::config::similar;
use crate::media::measure::FigureKind;

/// An action that keys can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // `describe` says what each does, to the user too.
pub enum Action {
    Down,
    Up,
    First,
    Last,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    Enter,
    Leave,
    NextNew,
    PreviousNew,
    Classify,
    ClassifyMarked,
    ClassifyAll,
    Mark,
    MarkRange,
    UnmarkAll,
    Why,
    Adjust,
    Watch,
    PromptSet,
    EditPrompts,
    DraftPrompts,
    LabelChanges,
    Model,
    Hidden,
    Sort,
    SortReversed,
    SortUrgency,
    SortUncertainty,
    SortNewest,
    SortLabel,
    SortProbability,
    SortName,
    SortSize,
    Find,
    MoreLikeThis,
    Worklist,
    Review,
    ReviewAccept,
    ReviewNone,
    ReviewNote,
    ReviewFlag,
    ReviewNext,
    ReviewUndo,
    ReviewRedo,
    ReviewClear,
    ReviewSample,
    ReviewLabels,
    ReviewBlind,
    ReviewAgreement,
    ReviewErrors,
    ReviewLearn,
    Palette,
    NextPanel,
    FrameNext,
    FramePrevious,
    FrameFirst,
    FrameLast,
    FrameJump,
    Cine,
    CineSlower,
    CineFaster,
    #[serde(rename = "window-1")]
    Window1,
    #[serde(rename = "window-2")]
    Window2,
    #[serde(rename = "window-3")]
    Window3,
    #[serde(rename = "window-4")]
    Window4,
    #[serde(rename = "window-5")]
    Window5,
    #[serde(rename = "window-6")]
    Window6,
    #[serde(rename = "window-7")]
    Window7,
    #[serde(rename = "window-8")]
    Window8,
    #[serde(rename = "window-9")]
    Window9,
    WindowSoftTissue,
    WindowLung,
    WindowLiver,
    WindowBone,
    WindowBrain,
    WindowAuto,
    WindowNarrower,
    WindowWider,
    LevelDown,
    LevelUp,
    WindowNarrowerCoarse,
    WindowWiderCoarse,
    LevelDownCoarse,
    LevelUpCoarse,
    Invert,
    ZoomIn,
    ZoomOut,
    ZoomFit,
    ZoomActual,
    PanLeft,
    PanRight,
    PanUp,
    PanDown,
    RotateRight,
    RotateLeft,
    Flip,
    ResetView,
    Whole,
    Overlays,
    HeatMap,
    HeatMapNext,
    Related,
    Probe,
    Ruler,
    MeasureAngle,
    MeasureEllipse,
    MeasurePolygon,
    Measurements,
    Remove,
    Reformat,
    Planes,
    Slab,
    Histogram,
    Tags,
    Search,
    Copy,
    View,
    Grid,
    Compare,
    Link,
    Activity,
    Failures,
    Export,
    Files,
    OpenWith,
    CopyTo,
    MoveTo,
    UndoFiles,
    StopFiles,
    SaveView,
    Views,
    Bookmark,
    Bookmarks,
    Series,
    Patient,
    Help,
    Back,
    Suspend,
    Redraw,
    Quit,
}

/// The presets after the first, in order.
const PRESETS: [Action; 8] = [
    Action::Window2,
    Action::Window3,
    Action::Window4,
    Action::Window5,
    Action::Window6,
    Action::Window7,
    Action::Window8,
    Action::Window9,
];

impl Action {
    /// The number of the window preset that the action chooses, from 1.
    pub fn preset(self) -> Option<usize> {
        match self {
            Self::Window1 => Some(1),
            _ => PRESETS
                .iter()
                .position(|preset| *preset == self)
                .map(|at| at + 2),
        }
    }
}

impl Action {
    /// Whether the action reviews images, or opens a view of reviews.
    pub(super) fn is_review(self) -> bool {
        matches!(
            self,
            Self::Review
                | Self::ReviewAccept
                | Self::ReviewNone
                | Self::ReviewNote
                | Self::ReviewFlag
                | Self::ReviewNext
                | Self::ReviewUndo
                | Self::ReviewRedo
                | Self::ReviewClear
                | Self::ReviewSample
                | Self::ReviewLabels
                | Self::ReviewBlind
                | Self::ReviewAgreement
                | Self::ReviewErrors
                | Self::ReviewLearn
        )
    }

    /// Whether the action opens, copies or moves files, or concerns saved views or bookmarks.
    pub(super) fn is_about_files(self) -> bool {
        matches!(
            self,
            Self::Files
                | Self::OpenWith
                | Self::CopyTo
                | Self::MoveTo
                | Self::UndoFiles
                | Self::StopFiles
                | Self::SaveView
                | Self::Views
                | Self::Bookmark
                | Self::Bookmarks
        )
    }

    /// The figure that the action draws.
    pub fn measures(self) -> Option<FigureKind> {
        Some(match self {
            Self::Ruler => FigureKind::Length,
            Self::MeasureAngle => FigureKind::Angle,
            Self::MeasureEllipse => FigureKind::Ellipse,
            Self::MeasurePolygon => FigureKind::Polygon,
            _ => return None,
        })
    }

    /// The name of the CT window that the action chooses.
    pub fn ct_window(self) -> Option<&'static str> {
        Some(match self {
            Self::WindowSoftTissue => "soft tissue",
            Self::WindowLung => "lung",
            Self::WindowLiver => "liver",
            Self::WindowBone => "bone",
            Self::WindowBrain => "brain",
            _ => return None,
        })
    }

    /// Rows by which the action moves in a list of which `page` are on screen; `isize::MIN` and `MAX` lead to the ends, 0 is
    /// that of an action that does not move.
    pub fn distance(self, page: usize) -> isize {
        let page = page.max(1) as isize;
        match self {
            Self::Down => 1,
            Self::Up => -1,
            Self::HalfDown => (page / 2).max(1),
            Self::HalfUp => -(page / 2).max(1),
            Self::PageDown => page,
            Self::PageUp => -page,
            Self::First => isize::MIN,
            Self::Last => isize::MAX,
            _ => 0,
        }
    }

    /// Moves the first line on screen, between 0 and the last page.
    pub fn scroll(self, first: usize, page: usize, lines: usize) -> usize {
        first
            .saturating_add_signed(self.distance(page))
            .min(lines.saturating_sub(page))
    }
}

/// A key with its modifiers. Shift is folded into the letter it makes; only arrows keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
struct KeyPress {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
    shift: bool,
}

fn is_arrow(code: KeyCode) -> bool {
    matches!(
        code,
        KeyCode::Left | KeyCode::Right | KeyCode::Up | KeyCode::Down
    )
}

impl From<KeyEvent> for KeyPress {
    fn from(event: KeyEvent) -> Self {
        Self {
            code: event.code,
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
            shift: is_arrow(event.code) && event.modifiers.contains(KeyModifiers::SHIFT),
        }
    }
}

/// Named keys: in the settings, in crossterm, in the help.
const NAMED: [(&str, KeyCode, &str); 15] = [
    ("Down", KeyCode::Down, "↓"),
    ("Up", KeyCode::Up, "↑"),
    ("Left", KeyCode::Left, "←"),
    ("Right", KeyCode::Right, "→"),
    ("Home", KeyCode::Home, "Home"),
    ("End", KeyCode::End, "End"),
    ("PgDn", KeyCode::PageDown, "PgDn"),
    ("PgUp", KeyCode::PageUp, "PgUp"),
    ("Enter", KeyCode::Enter, "Enter"),
    ("Backspace", KeyCode::Backspace, "Backspace"),
    ("Space", KeyCode::Char(' '), "Space"),
    ("Tab", KeyCode::Tab, "Tab"),
    ("BackTab", KeyCode::BackTab, "Shift-Tab"),
    ("Esc", KeyCode::Esc, "Esc"),
    ("Delete", KeyCode::Delete, "Delete"),
];

impl KeyPress {
    /// Reads `j`, `G`, `Ctrl-d`, `Alt-x`, `Shift-Left`, `PgDn`.
    fn parse(text: &str) -> Option<Self> {
        let (rest, ctrl) = text
            .strip_prefix("Ctrl-")
            .map_or((text, false), |rest| (rest, true));
        let (rest, alt) = rest
            .strip_prefix("Alt-")
            .map_or((rest, false), |rest| (rest, true));
        let (rest, shift) = rest
            .strip_prefix("Shift-")
            .map_or((rest, false), |rest| (rest, true));
        let named = NAMED
            .iter()
            .find(|(name, ..)| *name == rest)
            .map(|(_, code, _)| *code);
        let mut chars = rest.chars();
        let code = match (named, chars.next(), chars.next()) {
            (Some(code), ..) => code,
            (None, Some(c), None) if !c.is_control() => KeyCode::Char(c),
            _ => return None,
        };
        (!shift || is_arrow(code)).then_some(Self {
            code,
            ctrl,
            alt,
            shift,
        })
    }

    fn show(self) -> String {
        let name = match NAMED.iter().find(|(_, code, _)| *code == self.code) {
            Some((_, _, shown)) => (*shown).to_owned(),
            None => self.code.to_string(),
        };
        format!(
            "{}{}{}{name}",
            if self.ctrl { "Ctrl-" } else { "" },
            if self.alt { "Alt-" } else { "" },
            if self.shift { "Shift-" } else { "" }
        )
    }
}

/// An invalid set of bindings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// The text is not a table of keys.
    #[error("keys: {0}")]
    Syntax(String),
    /// There is no such action.
    #[error("keys: there is no action {name:?}{}", meant(similar.as_deref()))]
    UnknownAction {
        /// As written.
        name: String,
        /// A similar name, which may have been meant.
        similar: Option<String>,
    },
    /// There is no such key.
    #[error("keys: {action}: there is no key {key:?}{}", meant(similar.as_deref()))]
    UnknownKey {
        /// The action.
        action: String,
        /// As written.
        key: String,
        /// A similar name, which may have been meant.
        similar: Option<String>,
    },
    /// Two actions are bound to the same key.
    #[error("keys: {key} is assigned to both {first} and {second}")]
    Twice {
        /// The key.
        key: String,
        /// One of the two, by name.
        first: String,
        /// The other.
        second: String,
    },
}

fn meant(similar: Option<&str>) -> String {
    similar.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

impl KeymapError {
    /// The names of the actions concerned.
    pub fn actions(&self) -> Vec<&str> {
        match self {
            Self::Syntax(_) => Vec::new(),
            Self::UnknownAction { name, .. } => vec![name],
            Self::UnknownKey { action, .. } => vec![action],
            Self::Twice { first, second, .. } => vec![first, second],
        }
    }
}

/// The current bindings.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    actions: HashMap<KeyPress, Action>,
    /// The keys of each action, in the order given.
    keys: BTreeMap<Action, Vec<KeyPress>>,
    /// The name of each action in the settings.
    names: BTreeMap<Action, String>,
}

impl Keymap {
    /// The defaults, some of them replaced: action names as in `keys.toml` → keys.
    pub fn new(replaced: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let mut names: BTreeMap<String, Vec<String>> = toml::from_str(include_str!("keys.toml"))
            .map_err(|e| KeymapError::Syntax(e.to_string()))?;
        names.extend(
            replaced
                .iter()
                .map(|(name, keys)| (name.clone(), keys.clone())),
        );
        Self::from_names(&names)
    }

    fn from_names(names: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let mut owners: HashMap<KeyPress, &str> = HashMap::new();
        let mut keymap = Self {
            actions: HashMap::new(),
            keys: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        let known = names.keys().map(String::as_str);
        let known: Vec<&str> = known.filter(|name| action_named(name).is_some()).collect();
        for (name, keys) in names {
            let unknown = || KeymapError::UnknownAction {
                name: name.clone(),
                similar: similar(name, known.iter().copied()).map(str::to_owned),
            };
            let action = action_named(name).ok_or_else(unknown)?;
            keymap.names.insert(action, name.clone());
            for text in keys {
                let unknown = || KeymapError::UnknownKey {
                    action: name.clone(),
                    key: text.clone(),
                    similar: similar(text, NAMED.map(|(name, ..)| name)).map(str::to_owned),
                };
                let key = KeyPress::parse(text).ok_or_else(unknown)?;
                if let Some(first) = owners.insert(key, name) {
                    let (first, second) = (first.to_owned(), name.clone());
                    return Err(KeymapError::Twice {
                        key: key.show(),
                        first,
                        second,
                    });
                }
                keymap.actions.insert(key, action);
                keymap.keys.entry(action).or_default().push(key);
            }
        }
        Ok(keymap)
    }

    /// The action of a key.
    pub fn action(&self, event: KeyEvent) -> Option<Action> {
        self.actions.get(&KeyPress::from(event)).copied()
    }

    /// The first key of an action, as shown; `None` when it has none.
    pub fn key(&self, action: Action) -> Option<String> {
        self.keys
            .get(&action)
            .and_then(|keys| keys.first())
            .map(|key| key.show())
    }

    /// The key of an action to show in a hint: `usual` where it is bound to the action, else the first.
    pub fn key_like(&self, action: Action, usual: KeyCode) -> Option<String> {
        let mut keys = self.keys.get(&action).into_iter().flatten();
        let found = keys.find(|key| key.code == usual && !key.ctrl && !key.alt);
        found.map_or_else(|| self.key(action), |key| Some(key.show()))
    }
}

fn action_named(name: &str) -> Option<Action> {
    use serde::de::IntoDeserializer;
    let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        name.into_deserializer();
    Action::deserialize(name).ok()
}

#[cfg(test)]
mod tests;
