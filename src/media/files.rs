//! Regular files, opened without waiting and read up to a limit. A path may lead to a FIFO, which blocks whoever opens it,
//! or to a device that never ends.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The path leads to something else.
    #[error("{0}, not a file")]
    Other(&'static str),
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io(error) => error,
            other @ OpenError::Other(_) => {
                io::Error::new(ErrorKind::InvalidInput, other.to_string())
            }
        }
    }
}

/// What a path leads to where that is no regular file.
fn other(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a folder"),
        _ if kind.is_fifo() => Some("a FIFO"),
        _ if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Opens a regular file, following links.
pub(crate) fn open(path: &Path) -> Result<File, OpenError> {
    if let Some(what) = other(std::fs::metadata(path)?.file_type()) {
        return Err(OpenError::Other(what));
    }
    // What was a file a moment ago may have been replaced: by a FIFO, for whose writer this would wait.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    match other(file.metadata()?.file_type()) {
        Some(what) => Err(OpenError::Other(what)),
        None => Ok(file),
    }
}

/// Opens a regular file, following links; never waits for one that is none.
///
/// # Errors
///
/// Those of the system; `InvalidInput` where the path leads to a folder, FIFO, socket or device.
pub fn open_file(path: &Path) -> io::Result<File> {
    Ok(open(path)?)
}

/// All bytes of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Those of [`open_file`]; `FileTooLarge` beyond the limit.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open_file(path)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("larger than {limit} bytes, which no such file needs");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Those of [`read_file`]; `InvalidData` where the bytes are not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_file(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_up_to_the_limit_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let cwd = rustix::fs::CWD;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(cwd, at("fifo"), fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::fs::write(at("file"), "eight by").unwrap();
        std::fs::write(at("latin"), b"R\xf6ntgen").unwrap();
        let kind = |name: &str, limit| read_text(&at(name), limit).unwrap_err().kind();
        assert_eq!(read_text(&at("file"), 8).unwrap(), "eight by");
        assert_eq!(kind("file", 7), ErrorKind::FileTooLarge);
        assert_eq!(kind("latin", 8), ErrorKind::InvalidData);
        assert_eq!(kind("none", 8), ErrorKind::NotFound);
        for (name, words) in [("fifo", "a FIFO"), ("zero", "a device"), (".", "a folder")] {
            let error = read_text(&at(name), 8).unwrap_err();
            assert_eq!(error.to_string(), format!("{words}, not a file"));
        }
    }
}
