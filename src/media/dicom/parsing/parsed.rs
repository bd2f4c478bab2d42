//! A parsed file: meta information, data set, and where the pixels are.

use dicom_core::Tag;

use super::body::Body;
use super::dataset::DataSet;
use super::file::Meta;
use super::notes::Notes;
use super::reader;
use super::repair::repair;
use crate::error::MediaError;

/// A file parsed up to its pixels, or to the end if it is in memory.
pub(crate) struct ParsedFile {
    /// What comes before the data set.
    pub meta: Meta,
    /// The bytes of the data set, from which the pixels are read.
    pub body: Body,
    /// The data set without its pixels.
    pub set: DataSet,
    /// Where the pixels are, and what was repaired.
    pub notes: Notes,
}

impl ParsedFile {
    /// Parses a file. One that is only partly in memory is read as far as its pixels.
    pub(crate) fn read(body: Body) -> Result<Self, MediaError> {
        Self::read_until(body, None)
    }

    /// Parses a file up to the first element behind `last`, which is enough for a listing.
    pub(crate) fn read_to(body: Body, last: Tag) -> Result<Self, MediaError> {
        Self::read_until(body, Some(last))
    }

    fn read_until(body: Body, last: Option<Tag>) -> Result<Self, MediaError> {
        let (meta, mut body) = Meta::open(body)?;
        loop {
            let repaired = repair(body.head(), meta.encoding, Some(&body), last)?;
            if !repaired.notes.complete && body.can_grow() {
                body.grow()?;
                continue;
            }
            let set = reader::read(repaired.bytes(), repaired.encoding)?;
            let notes = repaired.notes;
            return Ok(Self {
                meta,
                body,
                set,
                notes,
            });
        }
    }
}
