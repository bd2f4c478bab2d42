//! What components that are about files read of the rest of the application.

use super::browser::Browser;
use super::browser::folder::Folder;
use super::entry::FoundFile;
use super::environment::Environment;
use super::results::Results;
use super::studies::StudyBrowser;

/// The files on screen, their groups, and what is known of them.
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

    /// The file under the cursor, or the displayed file of the series there.
    pub(crate) fn file_in_sight(self) -> Option<FoundFile> {
        self.studies.file_in_sight(self.folder(), self.results)
    }
}
