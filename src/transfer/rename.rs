//! Renames and copies without overwriting, also to another file system.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::watch::{WriterPresence, writer_of};

/// Bytes copied between two questions whether to go on.
const CHUNK_BYTES: u64 = 8 << 20;

/// What tells a file from another, and from itself with another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    pub(super) fn new(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }

    /// Whether the file is at a path, with the same content. A link to it is another file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| Self::new(&found) == *self)
    }
}

/// A file to be renamed or copied to the first name that is free.
pub struct Rename<'a> {
    from: &'a Path,
    identity: Identity,
    /// When its state changed last: with any write, whatever its times claim.
    status_changed: (i64, i64),
    /// The copy on another file system, once there is one.
    copy: Option<NamedTempFile>,
}

impl<'a> Rename<'a> {
    /// A rename of the file found at `from`, by its own metadata.
    pub fn new(from: &'a Path, found: &Metadata) -> Self {
        Self {
            from,
            identity: Identity::new(found),
            status_changed: (found.ctime(), found.ctime_nsec()),
            copy: None,
        }
    }

    /// Renames the file; false if another file is there by now, or another content: it then stays. `proceed` is told the bytes
    /// copied to another file system, a part at a time, and ends the copy when it returns false.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if the new name is taken; another name may be tried. [`ErrorKind::Interrupted`] if `proceed`
    /// ended it.
    pub fn to(&mut self, to: &Path, proceed: &mut dyn FnMut(u64) -> bool) -> io::Result<bool> {
        if self.copy.is_some() {
            return self.place_copy(to);
        }
        match rename_within(self.from, to) {
            Ok(()) => Ok(self.verify(to)),
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                if !self.copy_beside(to, proceed)? {
                    return Ok(false);
                }
                self.place_copy(to)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies the file, which stays, with its times and mode. Result and errors are those of [`Self::to`].
    pub fn copy_to(&mut self, to: &Path, proceed: &mut dyn FnMut(u64) -> bool) -> io::Result<bool> {
        if self.copy.is_none() && !self.copy_beside(to, proceed)? {
            return Ok(false);
        }
        let named = self.name_copy(to)?;
        if named {
            sync_folder_of(to)?;
        }
        Ok(named)
    }

    /// Whether it was this file that was renamed. Another one, put there in the last moment, is taken back.
    fn verify(&self, to: &Path) -> bool {
        // If its old name is taken again, it stays under the new one: nothing is overwritten.
        self.identity.is_at(to) || rename_within(to, self.from).is_err()
    }

    /// Copies the file to a temporary one in the folder of `to`. False if it changed meanwhile.
    fn copy_beside(&mut self, to: &Path, proceed: &mut dyn FnMut(u64) -> bool) -> io::Result<bool> {
        let folder = to.parent().unwrap_or(Path::new("/"));
        let mut source = File::open(self.from)?;
        let found = source.metadata()?;
        if Identity::new(&found) != self.identity {
            return Ok(false);
        }
        let mut copy = tempfile::Builder::new()
            .prefix(".medivision-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(|error| io::Error::from(error.kind()))?;
        loop {
            let copied = io::copy(&mut (&mut source).take(CHUNK_BYTES), copy.as_file_mut())?;
            if copied == 0 {
                break;
            }
            if !proceed(copied) {
                return Err(ErrorKind::Interrupted.into());
            }
        }
        // Only root may give files away; others keep theirs.
        let _ = fchown(copy.as_file(), Some(found.uid()), Some(found.gid()));
        let mode = fs::Permissions::from_mode(found.mode() & 0o777);
        copy.as_file().set_permissions(mode)?;
        let mut times = FileTimes::new();
        if let Ok(modified) = found.modified() {
            times = times.set_modified(modified);
        }
        if let Ok(accessed) = found.accessed() {
            times = times.set_accessed(accessed);
        }
        copy.as_file().set_times(times)?;
        copy.as_file().sync_all()?;
        self.copy = Some(copy);
        Ok(self.is_unchanged())
    }

    /// Whether the file is still there, and nobody has written to it.
    fn is_unchanged(&self) -> bool {
        fs::symlink_metadata(self.from).is_ok_and(|found| {
            Identity::new(&found) == self.identity
                && (found.ctime(), found.ctime_nsec()) == self.status_changed
        })
    }

    /// Gives the copy its name; false if there is no copy.
    fn name_copy(&mut self, to: &Path) -> io::Result<bool> {
        let Some(copy) = self.copy.take() else {
            return Ok(false);
        };
        if let Err(error) = copy.persist_noclobber(to) {
            self.copy = Some(error.file);
            return Err(error.error);
        }
        Ok(true)
    }

    /// Gives the copy its name, then removes the file, unless somebody writes to it or has: what is written to a file without a name
    /// is lost.
    fn place_copy(&mut self, to: &Path) -> io::Result<bool> {
        if !self.name_copy(to)? {
            return Ok(false);
        }
        // The name must be on the disk before the other one is removed from it.
        sync_folder_of(to)?;
        if writer_of(self.from) == WriterPresence::Present || !self.is_unchanged() {
            fs::remove_file(to)?;
            return Ok(false);
        }
        if let Err(error) = fs::remove_file(self.from) {
            // Otherwise there would be one more copy each time.
            fs::remove_file(to)?;
            return Err(error);
        }
        Ok(true)
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Renames within a file system; a name that is taken is an error.
fn rename_within(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system does not know this flag (NFS).
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => rename_by_link(from, to),
        result => Ok(result?),
    }
}

/// Renames by a second name, which is never given to a name that is taken.
fn rename_by_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from).inspect_err(|_| {
        // The file keeps its only name.
        let _ = fs::remove_file(to);
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    /// A folder with the file `from`, readable by its group and a day old.
    fn folder() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, "content").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o640)).unwrap();
        let yesterday = SystemTime::now() - Duration::from_secs(86_400);
        let file = File::options().write(true).open(&from).unwrap();
        file.set_modified(yesterday).unwrap();
        (dir, from)
    }

