//! Saved views and bookmarks: where the user wants to return to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::popup::Choice;
use super::sort::Key;
use super::text;

/// A filter and an order under a name, for the worklist or a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedView {
    /// Its name, which no other view has.
    pub name: String,
    /// The filter as typed.
    #[serde(default)]
    pub filter: String,
    /// What files are sorted by.
    #[serde(default)]
    pub sort: Key,
    /// Whether the order is reversed.
    #[serde(default)]
    pub reverse: bool,
    /// Whether it is a view of the worklist.
    #[serde(default)]
    pub worklist: bool,
    /// The folder that it is a view of; without it and the worklist, the list on screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// Saved views and bookmarks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Places {
    /// The folders that have a letter.
    pub bookmarks: BTreeMap<char, PathBuf>,
    /// The views, in the order in which they were saved.
    #[serde(rename = "view")]
    pub views: Vec<SavedView>,
}

/// A change of saved views or bookmarks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceChange {
    /// Adds a view, or replaces that of the same name.
    SaveView(SavedView),
    /// Removes the view with a name.
    RemoveView(String),
    /// Gives a folder a letter.
    SetBookmark(char, PathBuf),
    /// Takes a letter from its folder.
    RemoveBookmark(char),
}

impl Places {
    /// Applies a change.
    pub fn apply(&mut self, change: PlaceChange) {
        match change {
            PlaceChange::SaveView(view) => {
                match self.views.iter_mut().find(|own| own.name == view.name) {
                    Some(own) => *own = view,
                    None => self.views.push(view),
                }
            }
            PlaceChange::RemoveView(name) => self.views.retain(|view| view.name != name),
            PlaceChange::SetBookmark(letter, folder) => {
                self.bookmarks.insert(letter, folder);
            }
            PlaceChange::RemoveBookmark(letter) => {
                self.bookmarks.remove(&letter);
            }
        }
    }

    /// The view with a name.
    pub(super) fn view(&self, name: &str) -> Option<&SavedView> {
        self.views.iter().find(|view| view.name == name)
    }

    /// The views to choose from.
    pub(super) fn view_choices(&self, env: &Environment) -> Vec<Choice> {
        let choice = |view: &SavedView| {
            let place = match &view.folder {
                _ if view.worklist => "worklist".to_owned(),
                Some(folder) => env.show_path(folder),
                None => "the list on screen".to_owned(),
            };
            let reversed = if view.reverse { ", reversed" } else { "" };
            Choice {
                name: text::safe_str(&view.name),
                beside: format!("{}{reversed}", view.sort.name()),
                about: vec![text::safe_str(&view.filter), place],
                ..Choice::default()
            }
        };
        self.views.iter().map(choice).collect()
    }

    /// The bookmarks to choose from.
    pub(super) fn bookmark_choices(&self, env: &Environment) -> Vec<Choice> {
        let all = self.bookmarks.iter();
        let choice = |(letter, folder): (&char, &PathBuf)| Choice {
            name: format!("{letter}  {}", env.show_path(folder)),
            ..Choice::default()
        };
        all.map(choice).collect()
    }
}
