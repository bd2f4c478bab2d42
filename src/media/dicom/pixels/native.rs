//! Reads uncompressed pixels (PS3.5 8.1 and annex D).

use std::borrow::Cow;
use std::ops::Range;

use crate::dicom::parsing::notes::PixelData;
use crate::dicom::pixels::layout::{Photometric, PixelLayout, SampleType};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, truncated};

/// The bytes of a frame among those of all frames.
pub(crate) struct FrameSpan {
    /// The bytes to read.
    pub range: Range<u64>,
    /// Bits to skip in the first byte: frames of 1 bit follow each other without a gap (8.1.1).
    skip: usize,
    /// Size of the frame in bytes.
    size: usize,
    /// Whether each two bytes must be swapped: big-endian files have words, also where each holds two samples, or a part
    /// of some (PS3.5-2004 annex D).
    swap: bool,
    /// Whether two pixels share their chroma.
    has_half_chroma: bool,
}

impl FrameSpan {
    /// The span of `frame` if all frames take `total` bytes; `None` if it reaches beyond them. `big_words` says
    /// whether they are big-endian 16-bit words (VR OW).
    pub(crate) fn of_frame(
        layout: &PixelLayout,
        frame: u32,
        total: u64,
        big_words: bool,
    ) -> Option<Self> {
        let has_half_chroma = has_half_chroma(layout, total);
        let bits = frame_bits(layout, total);
        let first = bits.checked_mul(u64::from(frame))?;
        let (mut start, mut end) = (first / 8, first.checked_add(bits)?.div_ceil(8));
        let swap = big_words && (layout.allocated <= 8 || !layout.in_bytes());
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
            has_half_chroma,
        })
    }

    /// The span of a single frame in bytes of its own.
    pub(crate) fn single(layout: &PixelLayout, total: u64) -> Option<Self> {
        let single = PixelLayout {
            frames: 1,
            ..layout.clone()
        };
        Self::of_frame(&single, 0, total, false)
    }
}

/// Bits of each frame if all take `total` bytes.
fn frame_bits(layout: &PixelLayout, total: u64) -> u64 {
    let cells = if has_half_chroma(layout, total) {
        half_chroma_size(layout)
    } else {
        layout.cells()
    };
    (cells as u64).saturating_mul(u64::from(layout.allocated))
}

/// Bytes of all frames if pixels of `total` bytes are whole.
pub(crate) fn expected_bytes(layout: &PixelLayout, total: u64) -> u64 {
    frame_bits(layout, total)
        .saturating_mul(u64::from(layout.frames))
        .div_ceil(8)
}

/// Number of whole frames in `total` bytes, at most Number of Frames.
pub(crate) fn whole_frames(layout: &PixelLayout, total: u64) -> u32 {
    let frames = total.saturating_mul(8) / frame_bits(layout, total).max(1);
    u32::try_from(frames).map_or(layout.frames, |frames| frames.min(layout.frames))
}

/// Whether two pixels share their chroma if all frames take `total` bytes.
pub(crate) fn has_half_chroma(layout: &PixelLayout, total: u64) -> bool {
    let halves = matches!(
        layout.photometric,
        Photometric::YbrFull422 | Photometric::YbrPartial422
    );
    halves && !holds_full_chroma(total, layout)
}

/// Whether pixels have the length of all frames uncompressed, up to a padding byte.
pub(crate) fn is_native_length(data: &PixelData, layout: &PixelLayout) -> bool {
    let PixelData::Native(range) = data else {
        return false;
    };
    let bits = layout.cells() as u64 * u64::from(layout.allocated) * u64::from(layout.frames);
    let bytes = bits.div_ceil(8);
    (bytes..=bytes + 1).contains(&(range.end - range.start))
}

/// Decodes the bytes of a frame's span to interleaved cells.
pub(crate) fn decode(
    bytes: &[u8],
    span: &FrameSpan,
    layout: &PixelLayout,
    big_endian: bool,
) -> Cells {
    let bytes = if span.swap {
        let pairs = bytes.chunks(2);
        Cow::Owned(pairs.flat_map(|pair| pair.iter().rev().copied()).collect())
    } else {
        Cow::Borrowed(bytes)
    };
    if layout.allocated == 1 {
        return Cells::U8(bits(&bytes, span.skip, layout.cells()));
    }
    if !layout.in_bytes() {
        return packed(&bytes, span.skip, layout);
    }
    let start = span.skip / 8;
    let bytes = &bytes[start..start + span.size];
    match numbers(bytes, layout, big_endian) {
        Cells::U8(data) if span.has_half_chroma => Cells::U8(full_chroma(&data, layout)),
        cells if layout.planar && !span.has_half_chroma => interleave(cells, layout),
        cells => cells,
    }
}

