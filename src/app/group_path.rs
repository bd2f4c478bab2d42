//! Paths that represent studies and series. They are below the folder or DICOMDIR whose files are grouped, and their last
//! component begins with a byte that no file name contains.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Begins the last part of a series' path, twice that of a study's.
const MARK: u8 = 0;

/// The path that represents a series.
pub(super) fn series_path(base: &Path, study_uid: &str, series_uid: &str) -> PathBuf {
    below(base, &[MARK], &format!("{study_uid} {series_uid}"))
}

/// The path that represents a study.
pub(super) fn study_path(base: &Path, study_uid: &str) -> PathBuf {
    below(base, &[MARK, MARK], study_uid)
}

fn below(base: &Path, marks: &[u8], name: &str) -> PathBuf {
    let mut bytes = marks.to_vec();
    bytes.extend(name.replace('/', "_").into_bytes());
    base.join(OsStr::from_bytes(&bytes))
}

/// The folder or DICOMDIR that a study or series belongs to; `None` for the path of a file or folder.
pub(super) fn base_of(path: &Path) -> Option<&Path> {
    let name = path.file_name()?.as_bytes();
    name.starts_with(&[MARK]).then(|| path.parent())?
}
