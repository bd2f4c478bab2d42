//! Popups, which are drawn above everything else, one at a time.

mod drafted;
mod help;
mod menu;
mod phrases;
mod picker;
mod proposal;

use std::path::Path;

use super::environment::Environment;
use super::keys::{Action, HelpLine};
use super::mode::InputMode;
use super::text;
use crate::library::Failure;
use crate::media::{ErrorKind, FileContent};
use crate::view::Area;
pub use drafted::{DraftedSet, UnsavedDraft};
pub(super) use menu::{MenuKind, Switch};
pub use phrases::PhraseTable;
pub(super) use picker::Choice;
pub use picker::PickerKind;
pub(super) use proposal::DraftProposal;
pub use proposal::LanguageModel;

/// A popup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Popup {
    /// The bindings in force.
    Help {
        /// Where it was opened.
        mode: InputMode,
        /// The popup that is shown again afterwards.
        behind: Option<Box<Popup>>,
    },
    /// Why something failed.
    Explanation(Explanation),
    /// A menu.
    Menu {
        /// Which one.
        kind: MenuKind,
        /// The entry under the cursor.
        entry: usize,
        /// The state of what each entry switches.
        switches: Vec<Switch>,
    },
    /// A list to choose one thing from.
    Picker {
        /// What is chosen.
        kind: PickerKind,
        /// The row under the cursor.
        chosen: usize,
    },
    /// The value of a tag in full.
    Value(Box<TagValue>),
    /// What phrases contribute to the scores of an image.
    Phrases(PhraseTable),
    /// What would be sent to a language model.
    Draft(Box<DraftProposal>),
    /// A draft that is not saved yet.
    Drafted(Box<DraftedSet>),
}

/// The value of a tag; all of it safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagValue {
    /// Tag and name.
    pub subject: String,
    /// What the value names.
    pub meaning: String,
    /// The value, or its mask.
    pub text: String,
    /// The value is masked.
    pub masked: bool,
}

/// What failed and why; all of it safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// File, model or folder.
    pub subject: String,
    /// The kind of failure in a word or two.
    pub kind: Option<&'static str>,
    /// The sentence.
    pub message: String,
    /// What the user can do.
    pub advice: Option<String>,
}

/// A line of a popup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PopupLine {
    /// One or two columns of the help.
    Help(Vec<HelpLine>),
    /// What the popup is about.
    Subject(String),
    /// What is wrong, in a word or two.
    Kind(String),
    /// Running text.
    Text(String),
    /// Less important text.
    Aside(String),
    /// An entry of a menu: under the cursor, its key, what it does, whether that is on.
    Choice(bool, char, &'static str, Option<bool>),
    /// A row of a list to choose from.
    Pick {
        /// It is under the cursor.
        chosen: bool,
        /// Whether it is the current choice.
        current: bool,
        /// What it is called.
        name: String,
        /// In a word or two, at the right end.
        beside: String,
    },
}

/// The outcome of an action or a click in an open popup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PopupOutcome {
    /// Nothing beyond its own state.
    None,
    /// An entry of the menu was chosen; the popup is closed.
    Act(Action),
    /// A row of a picker was chosen; the popup is still open.
    Pick(PickerKind, usize),
    /// The file in a row of the picker is to be classified again.
    Retry(usize),
    /// The measurement, view or bookmark in a row of the picker is to be removed.
    Remove(PickerKind, usize),
    /// All files of the picker are to be classified again.
    RetryAll,
    /// The prompt set in a row of the picker is to be edited or drafted.
    Prompts(Action, usize),
    /// The opacity of related objects is to change.
    Opacity {
        /// More opaque.
        more: bool,
    },
}

/// The popup that is open, if any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Popups {
    open: Option<Popup>,
    /// First line on screen.
    scroll: usize,
}

/// Columns of a popup on a wide screen.
const MAX_WIDTH: u16 = 76;
/// Columns there of what needs more: the help, two columns of keys with what they do, and phrases with their bars.
const MAX_WIDE: u16 = 104;

