//! The tags of a file: a tree that folds, a search in it, and what of it may be seen.

pub(crate) mod areas;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::entry::{EntryKind, Stamp};
use super::keys::Action;
use super::model::Model;
use super::msg::Severity;
use super::popup::Popup;
use super::{Effect, act, text};
use crate::media::{MediaError, TagRow, TagTree};
pub(crate) use tree::{Fold, MASK, Reading, Tags, shown_value};

/// Longest search, in characters.
const LONGEST_SEARCH: usize = 100;
/// Longest text copied, in bytes: what terminals that limit it take.
const LONGEST_COPY: usize = 74_000;

impl Model {
    /// Opens the tags of the file under the cursor, or closes them.
    pub(super) fn toggle_tags(&mut self) -> Vec<Effect> {
        if self.close_tags() {
            return Vec::new();
        }
        let Some((path, stamp)) = self.file_in_sight() else {
            self.say(
                Severity::Info,
                "tags are those of a file: there is none under the cursor",
            );
            return Vec::new();
        };
        let generation = self.next_generation();
        self.popup = None;
        // Nothing moves behind the tags.
        (self.viewer.film, self.viewer.pointer) = (None, None);
        self.tags = Some(Tags::new(
            path.clone(),
            stamp,
            generation,
            self.last_tag.clone(),
        ));
        vec![Effect::Tags { path, generation }]
    }

    /// Whether there were any to close. The tag that the cursor was on is kept for the next file.
    pub(super) fn close_tags(&mut self) -> bool {
        let Some(tags) = self.tags.take() else {
            return false;
        };
        self.last_tag = tags
            .current()
            .map(|row| row.id.clone())
            .or(self.last_tag.take());
        true
    }

    pub(super) fn tags_read(&mut self, generation: u64, outcome: Result<Arc<TagTree>, MediaError>) {
        let show_phi = self.switches.show_phi;
        let Some(tags) = self
            .tags
            .as_mut()
            .filter(|tags| tags.generation == generation)
        else {
            return;
        };
        match outcome {
            Ok(tree) => tags.answer(tree, show_phi),
            Err(error) => tags.reading = Reading::Failed(text::safe_str(&error.message)),
        }
    }

    /// The file whose tags are shown has another content: they are read again.
    pub(super) fn tags_changed(&mut self, path: &std::path::Path, stamp: Stamp) -> Vec<Effect> {
        let stale = |tags: &Tags| tags.path == path && tags.stamp != stamp;
        if !self.tags.as_ref().is_some_and(stale) {
            return Vec::new();
        }
        self.close_tags();
        let generation = self.next_generation();
        let path = path.to_owned();
        self.tags = Some(Tags::new(
            path.clone(),
            stamp,
            generation,
            self.last_tag.clone(),
        ));
        vec![Effect::Tags { path, generation }]
    }

    /// The file under the cursor, or that of a series which is in sight.
    pub(crate) fn file_in_sight(&self) -> Option<(PathBuf, Stamp)> {
        let row = self.folder.current()?;
        if row.kind == EntryKind::File {
            return Some((row.path.clone(), row.stamp));
        }
        self.member_in_sight(row)
    }

    /// The files that are one step away: the next and the one before, in the stack of a series or in the list.
    pub(crate) fn nearby(&self) -> Vec<(PathBuf, Stamp)> {
        if self.place_in_stack().is_some() {
            return self.members_nearby();
        }
        let at = self.folder.cursor();
        let steps = [at.checked_add(1), at.checked_sub(1)];
        let rows = steps
            .into_iter()
            .flatten()
            .filter_map(|at| self.folder.rows_from(at).next());
        rows.filter(|row| row.kind == EntryKind::File)
            .map(|row| (row.path.clone(), row.stamp))
            .collect()
    }

    /// Carries an action out while the tags are on screen.
    pub(super) fn act_in_tags(&mut self, action: Action) -> Vec<Effect> {
        let show_phi = self.switches.show_phi;
        let page = self.tag_rows();
        let Some(tags) = &mut self.tags else {
            return Vec::new();
        };
        match action {
            Action::Enter => {
                let leaf = tags.enter().cloned();
                tags.choose(show_phi);
                if let Some(row) = leaf {
                    self.popup = Some(Popup::Value(Box::new(self.value_in_full(&row))));
                    self.popup_scroll = 0;
                }
            }
            Action::Leave => {
                if tags.leave() {
                    tags.choose(show_phi);
                } else {
                    self.close_tags();
                }
            }
            Action::Search => tags.typing = true,
            Action::Copy => return self.copy_tag(),
            _ => tags.move_by(act::distance(action, page)),
        }
        Vec::new()
    }

