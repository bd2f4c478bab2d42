//! The layer in front of dicom-object: finds the pixels and repairs what dicom-object would reject or misread.
//!
//! dicom-object trusts lengths: it allocates what they say, follows nesting to any depth, and loses its position
//! behind a value that is not a multiple of its unit. The [walk](DataSetWalk) over the elements therefore verifies
//! that every value lies in its enclosing data set, that every sequence holds items and ends, and that every value
//! fits its representation. A data set that passes is read by dicom-object as it is in the file. One that does not is
//! rewritten in Explicit VR with the faults repaired, and read from there.
//!
//! Of the 199 files of the test corpus, dicom-object rejects 30 unrepaired: meta group missing (7), with a value whose
//! odd length is padded without being counted (11), without its group length or transfer syntax (3); implicit VR under
//! an explicit syntax (`SC_rgb_jpeg`); blank value representations (`GH179A`, `GH179B`); a sequence under UN
//! (`UN_sequence`); values cut off (`MR_truncated`, `rtplan_truncated`); deflated ones (3), which `file` inflates
//! within bounds.

mod frames;
mod items;
mod pixels;
mod walk;

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use dicom_core::Tag;

use super::body::Body;
use super::elements::Encoding;
use super::notes::Notes;
use super::writer::DataSetWriter;
use crate::error::{ErrorKind, MediaError};
use frames::FrameGroups;
use walk::DataSetWalk;

/// A data set that dicom-object can read, repaired if necessary.
#[derive(Debug)]
pub(crate) struct RepairedDataSet<'a> {
    /// The bytes before the pixels, and those behind them.
    parts: [Cow<'a, [u8]>; 2],
    /// The encoding of these bytes.
    pub encoding: Encoding,
    /// The findings of the walk.
    pub notes: Notes,
}

impl RepairedDataSet<'_> {
    /// The bytes to read.
    pub(crate) fn bytes(&self) -> impl Read {
        let [before, behind] = &self.parts;
        before.chain(&**behind)
    }
}

/// Verifies a data set and repairs it if necessary. At the top level of a file, `body` is the whole of which `bytes`
/// are the beginning: fragments are searched in all of it, and if a part of it is not in memory the walk ends with the
/// pixels. The walk also ends behind the element `last`, if given.
///
/// If there are more elements than the limit, those of single frames that are not needed are left out.
pub(crate) fn repair<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
    body: Option<&'a Body>,
    last: Option<Tag>,
) -> Result<RepairedDataSet<'a>, MediaError> {
    let mut walk = DataSetWalk::new(bytes, body, encoding, last);
    let walked = walk.walk_set(encoding, bytes.len(), false, 0);
    let groups = match walked {
        Err(error) if error.kind == ErrorKind::TooLarge => FrameGroups::Needed,
        walked => walked.map(|()| FrameGroups::Whole)?,
    };
    if walk.is_sound && groups == FrameGroups::Whole {
        let end = walk.end.unwrap_or(bytes.len());
        let pixels = walk.pixel_element.unwrap_or(end..end);
        let part = |range: Range<usize>| Cow::Borrowed(bytes.get(range).unwrap_or_default());
        return Ok(RepairedDataSet {
            parts: [part(0..pixels.start), part(pixels.end..end)],
            encoding,
            notes: walk.notes,
        });
    }
    let written = Encoding {
        explicit: true,
        ..encoding
    };
    let mut walk = DataSetWalk::new(bytes, body, encoding, last);
    walk.groups = groups;
    walk.out = Some(DataSetWriter::new(written));
    walk.walk_set(encoding, bytes.len(), false, 0)?;
    if let Some(warning) = walk.groups.warning() {
        walk.notes.left_out = Some(warning);
        walk.notes.repairs.add(warning);
    }
    let out = walk.out.map(DataSetWriter::into_bytes).unwrap_or_default();
    Ok(RepairedDataSet {
        parts: [Cow::Owned(out), Cow::Borrowed(&[])],
        encoding: written,
        notes: walk.notes,
    })
}

#[cfg(test)]
mod tests;