impl Popup {
    /// The title in its frame.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Help { .. } => "Help",
            Self::Explanation(_) => "Why it failed",
            Self::Menu { kind, .. } => kind.title(),
            Self::Value(_) => "Value",
            Self::Phrases(_) => "What the score goes with",
            Self::Draft(_) => "Draft phrases",
            Self::Drafted(_) => "Drafted phrases",
            Self::Picker { kind, .. } => kind.title(),
        }
    }

    /// Columns for its text on a screen of `cols` columns, without frame and margins.
    pub(crate) fn content_width(&self, cols: u16) -> u16 {
        match self {
            Self::Help { .. } | Self::Phrases(_) => columns_within(cols, MAX_WIDE),
            _ => content_width(cols),
        }
    }

    /// Its lines. `choices`: those of a picker, as far as they are known.
    pub(crate) fn lines(&self, env: &Environment, choices: Option<&[Choice]>) -> Vec<PopupLine> {
        let width = usize::from(self.content_width(env.cols));
        match self {
            Self::Help { mode, .. } => help::lines(&env.keymap, *mode, width),
            Self::Explanation(explanation) => explanation.lines(width),
            Self::Menu {
                kind,
                entry,
                switches,
            } => kind.lines(*entry, switches),
            Self::Value(value) => value.lines(width),
            Self::Phrases(table) => table.lines(width),
            Self::Draft(proposal) => proposal.lines(width),
            Self::Drafted(drafted) => drafted::lines(drafted, width),
            Self::Picker { chosen, .. } => {
                picker::lines(choices, *chosen, width, usize::from(content_rows(env.rows)))
            }
        }
    }
}

impl Popups {
    /// The popup that is open.
    pub(crate) fn current(&self) -> Option<&Popup> {
        self.open.as_ref()
    }

    /// First line on screen; may be beyond the last page.
    pub(crate) fn scroll(&self) -> usize {
        self.scroll
    }

    /// The mode of the popup that is open.
    pub(super) fn mode(&self) -> Option<InputMode> {
        self.open.as_ref().map(|popup| match popup {
            Popup::Help { .. }
            | Popup::Explanation(_)
            | Popup::Value(_)
            | Popup::Phrases(_)
            | Popup::Draft(_)
            | Popup::Drafted(_) => InputMode::Reading,
            Popup::Menu { .. } => InputMode::Menu,
            Popup::Picker { .. } => InputMode::Picker,
        })
    }

    /// What the open picker chooses.
    pub(crate) fn picker(&self) -> Option<PickerKind> {
        match self.open {
            Some(Popup::Picker { kind, .. }) => Some(kind),
            _ => None,
        }
    }

    /// Closes the popup that asks whether a draft may be sent, if that is open.
    pub(super) fn take_proposal(&mut self) -> Option<DraftProposal> {
        match self.open.take_if(|popup| matches!(popup, Popup::Draft(_))) {
            Some(Popup::Draft(proposal)) => Some(*proposal),
            _ => None,
        }
    }

    /// Whether the popup asks whether a draft may be sent.
    pub(super) fn is_proposal(&self) -> bool {
        matches!(self.open, Some(Popup::Draft(_)))
    }

    /// Closes the popup that shows a draft, if that is open.
    pub(super) fn take_drafted(&mut self) -> Option<Box<DraftedSet>> {
        match self
            .open
            .take_if(|popup| matches!(popup, Popup::Drafted(_)))
        {
            Some(Popup::Drafted(drafted)) => Some(drafted),
            _ => None,
        }
    }

    /// Whether the popup shows a draft.
    pub(super) fn is_drafted(&self) -> bool {
        matches!(self.open, Some(Popup::Drafted(_)))
    }

    /// Shows a popup instead of any other.
    pub(super) fn open(&mut self, popup: Popup) {
        self.open = Some(popup);
        self.scroll = 0;
    }

    /// Opens the help. The popup that was open is shown again when the help is closed.
    pub(super) fn open_help(&mut self, mode: InputMode) {
        let behind = self.open.take().map(Box::new);
        self.open(Popup::Help { mode, behind });
    }

    /// Closes the popup, and shows the one behind the help again. False if none is open.
    pub(super) fn close(&mut self, env: &Environment) -> bool {
        let Some(popup) = self.open.take() else {
            return false;
        };
        if let Popup::Help { behind, .. } = popup {
            self.open = behind.map(|popup| *popup);
            self.show_entry(env);
        }
        true
    }

    /// Closes whatever is open.
    pub(super) fn close_all(&mut self) {
        self.open = None;
    }

    /// Closes a popup whose content depends on whether patient values are shown.
    pub(super) fn close_outdated(&mut self) {
        self.open
            .take_if(|popup| matches!(popup, Popup::Value(_) | Popup::Menu { .. }));
    }

