//! How folders are left: remembered while the program runs, and persisted between runs.
//!
//! Cursor, order, filter and hidden files belong to each folder. The layout of the screen carries over from folder to
//! folder, and is persisted with each for a run that begins there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::group_path::base_of;
use super::sort::Sort;
use crate::view::sheet;

/// How a folder was left, as it is persisted. It holds one file name, and no results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The file or folder under the cursor.
    pub cursor: Option<Name>,
    /// Order, filter, hidden files.
    pub look: Look,
    /// Layout of the screen.
    pub layout: Layout,
}

impl Kept {
    /// Puts the cursor on a file, and shows it whatever hid it before.
    pub fn begin_on(&mut self, name: &OsStr) {
        self.cursor = Some(Name::from(name));
        self.look.filter = Filter::default();
        self.look.hidden |= name.as_bytes().starts_with(b".");
    }
}

/// Which files of a folder are shown, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// Names that begin with a dot are shown.
    pub hidden: bool,
    /// The order of the files.
    pub sort: Sort,
    /// The pattern that names must match; empty matches all.
    pub filter: Filter,
}

/// A file name: text if it is valid UTF-8, else bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// Valid UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// The layout of the screen, as far as the user decides it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// Width of the list in percent of the screen; `None`: chosen by the program.
    pub list: Option<f64>,
    /// Files are shown as small images.
    pub grid: bool,
    /// Size of the small images, from 1.
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

/// How a folder, series or DICOMDIR was left in this run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FolderMemory {
    /// The file or folder under the cursor.
    pub cursor: Option<PathBuf>,
    pub look: Look,
}

impl FolderMemory {
    /// Restores persisted state.
    pub(super) fn restore(dir: &Path, kept: Kept) -> Self {
        let cursor = kept.cursor.map(OsString::from);
        Self {
            cursor: cursor.map(|name| dir.join(name)),
            look: kept.look,
        }
    }

    /// The state to persist, with the layout of the screen.
    pub(super) fn to_state(&self, layout: Layout) -> Kept {
        // Rows of studies and series are not files, and their names would identify patients.
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
