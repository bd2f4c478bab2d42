//! How folders are left: remembered while the program runs, and kept between its starts.
//!
//! Cursor, order, filter and hidden files belong to each folder. How the screen is divided goes along from folder to
//! folder, and is kept with each for a start that begins there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Effect;
use super::filter::Filter;
use super::folder::{Look, Reading};
use super::grid::Grid;
use super::keys::Action;
use super::model::Model;
use super::msg::Severity;
use super::{shelf, text};

/// How a folder was left. Of its files it holds one name, and nothing that is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// What the cursor was on.
    pub cursor: Option<Name>,
    /// Order, filter, hidden files.
    pub look: Look,
    /// How the screen was divided.
    pub layout: Layout,
}

/// A file's name: text, or bytes where it is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// UTF-8, as nearly all are.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// How the screen is divided, as far as the user decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// Width of the list in percent of the screen's; `None`: as it fits best.
    pub list: Option<f64>,
    /// Files are shown as small pictures.
    pub grid: bool,
    /// How large these are, from 1.
    pub tiles: u8,
    /// Files are grouped by study and series.
    pub series: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            list: None,
            grid: false,
            tiles: Grid::default().tiles(),
            series: false,
        }
    }
}

impl From<&OsStr> for Name {
    fn from(name: &OsStr) -> Self {
        name.to_str().map_or_else(
            || Self::Bytes(name.as_bytes().to_vec()),
            |text| Self::Text(text.to_owned()),
        )
    }
}

impl From<Name> for OsString {
    fn from(name: Name) -> Self {
        match name {
            Name::Text(text) => text.into(),
            Name::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// How a folder was left that was on screen before, be it one of the file system's or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Left {
    /// What the cursor was on.
    pub cursor: Option<PathBuf>,
    pub look: Look,
}

impl Left {
    /// As it was kept.
    pub(super) fn of(dir: &Path, kept: Kept) -> Self {
        let cursor = kept.cursor.map(OsString::from);
        Self {
            cursor: cursor.map(|name| dir.join(name)),
            look: kept.look,
        }
    }

    fn keep(&self, layout: Layout) -> Kept {
        // The rows of studies and series are no files, and their names would tell of patients.
        let file = self
            .cursor
            .as_deref()
            .filter(|path| shelf::base_of(path).is_none());
        Kept {
            cursor: file.and_then(Path::file_name).map(Name::from),
            look: self.look.clone(),
            layout,
        }
    }
}

impl Model {
    fn layout(&self) -> Layout {
        Layout {
            list: self.split,
            grid: self.stage.grid,
            tiles: self.grid.tiles(),
            series: self.switches.by_series,
        }
    }

    /// Remembers the folder on screen, which is about to be left; the effect keeps it. Of a folder of which nothing has come
    /// yet nothing is known either: what was kept of it stays.
    pub(super) fn leave_behind(&mut self) -> Option<Effect> {
        let folder = &self.folder;
        if folder.reading == Reading::Underway && folder.count() == 0 {
            return None;
        }
        let left = Left {
            cursor: folder.anchor().map(Path::to_owned),
            look: folder.look().clone(),
        };
        let dir = folder.dir.clone();
        let keep = (self.shows_real_folder() && !matches!(folder.reading, Reading::Failed(_)))
            .then(|| Effect::Keep {
                dir: dir.clone(),
                kept: left.keep(self.layout()),
            });
        self.places.insert(dir, left);
        keep
    }

    /// How a folder is looked at that is entered, and where the cursor was in it.
    pub(super) fn find_again(&self, dir: &Path) -> (Option<PathBuf>, Look) {
        match self.places.get(dir) {
            Some(left) => (left.cursor.clone(), left.look.clone()),
            // A filter is about the files of one folder; the rest goes along.
            None => (
                None,
                Look {
                    filter: Filter::default(),
                    ..self.folder.look().clone()
                },
            ),
        }
    }

    /// How the folder that is being listed was left in an earlier run. What this one knows goes before.
    pub(super) fn recalled(&mut self, dir: &Path, generation: u64, kept: Kept) {
        if !self.is_current_listing(dir, generation) || self.places.contains_key(dir) {
            return;
        }
        let left = Left::of(dir, kept);
        self.folder.restore(left.cursor, left.look, &self.results);
        self.announce_filter();
    }

    /// Says that a filter of an earlier run hides files: nobody has typed it in this one.
    pub(super) fn announce_filter(&mut self) {
        let filter = &self.folder.look().filter;
        if filter.is_empty() {
            return;
        }
        let key = self.keymap.key(Action::Back).unwrap_or_default();
        let words = format!(
            "filtered by “{}”, as last time; {key} clears it",
            text::safe_str(filter.text())
        );
        self.say(Severity::Info, &words);
    }

    /// Leaves the program. It begins again in its root, and with the layout of now.
    pub(super) fn quit(&mut self) -> Vec<Effect> {
        let mut effects = Vec::from_iter(self.leave_behind());
        if self.folder.dir != self.root
            && let Some(left) = self.places.get(&self.root)
        {
            effects.push(Effect::Keep {
                dir: self.root.clone(),
                kept: left.keep(self.layout()),
            });
        }
        effects.push(Effect::Quit);
        effects
    }
}
