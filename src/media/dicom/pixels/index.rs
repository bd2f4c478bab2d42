//! Where the bytes of each frame are (PS3.5 A.4): found once, when the first frame is asked for.
//!
//! An offset table is believed where all its entries point at fragments. Without one, fragments that are as many as the
//! frames are one each; others are joined by where streams begin and end. A cut file has its first frames.

use std::ops::Range;

use crate::codecs::stream::{self, StreamHeader};
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::notes::PixelData;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::native::{self, each};
use crate::error::{MediaError, malformed, truncated};

/// Bytes of the beginning of a stream that are looked at for its header.
const HEAD: u64 = 1 << 16;
/// Bytes of the end of a fragment in which an end-of-image marker is looked for; padding may follow it.
const TAIL: u64 = 10;
/// Fewer bytes than this are no mark.
const SHORTEST: usize = 12;

/// Where the bytes of each frame are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameIndex {
    /// Pixels without compression, all frames one after the other.
    Native(Range<u64>),
    /// Coded pixels.
    Coded {
        /// The fragments of all frames.
        parts: Vec<Range<u64>>,
        /// The first fragment of each frame; of a cut file, of those that are there.
        starts: Vec<usize>,
    },
}

impl FrameIndex {
    /// Finds the frames of an object. `extended` is its Extended Offset Table (7FE0,0001).
    pub(crate) fn build(
        pixels: &PixelData,
        extended: Option<&[u8]>,
        body: &Body,
        layout: &PixelLayout,
        codec: Codec,
    ) -> Result<Self, MediaError> {
        let (table, parts) = match pixels {
            PixelData::Native(range) => return native(range, body, layout, pixels, codec),
            PixelData::Fragments(fragments) => fragments.split_first().ok_or_else(no_fragments)?,
        };
        if parts.is_empty() {
            return Err(no_fragments());
        }
        let offsets = match extended {
            Some(extended) if extended.len() >= 8 => each(extended, u64::from_le_bytes),
            _ => each(&body.read(table.clone())?, u32::from_le_bytes)
                .into_iter()
                .map(u64::from)
                .collect(),
        };
        Ok(Self::Coded {
            starts: starts(&offsets, parts, body, layout.frames as usize)?,
            parts: parts.to_vec(),
        })
    }

    /// The fragments of a frame. One that is behind the last is missing.
    pub(crate) fn fragments(&self, frame: u32) -> Result<&[Range<u64>], MediaError> {
        let Self::Coded { parts, starts } = self else {
            return Ok(&[]);
        };
        let frame = frame as usize;
        let missing = || {
            truncated(format!(
                "DICOM: frame {frame} is missing: there are {} in {} fragments",
                starts.len(),
                parts.len()
            ))
        };
        let start = *starts.get(frame).ok_or_else(missing)?;
        let end = starts.get(frame + 1).copied().unwrap_or(parts.len());
        parts.get(start..end).ok_or_else(missing)
    }
}

/// Pixels of defined length: native ones, or a stream that ought to be encapsulated, known by a header of the object's
/// size.
fn native(
    range: &Range<u64>,
    body: &Body,
    layout: &PixelLayout,
    pixels: &PixelData,
    codec: Codec,
) -> Result<FrameIndex, MediaError> {
    if native::is_native_length(pixels, layout) {
        return Ok(FrameIndex::Native(range.clone()));
    }
    let head = body.read(range.start..range.end.min(range.start + HEAD))?;
    if StreamHeader::read(&head).is_some_and(|header| header.size == (layout.columns, layout.rows))
    {
        return Ok(FrameIndex::Coded {
            parts: vec![range.clone()],
            starts: vec![0],
        });
    }
    match codec {
        Codec::Native | Codec::Unsupported | Codec::Unknown => {
            Ok(FrameIndex::Native(range.clone()))
        }
        _ => Err(malformed(
            "DICOM: compressed pixels of defined length that no decoder here knows",
        )),
    }
}

