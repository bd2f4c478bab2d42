//! Which key does what. The defaults lie in `keys.toml`; the help is made from the bindings that are in force.

use std::collections::{BTreeMap, HashMap};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

/// What a key can ask for.
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
    Why,
    Watch,
    PromptSet,
    Model,
    Hidden,
    Sort,
    SortReversed,
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
    Probe,
    Ruler,
    Histogram,
    Tags,
    Search,
    Copy,
    View,
    Grid,
    Compare,
    Activity,
    Series,
    Patient,
    Help,
    Back,
    Suspend,
    Redraw,
    Quit,
}

/// All actions under the headings of the help, in its order, with what the help says of them.
pub(super) const HELP: [(&str, &[(Action, &str)]); 6] = [
    (
        "Move",
        &[
            (Action::Down, "down"),
            (Action::Up, "up"),
            (Action::First, "first"),
            (Action::Last, "last"),
            (Action::HalfDown, "half a page down"),
            (Action::HalfUp, "half a page up"),
            (Action::PageDown, "a page down"),
            (Action::PageUp, "a page up"),
            (Action::Enter, "into the folder"),
            (Action::Leave, "out of folder"),
            (Action::NextNew, "next unseen"),
            (Action::PreviousNew, "previous unseen"),
            (Action::Search, "filter, search tags"),
            (Action::Sort, "sort otherwise"),
            (Action::SortReversed, "reverse the order"),
        ],
    ),
    (
        "Picture",
        &[
            (Action::ZoomIn, "larger, smaller"),
            (Action::ZoomFit, "the whole of it"),
            (Action::ZoomActual, "pixel for pixel"),
            (Action::PanLeft, "move about"),
            (Action::RotateRight, "turn right, left"),
            (Action::Flip, "mirror"),
            (Action::ResetView, "as it was"),
            (Action::Whole, "on the whole screen"),
            (Action::Overlays, "facts and overlays"),
            (Action::Probe, "value under a cursor"),
            (Action::Ruler, "measure, Enter sets"),
            (Action::Histogram, "histogram"),
        ],
    ),
    (
        "Window",
        &[
            (Action::Window1, "by number"),
            (Action::WindowAuto, "automatic"),
            (Action::LevelDown, "level down, up"),
            (Action::LevelDownCoarse, "the same, coarse"),
            (Action::WindowNarrower, "narrower, wider"),
            (Action::WindowNarrowerCoarse, "the same, coarse"),
            (Action::Invert, "invert"),
        ],
    ),
    (
        "Frames",
        &[
            (Action::FrameNext, "next, previous"),
            (Action::FrameFirst, "first, last"),
            (Action::FrameJump, "go to a number"),
            (Action::Cine, "play, stop"),
            (Action::CineSlower, "slower, faster"),
        ],
    ),
    (
        "Classify",
        &[
            (Action::Classify, "this, or again"),
            (Action::ClassifyAll, "all, recursively"),
            (Action::Mark, "mark or unmark"),
            (Action::MarkRange, "mark up to here"),
            (Action::ClassifyMarked, "what is marked"),
            (Action::Why, "why it failed"),
            (Action::Watch, "watch on or off"),
            (Action::PromptSet, "prompt set"),
            (Action::Model, "model"),
        ],
    ),
    (
        "Screen",
        &[
            (Action::NextPanel, "next panel"),
            (Action::Hidden, "hidden files"),
            (Action::View, "view menu"),
            (Action::Tags, "tags of the file"),
            (Action::Copy, "copy path or value"),
            (Action::Grid, "grid of pictures"),
            (Action::Compare, "compare two files"),
            (Action::Activity, "activity"),
            (Action::Series, "by series"),
            (Action::Patient, "patient values"),
            (Action::Palette, "all commands"),
            (Action::Help, "this help"),
            (Action::Back, "back"),
            (Action::Suspend, "to the shell"),
            (Action::Redraw, "draw the screen anew"),
            (Action::Quit, "quit"),
        ],
    ),
];

/// Actions that the help tells of in one line with another.
const TOGETHER: [(Action, &[Action]); 11] = [
    (Action::ZoomIn, &[Action::ZoomOut]),
    (
        Action::PanLeft,
        &[Action::PanRight, Action::PanUp, Action::PanDown],
    ),
    (Action::RotateRight, &[Action::RotateLeft]),
    (Action::Window1, &PRESETS),
    (Action::LevelDown, &[Action::LevelUp]),
    (Action::LevelDownCoarse, &[Action::LevelUpCoarse]),
    (Action::WindowNarrower, &[Action::WindowWider]),
    (Action::WindowNarrowerCoarse, &[Action::WindowWiderCoarse]),
    (Action::FrameNext, &[Action::FramePrevious]),
    (Action::FrameFirst, &[Action::FrameLast]),
    (Action::CineSlower, &[Action::CineFaster]),
];

