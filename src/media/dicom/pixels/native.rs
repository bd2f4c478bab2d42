//! Pixels that are not compressed (PS3.5 8.1 and annex D).

use std::borrow::Cow;
use std::ops::Range;

use crate::dicom::parsing::notes::PixelData;
use crate::dicom::pixels::layout::{Number, Photometric, PixelLayout};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, truncated};

/// Where the bytes of a frame are among those of all frames.
pub(crate) struct FrameSpan {
    /// The bytes to read.
    pub range: Range<u64>,
    /// Bits before the frame's first in the first of them: frames of 1 bit follow each other without a gap (8.1.1).
    skip: usize,
    /// Bytes of the frame alone.
    size: usize,
    /// Each two bytes are to be swapped: in a big-endian file words are, also where each holds two samples (annex D).
    swap: bool,
    /// Two pixels share their chroma.
    halved: bool,
}

impl FrameSpan {
    /// Of `frame` where all frames take `total` bytes; `big_words` tells that they are written as 16-bit words (VR OW)
    /// most significant byte first.
    pub(crate) fn of(
        layout: &PixelLayout,
        frame: u32,
        total: u64,
        big_words: bool,
    ) -> Option<Self> {
        let halved = matches!(
            layout.photometric,
            Photometric::YbrFull422 | Photometric::YbrPartial422
        ) && !holds_full_chroma(total, layout);
        let cells = if halved {
            halved_size(layout)
        } else {
            layout.cells()
        };
        let bits = (cells as u64).checked_mul(u64::from(layout.allocated))?;
        let first = bits.checked_mul(u64::from(frame))?;
        let (mut start, mut end) = (first / 8, first.checked_add(bits)?.div_ceil(8));
        let swap = big_words && layout.allocated <= 8;
        let mut skip = (first % 8) as usize;
        if end > total {
            return None;
        }
        if swap {
            skip += (start % 2) as usize * 8;
            (start, end) = (start & !1, (end + end % 2).min(total));
        }
        Some(Self {
            range: start..end,
            skip,
            size: bits.div_ceil(8) as usize,
            swap,
            halved,
        })
    }

    /// The only frame among its own bytes.
    pub(crate) fn alone(layout: &PixelLayout, total: u64) -> Option<Self> {
        let single = PixelLayout {
            frames: 1,
            ..layout.clone()
        };
        Self::of(&single, 0, total, false)
    }
}

/// Whether pixels have the length of all frames without compression, but for a byte that makes it even.
pub(crate) fn is_native_length(data: &PixelData, layout: &PixelLayout) -> bool {
    let PixelData::Native(range) = data else {
        return false;
    };
    let bits = layout.cells() as u64 * u64::from(layout.allocated) * u64::from(layout.frames);
    let bytes = bits.div_ceil(8);
    (bytes..=bytes + 1).contains(&(range.end - range.start))
}

/// The cells of a frame, interleaved, from the bytes at its place.
pub(crate) fn decode(
    bytes: &[u8],
    place: &FrameSpan,
    layout: &PixelLayout,
    big_endian: bool,
) -> Cells {
    let bytes = if place.swap {
        let pairs = bytes.chunks(2);
        Cow::Owned(pairs.flat_map(|pair| pair.iter().rev().copied()).collect())
    } else {
        Cow::Borrowed(bytes)
    };
    if layout.allocated == 1 {
        return Cells::U8(bits(&bytes, place.skip, layout.cells()));
    }
    if !layout.in_bytes() {
        return packed(&bytes, place.skip, layout);
    }
    let start = place.skip / 8;
    let bytes = &bytes[start..start + place.size];
    match numbers(bytes, layout, big_endian) {
        Cells::U8(data) if place.halved => Cells::U8(full_chroma(&data, layout)),
        cells if layout.planar && !place.halved => interleave(cells, layout),
        cells => cells,
    }
}

/// The error of a frame that is not whole.
pub(crate) fn cut(frame: u32, there: u64) -> MediaError {
    truncated(format!(
        "DICOM: frame {frame} is cut off: {there} bytes of pixels are there"
    ))
}

fn numbers(bytes: &[u8], layout: &PixelLayout, big: bool) -> Cells {
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
pub(crate) fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks::<N>().0;
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

/// `count` samples of one bit, the first in the lowest bit after `skip` (8.1.1).
pub(crate) fn bits(bytes: &[u8], skip: usize, count: usize) -> Vec<u8> {
    (skip..skip + count)
        .map(|i| bytes[i / 8] >> (i % 8) & 1)
        .collect()
}

/// Samples of 10, 12 or any other number of bits, without a gap from the lowest bit on, as the pixel cells of older
/// editions of the standard are (PS3.5-2004 8.1.1 and annex D).
fn packed(bytes: &[u8], skip: usize, layout: &PixelLayout) -> Cells {
    let width = usize::from(layout.allocated);
    let cell = |n: usize| {
        let first = skip + n * width;
        let at = first / 8;
        let raw = bytes[at..bytes.len().min(at + 5)]
            .iter()
            .rev()
            .fold(0_u64, |raw, &byte| raw << 8 | u64::from(byte));
        (raw >> (first % 8)) as u32 & (u32::MAX >> (32 - width))
    };
    let cells = (0..layout.cells()).map(cell);
    match width {
        0..=8 => Cells::U8(cells.map(|c| c as u8).collect()),
        9..=16 => Cells::U16(cells.map(|c| c as u16).collect()),
        _ => Cells::U32(cells.collect()),
    }
}

/// Uncompressed YBR_FULL_422 is written by some with all of its chroma; the length tells.
fn holds_full_chroma(total: u64, layout: &PixelLayout) -> bool {
    layout.planar
        || layout.allocated != 8
        || total >= layout.cells() as u64 * u64::from(layout.frames)
}

fn halved_size(layout: &PixelLayout) -> usize {
    layout.rows as usize * (layout.columns as usize).div_ceil(2) * 4
}

/// Y Y Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2) to Y Cb Cr for each.
fn full_chroma(data: &[u8], layout: &PixelLayout) -> Vec<u8> {
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
fn interleave(cells: Cells, layout: &PixelLayout) -> Cells {
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
