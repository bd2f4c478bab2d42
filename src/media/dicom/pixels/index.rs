//! Locates the bytes of each frame (PS3.5 A.4), once, when the first frame is requested.
//!
//! An offset table is used if all its entries point at fragments. Without one, if there are as many fragments as
//! frames, each fragment is a frame; otherwise fragments are grouped by where streams begin and end. A truncated file
//! still has its first frames. A file with fewer or more frames than it says is shown with a warning.

use std::borrow::Cow;
use std::ops::Range;

use dicom_dictionary_std::tags;

use crate::Warnings;
use crate::codecs::stream::{self, MAX_HEADER, StreamHeader};
use crate::dicom::attributes::named;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::notes::PixelData;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::native::{self, read_numbers};
use crate::error::{MediaError, malformed, truncated};

/// Bytes by which a stream is recognised.
const MAX_SIGNATURE: u64 = stream::MAX_SIGNATURE as u64;
/// Bytes at the end of a fragment in which an end-of-image marker is searched; padding may follow it.
const END_MARKER_WINDOW: u64 = 10;
/// Smallest number of bytes by which the beginning of a stream can be recognised.
const MIN_MARKER: usize = 12;

/// Where the bytes of each frame are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameIndex {
    /// Uncompressed pixels, all frames one after the other.
    Native(Range<u64>),
    /// Encapsulated pixels.
    Coded {
        /// The fragments of all frames.
        parts: Vec<Range<u64>>,
        /// Index of the first fragment of each frame; for a truncated file, of those present.
        starts: Vec<usize>,
    },
}

impl FrameIndex {
    /// Locates the frames of an object. `extended` is its Extended Offset Table (7FE0,0001). Warns if there are fewer
    /// or more than Number of Frames says.
    pub(crate) fn build(
        pixels: &PixelData,
        extended: Option<&[u8]>,
        body: &Body,
        layout: &PixelLayout,
        codec: Codec,
        warnings: &mut Warnings,
    ) -> Result<Self, MediaError> {
        let index = Self::locate(pixels, extended, body, layout, codec, warnings)?;
        let present = index.frames(layout);
        if present > 0 && present < layout.frames {
            warnings.add(format!(
                "{} says {}, but the file has {present}; the others are missing.",
                named(tags::NUMBER_OF_FRAMES),
                layout.frames
            ));
        }
        Ok(index)
    }

    fn locate(
        pixels: &PixelData,
        extended: Option<&[u8]>,
        body: &Body,
        layout: &PixelLayout,
        codec: Codec,
        warnings: &mut Warnings,
    ) -> Result<Self, MediaError> {
        let (table, parts) = match pixels {
            PixelData::Native(range) => {
                return native(range, body, layout, pixels, codec, warnings);
            }
            PixelData::Fragments(fragments) => fragments.split_first().ok_or_else(no_fragments)?,
        };
        if parts.is_empty() {
            return Err(no_fragments());
        }
        let offsets = match extended {
            Some(extended) if extended.len() >= 8 => read_numbers(extended, u64::from_le_bytes),
            _ => read_numbers(&body.read(table.clone())?, u32::from_le_bytes)
                .into_iter()
                .map(u64::from)
                .collect(),
        };
        let frames = layout.frames as usize;
        let mut starts = frame_starts(&offsets, parts, body, frames)?;
        if starts.len() > frames {
            warnings.add(format!(
                "The file has more frames than {} says; those beyond are not shown.",
                named(tags::NUMBER_OF_FRAMES)
            ));
            starts.truncate(frames);
        }
        Ok(Self::Coded {
            starts,
            parts: parts.to_vec(),
        })
    }

    /// Number of frames that the file has, at most Number of Frames; fewer if it is cut off or does not have as many as
    /// it says.
    pub(crate) fn frames(&self, layout: &PixelLayout) -> u32 {
        match self {
            Self::Native(range) => native::whole_frames(layout, range.end - range.start),
            Self::Coded { starts, .. } => starts.len() as u32,
        }
    }

    /// The fragments of a frame. A frame behind the last one is an error.
    pub(crate) fn fragments(&self, frame: u32) -> Result<&[Range<u64>], MediaError> {
        let Self::Coded { parts, starts } = self else {
            return Ok(&[]);
        };
        let frame = frame as usize;
        let missing = || {
            truncated(format!(
                "DICOM: frame {frame} is missing: the file has {} frames in {} fragments",
                starts.len(),
                parts.len()
            ))
        };
        let start = *starts.get(frame).ok_or_else(missing)?;
        let end = starts.get(frame + 1).copied().unwrap_or(parts.len());
        parts.get(start..end).ok_or_else(missing)
    }
}