    /// Esc in the tags: the search goes first.
    pub(super) fn back_in_tags(&mut self) -> bool {
        let show_phi = self.switches.show_phi;
        match &mut self.tags {
            Some(tags) if !tags.search.is_empty() => {
                tags.search.clear();
                tags.choose(show_phi);
                true
            }
            _ => self.close_tags(),
        }
    }

    /// A key that goes into the search; false when it means something else.
    pub(super) fn type_in_tags(&mut self, key: KeyEvent) -> bool {
        let show_phi = self.switches.show_phi;
        let popup = self.popup.is_some();
        let Some(tags) = self.tags.as_mut().filter(|tags| tags.typing && !popup) else {
            return false;
        };
        let plain = !key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char(c) if plain && tags.search.chars().count() < LONGEST_SEARCH => {
                tags.search.push(c);
            }
            KeyCode::Char(_) if plain => {}
            KeyCode::Backspace => {
                tags.typing = tags.search.pop().is_some();
            }
            KeyCode::Enter => tags.typing = false,
            KeyCode::Esc => {
                tags.typing = false;
                tags.search.clear();
            }
            _ => return false,
        }
        tags.choose(show_phi);
        true
    }

    /// Shows the values that tell who the patient is, or masks them again.
    pub(super) fn toggle_patient(&mut self) {
        self.switches.show_phi = !self.switches.show_phi;
        let show_phi = self.switches.show_phi;
        if let Some(tags) = &mut self.tags {
            tags.choose(show_phi);
        }
        // Those that show a value, or a switch, are about what was.
        if matches!(self.popup, Some(Popup::Value(_) | Popup::View { .. })) {
            self.popup = None;
        }
        self.arrange();
        let text = if show_phi {
            "values that identify the patient are shown until you leave"
        } else {
            "values that identify the patient are masked"
        };
        self.say(Severity::Info, text);
    }

    fn copy_tag(&mut self) -> Vec<Effect> {
        let row = self.tags.as_ref().and_then(Tags::current).cloned();
        let Some(row) = row.filter(|row| !row.value.is_empty() && !row.described) else {
            self.say(Severity::Info, "there is no value to copy");
            return Vec::new();
        };
        if row.identifying && !self.switches.show_phi {
            let key = self.keymap.key(Action::Patient);
            let how = key.map_or_else(String::new, |key| format!(": {key} shows it"));
            self.say(Severity::Error, &format!("masked, so not copied{how}"));
            return Vec::new();
        }
        let title = row.title(self.switches.show_phi).to_owned();
        self.copy(&row.value, &title)
    }

    /// The effect that copies, and the word that it was done.
    pub(super) fn copy(&mut self, value: &str, what: &str) -> Vec<Effect> {
        if value.len() > LONGEST_COPY {
            self.say(
                Severity::Error,
                "too long to be copied through the terminal",
            );
            return Vec::new();
        }
        self.say(Severity::Info, &format!("copied: {what}"));
        vec![Effect::Copy(value.to_owned())]
    }

    fn value_in_full(&self, row: &TagRow) -> super::popup::Value {
        super::popup::Value {
            subject: text::safe_str(&format!(
                "{} {} {}",
                row.id,
                row.vr,
                row.title(self.switches.show_phi)
            )),
            meaning: text::safe_str(&row.meaning),
            text: safe_lines(shown_value(row, self.switches.show_phi)),
            masked: row.identifying && !self.switches.show_phi,
        }
    }

    /// Rows that the tags have for themselves.
    pub(crate) fn tag_rows(&self) -> usize {
        let area = self.tag_areas();
        area.map_or(1, |areas| usize::from(areas.rows.height))
    }
}

/// Running text, line by line safe to show.
fn safe_lines(value: &str) -> String {
    let lines: Vec<String> = value.lines().map(text::safe_str).collect();
    lines.join("\n")
}