/// The error for a frame that is cut off or missing.
pub(crate) fn cut_off(layout: &PixelLayout, frame: u32, available: u64) -> MediaError {
    let whole = whole_frames(layout, available);
    let state = if frame > whole {
        "is missing"
    } else {
        "is cut off"
    };
    let share = match layout.frames {
        1 => String::new(),
        frames => format!(", which are {whole} of {frames} frames"),
    };
    truncated(format!(
        "DICOM: frame {frame} {state}: the file has {available} bytes of pixels{share}"
    ))
}

fn numbers(bytes: &[u8], layout: &PixelLayout, big: bool) -> Cells {
    match (layout.sample_type, layout.allocated) {
        (SampleType::Float, _) if big => {
            Cells::F64(read_numbers(bytes, |b| f64::from(f32::from_be_bytes(b))))
        }
        (SampleType::Float, _) => {
            Cells::F64(read_numbers(bytes, |b| f64::from(f32::from_le_bytes(b))))
        }
        (SampleType::Double, _) if big => Cells::F64(read_numbers(bytes, f64::from_be_bytes)),
        (SampleType::Double, _) => Cells::F64(read_numbers(bytes, f64::from_le_bytes)),
        (SampleType::Integer, 8) => Cells::U8(bytes.to_vec()),
        (SampleType::Integer, 16) if big => Cells::U16(read_numbers(bytes, u16::from_be_bytes)),
        (SampleType::Integer, 16) => Cells::U16(read_numbers(bytes, u16::from_le_bytes)),
        (SampleType::Integer, _) if big => Cells::U32(read_numbers(bytes, u32::from_be_bytes)),
        (SampleType::Integer, _) => Cells::U32(read_numbers(bytes, u32::from_le_bytes)),
    }
}

/// Reads the consecutive numbers in `bytes`; an incomplete last one is dropped.
pub(crate) fn read_numbers<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks::<N>().0;
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

/// Unpacks `count` one-bit samples, the first in the lowest bit after `skip` bits (8.1.1).
pub(crate) fn bits(bytes: &[u8], skip: usize, count: usize) -> Vec<u8> {
    (skip..skip + count)
        .map(|i| bytes[i / 8] >> (i % 8) & 1)
        .collect()
}

/// Unpacks samples of 10, 12 or any other number of bits, from the lowest bit on without a gap, as in the pixel cells
/// of older editions of the standard (PS3.5-2004 8.1.1 and annex D).
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

/// Whether uncompressed YBR_FULL_422 holds all of its chroma, as some writers have it; the length decides. Of a length
/// that is neither that of the frames with halved chroma nor without, whole frames with halved chroma are the rule:
/// there are more of them than Number of Frames says.
fn holds_full_chroma(total: u64, layout: &PixelLayout) -> bool {
    let is_padded = |bytes: u64| (bytes..=bytes + 1).contains(&total);
    let full = layout.cells() as u64 * u64::from(layout.frames);
    let half = half_chroma_size(layout) as u64;
    let is_never_half = layout.planar || layout.allocated != 8;
    is_never_half || is_padded(full) || (total > full && !is_padded(total / half * half))
}

fn half_chroma_size(layout: &PixelLayout) -> usize {
    layout.rows as usize * (layout.columns as usize).div_ceil(2) * 4
}

/// Expands Y Y Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2) to Y Cb Cr for each.
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

/// Interleaves planes (Planar Configuration 1).
fn interleave(cells: Cells, layout: &PixelLayout) -> Cells {
    fn interleaved<T: Copy>(data: &[T], pixels: usize, samples: usize) -> Vec<T> {
        (0..pixels)
            .flat_map(|i| (0..samples).map(move |s| data[s * pixels + i]))
            .collect()
    }
    let (pixels, samples) = (layout.pixels(), usize::from(layout.samples));
    match cells {
        Cells::U8(data) => Cells::U8(interleaved(&data, pixels, samples)),
        Cells::U16(data) => Cells::U16(interleaved(&data, pixels, samples)),
        Cells::U32(data) => Cells::U32(interleaved(&data, pixels, samples)),
        Cells::F64(data) => Cells::F64(interleaved(&data, pixels, samples)),
    }
}