/// Windows by number, from the second on.
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
    /// The number of a window's preset, from 1.
    pub fn preset(self) -> Option<usize> {
        match self {
            Self::Window1 => Some(1),
            _ => PRESETS
                .iter()
                .position(|preset| *preset == self)
                .map(|at| at + 2),
        }
    }

    /// Those that the help tells of in the same line.
    fn together(self) -> &'static [Self] {
        let found = TOGETHER.iter().find(|(first, _)| *first == self);
        found.map_or(&[], |(_, others)| others)
    }
}

/// What a key is, with Shift folded into the letter it makes; only arrows are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
struct Key {
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

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self {
            code: event.code,
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
            shift: is_arrow(event.code) && event.modifiers.contains(KeyModifiers::SHIFT),
        }
    }
}

/// Named keys: as written in the file, as crossterm has them, as the help shows them.
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

impl Key {
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

/// Why a set of bindings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// The text is not what a table of keys looks like.
    #[error("keys: {0}")]
    Syntax(String),
    /// Nothing has this name.
    #[error("keys: there is no action {0:?}")]
    UnknownAction(String),
    /// No key has this name.
    #[error("keys: {action}: there is no key {key:?}")]
    UnknownKey {
        /// Whose key.
        action: String,
        /// As written.
        key: String,
    },
    /// Two actions want the same key.
    #[error("keys: {key} is given to both {first} and {second}")]
    Twice {
        /// The key.
        key: String,
        /// One of the two, by name.
        first: String,
        /// The other.
        second: String,
    },
}

impl KeymapError {
    /// The actions that it is about, by name.
    pub fn actions(&self) -> Vec<&str> {
        match self {
            Self::Syntax(_) => Vec::new(),
            Self::UnknownAction(action) | Self::UnknownKey { action, .. } => vec![action],
            Self::Twice { first, second, .. } => vec![first, second],
        }
    }
}

/// The bindings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    actions: HashMap<Key, Action>,
    /// Keys of each action, in the order given.
    keys: BTreeMap<Action, Vec<Key>>,
    /// As the file names them.
    names: BTreeMap<Action, String>,
}