/// Locates pixels of defined length: native ones, or a stream that should be encapsulated, recognised by a header with
/// the size of the object.
fn native(
    range: &Range<u64>,
    body: &Body,
    layout: &PixelLayout,
    pixels: &PixelData,
    codec: Codec,
    warnings: &mut Warnings,
) -> Result<FrameIndex, MediaError> {
    if native::is_native_length(pixels, layout) {
        return Ok(FrameIndex::Native(range.clone()));
    }
    let head = body.read(range.start..range.end.min(range.start + MAX_HEADER))?;
    if StreamHeader::read(&head).is_some_and(|header| header.size == (layout.columns, layout.rows))
    {
        return Ok(FrameIndex::Coded {
            parts: vec![range.clone()],
            starts: vec![0],
        });
    }
    match codec {
        Codec::Native | Codec::Unsupported | Codec::Unknown => {
            check_length(range.end - range.start, layout, warnings)?;
            Ok(FrameIndex::Native(range.clone()))
        }
        _ => Err(malformed(
            "DICOM: compressed pixels that are not encapsulated, and no supported stream",
        )),
    }
}

/// Compares the length of native pixels with what the attributes say. A multiple that means deeper samples or more of
/// them is an error, as the frame would be noise; other bytes behind the last frame are ignored with a warning.
fn check_length(
    length: u64,
    layout: &PixelLayout,
    warnings: &mut Warnings,
) -> Result<(), MediaError> {
    let expected = native::expected_bytes(layout, length);
    let is_padded = |bytes: u64| (bytes..=bytes + 1).contains(&length);
    // More frames than an unreadable number says would have such lengths, too, as would deeper samples.
    let is_one_frame = layout.frames == 1 && !layout.frames_assumed;
    // Halved chroma is always of 8 bits.
    let may_be_deeper = layout.allocated == 8 && !native::has_half_chroma(layout, length);
    let contradicted = if !is_one_frame || !may_be_deeper {
        None
    } else if is_padded(expected.saturating_mul(2)) {
        Some(("twice", tags::BITS_ALLOCATED))
    } else if layout.samples == 1 && is_padded(expected.saturating_mul(3)) {
        Some(("three times", tags::SAMPLES_PER_PIXEL))
    } else {
        None
    };
    if let Some((multiple, attribute)) = contradicted {
        return Err(malformed(format!(
            "DICOM: the pixels have {multiple} the length that {} gives",
            named(attribute)
        )));
    }
    if length > expected + 1 {
        warnings.add(
            "The pixels are longer than Rows, Columns and Number of Frames say; the bytes beyond are ignored.",
        );
    }
    Ok(())
}

fn no_fragments() -> MediaError {
    truncated("DICOM: the encapsulated pixels have no fragments")
}

/// Finds the first fragment of each frame, also of frames beyond Number of Frames if they are recognised as such.
fn frame_starts(
    offsets: &[u64],
    parts: &[Range<u64>],
    body: &Body,
    frames: usize,
) -> Result<Vec<usize>, MediaError> {
    if frames == 1 && parts.len() == 1 {
        return Ok(vec![0]);
    }
    if frames == 1 {
        let markers = StreamMarkers::read(parts, body)?;
        let begun = markers.begun();
        let are_several = begun == markers.ended();
        return Ok(if are_several { begun } else { vec![0] });
    }
    if let Some(starts) = by_table(offsets, parts, body, frames)? {
        return Ok(starts);
    }
    if parts.len() == frames {
        return Ok((0..frames).collect());
    }
    let markers = StreamMarkers::read(parts, body)?;
    if let Some(starts) = by_markers(&markers, frames) {
        return Ok(starts);
    }
    // Streams without markers: one fragment per frame, as far as they go.
    let is_plain = markers.begun().len() == 1 && markers.ended().len() == 1;
    if parts.len() < frames && (parts.len() == 1 || is_plain) {
        return Ok((0..parts.len()).collect());
    }
    Err(malformed(format!(
        "DICOM: cannot tell which of {} fragments belong to which of {frames} frames",
        parts.len()
    )))
}

