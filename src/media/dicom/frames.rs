//! Where the bytes of one frame are: native pixels, or the fragments of encapsulated ones (PS3.5 A.4).

use std::borrow::Cow;

use super::super::error::{MediaError, malformed, truncated, unsupported};
use super::dataset::{DataSet, Value};
use super::file::DicomFile;
use super::layout::{Layout, Number};
use super::native::each;
use super::samples::Cells;
use super::syntax::Codec;
use super::tags;
use super::{codec, native};

/// Whether the object has pixels of any kind.
pub(super) fn has_pixels(set: &DataSet) -> bool {
    [tags::PIXEL_DATA, tags::FLOAT_PIXELS, tags::DOUBLE_PIXELS]
        .into_iter()
        .any(|tag| {
            set.get(tag)
                .is_some_and(|element| !matches!(element.value, Value::Bytes([])))
        })
}

/// One frame's cells, interleaved, and the layout that they have: a coded stream may know its depth and its colours
/// better than the attributes do.
pub(super) fn decode(
    file: &DicomFile,
    set: &DataSet,
    layout: &Layout,
    frame: u32,
) -> Result<(Cells, Layout), MediaError> {
    let tag = match layout.number {
        Number::Integer => tags::PIXEL_DATA,
        Number::Float => tags::FLOAT_PIXELS,
        Number::Double => tags::DOUBLE_PIXELS,
    };
    let missing = || malformed("DICOM: the pixels are not of the kind that the attributes say");
    let element = set.get(tag).ok_or_else(missing)?;
    let coded = match &element.value {
        Value::Bytes(bytes) => {
            let words = element.vr == *b"OW";
            native::decode(bytes, layout, frame, set.big_endian(), words)?.into()
        }
        Value::Items(_) => return Err(missing()),
        Value::Fragments(fragments) => {
            let bytes = gather(set, fragments, layout, frame)?;
            codec::decode(codec_of(file, &bytes)?, &bytes, layout)?
        }
    };
    if coded.cells.len() != layout.cells() {
        return Err(malformed(
            "DICOM: the frame has another size than the attributes say",
        ));
    }
    let mut layout = layout.clone();
    if let Some(bits) = coded.bits {
        (layout.stored, layout.high_bit) = (bits, bits - 1);
    }
    layout.photometric = coded.colors.unwrap_or(layout.photometric);
    Ok((coded.cells, layout))
}

/// The codec that the transfer syntax names; where it names none although the pixels are encapsulated, the one that
/// the bytes look like.
fn codec_of(file: &DicomFile, bytes: &[u8]) -> Result<Codec, MediaError> {
    match file.syntax.codec {
        Codec::Unsupported => Err(unsupported(format!(
            "DICOM transfer syntax {} ({}) is not supported",
            file.syntax.name, file.syntax.uid
        ))),
        Codec::Native if bytes.starts_with(b"\xff\xd8") => Ok(Codec::Jpeg),
        Codec::Native if bytes.starts_with(b"\xff\x4f\xff\x51") => Ok(Codec::Jpeg2000),
        codec => Ok(codec),
    }
}

/// The coded bytes of a frame, its fragments joined.
fn gather<'a>(
    set: &DataSet,
    fragments: &[&'a [u8]],
    layout: &Layout,
    frame: u32,
) -> Result<Cow<'a, [u8]>, MediaError> {
    let [table, parts @ ..] = fragments else {
        return Err(truncated(
            "DICOM: the encapsulated pixels have no fragments",
        ));
    };
    if parts.is_empty() {
        return Err(truncated(
            "DICOM: the encapsulated pixels have no fragments",
        ));
    }
    let range = split(set, table, parts, layout.frames, frame as usize)?;
    match &parts[range] {
        [] => Err(truncated(format!("DICOM: frame {frame} has no fragments"))),
        [only] => Ok(Cow::Borrowed(only)),
        several => Ok(Cow::Owned(several.concat())),
    }
}

/// Which fragments make a frame: all of a single frame; by an offset table; one each; or by where streams begin.
fn split(
    set: &DataSet,
    table: &[u8],
    parts: &[&[u8]],
    frames: u32,
    frame: usize,
) -> Result<std::ops::Range<usize>, MediaError> {
    if frames == 1 {
        return Ok(0..parts.len());
    }
    if parts.len() == frames as usize {
        return Ok(frame..frame + 1);
    }
    let offsets = offsets(set, table);
    let starts: Vec<usize> = if offsets.len() == frames as usize {
        starts_by_offset(&offsets, parts)?
    } else {
        let begins = |part: &&[u8]| {
            part.starts_with(b"\xff\xd8\xff") || part.starts_with(b"\xff\x4f\xff\x51")
        };
        parts
            .iter()
            .enumerate()
            .filter(|(_, part)| begins(part))
            .map(|(i, _)| i)
            .collect()
    };
    if starts.len() < frames as usize && starts.len() <= frame {
        return Err(if parts.len() < frames as usize {
            truncated(format!(
                "DICOM: {frames} frames in {} fragments",
                parts.len()
            ))
        } else {
            malformed(format!(
                "DICOM: nothing tells which of {} fragments are frame {frame}",
                parts.len()
            ))
        });
    }
    Ok(starts[frame]..starts.get(frame + 1).copied().unwrap_or(parts.len()))
}

/// The Extended Offset Table (7FE0,0001), else the basic one.
fn offsets(set: &DataSet, table: &[u8]) -> Vec<u64> {
    match set.bytes(tags::EXTENDED_OFFSETS) {
        Some(bytes) if bytes.len() >= 8 => each(bytes, u64::from_le_bytes),
        _ => each(table, u32::from_le_bytes)
            .into_iter()
            .map(u64::from)
            .collect(),
    }
}

/// Offsets count from the first fragment's item header; each fragment takes eight bytes beside its own.
fn starts_by_offset(offsets: &[u64], parts: &[&[u8]]) -> Result<Vec<usize>, MediaError> {
    let places: Vec<u64> = parts
        .iter()
        .scan(0_u64, |at, part| {
            let here = *at;
            *at += 8 + part.len() as u64;
            Some(here)
        })
        .collect();
    let starts: Option<Vec<usize>> = offsets
        .iter()
        .map(|offset| places.binary_search(offset).ok())
        .collect();
    starts
        .filter(|starts| starts.is_sorted())
        .ok_or_else(|| malformed("DICOM: the offset table points between the fragments"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_by_table_or_by_where_streams_begin() {
        let set = DataSet::default();
        let jpeg: &[u8] = b"\xff\xd8\xff\xe0";
        let parts: Vec<&[u8]> = vec![jpeg, b"more", jpeg, jpeg, b"more", b"most"];
        let table: Vec<u8> = [0_u32, 24, 36]
            .iter()
            .flat_map(|o| o.to_le_bytes())
            .collect();
        for table in [table.as_slice(), &[]] {
            let ranges: Vec<_> = (0..3).map(|f| split(&set, table, &parts, 3, f)).collect();
            assert_eq!(ranges, [Ok(0..2), Ok(2..3), Ok(3..6)]);
        }
        assert_eq!(split(&set, &[], &parts, 1, 0), Ok(0..6));
        assert!(split(&set, &[], &[b"x", b"y", b"z"], 2, 1).is_err());
        let lying: Vec<u8> = [0_u32, 5, 36]
            .iter()
            .flat_map(|o| o.to_le_bytes())
            .collect();
        assert!(split(&set, &lying, &parts, 3, 1).is_err());
    }
}
