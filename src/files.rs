//! Writing files in one step: neither a reader nor a crash ever meets half a file.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::paths;

/// How the name of a file begins that is not complete yet.
const PREFIX: &str = ".medivision-";

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those who may read the earlier file; a new one those whom the umask leaves.
    Kept,
    /// Everybody, whatever the umask is.
    Everybody,
    /// Only its owner, because it may identify patients.
    Owner,
}

impl Access {
    /// The mode of a file that replaces `earlier`, and whether it is that mode whatever the umask is.
    fn mode(self, earlier: Option<u32>) -> (u32, bool) {
        match (self, earlier) {
            (Self::Kept, Some(mode)) => (mode & 0o777, true),
            (Self::Kept, None) => (0o666, false),
            (Self::Everybody, _) => (0o644, true),
            (Self::Owner, _) => (0o600, true),
        }
    }
}

/// Writes a temporary file beside `path` and renames it, so that `path` is never incomplete. A failure leaves an older file
/// unchanged and no other file behind.
///
/// If `path` is a link, its target is replaced or made. Devices, pipes and what a descriptor has open (`/dev/fd/3`) are written to
/// directly.
///
/// # Errors
///
/// Fails if there is no folder for the file, if it cannot be written, or as `write` does.
pub fn replace<T, E: From<io::Error>>(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, E>,
) -> Result<T, E> {
    let earlier = fs::metadata(path).ok();
    if earlier.as_ref().is_some_and(fs::Metadata::is_dir) {
        let reason = "it is a folder; name a file";
        return Err(io::Error::new(ErrorKind::IsADirectory, reason).into());
    }
    if names_descriptor(path) || earlier.as_ref().is_some_and(|earlier| !earlier.is_file()) {
        let mut file = File::options().append(true).open(path)?;
        return buffered(&mut file, write);
    }
    let path = &target(path);
    let mut beside = beside(path, access.mode(earlier.map(|earlier| earlier.mode())))?;
    let written = buffered(beside.as_file_mut(), write)?;
    // Some file systems report a full disk only now.
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    Ok(written)
}

/// As [`replace`], with bytes that are known.
///
/// # Errors
///
/// Fails if there is no folder for the file, or if it cannot be written.
pub fn replace_with(path: &Path, access: Access, bytes: &[u8]) -> io::Result<()> {
    replace(path, access, |to| to.write_all(bytes))
}

/// As [`replace_with`], but replaces nothing: fails with [`ErrorKind::AlreadyExists`] if there is such a file.
///
/// # Errors
///
/// Fails if the file exists, if there is no folder for it, or if it cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = beside(path, Access::Kept.mode(None))?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside
        .persist_noclobber(path)
        .map_err(|error| error.error)?;
    Ok(())
}

/// Checks that a file could be written, where that is better known before work is done for it. Folders above it may be missing; none is
/// created.
///
/// # Errors
///
/// Why it could not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let path = target(path);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return Ok(()),
        _ => {}
    }
    let mut folder = folder_of(&path);
    // What exists without being a folder is found out below.
    while folder.symlink_metadata().is_err() {
        folder = folder_of(folder);
    }
    let probe = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder);
    probe.map(drop).map_err(|error| error.kind().into())
}

/// The file that a path leads to through links, which need not exist.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| paths::link_target(path))
}

/// Whether a path stands for something that the process has open.
fn names_descriptor(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// An empty file beside one that it is to become.
fn beside(path: &Path, (mode, is_exact): (u32, bool)) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let reason = "there is no such folder";
        return Err(io::Error::new(ErrorKind::NotFound, reason));
    }
    let beside = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        // Without the name, which means nothing to the user.
        .map_err(|error| io::Error::from(error.kind()))?;
    if is_exact {
        beside
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(beside)
}

fn buffered<T, E: From<io::Error>>(
    file: &mut File,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, E>,
) -> Result<T, E> {
    let mut buffer = BufWriter::new(file);
    let written = write(&mut buffer)?;
    buffer.flush()?;
    Ok(written)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ if path.is_absolute() => Path::new("/"),
        _ => Path::new("."),
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

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_failure_leaves_the_older_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        fs::write(&path, "older").unwrap();
        let result = replace(&path, Access::Kept, |to| {
            to.write_all(&vec![0; 100_000])?;
            Err::<(), io::Error>(ErrorKind::StorageFull.into())
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        assert_eq!(names(folder.path()), ["out.png"]);
    }

    #[test]
    fn links_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out.png"), folder.path().join("link"));
        symlink("out.png", &link).unwrap();
        // One that the usual umask would narrow, too.
        for kept in [0o640, 0o664] {
            fs::write(&path, "older").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            replace_with(&link, Access::Kept, b"newer").unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
            assert_eq!(mode(&path), kept);
        }
        replace_with(&link, Access::Owner, b"newest").unwrap();
        assert_eq!(mode(&path), 0o600);
        replace_with(&link, Access::Everybody, b"newest").unwrap();
        assert_eq!(mode(&path), 0o644);
        assert_eq!(names(folder.path()), ["link", "out.png"]);
    }

    #[test]
    fn a_device_is_written_to_and_a_full_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [full, null] = ["full", "null"].map(|name| {
            let link = folder.path().join(name);
            symlink(Path::new("/dev").join(name), &link).unwrap();
            link
        });
        let error = replace_with(&full, Access::Kept, b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        replace_with(&null, Access::Kept, b"x").unwrap();
        check_writable(&full).unwrap();
        assert_eq!(names(folder.path()), ["full", "null"]);
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_link_without_a_target_makes_it_and_what_a_descriptor_has_open_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("log"), folder.path().join("link"));
        symlink("log", &link).unwrap();
        replace_with(&link, Access::Kept, b"a").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let open = File::options().append(true).open(&path).unwrap();
        let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        replace_with(Path::new(&descriptor), Access::Kept, b"b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ab");
        let error = replace_with(folder.path(), Access::Kept, b"c").unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
    }

    #[test]
    fn a_new_file_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, b"first").unwrap();
        let taken = create(&path, b"second").unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        let nowhere = create(&folder.path().join("b/c"), b"").unwrap_err();
        assert_eq!(nowhere.to_string(), "there is no such folder");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn what_cannot_be_written_is_known_before_and_nothing_is_left_of_the_check() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let check = |name: &str| check_writable(&folder.path().join(name));
        for name in ["file", "new", "a/b/new"] {
            check(name).unwrap();
        }
        assert_eq!(check("").unwrap_err().kind(), ErrorKind::IsADirectory);
        for name in ["file/new", "file/a/new"] {
            assert_eq!(check(name).unwrap_err().kind(), ErrorKind::NotADirectory);
        }
        // Where nobody can make a file, not even root.
        assert!(check_writable(Path::new("/proc/self/new")).is_err());
        check_writable(Path::new("new")).unwrap();
        assert_eq!(names(folder.path()), ["file"]);
    }
}
