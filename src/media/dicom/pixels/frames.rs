//! Where the bytes of one frame are: native pixels, or the fragments of encapsulated ones (PS3.5 A.4).

use std::borrow::Cow;
use std::ops::Range;

use dicom_core::VR;

use crate::Warnings;
use crate::dicom::attributes;
use crate::dicom::object::Object;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, Values};
use crate::dicom::parsing::repair::PixelData;
use crate::dicom::pixels::codec::{self, Coded};
use crate::dicom::pixels::layout::Layout;
use crate::dicom::pixels::native::{self, Place, each};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed, truncated};

/// One frame's cells, interleaved, and the layout that they have: a coded stream may know its depth and its colours
/// better than the attributes do.
pub(crate) fn decode(
    object: &Object,
    frame: u32,
    warnings: &mut Warnings,
) -> Result<(Cells, Layout), MediaError> {
    let (layout, body) = (object.layout(), object.body());
    let coded = match &object.pixels().data {
        PixelData::Native(range) => {
            let there = range.end - range.start;
            let big = object.meta().has_big_pixels();
            let words = object.pixels().vr == Some(VR::OW);
            let place = Place::of(layout, frame, there, big && words)
                .ok_or_else(|| native::cut(frame, there))?;
            let bytes =
                body.read(range.start + place.range.start..range.start + place.range.end)?;
            Coded {
                cells: native::decode(&bytes, &place, layout, big),
                layout: layout.clone(),
            }
        }
        PixelData::Fragments(fragments) => {
            let bytes = gather(object, fragments, frame)?;
            codec::decode(object.meta().syntax.codec, &bytes, layout, warnings)?
        }
    };
    if coded.cells.len() != layout.cells() {
        return Err(malformed(
            "DICOM: the frame has another size than the attributes say",
        ));
    }
    Ok((coded.cells, coded.layout))
}

/// The coded bytes of a frame, its fragments joined.
fn gather<'a>(
    object: &'a Object,
    fragments: &[Range<u64>],
    frame: u32,
) -> Result<Cow<'a, [u8]>, MediaError> {
    let (_, parts) = fragments.split_first().ok_or_else(no_fragments)?;
    let range = object.fragments_of(frame as usize)?;
    let part = |part: &Range<u64>| object.body().read(part.clone());
    match parts.get(range).unwrap_or_default() {
        [] => Err(truncated(format!("DICOM: frame {frame} has no fragments"))),
        [only] => part(only),
        several => {
            let mut joined = Vec::new();
            for one in several {
                joined.extend_from_slice(&part(one)?);
            }
            Ok(Cow::Owned(joined))
        }
    }
}

fn no_fragments() -> MediaError {
    truncated("DICOM: the encapsulated pixels have no fragments")
}

/// The first fragment of each frame: all belong to a single one; by an offset table; one each; or by where streams
/// begin.
pub(crate) fn starts(
    set: &DataSet,
    body: &Body,
    fragments: &[Range<u64>],
    frames: u32,
) -> Result<Vec<usize>, MediaError> {
    let (table, parts) = fragments.split_first().ok_or_else(no_fragments)?;
    if parts.is_empty() {
        return Err(no_fragments());
    }
    if frames == 1 {
        return Ok(vec![0]);
    }
    if parts.len() == frames as usize {
        return Ok((0..parts.len()).collect());
    }
    let offsets = offsets(set, &body.read(table.clone())?);
    if offsets.len() == frames as usize
        && let Some(starts) = starts_by_offset(&offsets, parts)
    {
        return Ok(starts);
    }
    let mut starts = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let head = part.start..part.end.min(part.start + LONGEST_MARK);
        if begins(&body.read(head)?) {
            starts.push(at);
        }
    }
    // A table that points between the fragments is believed less than streams that are as many as the frames.
    if !offsets.is_empty() && starts.len() != frames as usize {
        return Err(malformed(
            "DICOM: the offset table points between the fragments",
        ));
    }
    Ok(starts)
}

/// Bytes by which a stream is known.
const LONGEST_MARK: u64 = 12;

