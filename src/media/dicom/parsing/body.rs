//! The bytes of a data set: all of them in memory, or their beginning, with the pixels left in the file.
//!
//! A file is not mapped: one that shrinks under a map would end the program, and files in a watched folder do.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::error::{MediaError, truncated};
use crate::read;

/// The bytes of a data set.
#[derive(Debug)]
pub(crate) struct Body {
    /// Bytes from the beginning of the file, or of what was inflated from it.
    head: Vec<u8>,
    /// Where in them the data set begins.
    start: usize,
    /// The file, where there is more of it than `head`.
    rest: Option<File>,
    /// Length of the file.
    length: u64,
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
            rest: Some(file),
            length,
        }
    }

    fn read_head(&mut self, size: u64) -> Result<(), MediaError> {
        let size = size.min(self.length);
        if let Some(file) = &self.rest {
            self.head = read::range(file, 0..size)?;
        }
        if size == self.length {
            self.rest = None;
        }
        Ok(())
    }

    /// Takes four times as much into memory.
    pub(crate) fn grow(&mut self) -> Result<(), MediaError> {
        self.read_head((self.head.len() as u64).saturating_mul(4).max(1))
    }

    /// Takes all into memory.
    pub(crate) fn fill(&mut self) -> Result<(), MediaError> {
        self.read_head(self.length)
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
        let file = self.rest.as_ref().ok_or_else(gone)?;
        let start = self.start as u64;
        read::range(file, start + range.start..start + range.end).map(Cow::Owned)
    }

    /// Eight bytes of the data set, where there are as many.
    pub(crate) fn eight(&self, at: u64) -> Option<[u8; 8]> {
        let end = at.checked_add(8).filter(|end| *end <= self.len())?;
        if end <= self.head().len() as u64 {
            return self.head()[at as usize..end as usize].try_into().ok();
        }
        let mut bytes = [0; 8];
        let place = self.start as u64 + at;
        self.rest
            .as_ref()?
            .read_exact_at(&mut bytes, place)
            .ok()
            .map(|()| bytes)
    }

    /// `blake3:<hex>` of the whole file.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        match &self.rest {
            None => Ok(read::content(&self.head)),
            Some(file) => read::content_of(file, self.length),
        }
    }
}