fn no_fragments() -> MediaError {
    truncated("DICOM: the encapsulated pixels have no fragments")
}

/// The first fragment of each frame.
fn starts(
    offsets: &[u64],
    parts: &[Range<u64>],
    body: &Body,
    frames: usize,
) -> Result<Vec<usize>, MediaError> {
    if frames == 1 {
        return Ok(vec![0]);
    }
    let tabled = by_offsets(offsets, parts);
    // A table of another length than the number of frames is believed less than fragments that are as many.
    if let Some(starts) = &tabled
        && (offsets.len() == frames || parts.len() != frames)
    {
        return Ok(starts.iter().copied().take(frames).collect());
    }
    if parts.len() == frames {
        return Ok((0..frames).collect());
    }
    let marks = StreamMarks::read(parts, body)?;
    let (begun, ended) = (marks.begun(), marks.ended());
    let whole = |starts: &Vec<usize>| starts.len() == frames;
    // A cut file has fewer frames than it says; where beginnings and ends agree, they are right all the same. Some
    // codecs have no end.
    let agreed = begun.len() > 1 && (begun == ended || ended.len() == 1);
    if whole(&begun) || (agreed && !whole(&ended)) {
        return Ok(begun.into_iter().take(frames).collect());
    }
    if whole(&ended) {
        return Ok(ended);
    }
    // Streams without marks: a fragment each, as far as they go.
    if parts.len() < frames && (parts.len() == 1 || (begun.len() == 1 && ended.len() == 1)) {
        return Ok((0..parts.len()).collect());
    }
    Err(malformed(format!(
        "DICOM: nothing tells which of {} fragments are whose of {frames} frames",
        parts.len()
    )))
}

/// The first fragments by an offset table: offsets count from the first fragment's item header, and each fragment takes
/// eight bytes beside its own. Entries behind the last fragment are of frames that are missing. `None` where one points
/// between the fragments.
fn by_offsets(offsets: &[u64], parts: &[Range<u64>]) -> Option<Vec<usize>> {
    let (first, end) = (parts.first()?.start, parts.last()?.end);
    let mut starts = Vec::with_capacity(offsets.len());
    for offset in offsets {
        let place = first.checked_add(*offset)?;
        if place >= end && !starts.is_empty() {
            break;
        }
        let part = parts.binary_search_by_key(&place, |part| part.start).ok()?;
        starts.push(part);
    }
    let ascending = starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b);
    ascending.then_some(starts)
}

/// How fragments begin and end.
struct StreamMarks {
    /// Each begins as a stream does.
    begin: Vec<bool>,
    /// Each ends with an end-of-image marker.
    end: Vec<bool>,
}

impl StreamMarks {
    fn read(parts: &[Range<u64>], body: &Body) -> Result<Self, MediaError> {
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        for (at, part) in parts.iter().enumerate() {
            let head = part.start..part.end.min(part.start + stream::MAX_MARK as u64);
            let head = body.read(head)?;
            // Of the last one a cut may have left too little.
            let is_stub =
                at + 1 == parts.len() && head.len() < SHORTEST && end.last() == Some(&true);
            begin.push(is_stub || stream::begins(&head));
            let tail = part.start.max(part.end.saturating_sub(TAIL))..part.end;
            end.push(body.read(tail)?.windows(2).any(|w| w == b"\xff\xd9"));
        }
        Ok(Self { begin, end })
    }

    /// Frames by where streams begin; the first begins with the first fragment, whatever is in it.
    fn begun(&self) -> Vec<usize> {
        let begins = |at: &usize| *at == 0 || self.begin[*at];
        (0..self.begin.len()).filter(begins).collect()
    }

    /// Frames by where streams end.
    fn ended(&self) -> Vec<usize> {
        let follows = |at: &usize| *at == 0 || self.end[*at - 1];
        (0..self.end.len()).filter(follows).collect()
    }
}

#[cfg(test)]
mod tests;