/// Whether a fragment is the first of its frame, by the beginnings of JPEG and JPEG-LS, JPEG 2000 and JPEG XL.
fn begins(part: &[u8]) -> bool {
    let marks: [&[u8]; 5] = [
        b"\xff\xd8\xff",
        b"\xff\x4f\xff\x51",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\xff\x0a",
    ];
    marks.iter().any(|mark| part.starts_with(mark))
}

/// The fragments of a frame, by where each frame starts.
pub(crate) fn range_of(
    starts: &[usize],
    frame: usize,
    frames: u32,
    parts: usize,
) -> Result<Range<usize>, MediaError> {
    match starts.get(frame) {
        Some(&start) => Ok(start..starts.get(frame + 1).copied().unwrap_or(parts)),
        None if parts < frames as usize => Err(truncated(format!(
            "DICOM: {frames} frames in {parts} fragments"
        ))),
        None => Err(malformed(format!(
            "DICOM: nothing tells which of {parts} fragments are frame {frame}"
        ))),
    }
}

/// The Extended Offset Table (7FE0,0001), else the basic one.
fn offsets(set: &DataSet, table: &[u8]) -> Vec<u64> {
    match set.bytes(attributes::EXTENDED_OFFSETS) {
        Some(bytes) if bytes.len() >= 8 => each(&bytes, u64::from_le_bytes),
        _ => each(table, u32::from_le_bytes)
            .into_iter()
            .map(u64::from)
            .collect(),
    }
}

/// Offsets count from the first fragment's item header; each fragment takes eight bytes beside its own. `None` where
/// one points between the fragments.
fn starts_by_offset(offsets: &[u64], parts: &[Range<u64>]) -> Option<Vec<usize>> {
    let first = parts.first()?.start;
    let starts: Option<Vec<usize>> = offsets
        .iter()
        .map(|offset| {
            let place = first.checked_add(*offset)?;
            parts.binary_search_by_key(&place, |part| part.start).ok()
        })
        .collect();
    starts.filter(|starts| starts.is_sorted())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fragments as they lie in a data set, an item header before each; the first is the offset table.
    fn encapsulated(parts: &[&[u8]]) -> (Body, Vec<Range<u64>>) {
        let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
        for part in parts {
            bytes.extend([0; 8]);
            let start = bytes.len() as u64;
            bytes.extend_from_slice(part);
            ranges.push(start..bytes.len() as u64);
        }
        (Body::whole(bytes), ranges)
    }

    fn table(offsets: [u32; 3]) -> Vec<u8> {
        offsets.iter().flat_map(|o| o.to_le_bytes()).collect()
    }

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0";

    fn found(table: &[u8], parts: &[&[u8]], frames: u32) -> Result<Vec<usize>, MediaError> {
        let all: Vec<&[u8]> = [table].into_iter().chain(parts.iter().copied()).collect();
        let (body, ranges) = encapsulated(&all);
        starts(&DataSet::new_empty(), &body, &ranges, frames)
    }

    #[test]
    fn frames_are_found_by_table_or_by_where_streams_begin() {
        let parts = [JPEG, b"more", JPEG, JPEG, b"more", b"most"];
        let lying = table([0, 5, 36]);
        for table in [table([0, 24, 36]).as_slice(), &[], &lying] {
            assert_eq!(found(table, &parts, 3), Ok(vec![0, 2, 3]));
        }
        assert_eq!(range_of(&[0, 2, 3], 1, 3, 6), Ok(2..3));
        assert_eq!(range_of(&[0, 2, 3], 2, 3, 6), Ok(3..6));
        assert_eq!(found(&[], &parts, 1), Ok(vec![0]));
    }

    #[test]
    fn what_nothing_tells_is_an_error() {
        let parts: [&[u8]; 3] = [b"x", b"y", b"z"];
        let starts = found(&[], &parts, 2).expect("none are found");
        assert!(range_of(&starts, 1, 2, 3).is_err());
        assert!(found(&table([0, 5, 36])[..8], &parts, 2).is_err());
        assert_eq!(
            range_of(&[0, 1], 2, 3, 2).map_err(|e| e.kind),
            Err(crate::ErrorKind::Truncated)
        );
    }
}
