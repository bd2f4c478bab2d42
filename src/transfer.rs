//! Copies and moves files into a folder, and undoes that. Nothing is ever overwritten or lost: a name that is taken gets a
//! number, a file is removed only when its copy is complete and on the disk, and undo leaves alone what has changed since.

mod names;
mod rename;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use names::with_free_name;
use rename::Identity;
pub use rename::Rename;

/// What is done with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// They stay, and their copies keep time and mode.
    Copy,
    /// They go.
    Move,
}

impl TransferKind {
    /// What was done, in a word.
    pub fn done(self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Move => "moved",
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferProgress {
    /// Files done or refused.
    pub files: usize,
    /// Files in all.
    pub all: usize,
    /// Bytes copied; a move within a file system copies none.
    pub bytes: u64,
}

/// A file that was copied or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferredFile {
    /// Where it was.
    pub from: PathBuf,
    /// Where it, or its copy, is.
    pub to: PathBuf,
    /// The file that was copied.
    original: Identity,
    /// The file at `to`.
    placed: Identity,
    /// When the state of the file at `to` changed last, to the nanosecond: with any write, whatever its times claim.
    status_changed: (i64, i64),
}

/// A file that was not transferred, or not taken back, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct TransferFailure {
    /// The file, which stays where it is.
    pub path: PathBuf,
    /// The reason, as a sentence without a subject.
    pub reason: String,
}

/// A transfer that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What was done.
    pub kind: TransferKind,
    /// The folder.
    pub folder: PathBuf,
    /// Whether the folder was created.
    pub is_new: bool,
    /// The files transferred, in order.
    pub files: Vec<TransferredFile>,
    /// The others.
    pub failures: Vec<TransferFailure>,
    /// Whether it was ended before all files were dealt with.
    pub is_stopped: bool,
}

/// Copies or moves files into a folder, whose last part is created if it is missing. `proceed` is told how far it is after each
/// file and each part of a copy; when it returns false, the transfer ends, without a part of a file.
///
/// # Errors
///
/// The folder is not there and cannot be created. Failures of single files are part of the result.
pub fn transfer(
    kind: TransferKind,
    files: &[PathBuf],
    folder: &Path,
    proceed: &mut dyn FnMut(TransferProgress) -> bool,
) -> io::Result<Transfer> {
    let is_new = ensure_folder(folder)?;
    let mut done = Transfer {
        kind,
        folder: folder.to_owned(),
        is_new,
        files: Vec::new(),
        failures: Vec::new(),
        is_stopped: false,
    };
    let mut progress = TransferProgress {
        all: files.len(),
        ..TransferProgress::default()
    };
    for path in files {
        let mut on_bytes = |bytes| {
            progress.bytes += bytes;
            proceed(progress)
        };
        match transfer_file(kind, path, folder, &mut on_bytes) {
            Ok(file) => done.files.push(file),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                done.is_stopped = true;
                break;
            }
            Err(error) => done.failures.push(failure(path, &error)),
        }
        progress.files += 1;
        if progress.files < progress.all && !proceed(progress) {
            done.is_stopped = true;
            break;
        }
    }
    Ok(done)
}

/// Takes a transfer back, the last file first: moved files return to their places, copies are removed. A file stays where it is
/// if it, or the file that it is a copy of, has changed since, or if its place is taken. `proceed` is as in [`transfer`]. Returns
/// what was taken back as a transfer in the other direction, whose files are those that are gone from `to`.
pub fn undo(transfer: &Transfer, proceed: &mut dyn FnMut(TransferProgress) -> bool) -> Transfer {
    let mut undone = Transfer {
        files: Vec::new(),
        failures: Vec::new(),
        is_stopped: false,
        ..transfer.clone()
    };
    let mut progress = TransferProgress {
        all: transfer.files.len(),
        ..TransferProgress::default()
    };
    for file in transfer.files.iter().rev() {
        let mut on_bytes = |bytes| {
            progress.bytes += bytes;
            proceed(progress)
        };
        let taken_back = match transfer.kind {
            TransferKind::Copy => remove_copy(file),
            TransferKind::Move => move_back(file, &mut on_bytes),
        };
        match taken_back {
            Ok(()) => undone.files.push(file.clone()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                undone.is_stopped = true;
                break;
            }
            Err(error) => undone.failures.push(failure(&file.to, &error)),
        }
        progress.files += 1;
        if progress.files < progress.all && !proceed(progress) {
            undone.is_stopped = true;
            break;
        }
    }
    if transfer.is_new && undone.files.len() == transfer.files.len() {
        // Fails if anything else is in it by now.
        let _ = fs::remove_dir(&transfer.folder);
    }
    undone
}

