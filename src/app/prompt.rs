//! A line that is being typed: a filter for names, or an action for the palette.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

use super::Effect;
use super::act;
use super::filter::Filter;
use super::folder::Look;
use super::keys::Offer;
use super::model::Model;

/// What the line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Shows only the files whose names match, while it is typed.
    Filter,
    /// Finds an action and does it.
    Palette,
}

/// The line.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// The text and its cursor.
    pub input: Input,
    /// In the palette: which of the actions found is chosen.
    pub chosen: usize,
}

impl PartialEq for Prompt {
    fn eq(&self, other: &Self) -> bool {
        let key = |prompt: &Self| (prompt.purpose, prompt.input.cursor(), prompt.chosen);
        key(self) == key(other) && self.input.value() == other.input.value()
    }
}

/// What a key means in a line.
enum Step {
    Leave,
    Accept,
    Move(isize),
    Edit,
}

impl Prompt {
    pub(super) fn new(purpose: Purpose, text: &str) -> Self {
        Self {
            purpose,
            input: Input::new(text.to_owned()),
            chosen: 0,
        }
    }

    fn step(&mut self, key: KeyEvent) -> Option<Step> {
        let ctrl = key.modifiers == KeyModifiers::CONTROL;
        Some(match key.code {
            KeyCode::Esc => Step::Leave,
            KeyCode::Char('c') if ctrl => Step::Leave,
            KeyCode::Enter => Step::Accept,
            KeyCode::Up => Step::Move(-1),
            KeyCode::Down => Step::Move(1),
            KeyCode::Char('p') if ctrl => Step::Move(-1),
            KeyCode::Char('n') if ctrl => Step::Move(1),
            // Nothing left to take back: the line goes.
            KeyCode::Backspace if self.input.value().is_empty() => Step::Leave,
            _ => {
                let request = to_input_request(&Event::Key(key))?;
                self.input.handle(request)?.value.then_some(Step::Edit)?
            }
        })
    }
}

impl Model {
    /// The actions that the palette offers for what is typed: the best match first.
    pub(crate) fn palette(&self) -> Vec<Offer> {
        let text = self.prompt.as_ref().map_or("", |p| p.input.value());
        let all = self.keymap.offers();
        let words: Vec<&str> = all.iter().map(|offer| offer.words.as_str()).collect();
        match Filter::new(text).best(&words) {
            None => all,
            Some(order) => order.into_iter().map(|at| all[at].clone()).collect(),
        }
    }

    pub(super) fn open_prompt(&mut self, purpose: Purpose) {
        let text = match purpose {
            Purpose::Filter => self.folder.look().filter.text().to_owned(),
            Purpose::Palette => String::new(),
        };
        self.prompt = Some(Prompt::new(purpose, &text));
    }

    /// A key while a line is typed.
    pub(super) fn type_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        let Some(step) = prompt.step(key) else {
            return Vec::new();
        };
        match (prompt.purpose, step) {
            (Purpose::Filter, Step::Edit) => {
                let text = prompt.input.value().to_owned();
                self.filter(&text);
            }
            (Purpose::Filter, Step::Move(rows)) => self.folder.go_by(rows),
            (Purpose::Filter, Step::Leave) => {
                self.prompt = None;
                self.filter("");
            }
            (Purpose::Palette, Step::Edit) => prompt.chosen = 0,
            (Purpose::Palette, Step::Move(rows)) => {
                let at = prompt.chosen.saturating_add_signed(rows);
                let last = self.palette().len().saturating_sub(1);
                if let Some(prompt) = &mut self.prompt {
                    prompt.chosen = at.min(last);
                }
            }
            (Purpose::Filter, Step::Accept) | (Purpose::Palette, Step::Leave) => self.prompt = None,
            (Purpose::Palette, Step::Accept) => {
                let at = prompt.chosen;
                let chosen = self.palette().get(at).map(|offer| offer.action);
                self.prompt = None;
                return chosen.map_or_else(Vec::new, |action| act::act(self, action));
            }
        }
        Vec::new()
    }

    pub(super) fn filter(&mut self, text: &str) {
        let look = Look {
            filter: Filter::new(text),
            ..self.folder.look().clone()
        };
        self.folder.set_look(look, &self.results);
    }
}
