//! Files and links of the cache, which appear under their names only when they are complete.

use std::fs;
use std::path::{Path, PathBuf};

use super::HubError;

/// Creates the folder of a file.
pub(super) fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| HubError::file(parent, &e))
}

/// Writes a small file under another name, then renames it; does nothing if it has that content.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), HubError> {
    if fs::read(path).is_ok_and(|now| now == content) {
        return Ok(());
    }
    make_parent(path)?;
    let partial = temporary_name(path);
    let done = fs::write(&partial, content).and_then(|()| fs::rename(&partial, path));
    done.map_err(|e| HubError::file(path, &e))
}

/// Where a snapshot's file links to.
pub(super) fn link_target(blob: &str) -> PathBuf {
    Path::new("../../blobs").join(blob)
}

/// Links a snapshot's file to its blob; replaces whatever was there.
pub(super) fn link(path: &Path, blob: &str) -> Result<(), HubError> {
    make_parent(path)?;
    let target = link_target(blob);
    if fs::read_link(path).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let partial = temporary_name(path);
    let _ = fs::remove_file(&partial);
    let done =
        std::os::unix::fs::symlink(&target, &partial).and_then(|()| fs::rename(&partial, path));
    done.map_err(|e| HubError::file(path, &e))
}

/// A name in the same folder that only this process uses.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}
