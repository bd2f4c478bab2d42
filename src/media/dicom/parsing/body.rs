//! The bytes of a data set: all of them in memory, or their beginning, with the pixels left in the file or deflated.
//!
//! A file is not mapped: one that shrinks under a map would end the program, and files in a watched folder do.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;

use crate::dicom::parsing::deflated::Deflated;
use crate::error::{MediaError, truncated};
use crate::read::{self, KEPT_WHOLE, Stored};

/// Most bytes taken into memory of what stands before the pixels. Each frame of an enhanced object or of a slide may have a
/// kilobyte there.
const MAX_HEAD: usize = 64 << 20;

/// The bytes of a data set.
#[derive(Debug)]
pub(crate) struct Body {
    /// Bytes from the beginning of the file, or of what was inflated from it.
    head: Vec<u8>,
    /// Where in them the data set begins.
    start: usize,
    /// Where the bytes are, if there are more than `head`.
    rest: Option<BodyTail>,
    /// Length of the file, or of what it is inflated to.
    length: u64,
}

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
            rest: None,
            length,
        }
    }

    /// A file of which the first bytes, `head`, are in memory.
    pub(crate) fn partly(file: File, length: u64, head: Vec<u8>) -> Self {
        Self {
            head,
            start: 0,
            rest: Some(BodyTail::File(file)),
            length,
        }
    }

    /// The data set that a file holds deflated from `start` on.
    pub(crate) fn inflated(self, start: usize) -> Result<Self, MediaError> {
        let file = match self.rest {
            Some(BodyTail::File(file)) => Stored::File(file, self.length),
            _ => Stored::Memory(self.head),
        };
        let (head, rest) = Deflated::open(file, start as u64, KEPT_WHOLE)?;
        Ok(Self {
            start: 0,
            length: rest.as_ref().map_or(head.len() as u64, Deflated::len),
            rest: rest.map(BodyTail::Deflated),
            head,
        })
    }

    fn read_head(&mut self, size: u64) -> Result<(), MediaError> {
        let size = size.min(self.length);
        if let Some(rest) = &self.rest {
            self.head = rest.read(0..size)?;
        }
        if size == self.length {
            self.rest = None;
        }
        Ok(())
    }

    /// Takes four times as much into memory.
    pub(crate) fn grow(&mut self) -> Result<(), MediaError> {
        let size = self.head.len().saturating_mul(4).clamp(1, MAX_HEAD);
        self.read_head(size as u64)
    }

    /// Says where the data set begins.
    #[must_use]
    pub(crate) fn from(self, start: usize) -> Self {
        Self { start, ..self }
    }

    /// Where in the file the data set begins.
    pub(crate) fn start(&self) -> u64 {
        self.start as u64
    }

    /// Whether a part of it is not in memory.
    pub(crate) fn is_partial(&self) -> bool {
        self.rest.is_some()
    }

    /// Whether more may be taken into memory.
    pub(crate) fn can_grow(&self) -> bool {
        self.is_partial() && self.head.len() < MAX_HEAD
    }

    /// What is in memory of the file.
    pub(crate) fn file_head(&self) -> &[u8] {
        &self.head
    }

    /// What is in memory of the data set.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head[self.start..]
    }

    /// Length of the data set.
    pub(crate) fn len(&self) -> u64 {
        self.length - self.start as u64
    }

    /// Bytes of the data set, from memory or from the file.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, MediaError> {
        let head = self.head();
        if range.end <= head.len() as u64 {
            let range = range.start.min(range.end) as usize..range.end as usize;
            return Ok(Cow::Borrowed(&head[range]));
        }
        let gone = || truncated("the file has become shorter while it was read");
        let rest = self.rest.as_ref().ok_or_else(gone)?;
        let start = self.start as u64;
        rest.read(start + range.start..start + range.end)
            .map(Cow::Owned)
    }

    /// Eight bytes of the data set, where there are as many.
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
        match &self.rest {
            None => Ok(read::content(&self.head)),
            Some(BodyTail::File(file)) => read::content_of(file, self.length),
            Some(BodyTail::Deflated(deflated)) => deflated.content(),
        }
    }
}
