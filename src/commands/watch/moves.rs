//! `--move-to`: moves a file after its lines are written. Nothing is ever overwritten, a file whose content is not the one that was
//! classified stays where it is, and one that somebody writes to, or may write to, is not moved until that is over.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::reported::ReportedFile;
use crate::library::Outcome;
use crate::scoring::Decision;
use crate::transfer::{Rename, with_free_name};
use crate::watch::{self, FileStamp, WriterPresence};

/// What stands for a result's label in the template.
const LABEL: &str = "{label}";
/// Maximum number of bytes of a label in a file name, of which most file systems allow 255.
const MAX_LABEL_BYTES: usize = 200;

/// How long a file must not have changed before it is moved, if it is unknown whether a process has it open for writing: longer
/// than transfers usually stall.
const MIN_QUIET_TIME: Duration = Duration::from_secs(600);
/// When a file is tried again that a process has open for writing. Longer than a command may run on it.
const WRITER_WAIT: Duration = Duration::from_secs(60);

/// Device and inode number of a folder, which are the same however it is reached.
type FolderId = (u64, u64);

/// Where files are moved to.
#[derive(Debug)]
pub(super) struct MoveTarget {
    /// The absolute path with [`LABEL`].
    template: PathBuf,
    /// The watched folder, as in the names of its files.
    watched: PathBuf,
    /// Asks the system whether a process has a file open for writing.
    writer_of: fn(&Path) -> WriterPresence,
}

/// The file of a result, to be moved.
#[derive(Debug)]
pub(super) struct MovableFile {
    /// The file.
    pub path: PathBuf,
    /// The file as the watch reported it.
    pub reported: ReportedFile,
    /// The result's label, or what stands for it.
    pub label: String,
    /// `blake3:<hex>` of the content that was classified; `None` if it failed.
    pub content: Option<String>,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It was moved to this path.
    To(PathBuf),
    /// It stays: its content has changed, or it is a link.
    Stays,
    /// It is gone.
    Gone,
    /// It stays for now, and is to be tried again after this time. It is open for writing, or that is unknown.
    Later(Duration, WriterPresence),
}

impl MovableFile {
    /// The file of these outcomes; `None` if it is not to be moved.
    pub(super) fn new(path: &Path, reported: ReportedFile, outcomes: &[Outcome]) -> Option<Self> {
        // Of several frames, the last outcome is their aggregate and counts for the file.
        let record = outcomes.last()?.as_ref().ok();
        let has_failed = outcomes.iter().any(Result::is_err);
        let label = match record {
            Some(record) if !has_failed => match record.verdict.decision {
                Decision::Rejected => "rejected",
                Decision::Confident | Decision::Uncertain => {
                    record.verdict.claimed_label().unwrap_or("none")
                }
            },
            _ => "failed",
        };
        Some(Self {
            path: path.to_owned(),
            reported,
            label: label.to_owned(),
            content: record.map(|record| record.content.clone()),
        })
    }

    /// Whether the file found is the one that was classified.
    fn is_unchanged(&self, found: &Metadata) -> io::Result<bool> {
        let stamp = &self.reported.stamp;
        if !found.is_file() || found.len() != stamp.size {
            return Ok(false);
        }
        let mut now = FileStamp::new(found);
        if !stamp.identifies_file() {
            now.inode = stamp.inode;
        }
        if now == *stamp {
            return Ok(true);
        }
        // Other times or another inode are not yet another content.
        let Some(content) = &self.content else {
            return Ok(!stamp.identifies_file() && stamp.is_unwritten(&now));
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(&self.path)?)?;
        Ok(format!("blake3:{}", hasher.finalize().to_hex()) == *content)
    }
}

impl MoveTarget {
    /// Checks a template, such as `done/{label}`, for the files of the folder `watched`. An error is a sentence without a subject.
    pub(super) fn new(template: &Path, watched: &Path) -> Result<Self, String> {
        if template.as_os_str().is_empty() {
            return Err("must name a folder".to_owned());
        }
        let target = Self {
            template: std::path::absolute(template).map_err(|error| error.to_string())?,
            watched: watched.to_owned(),
            writer_of: watch::writer_of,
        };
        if target.is_watched(&target.root()) {
            let reason = "lies in the watched folder, whose files would be classified again";
            return Err(format!("{reason}; choose a folder outside it"));
        }
        Ok(target)
    }

    /// The part of the template before the label.
    fn root(&self) -> PathBuf {
        let parts = self.template.components();
        let has_no_label = |part: &Component| find(part.as_os_str().as_bytes()).is_none();
        parts.take_while(has_no_label).collect()
    }

