//! The tag browser: the tags of a file as a foldable tree, with search, copying, and masking of values that identify the
//! patient.

mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::effect::Effect;
use super::entry::{FoundFile, Stamp};
use super::environment::Environment;
use super::keys::Action;
use super::popup::{Popup, TagValue};
use super::request::Request;
use super::text;
use crate::media::{MediaError, TagRow, TagTree};
use crate::view::{TagAreas, tag_areas};
pub(crate) use tree::{Fold, TagListing, TagPanel, shown_value};

/// Longest search, in characters.
const MAX_SEARCH: usize = 100;

/// The state of the tag browser.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TagBrowser {
    /// The tags of a file; `None` while closed.
    panel: Option<TagPanel>,
    /// The tag that the cursor was on when the browser was last closed.
    last: Option<String>,
}

impl TagBrowser {
    /// The tags of a file; `None` while closed.
    pub(crate) fn panel(&self) -> Option<&TagPanel> {
        self.panel.as_ref()
    }

    /// Whether the browser is open.
    pub(super) fn is_open(&self) -> bool {
        self.panel.is_some()
    }

    /// Whether the search is being typed.
    pub(super) fn is_typing(&self) -> bool {
        self.panel.as_ref().is_some_and(TagPanel::is_typing)
    }

    /// The areas of its parts; `None` while closed, or if the terminal is too small.
    pub(crate) fn areas(&self, env: &Environment) -> Option<TagAreas> {
        let panel = self.panel.as_ref()?;
        let searching = panel.is_typing() || !panel.search().is_empty();
        tag_areas(env.cols, env.rows, searching)
    }

    /// Rows of the tree on screen.
    fn rows(&self, env: &Environment) -> usize {
        let areas = self.areas(env);
        areas.map_or(1, |areas| usize::from(areas.rows.height))
    }

    /// Scrolls the cursor into view.
    pub(super) fn follow(&mut self, env: &Environment) {
        let rows = self.rows(env);
        if let Some(panel) = &mut self.panel {
            panel.fit(rows);
        }
    }

    // ── open and close ────────────────────────────────────────────────────────────────────────────────────────

    /// Opens the tags of a file, on the tag that the cursor was on last. Returns the effect that reads them.
    pub(super) fn open(&mut self, file: FoundFile, env: &mut Environment) -> Effect {
        let generation = env.next_generation();
        let path = file.path.clone();
        self.panel = Some(TagPanel::new(
            file.path,
            file.stamp,
            generation,
            self.last.clone(),
        ));
        Effect::Tags { path, generation }
    }

    /// Closes the tags; false when none were open. The tag that the cursor was on is remembered for the next file.
    pub(super) fn close(&mut self) -> bool {
        let Some(panel) = self.panel.take() else {
            return false;
        };
        let current = panel.current().map(|row| row.id.clone());
        self.last = current.or(self.last.take());
        true
    }

    /// Clears the search, or closes the tags; false when none were open.
    pub(super) fn back(&mut self, env: &Environment) -> bool {
        match &mut self.panel {
            Some(panel) if !panel.search().is_empty() => {
                panel.clear_search(env.show_phi);
                true
            }
            _ => self.close(),
        }
    }

    /// Shows the tags that were read, or the error. Ignored unless they answer the latest request.
    pub(super) fn tags_read(
        &mut self,
        generation: u64,
        outcome: Result<Arc<TagTree>, MediaError>,
        env: &Environment,
    ) {
        let panel = self.panel.as_mut();
        if let Some(panel) = panel.filter(|panel| panel.generation() == generation) {
            match outcome {
                Ok(tree) => panel.fill(tree, env.show_phi),
                Err(error) => panel.fail(text::safe_str(&error.message)),
            }
        }
    }

    /// Reads the tags again if the file that they belong to has changed. Returns the effect that reads them.
    pub(super) fn modified(
        &mut self,
        path: &Path,
        stamp: Stamp,
        env: &mut Environment,
    ) -> Option<Effect> {
        let panel = self.panel.as_ref()?;
        if !panel.is_outdated(path, stamp) {
            return None;
        }
        self.close();
        let path: PathBuf = path.to_owned();
        Some(self.open(FoundFile { path, stamp }, env))
    }

    /// Updates the rows after masking was switched on or off.
    pub(super) fn mask_changed(&mut self, env: &Environment) {
        if let Some(panel) = &mut self.panel {
            panel.update_rows(env.show_phi);
        }
    }

    // ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// Edits the search by a key; false if the key is not for it.
    pub(super) fn type_search(&mut self, key: KeyEvent, env: &Environment) -> bool {
        let Some(panel) = &mut self.panel else {
            return false;
        };
        let plain = !key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let search = panel.search().to_owned();
        match key.code {
            KeyCode::Char(c) if plain && search.chars().count() < MAX_SEARCH => {
                panel.type_search(format!("{search}{c}"), true, env.show_phi);
            }
            KeyCode::Char(_) if plain => {}
            KeyCode::Backspace => {
                let mut shorter = search;
                let typing = shorter.pop().is_some();
                panel.type_search(shorter, typing, env.show_phi);
            }
            KeyCode::Enter => panel.type_search(search, false, env.show_phi),
            KeyCode::Esc => panel.type_search(String::new(), false, env.show_phi),
            _ => return false,
        }
        true
    }

    /// Carries out an action.
    pub(super) fn act(&mut self, action: Action, env: &Environment) -> Vec<Request> {
        let page = self.rows(env);
        let Some(panel) = &mut self.panel else {
            return Vec::new();
        };
        match action {
            Action::Enter => {
                let leaf = panel.enter().cloned();
                panel.update_rows(env.show_phi);
                let value = leaf.map(|row| Popup::Value(Box::new(value_in_full(&row, env))));
                return Vec::from_iter(value.map(Request::Open));
            }
            Action::Leave => {
                if !panel.leave() {
                    return vec![Request::CloseTags];
                }
                panel.update_rows(env.show_phi);
            }
            Action::Search => panel.start_search(),
            Action::Copy => return vec![copy_request(panel.current(), env)],
            _ => panel.move_by(action.distance(page)),
        }
        Vec::new()
    }
}

/// Copies the value of a row, unless there is none or it is masked.
fn copy_request(row: Option<&TagRow>, env: &Environment) -> Request {
    let Some(row) = row.filter(|row| !row.value.is_empty() && !row.described) else {
        return Request::info("there is no value to copy");
    };
    if row.identifying && !env.show_phi {
        let key = env.keymap.key(Action::Patient);
        let how = key.map_or_else(String::new, |key| format!(": {key} shows it"));
        return Request::error(format!("masked, so not copied{how}"));
    }
    Request::Copy {
        text: row.value.clone(),
        name: row.title(env.show_phi).to_owned(),
    }
}

/// The full value of a row, for a popup.
fn value_in_full(row: &TagRow, env: &Environment) -> TagValue {
    let subject = format!("{} {} {}", row.id, row.vr, row.title(env.show_phi));
    let value = shown_value(row, env.show_phi);
    let lines: Vec<String> = value.lines().map(text::safe_str).collect();
    TagValue {
        subject: text::safe_str(&subject),
        meaning: text::safe_str(&row.meaning),
        text: lines.join("\n"),
        masked: row.identifying && !env.show_phi,
    }
}