    /// Carries out an action in the popup that is open. `choices`: those of a picker.
    pub(super) fn act(
        &mut self,
        action: Action,
        env: &Environment,
        choices: Option<&[Choice]>,
    ) -> PopupOutcome {
        let page = usize::from(content_rows(env.rows));
        match self.open.take() {
            Some(Popup::Menu {
                kind,
                entry,
                switches,
            }) => {
                let entry = match action {
                    Action::Enter => return PopupOutcome::Act(kind.entries()[entry].2),
                    Action::Leave => return PopupOutcome::None,
                    _ if action == kind.action() => return PopupOutcome::None,
                    _ => kind.moved(entry, action),
                };
                self.open = Some(Popup::Menu {
                    kind,
                    entry,
                    switches,
                });
                self.show_entry(env);
            }
            Some(Popup::Picker { kind, chosen }) => {
                let count = choices.map_or(0, <[Choice]>::len);
                let last = count.max(1) - 1;
                let by = action.distance(page / 2);
                let moved = chosen.saturating_add_signed(by).min(last);
                match action {
                    Action::Leave => return PopupOutcome::None,
                    _ if action == kind.action() => return PopupOutcome::None,
                    _ => {}
                }
                let picks = action == Action::Enter;
                let chosen = if picks { chosen.min(last) } else { moved };
                self.open = Some(Popup::Picker { kind, chosen });
                if picks {
                    return PopupOutcome::Pick(kind, chosen);
                }
                return match (kind, action) {
                    (PickerKind::Related, Action::ZoomIn) => PopupOutcome::Opacity { more: true },
                    (PickerKind::Related, Action::ZoomOut) => PopupOutcome::Opacity { more: false },
                    (
                        PickerKind::Measurements | PickerKind::Views | PickerKind::Bookmarks,
                        Action::Remove,
                    ) => PopupOutcome::Remove(kind, chosen),
                    (PickerKind::Failures, Action::Classify) => PopupOutcome::Retry(chosen),
                    (PickerKind::Failures, Action::ClassifyAll) => PopupOutcome::RetryAll,
                    (PickerKind::Prompts, Action::EditPrompts | Action::DraftPrompts) => {
                        PopupOutcome::Prompts(action, chosen)
                    }
                    _ => PopupOutcome::None,
                };
            }
            Some(popup) => {
                let closes = matches!(
                    (action, &popup),
                    (Action::Help, Popup::Help { .. })
                        | (Action::Why, Popup::Explanation(_) | Popup::Phrases(_))
                        | (Action::Enter | Action::Leave, Popup::Value(_))
                );
                let lines = popup.lines(env, None).len();
                self.open = Some(popup);
                if closes {
                    self.close(env);
                } else {
                    self.scroll = action.scroll(self.scroll, page, lines);
                }
            }
            None => {}
        }
        PopupOutcome::None
    }

    /// Chooses the entry of the open menu that has a letter; `None` when it has none, or no menu is open.
    pub(super) fn choose_letter(&mut self, letter: char) -> Option<Action> {
        let Some(Popup::Menu { kind, .. }) = self.open else {
            return None;
        };
        let action = kind.with_letter(letter)?;
        self.open = None;
        Some(action)
    }

    /// Handles a click: outside the popup it closes it, on an entry of the menu it chooses that. `lines`: the number of lines
    /// of the popup.
    pub(super) fn click(
        &mut self,
        at: (u16, u16),
        lines: usize,
        env: &Environment,
    ) -> PopupOutcome {
        let inside = inside(env.cols, env.rows, lines);
        let frame = Area {
            x: inside.x.saturating_sub(1),
            y: inside.y.saturating_sub(1),
            width: inside.width + 2,
            height: inside.height + 2,
        };
        if !frame.contains(at) {
            self.open = None;
        } else if inside.contains(at)
            && let Some(Popup::Menu { kind, .. }) = self.open
        {
            let entry = self.scroll + usize::from(at.1 - inside.y);
            self.open = None;
            return PopupOutcome::Act(kind.entries()[entry].2);
        }
        PopupOutcome::None
    }

    /// Scrolls the entry of the menu under the cursor into view, on a very low screen.
    fn show_entry(&mut self, env: &Environment) {
        let page = usize::from(content_rows(env.rows)).max(1);
        if let Some(Popup::Menu { entry, .. }) = &self.open {
            self.scroll = (entry + 1).saturating_sub(page);
        }
    }
}

/// Columns for text in most popups on a screen of `cols` columns, without frame and margins.
pub fn content_width(cols: u16) -> u16 {
    columns_within(cols, MAX_WIDTH)
}

