//! Atomic writing of files named on the command line.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::paths;

/// Mode of a new file before the umask.
const NEW_FILE_MODE: u32 = 0o666;
/// Mode of a file that other users read.
const READABLE_FILE_MODE: u32 = 0o644;

/// Whether two paths lead to the same file, also through hard or symbolic links. False if one of them does not exist.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Writes a temporary file beside `path` and renames it, so that `path` is never incomplete. A failure leaves an older file
/// unchanged and no other file behind.
///
/// If `path` is a link, its target is replaced or made. The permissions of an older file stay. Devices, pipes and what a descriptor has
/// open (`/dev/fd/3`) are written to directly.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    replace_with_mode(path, None, write)
}

/// Like [`replace`], for a file that other users read whatever the umask is.
pub(super) fn replace_readable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, Some(READABLE_FILE_MODE), |to| to.write_all(bytes))
}

fn replace_with_mode(
    path: &Path,
    fixed_mode: Option<u32>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    let older = fs::metadata(path).ok();
    if older.as_ref().is_some_and(fs::Metadata::is_dir) {
        let reason = "it is a folder; name a file";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, reason));
    }
    if names_descriptor(path) || older.as_ref().is_some_and(|older| !older.is_file()) {
        let mut file = File::options().append(true).open(path)?;
        return buffered(&mut file, write);
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| paths::link_target(path));
    let folder = folder_of(path);
    if !folder.is_dir() {
        let reason = "there is no such folder";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    let older_mode = older.map(|older| older.mode() & 0o777);
    let mut beside = tempfile::Builder::new()
        .prefix(".medivision-")
        .permissions(Permissions::from_mode(older_mode.unwrap_or(NEW_FILE_MODE)))
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))?;
    // Unlike those of a new file, these do not depend on the umask.
    if let Some(mode) = fixed_mode.or(older_mode) {
        beside
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
    }
    buffered(beside.as_file_mut(), write)?;
    // Some file systems report a full disk only now.
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    Ok(())
}

/// Whether a path stands for something that the process has open.
fn names_descriptor(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

fn buffered(
    file: &mut File,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = BufWriter::new(file);
    write(&mut buffer)?;
    buffer.flush()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failure_leaves_the_older_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        fs::write(&path, "older").unwrap();
        let result = replace(&path, |to| {
            to.write_all(&vec![0; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        assert_eq!(names(folder.path()), ["out.png"]);
    }

    #[test]
    fn links_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out.png"), folder.path().join("link"));
        fs::write(&path, "older").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink("out.png", &link).unwrap();
        replace(&link, |to| to.write_all(b"newer")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["link", "out.png"]);
        fs::remove_file(&path).unwrap();
        replace(&link, |to| to.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_a_descriptor_has_open_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "a").unwrap();
        let open = File::options().append(true).open(&path).unwrap();
        let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        replace(Path::new(&descriptor), |to| to.write_all(b"b")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ab");
        let error = replace(folder.path(), |to| to.write_all(b"c")).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
    }

    #[test]
    fn a_device_is_written_to_and_a_full_one_is_an_error() {
        let full = Path::new("/dev/full");
        let error = replace(full, |to| to.write_all(b"x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        replace(Path::new("/dev/null"), |to| to.write_all(b"x")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn links_lead_to_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("b"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("hard", at("soft")).unwrap();
        assert!(is_same_file(&at("a"), &at("soft")));
        assert!(!is_same_file(&at("a"), &at("b")));
        assert!(!is_same_file(&at("none"), &at("none")));
    }
}
