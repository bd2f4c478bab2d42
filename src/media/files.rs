//! Opens and reads regular files only, up to a limit. A path may lead to a FIFO, which blocks whoever opens it, or to
//! a device that never ends.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The path does not lead to a regular file; says what it leads to.
    #[error("{0}, not a file")]
    NotAFile(&'static str),
    /// The operating system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io(error) => error,
            other @ OpenError::NotAFile(_) => {
                io::Error::new(ErrorKind::InvalidInput, other.to_string())
            }
        }
    }
}

/// Names what a path leads to if it is not a regular file.
fn other_kind(kind: FileType) -> Option<&'static str> {
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
    if let Some(what) = other_kind(std::fs::metadata(path)?.file_type()) {
        return Err(OpenError::NotAFile(what));
    }
    // The file may have been replaced since: by a FIFO, say, whose writer a blocking open would wait for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    match other_kind(file.metadata()?.file_type()) {
        Some(what) => Err(OpenError::NotAFile(what)),
        None => Ok(file),
    }
}

/// Opens a regular file, following links. Never blocks on anything else.
///
/// # Errors
///
/// Errors of the operating system; `InvalidInput` if the path leads to a folder, FIFO, socket or device.
pub fn open_file(path: &Path) -> io::Result<File> {
    Ok(open(path)?)
}

/// Reads all bytes of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Errors of [`open_file`]; `FileTooLarge` beyond the limit.
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

/// Reads the text of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Errors of [`read_file`]; `InvalidData` if the bytes are not UTF-8.
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