/// Columns for text within a frame that is at most `widest` columns wide.
fn columns_within(cols: u16, widest: u16) -> u16 {
    // No narrow stripes are left beside it.
    let outer = if cols < widest + 12 { cols } else { widest };
    outer.saturating_sub(4)
}

/// The cells within the frame of a popup of so many lines, in the middle of the screen.
pub fn inside(cols: u16, rows: u16, lines: usize) -> Area {
    let width = (content_width(cols) + 2).min(cols);
    let height = lines.min(usize::from(content_rows(rows))) as u16;
    Area {
        x: cols.saturating_sub(width + 2) / 2 + 1,
        y: rows.saturating_sub(height + 2) / 2 + 1,
        width,
        height,
    }
}

/// Rows for text in a popup on a screen of `rows` rows.
pub fn content_rows(rows: u16) -> u16 {
    rows.saturating_sub(2)
}

/// Wraps running text.
fn wrapped(text: &str, width: usize, line: fn(String) -> PopupLine) -> Vec<PopupLine> {
    text::wrap(text, width).into_iter().map(line).collect()
}

impl TagValue {
    fn lines(&self, width: usize) -> Vec<PopupLine> {
        let mut lines = wrapped(&self.subject, width, PopupLine::Subject);
        lines.extend(wrapped(&self.meaning, width, PopupLine::Aside));
        lines.push(PopupLine::Text(String::new()));
        lines.extend(wrapped(&self.text, width, PopupLine::Text));
        if self.masked {
            lines.push(PopupLine::Text(String::new()));
            let why = "Masked, because it may identify the patient (PS3.15 table E.1-1).";
            lines.extend(wrapped(why, width, PopupLine::Aside));
        }
        lines
    }
}

impl Explanation {
    /// Why a file failed.
    pub(super) fn of_failure(path: &Path, failure: &Failure, env: &Environment) -> Self {
        let again = env.advice(Action::Classify, "tries again");
        let advice = [kind_advice(failure.kind).to_owned()].into_iter();
        let advice: Vec<String> = advice.chain(again).collect();
        Self {
            subject: env.show_path(path),
            kind: Some(kind_word(failure.kind)),
            message: text::safe_str(&failure.message),
            advice: failure.content.is_image().then(|| advice.join("\n")),
        }
    }

    /// A sentence of the activity log in full; both are safe to show.
    pub(super) fn of_words(subject: &str, words: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            kind: None,
            message: words.to_owned(),
            advice: None,
        }
    }

    fn lines(&self, width: usize) -> Vec<PopupLine> {
        let wrapped = |text: &str, line| wrapped(text, width, line);
        let mut lines = wrapped(&self.subject, PopupLine::Subject);
        lines.extend(self.kind.map(|kind| PopupLine::Kind(kind.to_owned())));
        lines.push(PopupLine::Text(String::new()));
        lines.extend(wrapped(&self.message, PopupLine::Text));
        if let Some(advice) = &self.advice {
            lines.push(PopupLine::Text(String::new()));
            lines.extend(wrapped(advice, PopupLine::Aside));
        }
        lines
    }
}

/// Why a file has no result, in a word or two: the same in every view.
pub fn failure_words(kind: ErrorKind, content: FileContent) -> &'static str {
    match content {
        FileContent::Image => kind_word(kind),
        FileContent::Directory => "DICOMDIR",
        FileContent::Other => "not an image",
    }
}

/// A kind of failure in words.
pub fn kind_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not found",
        ErrorKind::Permission => "no permission",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Malformed => "malformed",
        ErrorKind::Truncated => "truncated",
        ErrorKind::TooLarge => "too large",
        ErrorKind::NoPixels => "no pixels",
        ErrorKind::Internal => "internal error",
    }
}

/// What a kind of failure means for the user.
pub fn kind_advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "The file, or what a link leads to, is not there.",
        ErrorKind::Permission => {
            "You may not read it. While the folder is watched, it is tried again when its permissions change."
        }
        ErrorKind::Unsupported => "It is an image of a kind that this program cannot read.",
        ErrorKind::Malformed => {
            "The file is damaged. While the folder is watched, it is tried again when it changes."
        }
        ErrorKind::Truncated => {
            "The file ends too early: it is still being copied, or the copy broke off. While the folder is watched, it is \
             tried again when it changes."
        }
        ErrorKind::TooLarge => "It needs more memory than --memory allows.",
        ErrorKind::NoPixels => "The file holds no image.",
        ErrorKind::Internal => "This is a fault of the program or the model; its log says more.",
    }
}
