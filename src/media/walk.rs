//! The files of a folder, in the order in which results are printed.

use std::fs::{DirEntry, FileType};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::MediaError;
use crate::read;

/// A folder that could not be listed; the walk goes on beside it.
#[derive(Debug)]
pub struct Unreadable {
    /// The folder, under the path that was asked for.
    pub path: PathBuf,
    /// Why.
    pub error: MediaError,
}

/// The files under `root`, recursively, in the bytewise order of their paths; a file given as root is itself the only
/// one.
///
/// Dotfiles are skipped, links to folders are not followed (so a walk always ends), and a folder that cannot be read
/// is one error, not the end. FIFOs, sockets and devices are no files and are skipped. Folders are listed as the walk
/// reaches them. Whether a file holds a picture is for [`crate::load`] to say.
pub fn files(root: &Path) -> Files {
    Files {
        waiting: vec![PendingPath {
            path: root.to_owned(),
            folder: root.is_dir(),
        }],
    }
}

/// See [`files`].
pub struct Files {
    /// What is still to be visited, next one last.
    waiting: Vec<PendingPath>,
}

struct PendingPath {
    path: PathBuf,
    folder: bool,
}

impl Iterator for Files {
    type Item = Result<PathBuf, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let PendingPath { path, folder } = self.waiting.pop()?;
            if !folder {
                return Some(Ok(path));
            }
            match list(&path) {
                Ok(found) => self.waiting.extend(found),
                Err(error) => {
                    return Some(Err(Unreadable {
                        error: read::io(&error),
                        path,
                    }));
                }
            }
        }
    }
}

/// What a folder holds, last one first.
fn list(folder: &Path) -> std::io::Result<Vec<PendingPath>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        if let Some(found) = judge(&entry)? {
            entries.push((sort_key(&entry, found.folder), found));
        }
    }
    entries.sort_by(|a, b| b.0.cmp(&a.0));
    Ok(entries.into_iter().map(|(_, found)| found).collect())
}

/// A file (also through a link, also through one that leads nowhere, so that it gets its error line) or a real folder.
fn judge(entry: &DirEntry) -> std::io::Result<Option<PendingPath>> {
    let path = entry.path();
    let kind = entry.file_type()?;
    let target: Option<FileType> = if kind.is_symlink() {
        std::fs::metadata(&path).ok().map(|m| m.file_type())
    } else {
        Some(kind)
    };
    let wanted = match target {
        Some(target) if target.is_dir() => !kind.is_symlink(),
        Some(target) => target.is_file(),
        None => true,
    };
    Ok(wanted.then_some(PendingPath {
        folder: kind.is_dir(),
        path,
    }))
}

/// Folders sort with their separator, so that the order is that of the whole relative paths: `a.jpg` before `a/b.jpg`.
fn sort_key(entry: &DirEntry, folder: bool) -> Vec<u8> {
    let mut key = entry.file_name().as_bytes().to_vec();
    if folder {
        key.push(b'/');
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn walked(root: &Path) -> Vec<String> {
        files(root)
            .map(|found| {
                found
                    .expect("readable")
                    .strip_prefix(root)
                    .expect("under the root")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn the_order_is_bytewise_over_whole_paths() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["a", "B", "a/b", "a/b/c"] {
            fs::create_dir_all(dir.path().join(name)).expect("a folder");
        }
        for name in [
            "a/z", "a.jpg", "a0", "B/x", "a/b/c/d", "a/b.png", ".hidden", "é",
        ] {
            fs::write(dir.path().join(name), "").expect("a file");
        }
        let found = walked(dir.path());
        assert_eq!(
            found,
            ["B/x", "a.jpg", "a/b.png", "a/b/c/d", "a/z", "a0", "é"]
        );
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted);
    }

    #[test]
    fn loops_end_and_links_to_files_count() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("sub")).expect("a folder");
        fs::write(dir.path().join("sub/x"), "").expect("a file");
        symlink("..", dir.path().join("sub/loop")).expect("a link");
        symlink("sub/x", dir.path().join("link")).expect("a link");
        symlink("nowhere", dir.path().join("dangling")).expect("a link");
        symlink("self", dir.path().join("self")).expect("a link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .expect("a FIFO");
        assert_eq!(walked(dir.path()), ["dangling", "link", "self", "sub/x"]);
    }

    #[test]
    fn a_missing_root_is_one_entry_whose_load_tells_why() {
        assert_eq!(
            files(Path::new("/no/such/file"))
                .filter_map(Result::ok)
                .count(),
            1
        );
    }
}