/// The first fragment of each frame by an offset table; `None` if it is not believed.
fn by_table(
    offsets: &[u64],
    parts: &[Range<u64>],
    body: &Body,
    frames: usize,
) -> Result<Option<Vec<usize>>, MediaError> {
    // If the table does not have one entry per frame, but there are as many fragments as frames, the fragments are
    // believed.
    let fits = |_: &Vec<usize>| offsets.len() == frames || parts.len() != frames;
    let Some(starts) = by_offsets(offsets, parts).filter(fits) else {
        return Ok(None);
    };
    // Some write a table of one entry, 0, for any number of frames. An entry behind the last fragment, though, means
    // that the file is cut off.
    if starts.len() == offsets.len() && starts.len() < frames {
        let markers = StreamMarkers::read(parts, body)?;
        let more = by_markers(&markers, frames).filter(|found| found.len() > starts.len());
        return Ok(Some(more.unwrap_or(starts)));
    }
    Ok(Some(starts))
}

/// The first fragment of each frame by where streams begin and end; `None` if that does not tell.
fn by_markers(markers: &StreamMarkers, frames: usize) -> Option<Vec<usize>> {
    let (begun, ended) = (markers.begun(), markers.ended());
    let whole = |starts: &Vec<usize>| starts.len() == frames;
    // A truncated file has fewer frames than it says; beginnings and ends that agree are still right. Some codecs have
    // no end marker.
    let agreed = begun.len() > 1 && (begun == ended || ended.len() == 1);
    if whole(&begun) || (agreed && !whole(&ended)) {
        return Some(begun);
    }
    whole(&ended).then_some(ended)
}

/// The first fragment of each frame by an offset table. Offsets count from the item header of the first fragment, and
/// each fragment takes eight bytes beside its own. Entries behind the last fragment belong to missing frames. `None`
/// if one points between fragments.
fn by_offsets(offsets: &[u64], parts: &[Range<u64>]) -> Option<Vec<usize>> {
    let (first, end) = (parts.first()?.start, parts.last()?.end);
    let mut starts = Vec::with_capacity(offsets.len());
    for offset in offsets {
        let position = first.checked_add(*offset)?;
        if position >= end && !starts.is_empty() {
            break;
        }
        let part = parts
            .binary_search_by_key(&position, |part| part.start)
            .ok()?;
        starts.push(part);
    }
    let ascending = starts.first() == Some(&0) && starts.is_sorted_by(|a, b| a < b);
    ascending.then_some(starts)
}

/// Stream markers at the beginning and end of fragments.
struct StreamMarkers {
    /// For each fragment, whether it begins like a stream.
    begin: Vec<bool>,
    /// For each fragment, whether it ends with an end-of-image marker.
    end: Vec<bool>,
}

impl StreamMarkers {
    fn read(parts: &[Range<u64>], body: &Body) -> Result<Self, MediaError> {
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        for (at, part) in parts.iter().enumerate() {
            // A short fragment is read once: what is behind the place that a deflated data set was read to is inflated
            // anew from its beginning.
            let is_short = part.end - part.start <= MAX_SIGNATURE + END_MARKER_WINDOW;
            let head = if is_short {
                body.read(part.clone())?
            } else {
                body.read(part.start..part.start + MAX_SIGNATURE)?
            };
            // A truncated file may have too little left of the last fragment.
            let is_stub =
                at + 1 == parts.len() && head.len() < MIN_MARKER && end.last() == Some(&true);
            begin.push(is_stub || stream::is_stream_start(&head));
            let tail = if is_short {
                let window = head.len().saturating_sub(END_MARKER_WINDOW as usize);
                Cow::Borrowed(&head[window..])
            } else {
                body.read(part.end - END_MARKER_WINDOW..part.end)?
            };
            end.push(tail.windows(2).any(|w| w == b"\xff\xd9"));
        }
        Ok(Self { begin, end })
    }

    /// First fragments by where streams begin. The first frame begins with the first fragment, whatever that holds.
    fn begun(&self) -> Vec<usize> {
        let begins = |at: &usize| *at == 0 || self.begin[*at];
        (0..self.begin.len()).filter(begins).collect()
    }

    /// First fragments by where streams end.
    fn ended(&self) -> Vec<usize> {
        let follows = |at: &usize| *at == 0 || self.end[*at - 1];
        (0..self.end.len()).filter(follows).collect()
    }
}

#[cfg(test)]
mod tests;
