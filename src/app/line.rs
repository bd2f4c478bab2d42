//! A line being typed: a filter, a query, the name of a file, or a command in the palette.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

use super::filter::{Completions, best_matches};
use super::keys::{Action, Keymap, PaletteEntry};

/// A command that takes what is typed after it: its name, what that is for, and the action that asks for it otherwise.
type ArgumentCommand = (&'static str, Purpose, Action);

/// The commands of the palette that take what is typed after them.
const COMMANDS: [ArgumentCommand; 7] = [
    ("export", Purpose::Export, Action::Export),
    ("copy-to", Purpose::CopyTo, Action::CopyTo),
    ("move-to", Purpose::MoveTo, Action::MoveTo),
    ("open-with", Purpose::OpenWith, Action::OpenWith),
    ("save-view", Purpose::SaveView, Action::SaveView),
    ("view", Purpose::View, Action::Views),
    ("bookmark", Purpose::Bookmark, Action::Bookmark),
];

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
    /// Ranks the images by their similarity to what is typed.
    Find,
    /// Names the file that the results on screen are written to.
    Export,
    /// Names the folder that files are copied to.
    CopyTo,
    /// Names the folder that files are moved to.
    MoveTo,
    /// The program, with arguments, that opens the file in sight.
    OpenWith,
    /// Names the view that filter and order are saved as.
    SaveView,
    /// Names a saved view to open.
    View,
    /// A letter for the folder on screen.
    Bookmark,
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
    completion: Option<Completion>,
}

