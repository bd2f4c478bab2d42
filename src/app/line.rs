//! A line being typed: a filter, or a command in the palette.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

use super::filter::best_matches;
use super::keys::{Action, Keymap, PaletteEntry};

/// The purpose of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Filters the files while it is typed.
    Filter,
    /// Finds an action and performs it.
    Palette,
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

    /// The actions that match what is typed, the best match first.
    pub(crate) fn palette(&self, keymap: &Keymap) -> Vec<PaletteEntry> {
        let all = keymap.palette();
        // What matches by its description precedes what matches by another name.
        let words: Vec<&str> = all.iter().map(|offer| offer.words.as_str()).collect();
        let synonyms: Vec<&str> = all.iter().map(|offer| offer.synonyms).collect();
        let typed = self.input.value();
        let (Some(described), Some(named)) =
            (best_matches(typed, &words), best_matches(typed, &synonyms))
        else {
            return all;
        };
        let is_name = |at: &usize| {
            let mut names = synonyms[*at].split(' ');
            names.any(|name| name.eq_ignore_ascii_case(typed.trim()))
        };
        let (exact, others): (Vec<usize>, Vec<usize>) = named.into_iter().partition(is_name);
        let mut order: Vec<usize> = Vec::new();
        for at in exact.into_iter().chain(described).chain(others) {
            if !order.contains(&at) {
                order.push(at);
            }
        }
        order.into_iter().map(|at| all[at].clone()).collect()
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
            | (Purpose::Palette | Purpose::Note | Purpose::Sample, KeyMeaning::Leave) => {
                (false, LineOutcome::None)
            }
            (Purpose::Palette, KeyMeaning::Accept) => {
                let offers = self.palette(keymap);
                let chosen = offers.get(self.chosen);
                let outcome =
                    chosen.map_or(LineOutcome::None, |offer| LineOutcome::Act(offer.action));
                (false, outcome)
            }
        }
    }
}
