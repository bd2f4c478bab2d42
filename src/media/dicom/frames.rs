//! Where the bytes of one frame are: native pixels, or the fragments of encapsulated ones (PS3.5 A.4).

use std::borrow::Cow;

use super::super::error::{MediaError, malformed, truncated, unsupported};
use super::codec;
use super::dataset::{DataSet, Element, Value};
use super::file::DicomFile;
use super::layout::{Layout, Photometric};
use super::samples::Cells;
use super::syntax::Codec;
use super::tags;

/// Whether the object has pixels of any kind.
pub(super) fn has_pixels(set: &DataSet) -> bool {
    [tags::PIXEL_DATA, tags::FLOAT_PIXELS, tags::DOUBLE_PIXELS]
        .into_iter()
        .any(|tag| {
            set.get(tag)
                .is_some_and(|element| !matches!(element.value, Value::Bytes([])))
        })
}

/// One frame's cells, interleaved.
pub(super) fn decode(
    file: &DicomFile,
    set: &DataSet,
    layout: &Layout,
    frame: u32,
) -> Result<Cells, MediaError> {
    let Some(element) = set.get(tags::PIXEL_DATA) else {
        return Err(unsupported("DICOM float pixel data is not supported"));
    };
    let cells = match &element.value {
        Value::Bytes(bytes) => native(set, element, bytes, layout, frame)?,
        Value::Items(_) => return Err(malformed("DICOM: the pixels are a sequence")),
        Value::Fragments(fragments) => {
            let bytes = gather(set, fragments, layout, frame)?;
            let codec = codec_of(file, &bytes)?;
            codec::decode(codec, &bytes, layout)?
        }
    };
    if cells.len() != layout.cells() {
        return Err(malformed(
            "DICOM: the frame has another size than the attributes say",
        ));
    }
    Ok(cells)
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
        codec => Ok(codec),
    }
}

/// A frame of native pixels.
fn native(
    set: &DataSet,
    element: &Element,
    bytes: &[u8],
    layout: &Layout,
    frame: u32,
) -> Result<Cells, MediaError> {
    // Words are swapped in a big-endian file also where each holds two samples (PS3.5 8.1.2 and annex D).
    let bytes = if set.big_endian() && element.vr == *b"OW" && layout.allocated <= 8 {
        Cow::Owned(
            bytes
                .chunks(2)
                .flat_map(|pair| pair.iter().rev().copied())
                .collect(),
        )
    } else {
        Cow::Borrowed(bytes)
    };
    let halved =
        layout.photometric == Photometric::YbrFull422 && !holds_full_chroma(&bytes, layout);
    if layout.allocated == 1 {
        return bits(&bytes, layout, frame).map(Cells::U8);
    }
    let sample = usize::from(layout.allocated / 8);
    let size = if halved {
        halved_size(layout)
    } else {
        layout.cells()
    } * sample;
    let start = size
        .checked_mul(frame as usize)
        .ok_or_else(|| malformed("DICOM: impossible frame"))?;
    let Some(bytes) = bytes.get(start..).and_then(|rest| rest.get(..size)) else {
        return Err(truncated(format!(
            "DICOM: frame {frame} is cut off: {} bytes of pixels are there",
            bytes.len()
        )));
    };
    let cells = match (layout.allocated, set.big_endian()) {
        (8, _) => Cells::U8(bytes.to_vec()),
        (16, big) => Cells::U16(each(
            bytes,
            if big {
                u16::from_be_bytes
            } else {
                u16::from_le_bytes
            },
        )),
        (_, big) => Cells::U32(each(
            bytes,
            if big {
                u32::from_be_bytes
            } else {
                u32::from_le_bytes
            },
        )),
    };
    match cells {
        Cells::U8(data) if halved => Ok(Cells::U8(full_chroma(&data, layout))),
        cells if layout.planar && !halved => Ok(interleave(cells, layout)),
        cells => Ok(cells),
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| read(*chunk))
        .collect()
}

/// One bit a sample, the first in the lowest bit; frames follow each other without a gap (PS3.5 8.1.1).
fn bits(bytes: &[u8], layout: &Layout, frame: u32) -> Result<Vec<u8>, MediaError> {
    let first = frame as usize * layout.cells();
    if bytes.len() < (first + layout.cells()).div_ceil(8) {
        return Err(truncated(format!("DICOM: frame {frame} is cut off")));
    }
    Ok((first..first + layout.cells())
        .map(|i| bytes[i / 8] >> (i % 8) & 1)
        .collect())
}

/// Uncompressed YBR_FULL_422 is written by some with all of its chroma; the length tells.
fn holds_full_chroma(bytes: &[u8], layout: &Layout) -> bool {
    layout.planar || layout.allocated != 8 || bytes.len() >= layout.cells() * layout.frames as usize
}

fn halved_size(layout: &Layout) -> usize {
    layout.rows as usize * (layout.columns as usize).div_ceil(2) * 4
}

/// Y Y Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2) to Y Cb Cr for each.
fn full_chroma(data: &[u8], layout: &Layout) -> Vec<u8> {
    let columns = layout.columns as usize;
    let mut out = Vec::with_capacity(layout.cells());
    for row in data.chunks_exact(columns.div_ceil(2) * 4) {
        for x in 0..columns {
            let pair = &row[x / 2 * 4..x / 2 * 4 + 4];
            out.extend([pair[x % 2], pair[2], pair[3]]);
        }
    }
    out
}

/// Planes to pixels (Planar Configuration 1).
fn interleave(cells: Cells, layout: &Layout) -> Cells {
    fn woven<T: Copy>(data: &[T], pixels: usize, samples: usize) -> Vec<T> {
        (0..pixels)
            .flat_map(|i| (0..samples).map(move |s| data[s * pixels + i]))
            .collect()
    }
    let (pixels, samples) = (layout.pixels(), usize::from(layout.samples));
    match cells {
        Cells::U8(data) => Cells::U8(woven(&data, pixels, samples)),
        Cells::U16(data) => Cells::U16(woven(&data, pixels, samples)),
        Cells::U32(data) => Cells::U32(woven(&data, pixels, samples)),
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