fn failure(path: &Path, error: &io::Error) -> TransferFailure {
    TransferFailure {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Makes sure that there is a folder; true if it was created.
fn ensure_folder(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(false),
        Ok(_) => Err(io::Error::other("is a file, not a folder")),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::create_dir(folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(io::Error::other(
                "its parent folder does not exist; create that first",
            )),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn transfer_file(
    kind: TransferKind,
    path: &Path,
    folder: &Path,
    proceed: &mut dyn FnMut(u64) -> bool,
) -> io::Result<TransferredFile> {
    let link = fs::symlink_metadata(path)?;
    if kind == TransferKind::Move && link.is_symlink() {
        return Err(io::Error::other("is a link, which is not moved"));
    }
    // Of a link, what it leads to is copied, under its name.
    let source = if link.is_symlink() {
        fs::canonicalize(path)?
    } else {
        path.to_owned()
    };
    let found = fs::symlink_metadata(&source)?;
    if !found.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let name = path.file_name().unwrap_or_default();
    let is_there = || {
        let here = path.parent().and_then(|parent| fs::metadata(parent).ok());
        let there = fs::metadata(folder).ok();
        here.zip(there)
            .is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    if kind == TransferKind::Move && is_there() {
        return Err(io::Error::other("is in this folder already"));
    }
    let mut rename = Rename::new(&source, &found);
    let (to, is_unchanged) = with_free_name(folder, name, |target| match kind {
        TransferKind::Copy => rename.copy_to(target, proceed),
        TransferKind::Move => rename.to(target, proceed),
    })?;
    if !is_unchanged {
        return Err(io::Error::other("is being changed; try again later"));
    }
    let placed = fs::symlink_metadata(&to)?;
    Ok(TransferredFile {
        from: path.to_owned(),
        to,
        original: Identity::new(&found),
        placed: Identity::new(&placed),
        status_changed: (placed.ctime(), placed.ctime_nsec()),
    })
}

/// Removes a copy, if the original and the copy are what they were.
fn remove_copy(file: &TransferredFile) -> io::Result<()> {
    let found = fs::symlink_metadata(&file.to).map_err(gone)?;
    let is_unchanged = Identity::new(&found) == file.placed
        && (found.ctime(), found.ctime_nsec()) == file.status_changed;
    if !is_unchanged {
        return Err(io::Error::other(
            "the copy has been changed since, and stays",
        ));
    }
    let original = fs::metadata(&file.from);
    if !original.is_ok_and(|found| Identity::new(&found) == file.original) {
        return Err(io::Error::other(
            "the original has been changed or is gone, so the copy stays",
        ));
    }
    fs::remove_file(&file.to)
}

/// Moves a file back to where it was, if it is unchanged and nothing else is there.
fn move_back(file: &TransferredFile, proceed: &mut dyn FnMut(u64) -> bool) -> io::Result<()> {
    let found = fs::symlink_metadata(&file.to).map_err(gone)?;
    if Identity::new(&found) != file.placed {
        return Err(io::Error::other("has been changed since, and stays"));
    }
    match Rename::new(&file.to, &found).to(&file.from, proceed) {
        Ok(true) => Ok(()),
        Ok(false) => Err(io::Error::other("is being changed; try again later")),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let words = format!("stays, as another file is at {}", file.from.display());
            Err(io::Error::other(words))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let words = format!("stays, as the folder of {} is gone", file.from.display());
            Err(io::Error::other(words))
        }
        Err(error) => Err(error),
    }
}

fn gone(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::NotFound {
        io::Error::other("is no longer there")
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