    fn always(_: u64) -> bool {
        true
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_keeps_times_and_mode_and_replaces_nothing() {
        let (dir, from) = folder();
        let found = fs::metadata(&from).unwrap();
        let (taken, free) = (dir.path().join("taken"), dir.path().join("to"));
        fs::write(&taken, "other").unwrap();
        let mut rename = Rename::new(&from, &found);
        assert!(rename.copy_beside(&taken, &mut always).unwrap());
        let error = rename.to(&taken, &mut always).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(rename.to(&free, &mut always).unwrap());
        drop(rename);
        assert_eq!(names(&dir), ["taken", "to"]);
        assert_eq!(fs::read_to_string(&taken).unwrap(), "other");
        assert_eq!(fs::read_to_string(&free).unwrap(), "content");
        let copied = fs::metadata(&free).unwrap();
        assert_eq!(copied.mode(), found.mode());
        assert_eq!(copied.modified().unwrap(), found.modified().unwrap());
    }

    #[test]
    fn a_file_that_changes_while_it_is_copied_stays_and_leaves_no_copy() {
        let (dir, from) = folder();
        let to = dir.path().join("to");
        let mut rename = Rename::new(&from, &fs::metadata(&from).unwrap());
        assert!(rename.copy_beside(&to, &mut always).unwrap());
        fs::write(&from, "changed").unwrap();
        assert!(!rename.to(&to, &mut always).unwrap());
        drop(rename);
        assert_eq!(names(&dir), ["from"]);
        assert_eq!(fs::read_to_string(&from).unwrap(), "changed");
    }

    #[test]
    fn a_copied_file_is_not_removed_while_somebody_writes_to_it_or_after() {
        let (dir, from) = folder();
        let to = dir.path().join("to");
        let found = fs::metadata(&from).unwrap();
        let mut rename = Rename::new(&from, &found);
        assert!(rename.copy_beside(&to, &mut always).unwrap());
        let writer = File::options().write(true).open(&from).unwrap();
        assert!(!rename.to(&to, &mut always).unwrap());
        drop(writer);
        let mut rename = Rename::new(&from, &found);
        assert!(rename.copy_beside(&to, &mut always).unwrap());
        // The same size, and the same time.
        fs::write(&from, "CONTENT").unwrap();
        let file = File::options().write(true).open(&from).unwrap();
        file.set_modified(found.modified().unwrap()).unwrap();
        drop(file);
        assert!(!rename.to(&to, &mut always).unwrap());
        drop(rename);
        assert_eq!(names(&dir), ["from"]);
        assert_eq!(fs::read_to_string(&from).unwrap(), "CONTENT");
    }

    #[test]
    fn another_file_put_there_in_the_last_moment_is_taken_back() {
        let (dir, from) = folder();
        let to = dir.path().join("to");
        let mut rename = Rename::new(&from, &fs::metadata(&from).unwrap());
        fs::write(dir.path().join("new"), "another").unwrap();
        fs::rename(dir.path().join("new"), &from).unwrap();
        assert!(!rename.to(&to, &mut always).unwrap());
        assert_eq!(names(&dir), ["from"]);
        assert_eq!(fs::read_to_string(&from).unwrap(), "another");
    }

    #[test]
    fn without_the_flag_a_second_name_is_given_and_the_first_removed() {
        let (dir, from) = folder();
        let to = dir.path().join("to");
        fs::write(dir.path().join("taken"), "other").unwrap();
        let error = rename_by_link(&from, &dir.path().join("taken")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        rename_by_link(&from, &to).unwrap();
        assert_eq!(names(&dir), ["taken", "to"]);
    }
}
