//! Reads the bytes of regular files, and of nothing else: never of a FIFO, a device or a folder.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind as Io, Read, Seek, SeekFrom};
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{ErrorKind, FileContent, MediaError, truncated, unsupported};
use crate::files::{self, OpenError};
use crate::limits::MAX_BYTES;

/// Bytes read of any file to recognise its format.
pub(crate) const SNIFF_BYTES: u64 = 64 << 10;
/// Largest file kept in memory while it is open, in bytes.
pub(crate) const MAX_IN_MEMORY: u64 = 16 << 20;
/// Bytes hashed at a time.
const HASH_CHUNK: u64 = 1 << 20;

/// Opens a regular file and returns its length, which stays fixed: a file that grows is only read up to there.
pub(super) fn open(path: &Path) -> Result<(File, u64), MediaError> {
    let file = files::open(path).map_err(open_error)?;
    let length = file.metadata().map_err(|e| io(&e))?.len();
    Ok((file, length))
}

/// Checks the length of a file against the limit.
pub(crate) fn check_length(length: u64) -> Result<(), MediaError> {
    if length > MAX_BYTES {
        return Err(too_large(length));
    }
    Ok(())
}

/// Reads a range of a file; the error is `truncated` if the file no longer has these bytes.
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

/// `blake3:<hex>` of `bytes`.
pub(crate) fn content(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

/// `blake3:<hex>` of the first `length` bytes of a file, read in small chunks.
pub(crate) fn content_of(file: &File, length: u64) -> Result<String, MediaError> {
    let mut hasher = blake3::Hasher::new();
    for start in (0..length).step_by(HASH_CHUNK as usize) {
        hasher.update(&range(file, start..(start + HASH_CHUNK).min(length))?);
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// The bytes of a file: in memory if the file is small, else read from it whenever they are needed.
#[derive(Debug)]
pub(crate) enum Stored {
    /// All bytes of the file.
    Memory(Vec<u8>),
    /// The open file and its length.
    File(File, u64),
}

/// A buffered, seekable byte stream.
pub(crate) trait Stream: BufRead + Seek {}

impl<T: BufRead + Seek> Stream for T {}

impl Stored {
    /// Takes the bytes of an open file of `length` bytes, into memory if it is small.
    pub(crate) fn open(file: File, length: u64) -> Result<Self, MediaError> {
        check_length(length)?;
        if length > MAX_IN_MEMORY {
            return Ok(Self::File(file, length));
        }
        range(&file, 0..length).map(Self::Memory)
    }

    /// Number of bytes.
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }

    /// All bytes; read from the file if they are not in memory.
    pub(crate) fn all(&self) -> Result<Cow<'_, [u8]>, MediaError> {
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(file, length) => range(file, 0..*length).map(Cow::Owned),
        }
    }

    /// Memory that [`Self::all`] takes, in bytes, beside what is already in memory.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::File(_, length) => *length,
        }
    }

    /// A stream of the bytes that holds few of them in memory at a time.
    pub(crate) fn stream(&self) -> Box<dyn Stream + '_> {
        match self {
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.as_slice())),
            Self::File(..) => Box::new(StoredReader::new(self, 0).buffered()),
        }
    }

    /// `blake3:<hex>` of all bytes.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        match self {
            Self::Memory(bytes) => Ok(content(bytes)),
            Self::File(file, length) => content_of(file, *length),
        }
    }
}

/// A reader with a position of its own in stored bytes, so that several can read at once.
pub(crate) struct StoredReader<S> {
    stored: S,
    at: u64,
}

impl<S: Deref<Target = Stored>> StoredReader<S> {
    pub(crate) fn new(stored: S, at: u64) -> Self {
        Self { stored, at }
    }

    /// Wraps the reader in a buffer.
    pub(crate) fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(SNIFF_BYTES as usize, self)
    }
}

impl<S: Deref<Target = Stored>> Read for StoredReader<S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = self.stored.len().saturating_sub(self.at);
        let size = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match &*self.stored {
            Stored::Memory(bytes) => {
                let from = bytes.get(self.at as usize..).unwrap_or_default();
                into[..size].copy_from_slice(&from[..size]);
                size
            }
            Stored::File(file, _) => file.read_at(&mut into[..size], self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl<S: Deref<Target = Stored>> Seek for StoredReader<S> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
            SeekFrom::End(step) => self.stored.len().checked_add_signed(step),
        };
        self.at = position.ok_or(Io::InvalidInput)?;
        Ok(self.at)
    }
}

/// Converts an error of opening to a [`MediaError`].
fn open_error(error: OpenError) -> MediaError {
    match error {
        OpenError::Io(error) => io(&error),
        other @ OpenError::NotAFile(_) => MediaError {
            content: FileContent::Other,
            ..unsupported(other.to_string())
        },
    }
}

fn too_large(length: u64) -> MediaError {
    MediaError::new(
        ErrorKind::TooLarge,
        format!("{length} bytes is over the limit of {MAX_BYTES} bytes"),
    )
}

/// Converts an error of the operating system to a [`MediaError`].
pub(super) fn io(error: &std::io::Error) -> MediaError {
    match error.kind() {
        Io::NotFound | Io::NotADirectory => {
            MediaError::new(ErrorKind::NotFound, "there is no such file")
        }
        Io::UnexpectedEof => truncated("the file became shorter while it was being read"),
        Io::PermissionDenied => {
            MediaError::new(ErrorKind::Permission, "no permission to read the file")
        }
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
    fn anything_but_a_regular_file_is_refused_without_blocking() {
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

    #[test]
    fn bytes_read_the_same_from_memory_and_from_a_file() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let path = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(path.path(), &bytes).expect("written");
        let (file, length) = open(path.path()).expect("open");
        let [memory, file] = [Stored::Memory(bytes.clone()), Stored::File(file, length)];
        for stored in [&memory, &file] {
            assert_eq!(stored.all().as_deref(), Ok(bytes.as_slice()));
            assert_eq!(stored.content(), memory.content());
            let mut stream = stored.stream();
            stream.seek(SeekFrom::End(-3)).expect("a position");
            stream
                .seek(SeekFrom::Current(-100_000))
                .expect("a position");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).expect("read");
            assert!(rest == bytes[99_997..]);
        }
        assert_eq!((memory.cost(), file.cost()), (0, length));
    }
}