/// One line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpLine {
    /// Begins a group.
    Heading(&'static str),
    /// Keys, the most important first, and what they do.
    Binding(Vec<String>, &'static str),
    /// Nothing.
    Gap,
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
        let mut owners: HashMap<Key, &str> = HashMap::new();
        let mut keymap = Self {
            actions: HashMap::new(),
            keys: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for (name, keys) in names {
            let action =
                action_named(name).ok_or_else(|| KeymapError::UnknownAction(name.clone()))?;
            keymap.names.insert(action, name.clone());
            for text in keys {
                let unknown = || KeymapError::UnknownKey {
                    action: name.clone(),
                    key: text.clone(),
                };
                let key = Key::parse(text).ok_or_else(unknown)?;
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

    /// What a key asks for.
    pub fn action(&self, event: KeyEvent) -> Option<Action> {
        self.actions.get(&Key::from(event)).copied()
    }

    /// The first key of an action, as shown; `None` when it has none.
    pub fn key(&self, action: Action) -> Option<String> {
        self.keys
            .get(&action)
            .and_then(|keys| keys.first())
            .map(|key| key.show())
    }

    /// The key of an action that its user most likely thinks of: this one where it is bound to that, else the first.
    pub fn key_like(&self, action: Action, usual: KeyCode) -> Option<String> {
        let mut keys = self.keys.get(&action).into_iter().flatten();
        let found = keys.find(|key| key.code == usual && !key.ctrl && !key.alt);
        found.map_or_else(|| self.key(action), |key| Some(key.show()))
    }

    /// The keys of an action and of those told with it: all of one alone, the first of each of several.
    pub(super) fn help_keys(&self, action: Action) -> Vec<String> {
        let others = action.together();
        if others.is_empty() {
            let keys = self.keys.get(&action).into_iter().flatten();
            return keys.map(|key| key.show()).collect();
        }
        let keys: Vec<String> = std::iter::once(&action)
            .chain(others)
            .filter_map(|action| self.key(*action))
            .collect();
        run(&keys).map_or(keys, |run| vec![run])
    }
}

/// Digits that follow each other, and arrows of all directions, as one.
fn run(keys: &[String]) -> Option<String> {
    let [first, .., last] = keys else { return None };
    let digits: Option<Vec<u32>> = keys.iter().map(|key| key.parse().ok()).collect();
    let counts = digits.is_some_and(|digits| digits.windows(2).all(|pair| pair[1] == pair[0] + 1));
    if counts && keys.len() > 2 {
        return Some(format!("{first} – {last}"));
    }
    let arrows = ["←", "→", "↑", "↓"];
    let prefix = first.strip_suffix(arrows[0])?;
    let all = keys.len() == arrows.len()
        && keys
            .iter()
            .zip(arrows)
            .all(|(key, arrow)| key.strip_prefix(prefix) == Some(arrow));
    all.then(|| format!("{prefix}{}", arrows.concat()))
}

/// An action that can be asked for by its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The action.
    pub action: Action,
    /// What it does, under its heading.
    pub words: String,
    /// Its first key.
    pub key: Option<String>,
}

impl Keymap {
    /// Every action, bound or not, in the order of the help. Those that the help tells of together are told apart by their
    /// names.
    pub fn offers(&self) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (heading, actions) in HELP {
            for (first, what) in actions {
                let others = first.together();
                for action in std::iter::once(first).chain(others) {
                    let name = self.names.get(action).map(|name| name.replace('-', " "));
                    let words = match name {
                        Some(name) if !others.is_empty() => format!("{heading}: {name}"),
                        _ => format!("{heading}: {what}"),
                    };
                    offers.push(Offer {
                        action: *action,
                        words,
                        key: self.key(*action),
                    });
                }
            }
        }
        offers.retain(|offer| offer.action != Action::Palette);
        offers
    }
}

fn action_named(name: &str) -> Option<Action> {
    use serde::de::IntoDeserializer;
    let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        name.into_deserializer();
    Action::deserialize(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(name, keys)| {
                (
                    (*name).to_owned(),
                    keys.iter().map(|k| (*k).to_owned()).collect(),
                )
            })
            .collect()
    }

    fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn the_defaults_hold_and_the_help_names_every_action() -> Result<(), KeymapError> {
        let keymap = Keymap::new(&BTreeMap::new())?;
        assert_eq!(
            keymap.action(press(KeyCode::Char('j'), KeyModifiers::NONE)),
            Some(Action::Down)
        );
        assert_eq!(
            keymap.action(press(KeyCode::Char('G'), KeyModifiers::SHIFT)),
            Some(Action::Last)
        );
        assert_eq!(
            keymap.action(press(KeyCode::Char('c'), KeyModifiers::CONTROL)),
            Some(Action::Quit)
        );
        assert_eq!(
            keymap.action(press(KeyCode::Char('&'), KeyModifiers::NONE)),
            None
        );
        let told = HELP
            .iter()
            .flat_map(|(_, actions)| actions.iter())
            .flat_map(|(action, _)| std::iter::once(action).chain(action.together()))
            .filter(|action| keymap.keys.contains_key(action))
            .count();
        assert_eq!(
            told,
            keymap.keys.len(),
            "an action is bound that the help does not tell of"
        );
        Ok(())
    }

    #[test]
    fn shift_tells_arrows_apart_and_nothing_else() -> Result<(), KeymapError> {
        let keymap = Keymap::new(&BTreeMap::new())?;
        let arrow = |modifiers| keymap.action(press(KeyCode::Left, modifiers));
        assert_eq!(arrow(KeyModifiers::NONE), Some(Action::Leave));
        assert_eq!(arrow(KeyModifiers::SHIFT), Some(Action::PanLeft));
        let tab = keymap.action(press(KeyCode::PageDown, KeyModifiers::SHIFT));
        assert_eq!(tab, Some(Action::PageDown));
        assert!(Keymap::new(&names(&[("help", &["Shift-x"])])).is_err());
        Ok(())
    }

    #[test]
    fn keys_that_belong_together_share_a_line_of_the_help() -> Result<(), KeymapError> {
        let keymap = Keymap::new(&BTreeMap::new())?;
        let keys = |action: Action| keymap.help_keys(action).join(" ");
        assert_eq!(keys(Action::Window1), "1 – 9");
        assert_eq!(keys(Action::PanLeft), "Shift-←→↑↓");
        assert_eq!(keys(Action::FrameNext), "] [");
        let keymap = Keymap::new(&names(&[("window-1", &["b"]), ("pan-up", &[])]))?;
        let keys = |action: Action| keymap.help_keys(action).join(" ");
        assert_eq!(keys(Action::Window1), "b 2 3 4 5 6 7 8 9");
        assert_eq!(keys(Action::PanLeft), "Shift-← Shift-→ Shift-↓");
        Ok(())
    }

    #[test]
    fn a_key_given_twice_is_an_error_that_names_both() {
        let error = Keymap::new(&names(&[("help", &["j"])]));
        assert_eq!(
            error.map_err(|e| e.to_string()),
            Err("keys: j is given to both down and help".to_owned())
        );
    }

    #[test]
    fn a_wrong_name_is_said_as_written() {
        let error = |pairs| Keymap::new(&names(pairs)).err().map(|e| e.to_string());
        assert_eq!(
            error(&[("fly", &["x"])]).as_deref(),
            Some("keys: there is no action \"fly\"")
        );
        assert_eq!(
            error(&[("help", &["Hyper-x"])]).as_deref(),
            Some("keys: help: there is no key \"Hyper-x\"")
        );
    }
}
