//! The state of folders: remembered while the program runs, and persisted between runs.
//!
//! Cursor, order, filter and hidden files belong to each folder. The layout of the screen carries over from folder to
//! folder, and is persisted with each for a run that begins there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::group_path::base_of;
use super::sort::{Key, Sort};
use crate::scoring;
use crate::view::sheet;

/// The persisted state of a folder. It contains one file name, and no results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FolderState {
    /// The file or folder under the cursor.
    pub cursor: Option<FileName>,
    /// Order, filter, hidden files.
    #[serde(rename = "look")]
    pub options: ListOptions,
    /// Layout of the screen.
    pub layout: ScreenLayout,
}

impl FolderState {
    /// Puts the cursor on a file, and clears what would hide it.
    pub fn begin_on(&mut self, name: &OsStr) {
        self.cursor = Some(FileName::from(name));
        self.options.filter = Filter::default();
        self.options.hidden |= name.as_bytes().starts_with(b".");
    }
}

/// Which files of a folder are shown, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListOptions {
    /// Whether names that begin with a dot are shown.
    pub hidden: bool,
    /// The order of the files.
    pub sort: Sort,
    /// What rows must satisfy; all do if it is empty.
    pub filter: Filter,
}

impl ListOptions {
    /// The options of a worklist that is opened for the first time: every image, the most likely abnormal first.
    pub(super) fn of_worklist() -> Self {
        let sort = Sort {
            by: Key::Urgency,
            reversed: false,
        };
        Self {
            hidden: true,
            sort,
            filter: Filter::default(),
        }
    }
}

/// A file name: text if it is valid UTF-8, else bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FileName {
    /// Valid UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// The layout of the screen and what it shows of results, as far as the user decides it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScreenLayout {
    /// Width of the list in percent of the screen; `None`: chosen by the program.
    pub list: Option<f64>,
    /// Whether the grid is shown.
    pub grid: bool,
    /// Size of the tiles, from 1.
    pub tiles: u8,
    /// Whether files are grouped by study and series.
    pub series: bool,
    /// Whether an image has one label, or each condition stands for itself.
    pub mode: scoring::Mode,
}

impl Default for ScreenLayout {
    fn default() -> Self {
        Self {
            list: None,
            grid: false,
            tiles: sheet::DEFAULT_SIZE as u8 + 1,
            series: false,
            mode: scoring::Mode::Single,
        }
    }
}

impl From<&OsStr> for FileName {
    fn from(name: &OsStr) -> Self {
        name.to_str().map_or_else(
            || Self::Bytes(name.as_bytes().to_vec()),
            |text| Self::Text(text.to_owned()),
        )
    }
}

impl From<FileName> for OsString {
    fn from(name: FileName) -> Self {
        match name {
            FileName::Text(text) => text.into(),
            FileName::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// The state of a folder, series or DICOMDIR when it was left in this run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FolderMemory {
    /// The file or folder under the cursor.
    pub cursor: Option<PathBuf>,
    pub options: ListOptions,
}

impl FolderMemory {
    /// Restores persisted state.
    pub(super) fn restore(dir: &Path, state: FolderState) -> Self {
        let cursor = state.cursor.map(OsString::from);
        Self {
            cursor: cursor.map(|name| dir.join(name)),
            options: state.options,
        }
    }

    /// The state to persist, with the layout of the screen.
    pub(super) fn to_state(&self, layout: ScreenLayout) -> FolderState {
        // Rows of studies and series are not files, and their names would identify patients.
        let file = self
            .cursor
            .as_deref()
            .filter(|path| base_of(path).is_none());
        FolderState {
            cursor: file.and_then(Path::file_name).map(FileName::from),
            options: self.options.clone(),
            layout,
        }
    }
}
