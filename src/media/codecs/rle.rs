//! Decodes RLE Lossless (PS3.5 annex G): one PackBits segment for each byte of each sample.

use crate::codecs::shape::FrameShape;
use crate::error::{MediaError, malformed, truncated, unsupported};

/// Bytes of each segment that are unpacked before they are interleaved: what fits in the first-level cache.
const BAND: usize = 4096;
/// Longest run (G.3.1).
const MAX_RUN: usize = 128;
/// Size of the header: the number of segments and fifteen offsets (G.5).
const HEADER: usize = 64;

/// Decodes one frame.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    match shape.allocated {
        1 => bits(bytes, shape, out),
        8 | 16 | 32 => planes(bytes, shape, out),
        other => Err(unsupported(format!(
            "RLE of {other} bits a sample is not supported"
        ))),
    }
}

/// Decodes one-bit samples packed into one segment, which is not in the standard but is written.
fn bits(bytes: &[u8], shape: &FrameShape, out: &mut Vec<u8>) -> Result<(), MediaError> {
    let cells = shape.pixels() * shape.samples;
    let mut segment = RleSegment::new(segments(bytes, 1)?[0], cells.div_ceil(8))?;
    let end = out.len() + cells;
    out.reserve(cells);
    while out.len() < end {
        let packed = segment.band(BAND.min((end - out.len()).div_ceil(8)))?;
        for byte in packed {
            out.extend((0..8).map(|bit| byte >> bit & 1));
        }
    }
    out.truncate(end);
    Ok(())
}

/// Decodes one segment for each byte of each sample, from the most to the least significant (G.2).
fn planes(bytes: &[u8], shape: &FrameShape, out: &mut Vec<u8>) -> Result<(), MediaError> {
    let (pixels, width) = (shape.pixels(), shape.sample_bytes());
    let step = shape.samples * width;
    let mut segments = segments(bytes, step)?
        .into_iter()
        .map(|segment| RleSegment::new(segment, pixels))
        .collect::<Result<Vec<_>, _>>()?;
    out.reserve(pixels * step);
    if let [only] = &mut segments[..] {
        return only.copy(pixels, out);
    }
    let mut done = 0;
    while done < pixels {
        let size = BAND.min(pixels - done);
        let at = out.len();
        out.resize(at + size * step, 0);
        let band = &mut out[at..];
        let mut bands = Vec::with_capacity(step);
        for segment in &mut segments {
            bands.push(segment.band(size)?);
        }
        // Samples are little-endian in memory, so their bytes are reversed.
        let order = |n: usize| bands[n / width * width + width - 1 - n % width];
        match step {
            2 => interleave::<2>(std::array::from_fn(order), band),
            3 => interleave::<3>(std::array::from_fn(order), band),
            4 => interleave::<4>(std::array::from_fn(order), band),
            6 => interleave::<6>(std::array::from_fn(order), band),
            _ => (0..step).for_each(|n| {
                let targets = band.iter_mut().skip(n).step_by(step);
                targets
                    .zip(order(n))
                    .for_each(|(target, &byte)| *target = byte);
            }),
        }
        done += size;
    }
    Ok(())
}

/// Interleaves the bytes of `N` planes.
#[inline]
fn interleave<const N: usize>(planes: [&[u8]; N], out: &mut [u8]) {
    let pixels = out.as_chunks_mut::<N>().0;
    let planes = planes.map(|plane| &plane[..pixels.len()]);
    for (at, pixel) in pixels.iter_mut().enumerate() {
        *pixel = std::array::from_fn(|n| planes[n][at]);
    }
}

/// The segments listed in the header (G.5).
fn segments(bytes: &[u8], expected: usize) -> Result<Vec<&[u8]>, MediaError> {
    let header: Vec<usize> = bytes
        .get(..HEADER)
        .ok_or_else(cut_off)?
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word) as usize)
        .collect();
    if header[0] != expected || expected > 15 {
        return Err(malformed(format!(
            "RLE: the frame has {} segments, not {expected}",
            header[0]
        )));
    }
    (1..=expected)
        .map(|n| {
            let end = if n == expected {
                bytes.len()
            } else {
                header[n + 1].min(bytes.len())
            };
            if header[n] >= bytes.len() {
                return Err(cut_off());
            }
            bytes
                .get(header[n]..end)
                .ok_or_else(|| malformed("RLE: a segment lies outside the frame"))
        })
        .collect()
}

/// A segment that is unpacked band by band (G.3.2).
struct RleSegment<'a> {
    packed: &'a [u8],
    /// Unpacked bytes: the band, then the rest of a run that reached beyond its end.
    buffer: [u8; BAND + 2 * MAX_RUN],
    /// Bytes of the last band, which have been used.
    used: usize,
    /// Bytes in the buffer.
    filled: usize,
}

impl<'a> RleSegment<'a> {
    /// Creates the decoder of a segment of `size` unpacked bytes. One that cannot hold as many is cut: two bytes give
    /// at most 128.
    fn new(packed: &'a [u8], size: usize) -> Result<Self, MediaError> {
        if packed.len().saturating_mul(MAX_RUN / 2) < size {
            return Err(cut_off());
        }
        Ok(Self {
            packed,
            buffer: [0; BAND + 2 * MAX_RUN],
            used: 0,
            filled: 0,
        })
    }

    /// Unpacks the next `size` bytes, at most [`BAND`].
    fn band(&mut self, size: usize) -> Result<&[u8], MediaError> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = size;
        while self.filled < size {
            let [control, rest @ ..] = self.packed else {
                return Err(cut_off());
            };
            let target = &mut self.buffer[self.filled..];
            match *control {
                128 => self.packed = rest,
                control @ 129.. => {
                    let [value, rest @ ..] = rest else {
                        return Err(cut_off());
                    };
                    // Filled to the longest possible run: a size known to the compiler costs less than a loop.
                    target[..MAX_RUN].fill(*value);
                    self.filled += 257 - usize::from(control);
                    self.packed = rest;
                }
                control => {
                    let count = usize::from(control) + 1;
                    if let Some(long) = rest.first_chunk::<MAX_RUN>() {
                        target[..MAX_RUN].copy_from_slice(long);
                        self.packed = &rest[count..];
                        self.filled += count;
                        continue;
                    }
                    // The last literal may be shorter if the segment's padding was left out.
                    let needed = size - self.filled;
                    let count = count.min(rest.len().max(count.min(needed)));
                    let (literal, rest) = rest.split_at_checked(count).ok_or_else(cut_off)?;
                    target[..count].copy_from_slice(literal);
                    self.filled += count;
                    self.packed = rest;
                }
            }
        }
        Ok(&self.buffer[..size])
    }

    /// Unpacks `size` bytes and appends them.
    fn copy(&mut self, size: usize, out: &mut Vec<u8>) -> Result<(), MediaError> {
        let end = out.len() + size;
        while out.len() < end {
            out.extend_from_slice(self.band(BAND.min(end - out.len()))?);
        }
        Ok(())
    }
}

fn cut_off() -> MediaError {
    truncated("RLE: the frame is cut off")
}

#[cfg(test)]
mod tests;
