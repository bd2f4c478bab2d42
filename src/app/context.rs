//! The state of the application that file-related components read.

use std::path::Path;

use super::browser::Browser;
use super::browser::folder::{Folder, Row};
use super::entry::{FoundFile, Stamp};
use super::environment::Environment;
use super::results::Results;
use super::studies::StudyBrowser;

/// The files on screen, with their groups and results.
#[derive(Clone, Copy)]
pub(crate) struct FileContext<'a> {
    pub browser: &'a Browser,
    pub studies: &'a StudyBrowser,
    pub results: &'a Results,
    pub env: &'a Environment,
}

impl<'a> FileContext<'a> {
    /// The folder on screen.
    pub(crate) fn folder(self) -> &'a Folder {
        &self.browser.folder
    }

    /// The last known stamp of a file of a row.
    pub(crate) fn stamp_in(self, row: &Row, path: &Path) -> Stamp {
        let grouped = self
            .studies
            .stamp_in(row, path, self.folder(), self.results);
        grouped
            .or_else(|| self.results.stamp(path))
            .unwrap_or_default()
    }

    /// The file under the cursor, or the displayed file of the series there.
    pub(crate) fn file_in_sight(self) -> Option<FoundFile> {
        self.studies.file_in_sight(self.folder(), self.results)
    }
}
