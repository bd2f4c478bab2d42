//! A file taken apart: its meta group, its data set, and where its pixels are.

use dicom_core::Tag;

use super::body::Body;
use super::dataset::DataSet;
use super::file::Meta;
use super::notes::Notes;
use super::reader;
use super::repair::repair;
use crate::error::MediaError;

/// A file that was read up to its pixels, or whole where it is in memory.
pub(crate) struct ParsedFile {
    /// What stands before the data set.
    pub meta: Meta,
    /// The bytes of the data set, which the pixels are read from.
    pub body: Body,
    /// The data set without its pixels.
    pub set: DataSet,
    /// Where the pixels are, and what was put right.
    pub notes: Notes,
}

impl ParsedFile {
    /// Reads a file; of one that is partly in memory as much as stands before its pixels.
    pub(crate) fn read(body: Body) -> Result<Self, MediaError> {
        Self::read_until(body, None)
    }

    /// Reads a file up to the first element behind `last`, which is enough for a listing.
    pub(crate) fn read_to(body: Body, last: Tag) -> Result<Self, MediaError> {
        Self::read_until(body, Some(last))
    }

    fn read_until(body: Body, last: Option<Tag>) -> Result<Self, MediaError> {
        let (meta, mut body) = Meta::open(body)?;
        loop {
            let sound = repair(body.head(), meta.encoding, Some(&body), last)?;
            if !sound.notes.complete && body.can_grow() {
                body.grow()?;
                continue;
            }
            let set = reader::read(sound.bytes(), sound.encoding)?;
            let notes = sound.notes;
            return Ok(Self {
                meta,
                body,
                set,
                notes,
            });
        }
    }
}