/// What the text can go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Completion {
    found: Completions,
    /// The candidate that is inserted; `None` while only what all begin with is.
    inserted: Option<usize>,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        let key = |line: &Self| {
            let completion = line.completion.clone();
            (line.purpose, line.input.cursor(), line.chosen, completion)
        };
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
            completion: None,
        }
    }

    // ── completion ────────────────────────────────────────────────────────────────────────────────────────────

    /// The text before the cursor.
    pub(super) fn typed(&self) -> &str {
        let text = self.input.value();
        let end = text.char_indices().nth(self.input.cursor());
        &text[..end.map_or(text.len(), |(at, _)| at)]
    }

    /// The candidates for the text before the cursor while they are shown, and which of them is inserted.
    pub(crate) fn candidates(&self) -> Option<(&[String], Option<usize>)> {
        let completion = self.completion.as_ref()?;
        Some((&completion.found.candidates, completion.inserted))
    }

    /// Inserts the only candidate, or what all of them begin with, and shows them.
    pub(super) fn complete(&mut self, found: Completions) {
        let Some(first) = found.candidates.first() else {
            return;
        };
        if found.candidates.len() == 1 {
            let is_whole = !first.ends_with([':', '>', '<', '/', ' ']);
            let text = format!("{first}{}", if is_whole { " " } else { "" });
            self.replace(found.start, &text);
            return;
        }
        let common = common_start(&found.candidates);
        if common.len() > self.typed().len() - found.start {
            self.replace(found.start, &common);
        }
        let inserted = None;
        self.completion = Some(Completion { found, inserted });
    }

    /// Inserts the next candidate, or the previous one; false if none are shown.
    pub(super) fn cycle(&mut self, forward: bool) -> bool {
        let Some(mut completion) = self.completion.take() else {
            return false;
        };
        let count = completion.found.candidates.len();
        let next = match completion.inserted {
            None if forward => 0,
            Some(at) if forward => (at + 1) % count,
            None | Some(0) => count - 1,
            Some(at) => at - 1,
        };
        completion.inserted = Some(next);
        let text = completion.found.candidates[next].clone();
        self.replace(completion.found.start, &text);
        self.completion = Some(completion);
        true
    }

    /// Inserts text at the cursor.
    pub(super) fn paste(&mut self, text: &str) -> LineOutcome {
        self.completion = None;
        self.chosen = 0;
        self.replace(self.typed().len(), text);
        match self.purpose {
            Purpose::Filter => LineOutcome::Filter(self.input.value().to_owned()),
            _ => LineOutcome::None,
        }
    }

    /// Replaces the text from a byte to the cursor.
    fn replace(&mut self, start: usize, text: &str) {
        let typed = self.typed();
        let rest = self.input.value()[typed.len()..].to_owned();
        let before = format!("{}{text}", typed.get(..start).unwrap_or_default());
        let cursor = before.chars().count();
        self.input = Input::new(before + &rest).with_cursor(cursor);
    }

    /// The commands of the palette that begin with what is typed.
    pub(super) fn command_names(&self) -> Completions {
        let names = COMMANDS.iter().map(|(name, ..)| format!("{name} "));
        Completions::beginning_with(0, self.typed(), names.collect())
    }

    /// What the text before the cursor is for, where it begins, and it itself: that after a command of the palette, else all.
    pub(super) fn argument(&self) -> (Purpose, usize, &str) {
        let typed = self.typed();
        if self.purpose == Purpose::Palette {
            let found = COMMANDS.iter().find_map(|(name, purpose, _)| {
                let rest = typed.strip_prefix(name)?.strip_prefix(' ')?;
                Some((*purpose, typed.len() - rest.len(), rest))
            });
            return found.unwrap_or((Purpose::Palette, 0, typed));
        }
        (self.purpose, 0, typed)
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

    /// A command with what is typed after it, in the palette.
    fn command(&self) -> Option<(Purpose, Action, &str)> {
        let (name, argument) = self.input.value().trim_start().split_once(' ')?;
        let found = COMMANDS.iter().find(|(known, ..)| *known == name);
        let (_, purpose, action) = found.filter(|_| !argument.trim().is_empty())?;
        Some((*purpose, *action, argument.trim()))
    }

    /// The actions that match what is typed, the best match first.
    pub(crate) fn palette(&self, keymap: &Keymap) -> Vec<PaletteEntry> {
        let all = keymap.palette();
        // What matches by its description precedes what matches by another name.
        let words: Vec<&str> = all.iter().map(|offer| offer.words.as_str()).collect();
        let synonyms: Vec<&str> = all.iter().map(|offer| offer.synonyms).collect();
        if let Some((_, action, _)) = self.command() {
            return all
                .into_iter()
                .filter(|offer| offer.action == action)
                .collect();
        }
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
        self.completion = None;
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
            (
                Purpose::Note
                | Purpose::Sample
                | Purpose::CopyTo
                | Purpose::MoveTo
                | Purpose::OpenWith
                | Purpose::SaveView
                | Purpose::View,
                KeyMeaning::Edit | KeyMeaning::Move(_),
            )
            | (Purpose::Bookmark, KeyMeaning::Move(_))
            | (Purpose::Find | Purpose::Export, KeyMeaning::Edit) => (true, LineOutcome::None),
            (
                purpose @ (Purpose::Note
                | Purpose::Sample
                | Purpose::CopyTo
                | Purpose::MoveTo
                | Purpose::OpenWith
                | Purpose::SaveView
                | Purpose::View),
                KeyMeaning::Accept,
            )
            | (purpose @ Purpose::Bookmark, KeyMeaning::Edit | KeyMeaning::Accept) => {
                let text = self.input.value().to_owned();
                (false, LineOutcome::Enter(purpose, text))
            }
            (Purpose::Filter, KeyMeaning::Accept)
            | (
                Purpose::Palette
                | Purpose::Find
                | Purpose::Export
                | Purpose::Note
                | Purpose::Sample
                | Purpose::CopyTo
                | Purpose::MoveTo
                | Purpose::OpenWith
                | Purpose::SaveView
                | Purpose::View
                | Purpose::Bookmark,
                KeyMeaning::Leave,
            ) => (false, LineOutcome::None),
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
                if let Some((purpose, _, argument)) = self.command() {
                    let argument = argument.to_owned();
                    return (
                        false,
                        match purpose {
                            Purpose::Export => LineOutcome::Export(argument),
                            _ => LineOutcome::Enter(purpose, argument),
                        },
                    );
                }
                let offers = self.palette(keymap);
                match offers.get(self.chosen) {
                    Some(offer) => (false, LineOutcome::Act(offer.action)),
                    // What was typed can be mended.
                    None => (true, LineOutcome::None),
                }
            }
        }
    }
}

/// What all texts begin with.
fn common_start(texts: &[String]) -> String {
    let (first, others) = texts.split_first().map_or(("", &[][..]), |(a, b)| (a, b));
    let is_common = |end: usize| others.iter().all(|other| other.starts_with(&first[..end]));
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| is_common(*end)).last();
    first[..end.unwrap_or_default()].to_owned()
}
