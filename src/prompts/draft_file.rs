//! The file in which a draft is kept until it is saved: the answer of a language model took time, and perhaps money.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file with a draft, which is removed when this is dropped, unless it is [kept](Self::keep).
#[derive(Debug)]
pub struct DraftFile(NamedTempFile);

impl DraftFile {
    /// Writes a text to a new file `.NAME-….draft` in a folder, or if that fails, in the folder for temporary files.
    ///
    /// # Errors
    ///
    /// If it can be written to neither.
    pub fn new(name: &str, text: &str, folder: Option<&Path>) -> io::Result<Self> {
        let write = |folder: &Path| {
            fs::create_dir_all(folder)?;
            let mut draft = tempfile::Builder::new()
                .prefix(&format!(".{name}-"))
                .suffix(".draft")
                .tempfile_in(folder)?;
            draft.write_all(text.as_bytes())?;
            draft.flush()?;
            Ok(Self(draft))
        };
        let elsewhere = || write(&std::env::temp_dir());
        folder.map_or_else(elsewhere, |folder| write(folder).or_else(|_| elsewhere()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Keeps the file; returns its path.
    ///
    /// # Errors
    ///
    /// If the system fails; the file is then removed.
    pub fn keep(self) -> io::Result<PathBuf> {
        let kept = self.0.keep().map_err(|error| error.error)?;
        Ok(kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_goes_elsewhere_if_its_folder_cannot_be_written_and_stays_if_it_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("prompts");
        let draft = DraftFile::new("ward", "name", Some(&folder)).unwrap();
        assert_eq!(draft.path().parent(), Some(folder.as_path()));
        let file = draft.path().to_owned();
        drop(draft);
        assert!(!file.exists());
        fs::write(home.path().join("file"), "").unwrap();
        let elsewhere = home.path().join("file/prompts");
        let draft = DraftFile::new("ward", "name", Some(&elsewhere)).unwrap();
        let kept = draft.keep().unwrap();
        assert_eq!(kept.parent(), Some(std::env::temp_dir().as_path()));
        assert_eq!(fs::read_to_string(&kept).unwrap(), "name");
        fs::remove_file(kept).unwrap();
    }
}
