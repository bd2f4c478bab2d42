//! Lists the files of a folder in the order in which results are printed.

use std::fs::{DirEntry, FileType};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::MediaError;
use crate::read;

/// A folder that could not be listed. The walk continues with the next.
#[derive(Debug)]
pub struct Unreadable {
    /// The folder, as reached from the root.
    pub path: PathBuf,
    /// The reason.
    pub error: MediaError,
}

/// Iterates over the files under `root`, recursively, in the bytewise order of their paths. If `root` is a file, it is
/// the only one.
///
/// Dotfiles are skipped, and links to folders are not followed, so every walk ends. A folder that cannot be read
/// yields one error. FIFOs, sockets and devices are skipped. Folders are listed when the walk reaches them. Whether a
/// file is an image is decided by [`crate::load`].
pub fn files(root: &Path) -> Files {
    Files {
        pending: vec![PendingPath {
            path: root.to_owned(),
            is_folder: root.is_dir(),
        }],
    }
}

/// See [`files`].
pub struct Files {
    /// Paths still to be visited, the next one last.
    pending: Vec<PendingPath>,
}

/// A file or folder still to be visited.
struct PendingPath {
    path: PathBuf,
    is_folder: bool,
}

impl Iterator for Files {
    type Item = Result<PathBuf, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let PendingPath { path, is_folder } = self.pending.pop()?;
            if !is_folder {
                return Some(Ok(path));
            }
            match list(&path) {
                Ok(found) => self.pending.extend(found),
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

/// The entries of a folder, in reverse order.
fn list(folder: &Path) -> std::io::Result<Vec<PendingPath>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        if let Some(found) = pending_path(&entry)? {
            entries.push((sort_key(&entry, found.is_folder), found));
        }
    }
    entries.sort_by(|a, b| b.0.cmp(&a.0));
    Ok(entries.into_iter().map(|(_, found)| found).collect())
}

/// The path of an entry that is visited: a real folder or a file, also if reached through a link. A dangling link
/// counts as a file, so that it gets its error line.
fn pending_path(entry: &DirEntry) -> std::io::Result<Option<PendingPath>> {
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
        is_folder: kind.is_dir(),
        path,
    }))
}

/// Folders sort with their separator, so that the order is that of whole relative paths: `a.jpg` before `a/b.jpg`.
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
    fn files_come_in_bytewise_order_of_their_whole_paths() {
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
    fn link_loops_end_and_links_to_files_are_listed() {
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
    fn a_missing_root_is_listed_so_that_loading_it_reports_why() {
        assert_eq!(
            files(Path::new("/no/such/file"))
                .filter_map(Result::ok)
                .count(),
            1
        );
    }
}
