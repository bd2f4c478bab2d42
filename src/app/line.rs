//! A line being typed: a filter, a query, the name of a file, or a command in the palette.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

use super::filter::best_matches;
use super::keys::{Action, Keymap, PaletteEntry};

/// The command in the palette that takes a file.
const EXPORT: &str = "export ";

/// The purpose of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Filters the files while it is typed.
    Filter,
    /// Finds an action and performs it.
    Palette,
    /// Ranks the images by their similarity to what is typed.
    Find,
    /// Names the file that the results on screen are written to.
    Export,
    /// A note on the image in sight.
    Note,
    /// How many images to draw.
    Sample,
}

/// The result of a key in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineOutcome {
    /// Nothing beyond the line itself.
    None,
    /// Show only the files that pass.
    Filter(String),
    /// Rank the images by their similarity to a query.
    Find(String),
    /// Write the results on screen to a file.
    Export(String),
    /// Move the cursor of the list.
    Move(isize),
    /// Perform the action chosen in the palette.
    Act(Action),
    /// Take the text that was entered.
    Enter(Purpose, String),
}

/// A line being typed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    purpose: Purpose,
    /// The text and its cursor.
    input: Input,
    /// In the palette: the position of the action chosen.
    chosen: usize,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        let key = |line: &Self| (line.purpose, line.input.cursor(), line.chosen);
        key(self) == key(other) && self.input.value() == other.input.value()
    }
}

/// What a key means in a line.
enum KeyMeaning {
    Leave,
    Accept,
    Move(isize),
    Edit,
}

impl Line {
    /// Begins a line with a text.
    pub(super) fn new(purpose: Purpose, text: &str) -> Self {
        Self {
            purpose,
            input: Input::new(text.to_owned()),
            chosen: 0,
        }
    }

    /// The purpose of the line.
    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The text and its cursor.
    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// In the palette: the position of the action chosen.
    pub(crate) fn chosen(&self) -> usize {
        self.chosen
    }

    fn meaning(&mut self, key: KeyEvent) -> Option<KeyMeaning> {
        let ctrl = key.modifiers == KeyModifiers::CONTROL;
        Some(match key.code {
            KeyCode::Esc => KeyMeaning::Leave,
            KeyCode::Char('c') if ctrl => KeyMeaning::Leave,
            KeyCode::Enter => KeyMeaning::Accept,
            KeyCode::Up => KeyMeaning::Move(-1),
            KeyCode::Down => KeyMeaning::Move(1),
            KeyCode::Char('p') if ctrl => KeyMeaning::Move(-1),
            KeyCode::Char('n') if ctrl => KeyMeaning::Move(1),
            // Nothing is left to delete: the line closes.
            KeyCode::Backspace if self.input.value().is_empty() => KeyMeaning::Leave,
            _ => {
                let request = to_input_request(&Event::Key(key))?;
                let edited = self.input.handle(request)?.value;
                edited.then_some(KeyMeaning::Edit)?
            }
        })
    }

    /// The file named by `export FILE` in the palette.
    fn file_to_export(&self) -> Option<&str> {
        let file = self.input.value().trim_start().strip_prefix(EXPORT)?.trim();
        (!file.is_empty()).then_some(file)
    }

    /// The actions that match what is typed, the best match first.
    pub(crate) fn palette(&self, keymap: &Keymap) -> Vec<PaletteEntry> {
        let all = keymap.palette();
        let words: Vec<&str> = all.iter().map(|offer| offer.words.as_str()).collect();
        let typed = if self.file_to_export().is_some() {
            EXPORT
        } else {
            self.input.value()
        };
        match best_matches(typed, &words) {
            None => all,
            Some(order) => order.into_iter().map(|at| all[at].clone()).collect(),
        }
    }

    /// Handles a key. The line stays open if the first result is true.
    pub(super) fn press(&mut self, key: KeyEvent, keymap: &Keymap) -> (bool, LineOutcome) {
        let Some(meaning) = self.meaning(key) else {
            return (true, LineOutcome::None);
        };
        match (self.purpose, meaning) {
            (Purpose::Filter, KeyMeaning::Edit) => {
                (true, LineOutcome::Filter(self.input.value().to_owned()))
            }
            (Purpose::Filter, KeyMeaning::Move(rows)) => (true, LineOutcome::Move(rows)),
            (Purpose::Filter, KeyMeaning::Leave) => (false, LineOutcome::Filter(String::new())),
            (Purpose::Palette, KeyMeaning::Edit) => {
                self.chosen = 0;
                (true, LineOutcome::None)
            }
            (Purpose::Palette, KeyMeaning::Move(rows)) => {
                let last = self.palette(keymap).len().saturating_sub(1);
                self.chosen = self.chosen.saturating_add_signed(rows).min(last);
                (true, LineOutcome::None)
            }
            (Purpose::Note | Purpose::Sample, KeyMeaning::Edit | KeyMeaning::Move(_)) => {
                (true, LineOutcome::None)
            }
            (purpose @ (Purpose::Note | Purpose::Sample), KeyMeaning::Accept) => {
                let text = self.input.value().to_owned();
                (false, LineOutcome::Enter(purpose, text))
            }
            (Purpose::Filter, KeyMeaning::Accept)
            | (
                Purpose::Palette
                | Purpose::Find
                | Purpose::Export
                | Purpose::Note
                | Purpose::Sample,
                KeyMeaning::Leave,
            ) => (false, LineOutcome::None),
            (Purpose::Find | Purpose::Export, KeyMeaning::Edit) => (true, LineOutcome::None),
            (Purpose::Find | Purpose::Export, KeyMeaning::Move(rows)) => {
                (true, LineOutcome::Move(rows))
            }
            (Purpose::Export, KeyMeaning::Accept) => {
                (false, LineOutcome::Export(self.input.value().to_owned()))
            }
            (Purpose::Find, KeyMeaning::Accept) => {
                (false, LineOutcome::Find(self.input.value().to_owned()))
            }
            (Purpose::Palette, KeyMeaning::Accept) => {
                if let Some(file) = self.file_to_export() {
                    return (false, LineOutcome::Export(file.to_owned()));
                }
                let offers = self.palette(keymap);
                let chosen = offers.get(self.chosen);
                let outcome =
                    chosen.map_or(LineOutcome::None, |offer| LineOutcome::Act(offer.action));
                (false, outcome)
            }
        }
    }
}
