//! The bytes of a data set: all of them in memory, or only the beginning, with the pixels left in the file or
//! deflated.
//!
//! Files are not memory-mapped: one that shrinks while it is mapped would end the program, and files in a watched
//! folder do shrink.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;

use crate::dicom::parsing::deflated::Deflated;
use crate::error::{ErrorKind, MediaError, truncated};
use crate::read::{self, MAX_IN_MEMORY, Stored};

/// Largest part of a file read into memory to reach its pixels. Each frame of an enhanced object or of a slide may
/// have a kilobyte of attributes before them.
const MAX_HEAD: usize = 64 << 20;

/// The bytes of a data set.
#[derive(Debug)]
pub(crate) struct Body {
    /// The first bytes of the file, or of the inflated data set.
    head: Vec<u8>,
    /// Offset of the data set in `head`.
    start: usize,
    /// Where the remaining bytes are, if `head` is not all.
    tail: Option<BodyTail>,
    /// Length of the file, or of the inflated data set.
    length: u64,
}

/// Where the bytes are that are not in memory.
#[derive(Debug)]
enum BodyTail {
    File(File),
    Deflated(Deflated),
}

impl BodyTail {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, MediaError> {
        match self {
            Self::File(file) => read::range(file, range),
            Self::Deflated(deflated) => deflated.read(range),
        }
    }
}

impl Body {
    /// A file that is in memory.
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self {
            head: bytes,
            start: 0,
            tail: None,
            length,
        }
    }

    /// A file of which only the first bytes, `head`, are in memory.
    pub(crate) fn partial(file: File, length: u64, head: Vec<u8>) -> Self {
        Self {
            head,
            start: 0,
            tail: Some(BodyTail::File(file)),
            length,
        }
    }

    /// Inflates the data set that starts at `start` in a file.
    pub(crate) fn inflated(self, start: usize) -> Result<Self, MediaError> {
        let file = match self.tail {
            Some(BodyTail::File(file)) => Stored::File(file, self.length),
            _ => Stored::Memory(self.head),
        };
        let (head, tail) = Deflated::open(file, start as u64, MAX_IN_MEMORY)?;
        Ok(Self {
            start: 0,
            length: tail.as_ref().map_or(head.len() as u64, Deflated::len),
            tail: tail.map(BodyTail::Deflated),
            head,
        })
    }

    fn read_head(&mut self, size: u64) -> Result<(), MediaError> {
        let size = size.min(self.length);
        if let Some(tail) = &self.tail {
            self.head = tail.read(0..size)?;
        }
        if size == self.length {
            self.tail = None;
        }
        Ok(())
    }

    /// Reads four times as much into memory as before.
    pub(crate) fn grow(&mut self) -> Result<(), MediaError> {
        let size = self.head.len().saturating_mul(4).clamp(1, MAX_HEAD);
        self.read_head(size as u64)
    }

    /// Sets the offset of the data set in the file.
    #[must_use]
    pub(crate) fn with_start(self, start: usize) -> Self {
        Self { start, ..self }
    }

    /// Offset of the data set in the file.
    pub(crate) fn start(&self) -> u64 {
        self.start as u64
    }

    /// Whether a part of the file is not in memory.
    pub(crate) fn is_partial(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether more can be read into memory.
    pub(crate) fn can_grow(&self) -> bool {
        self.is_partial() && self.head.len() < MAX_HEAD
    }

    /// The error if what comes before the pixels is more than is read.
    pub(crate) fn head_too_large() -> MediaError {
        MediaError::new(
            ErrorKind::TooLarge,
            format!(
                "DICOM: there are more than {} MiB of attributes before the pixels, which is the limit",
                MAX_HEAD >> 20
            ),
        )
    }

    /// The part of the file that is in memory.
    pub(crate) fn file_head(&self) -> &[u8] {
        &self.head
    }

    /// The part of the data set that is in memory.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head[self.start..]
    }

    /// Length of the data set in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length - self.start as u64
    }

    /// Reads bytes of the data set, from memory or from the file.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, MediaError> {
        let head = self.head();
        if range.end <= head.len() as u64 {
            let range = range.start.min(range.end) as usize..range.end as usize;
            return Ok(Cow::Borrowed(&head[range]));
        }
        let gone = || truncated("the file became shorter while it was being read");
        let tail = self.tail.as_ref().ok_or_else(gone)?;
        let start = self.start as u64;
        tail.read(start + range.start..start + range.end)
            .map(Cow::Owned)
    }

    /// Eight bytes of the data set at `at`; `None` if there are fewer.
    pub(crate) fn eight(&self, at: u64) -> Option<[u8; 8]> {
        let end = at.checked_add(8).filter(|end| *end <= self.len())?;
        if end <= self.head().len() as u64 {
            return self.head()[at as usize..end as usize].try_into().ok();
        }
        let bytes = self.read(at..end).ok()?;
        (*bytes).try_into().ok()
    }

    /// `blake3:<hex>` of the whole file.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        match &self.tail {
            None => Ok(read::content(&self.head)),
            Some(BodyTail::File(file)) => read::content_of(file, self.length),
            Some(BodyTail::Deflated(deflated)) => deflated.content(),
        }
    }
}

#[cfg(test)]
impl Body {
    /// A deflated data set of which nothing is in memory.
    pub(crate) fn deflated(bytes: &[u8]) -> Self {
        use std::io::Write as _;
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("deflated");
        let file = Stored::Memory(encoder.finish().expect("deflated"));
        let (head, tail) = Deflated::open(file, 0, 1).expect("inflated");
        Self {
            head,
            start: 0,
            tail: tail.map(BodyTail::Deflated),
            length: bytes.len() as u64,
        }
    }

    /// How often a deflated data set was inflated anew.
    pub(crate) fn rewinds(&self) -> u32 {
        match &self.tail {
            Some(BodyTail::Deflated(deflated)) => {
                deflated.rewinds.load(std::sync::atomic::Ordering::Relaxed)
            }
            _ => 0,
        }
    }
}