    /// Whether a folder, or where it would be created, lies in the watched folder.
    fn is_watched(&self, folder: &Path) -> bool {
        // It may have been replaced since the start.
        let Ok(watched) = fs::metadata(&self.watched) else {
            return false;
        };
        resolved(folder)
            .ancestors()
            .filter_map(|folder| fs::metadata(folder).ok())
            .any(|found| id(&found) == id(&watched))
    }

    /// Moves a file to the folder of its label, below which its path relative to the watched folder is kept.
    pub(super) fn move_file(&self, file: &MovableFile) -> Result<Moved, MoveError> {
        let folder = self.folder_of(file);
        self.try_move(file, &folder).map_err(|error| MoveError {
            from: file.path.clone(),
            to: folder,
            reason: error,
        })
    }

    fn try_move(&self, file: &MovableFile, folder: &Path) -> io::Result<Moved> {
        let found = match fs::symlink_metadata(&file.path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Moved::Gone),
            Err(error) => return Err(error),
        };
        let writer = (self.writer_of)(&file.path);
        let wait = match writer {
            WriterPresence::Present => WRITER_WAIT,
            WriterPresence::Unknown if !file.reported.is_closed => {
                MIN_QUIET_TIME.saturating_sub(quiet_time(&found))
            }
            WriterPresence::Unknown | WriterPresence::Absent => Duration::ZERO,
        };
        if !file.is_unchanged(&found)? {
            return Ok(Moved::Stays);
        }
        if !wait.is_zero() {
            return Ok(Moved::Later(wait, writer));
        }
        fs::create_dir_all(folder)?;
        if self.is_watched(folder) {
            return Err(io::Error::other("this folder lies in the watched folder"));
        }
        let name = file.path.file_name().unwrap_or_default();
        let mut rename = Rename::new(&file.path, &found);
        let named = with_free_name(folder, name, |target| rename.to(target, &mut |_| true));
        Ok(match named? {
            (target, true) => Moved::To(target),
            (_, false) => Moved::Stays,
        })
    }

    /// The folder for a file. It lies in that of the template, whatever label and name are.
    fn folder_of(&self, file: &MovableFile) -> PathBuf {
        let label = safe_label(&file.label);
        let template = replaced(self.template.as_os_str().as_bytes(), label.as_bytes());
        let mut folder = PathBuf::from(OsString::from_vec(template));
        let inside = file.path.strip_prefix(&self.watched).ok();
        let parent = inside.and_then(Path::parent).unwrap_or(Path::new(""));
        folder.extend(parent.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        }));
        folder
    }
}

/// A file could not be moved, and stays where it is.
#[derive(Debug, thiserror::Error)]
#[error("{} was not moved to {}: {reason}", .from.display(), .to.display())]
pub(super) struct MoveError {
    from: PathBuf,
    to: PathBuf,
    reason: io::Error,
}

/// A path without links and `..`, also if only its beginning exists.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        resolved.push(part);
        if part == Component::ParentDir {
            // What does not exist yet is created as a folder.
            resolved.pop();
            resolved.pop();
        }
        resolved = fs::canonicalize(&resolved).unwrap_or(resolved);
    }
    resolved
}

/// How long ago a file changed last, by the time that no program can set; zero if the clocks disagree.
fn quiet_time(found: &Metadata) -> Duration {
    let [seconds, nanoseconds] =
        [found.ctime(), found.ctime_nsec()].map(|part| u64::try_from(part).unwrap_or_default());
    let changed = Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    now.saturating_sub(changed)
}

fn id(found: &Metadata) -> FolderId {
    (found.dev(), found.ino())
}

/// Where [`LABEL`] is in a template.
fn find(template: &[u8]) -> Option<usize> {
    let mut windows = template.windows(LABEL.len());
    windows.position(|window| window == LABEL.as_bytes())
}

fn replaced(mut template: &[u8], label: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = find(template) {
        out.extend_from_slice(&template[..at]);
        out.extend_from_slice(label);
        template = &template[at + LABEL.len()..];
    }
    out.extend_from_slice(template);
    out
}

/// A label as a part of a file name that is neither hidden nor leads to another folder.
fn safe_label(label: &str) -> String {
    let mut safe = String::new();
    for c in label.chars() {
        let is_leading_dot = safe.is_empty() && c == '.';
        let c = if c == '/' || is_leading_dot || crate::media::is_unprintable(c) {
            '_'
        } else {
            c
        };
        if safe.len() + c.len_utf8() > MAX_LABEL_BYTES {
            break;
        }
        safe.push(c);
    }
    if safe.is_empty() {
        "_".to_owned()
    } else {
        safe
    }
}

#[cfg(test)]
mod tests;
