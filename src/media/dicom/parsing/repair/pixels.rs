//! Locates the pixels of a data set during the [walk](DataSetWalk).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::items::item_header;
use super::walk::DataSetWalk;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::elements::{ElementHeader, Encoding, ITEM, SEQUENCE_END, UNDEFINED};
use crate::dicom::parsing::notes::{PixelData, PixelElement};
use crate::error::{ErrorKind, MediaError};
use crate::limits;

/// Largest number of fragments: two for each frame that an object may have. Each takes sixteen bytes, and eight in
/// the file; a deflated one has thousands of empty ones in a byte.
const MAX_FRAGMENTS: usize = 2 * limits::MAX_FRAMES as usize;

impl DataSetWalk<'_> {
    /// Skips fragments that lie within a set in memory.
    pub(super) fn skip_fragments(&mut self, encoding: Encoding, end: usize) {
        while let Some(bytes) = self
            .bytes
            .get(self.at..end)
            .and_then(<[u8]>::first_chunk::<8>)
        {
            let (tag, length) = item_header(*bytes, encoding);
            if tag != ITEM && tag != SEQUENCE_END {
                return;
            }
            self.at = (self.at + 8).saturating_add(length as usize).min(end);
            if tag == SEQUENCE_END {
                return;
            }
        }
        self.at = end;
    }

    /// Notes where the object's pixels are and skips them. If there are several pixel elements, the first is used.
    pub(super) fn note_pixels(
        &mut self,
        header: &ElementHeader,
        encoding: Encoding,
        start: usize,
    ) -> Result<(), MediaError> {
        let from = self.at as u64;
        let total = self.body.map_or(self.bytes.len() as u64, Body::len);
        let (data, behind) = if header.length == UNDEFINED && header.tag == tags::PIXEL_DATA {
            self.find_fragments(encoding, from, total)?
        } else {
            let end = from + u64::from(header.length);
            self.notes.cut |= end > total;
            let end = end.min(total);
            (PixelData::Native(from..end), end)
        };
        self.at = (behind as usize).min(self.bytes.len());
        if self.notes.pixels.is_some() {
            self.is_sound = false;
            return Ok(());
        }
        self.notes.complete = true;
        self.pixel_element = Some(start..self.at);
        self.notes.pixels = Some(PixelElement {
            tag: header.tag,
            vr: header.vr,
            data,
        });
        Ok(())
    }

    /// Finds fragments up to their delimiter or the end, and where that is.
    fn find_fragments(
        &mut self,
        encoding: Encoding,
        from: u64,
        total: u64,
    ) -> Result<(PixelData, u64), MediaError> {
        let mut fragments = Vec::new();
        let mut at = from;
        while let Some(bytes) = self.read_eight(at) {
            let (tag, length) = item_header(bytes, encoding);
            if tag != ITEM && tag != SEQUENCE_END {
                break;
            }
            at += 8;
            if tag == SEQUENCE_END {
                break;
            }
            let end = at + u64::from(length);
            self.notes.cut |= end > total;
            if fragments.len() == MAX_FRAGMENTS {
                return Err(MediaError::new(
                    ErrorKind::TooLarge,
                    format!("DICOM: the pixels are in more than {MAX_FRAGMENTS} fragments"),
                ));
            }
            fragments.push(at..end.min(total));
            at = end.min(total);
        }
        // Objects without the last delimiter are common and complete; the decoder of the last fragment detects a cut.
        Ok((PixelData::Fragments(fragments), at))
    }

    fn read_eight(&self, at: u64) -> Option<[u8; 8]> {
        match self.body {
            Some(body) => body.eight(at),
            None => self.bytes.get(at as usize..)?.first_chunk::<8>().copied(),
        }
    }
}

/// Whether an element holds pixels.
pub(super) fn is_pixels(tag: Tag) -> bool {
    matches!(
        tag,
        tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
    )
}
