//! How folders are left: remembered while the program runs, and kept between its starts.
//!
//! Cursor, order, filter and hidden files belong to each folder. How the screen is divided goes along from folder to
//! folder, and is kept with each for a start that begins there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::group_path::base_of;
use super::sort::Sort;
use crate::view::sheet;

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

/// How a folder is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// Names with a dot in front are shown.
    pub hidden: bool,
    /// The order of the files.
    pub sort: Sort,
    /// What names must match; empty: nothing.
    pub filter: Filter,
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
            tiles: sheet::DEFAULT_SIZE as u8 + 1,
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
pub(crate) struct FolderMemory {
    /// What the cursor was on.
    pub cursor: Option<PathBuf>,
    pub look: Look,
}

impl FolderMemory {
    /// As it was persisted.
    pub(super) fn restore(dir: &Path, kept: Kept) -> Self {
        let cursor = kept.cursor.map(OsString::from);
        Self {
            cursor: cursor.map(|name| dir.join(name)),
            look: kept.look,
        }
    }

    /// What is persisted of it, with the layout of the screen.
    pub(super) fn to_state(&self, layout: Layout) -> Kept {
        // The rows of studies and series are no files, and their names would tell of patients.
        let file = self
            .cursor
            .as_deref()
            .filter(|path| base_of(path).is_none());
        Kept {
            cursor: file.and_then(Path::file_name).map(Name::from),
            look: self.look.clone(),
            layout,
        }
    }
}
