//! Reads a folder tree: what is in it now.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::names;
use super::settle::{Stamp, Sweep};

/// Called with each folder before it is read: the moment to put a watch on it. False ends the scan.
pub(super) type Enter<'a> = dyn FnMut(&Path) -> bool + 'a;

/// Reads `under` and all below it; `None` when told to stop. In the bytewise order of names.
pub(super) fn sweep(
    root: &Path,
    under: &Path,
    inodes: bool,
    stopped: &AtomicBool,
    enter: &mut Enter,
) -> Option<Sweep> {
    let mut sweep = Sweep::new(under.to_owned());
    let mut waiting = vec![under.to_owned()];
    while let Some(folder) = waiting.pop() {
        if stopped.load(Ordering::Relaxed) || !enter(&folder) {
            return None;
        }
        let listing = match list(root, &folder, inodes) {
            Ok(listing) => listing,
            Err(error) => {
                if error.kind() == ErrorKind::PermissionDenied {
                    sweep.refused.push(folder.clone());
                }
                sweep.unreadable.push(folder);
                continue;
            }
        };
        waiting.extend(listing.folders.iter().rev().cloned());
        sweep.folders.extend(listing.folders);
        sweep.files.extend(listing.files);
    }
    Some(sweep)
}

struct Listing {
    files: Vec<(PathBuf, Stamp)>,
    folders: Vec<PathBuf>,
}

fn list(root: &Path, folder: &Path, inodes: bool) -> std::io::Result<Listing> {
    let mut listing = Listing {
        files: Vec::new(),
        folders: Vec::new(),
    };
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if names::is_passing(root, &path) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            listing.folders.push(path);
        } else if let Some(stamp) = stamp(&path, inodes) {
            listing.files.push((path, stamp));
        }
    }
    listing.files.sort_by(|a, b| a.0.cmp(&b.0));
    listing.folders.sort();
    Ok(listing)
}

/// What a file looks like; `None` when it is gone or no file (links are followed).
pub(super) fn stamp(path: &Path, inodes: bool) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(Stamp {
        size: data.len(),
        modified: data.modified().ok(),
        inode: if inodes { data.ino() } else { 0 },
        status_changed: i128::from(data.ctime()) * 1_000_000_000 + i128::from(data.ctime_nsec()),
    })
}

/// A folder, and not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}
