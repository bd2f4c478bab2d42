//! A regular file's bytes, and nothing else: never a FIFO's, a device's or a folder's.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind as Io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{ErrorKind, MediaError, truncated, unsupported};
use crate::limits::MAX_BYTES;

/// Bytes hashed at a time.
const PORTION: u64 = 1 << 20;

/// Opens a regular file of at most [`MAX_BYTES`]; with its length. A file that grows is read as long as it was then.
pub(super) fn open(path: &Path) -> Result<(File, u64), MediaError> {
    let file = regular(path)?;
    let length = file.metadata().map_err(|e| io(&e))?.len();
    if length > MAX_BYTES {
        return Err(too_large(length));
    }
    Ok((file, length))
}

/// Bytes of a file; it is `truncated` when they are no longer there.
pub(crate) fn range(file: &File, range: Range<u64>) -> Result<Vec<u8>, MediaError> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length as usize)
        .map_err(|_| too_large(length))?;
    bytes.resize(length as usize, 0);
    file.read_exact_at(&mut bytes, range.start)
        .map_err(|e| io(&e))?;
    Ok(bytes)
}

/// `blake3:<hex>` of bytes.
pub(crate) fn content(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

/// `blake3:<hex>` of the first `length` bytes of a file, of which little is in memory at a time.
pub(crate) fn content_of(file: &File, length: u64) -> Result<String, MediaError> {
    let mut hasher = blake3::Hasher::new();
    for start in (0..length).step_by(PORTION as usize) {
        hasher.update(&range(file, start..(start + PORTION).min(length))?);
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// Opens without waiting: a FIFO without a writer would block an ordinary open for ever.
fn regular(path: &Path) -> Result<File, MediaError> {
    let kind = std::fs::metadata(path).map_err(|e| io(&e))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else if kind.is_fifo() {
            "a FIFO"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        return Err(MediaError {
            not_picture: true,
            ..unsupported(format!("{what}, not a file"))
        });
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| io(&e))?;
    // What was a file a moment ago may have been replaced.
    if !file.metadata().map_err(|e| io(&e))?.is_file() {
        return Err(unsupported("no longer a file"));
    }
    Ok(file)
}

fn too_large(length: u64) -> MediaError {
    MediaError::new(
        ErrorKind::TooLarge,
        format!("{length} bytes is over the limit of {MAX_BYTES} bytes"),
    )
}

/// An operating system's error in the contract's words.
pub(super) fn io(error: &std::io::Error) -> MediaError {
    match error.kind() {
        Io::NotFound | Io::NotADirectory => {
            MediaError::new(ErrorKind::NotFound, "there is no such file")
        }
        Io::UnexpectedEof => truncated("the file became shorter while it was read"),
        Io::PermissionDenied => MediaError::new(ErrorKind::Permission, "no permission to read it"),
        _ if error.raw_os_error() == Some(libc::ELOOP) => MediaError::new(
            ErrorKind::NotFound,
            "a symbolic link that leads back to itself",
        ),
        _ if error.raw_os_error() == Some(libc::ENAMETOOLONG) => {
            MediaError::new(ErrorKind::NotFound, "the name is too long")
        }
        _ => MediaError::new(ErrorKind::Permission, format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let fifo = dir.path().join("fifo.jpg");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .expect("a FIFO");
        let looped = dir.path().join("self.jpg");
        std::os::unix::fs::symlink("self.jpg", &looped).expect("a link");
        let kind = |path: &Path| open(path).expect_err("refused").kind;
        assert_eq!(kind(&fifo), ErrorKind::Unsupported);
        assert_eq!(kind(dir.path()), ErrorKind::Unsupported);
        assert_eq!(kind(Path::new("/dev/zero")), ErrorKind::Unsupported);
        assert_eq!(kind(&looped), ErrorKind::NotFound);
        assert_eq!(kind(&dir.path().join("absent")), ErrorKind::NotFound);
    }
}
