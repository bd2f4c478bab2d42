//! Pixels that are not compressed (PS3.5 8.1 and annex D).

use std::borrow::Cow;

use super::super::error::{MediaError, malformed, truncated};
use super::layout::{Layout, Number, Photometric};
use super::samples::Cells;

/// Frame `frame` of `bytes`, which hold all frames; `words` tells that they are written as 16-bit words (VR OW).
pub(super) fn decode(
    bytes: &[u8],
    layout: &Layout,
    frame: u32,
    big_endian: bool,
    words: bool,
) -> Result<Cells, MediaError> {
    // Words are swapped in a big-endian file also where each holds two samples (annex D).
    let bytes = if big_endian && words && layout.allocated <= 8 {
        let pairs = bytes.chunks(2);
        Cow::Owned(pairs.flat_map(|pair| pair.iter().rev().copied()).collect())
    } else {
        Cow::Borrowed(bytes)
    };
    if layout.allocated == 1 {
        return bits(&bytes, layout, frame).map(Cells::U8);
    }
    let halved =
        layout.photometric == Photometric::YbrFull422 && !holds_full_chroma(&bytes, layout);
    let cells = if halved {
        halved_size(layout)
    } else {
        layout.cells()
    };
    let size = cells * usize::from(layout.allocated / 8);
    let start = size
        .checked_mul(frame as usize)
        .ok_or_else(|| malformed("DICOM: impossible frame"))?;
    let Some(bytes) = bytes.get(start..).and_then(|rest| rest.get(..size)) else {
        return Err(truncated(format!(
            "DICOM: frame {frame} is cut off: {} bytes of pixels are there",
            bytes.len()
        )));
    };
    match numbers(bytes, layout, big_endian) {
        Cells::U8(data) if halved => Ok(Cells::U8(full_chroma(&data, layout))),
        cells if layout.planar && !halved => Ok(interleave(cells, layout)),
        cells => Ok(cells),
    }
}

fn numbers(bytes: &[u8], layout: &Layout, big: bool) -> Cells {
    match (layout.number, layout.allocated) {
        (Number::Float, _) if big => Cells::F64(each(bytes, |b| f64::from(f32::from_be_bytes(b)))),
        (Number::Float, _) => Cells::F64(each(bytes, |b| f64::from(f32::from_le_bytes(b)))),
        (Number::Double, _) if big => Cells::F64(each(bytes, f64::from_be_bytes)),
        (Number::Double, _) => Cells::F64(each(bytes, f64::from_le_bytes)),
        (Number::Integer, 8) => Cells::U8(bytes.to_vec()),
        (Number::Integer, 16) if big => Cells::U16(each(bytes, u16::from_be_bytes)),
        (Number::Integer, 16) => Cells::U16(each(bytes, u16::from_le_bytes)),
        (Number::Integer, _) if big => Cells::U32(each(bytes, u32::from_be_bytes)),
        (Number::Integer, _) => Cells::U32(each(bytes, u32::from_le_bytes)),
    }
}

/// The numbers that `bytes` are made of; an odd rest is dropped.
pub(super) fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks::<N>().0;
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

/// One bit a sample, the first in the lowest bit; frames follow each other without a gap (8.1.1).
pub(super) fn bits(bytes: &[u8], layout: &Layout, frame: u32) -> Result<Vec<u8>, MediaError> {
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
        Cells::F64(data) => Cells::F64(woven(&data, pixels, samples)),
    }
}
