//! Scans a folder tree.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::names;
use super::settle::{FileStamp, TreeScan};

/// Called with each folder before it is read, so that a watch can be put on it. False ends the scan.
pub(super) type EnterFn<'a> = dyn FnMut(&Path) -> bool + 'a;

/// Reads `under`, which is not ignored, and everything below it, in bytewise order of names; `None` when stopped.
pub(super) fn scan_tree(
    under: &Path,
    inodes: bool,
    stopped: &AtomicBool,
    enter: &mut EnterFn,
) -> Option<TreeScan> {
    let mut scan = TreeScan::new(under.to_owned());
    let mut unread = vec![under.to_owned()];
    while let Some(folder) = unread.pop() {
        if stopped.load(Ordering::Relaxed) || !enter(&folder) {
            return None;
        }
        let listing = match list(&folder, inodes) {
            Ok(listing) => listing,
            Err(error) => {
                if error.kind() == ErrorKind::PermissionDenied {
                    scan.refused.push(folder.clone());
                }
                scan.unreadable.push(folder);
                continue;
            }
        };
        unread.extend(listing.folders.iter().rev().cloned());
        scan.folders.extend(listing.folders);
        scan.files.extend(listing.files);
    }
    Some(scan)
}

/// The content of a folder, without ignored names.
struct FolderListing {
    files: Vec<(PathBuf, FileStamp)>,
    folders: Vec<PathBuf>,
}

fn list(folder: &Path, inodes: bool) -> std::io::Result<FolderListing> {
    let mut listing = FolderListing {
        files: Vec::new(),
        folders: Vec::new(),
    };
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if names::is_ignored_name(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            listing.folders.push(path);
        } else if let Some(stamp) = stamp(&path, inodes) {
            listing.files.push((path, stamp));
        } else if is_denied(&path) {
            return Err(ErrorKind::PermissionDenied.into());
        }
    }
    // As bytes: paths are slower to compare, and differ in the name only.
    listing
        .files
        .sort_by(|a, b| a.0.as_os_str().cmp(b.0.as_os_str()));
    listing.folders.sort();
    Ok(listing)
}

/// The stamp of a file; `None` if it is gone or not a file. Links are followed.
pub(super) fn stamp(path: &Path, inodes: bool) -> Option<FileStamp> {
    let data = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    let stamp = FileStamp::new(&data);
    Some(FileStamp {
        inode: if inodes { stamp.inode } else { 0 },
        ..stamp
    })
}

/// Whether not even the metadata of a folder's item may be read: the folder may be listed, but not entered.
fn is_denied(path: &Path) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Device and inode number of a folder, links followed; `None` if it is not there.
pub(super) fn folder_id(path: &Path) -> Option<(u64, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

/// Whether `path` is a folder, and not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}
