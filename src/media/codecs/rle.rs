//! RLE Lossless (PS3.5 annex G): one PackBits segment for each byte of each sample.

use std::ops::{BitOrAssign, Shl};

use crate::dicom::pixels::layout::Layout;
use crate::dicom::pixels::native;
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed, truncated, unsupported};

/// Decodes one frame to interleaved cells.
pub(crate) fn decode(bytes: &[u8], layout: &Layout) -> Result<Cells, MediaError> {
    if layout.allocated == 1 {
        // Each frame begins with a byte of its own; the standard has no such coding, writers do.
        let [segment] = segments(bytes, 1)?[..] else {
            return Err(malformed("DICOM: RLE of 1 bit in several segments"));
        };
        let packed = unpack(segment, layout.cells().div_ceil(8))?;
        return Ok(Cells::U8(native::bits(&packed, 0, layout.cells())));
    }
    if !layout.in_bytes() {
        return Err(unsupported(format!(
            "DICOM: RLE of {} bits a sample is not supported",
            layout.allocated
        )));
    }
    let (samples, size) = (
        usize::from(layout.samples),
        usize::from(layout.allocated / 8),
    );
    let segments = segments(bytes, samples * size)?;
    let pixels = layout.pixels();
    let planes = segments
        .into_iter()
        .map(|s| unpack(s, pixels))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match size {
        1 => Cells::U8(woven(&planes, samples, size)),
        2 => Cells::U16(woven(&planes, samples, size)),
        _ => Cells::U32(woven(&planes, samples, size)),
    })
}

/// Cells from the planes of their bytes: those of a sample go from its most to its least significant byte (G.2).
fn woven<T>(planes: &[Vec<u8>], samples: usize, size: usize) -> Vec<T>
where
    T: Copy + Default + From<u8> + BitOrAssign + Shl<usize, Output = T>,
{
    let pixels = planes.first().map_or(0, Vec::len);
    let mut cells = vec![T::default(); pixels * samples];
    for (n, plane) in planes.iter().enumerate() {
        let (sample, shift) = (n / size, 8 * (size - 1 - n % size));
        let put = |(cell, &byte): (&mut T, &u8)| *cell |= T::from(byte) << shift;
        if samples == 1 {
            cells.iter_mut().zip(plane).for_each(put);
        } else {
            let cells = cells.iter_mut().skip(sample).step_by(samples);
            cells.zip(plane).for_each(put);
        }
    }
    cells
}

/// The header's segments (G.5): a count and fifteen offsets.
fn segments(bytes: &[u8], expected: usize) -> Result<Vec<&[u8]>, MediaError> {
    let header: Vec<usize> = bytes
        .get(..64)
        .ok_or_else(cut)?
        .as_chunks::<4>()
        .0
        .iter()
        .map(|w| u32::from_le_bytes(*w) as usize)
        .collect();
    if header[0] != expected || expected > 15 {
        return Err(malformed(format!(
            "DICOM: {} RLE segments where {expected} belong",
            header[0]
        )));
    }
    (1..=expected)
        .map(|i| {
            let end = if i == expected {
                bytes.len()
            } else {
                header[i + 1].min(bytes.len())
            };
            bytes
                .get(header[i]..end)
                .ok_or_else(|| malformed("DICOM: an RLE segment lies outside of the frame"))
        })
        .collect()
}

/// PackBits (G.3.2).
fn unpack(mut bytes: &[u8], size: usize) -> Result<Vec<u8>, MediaError> {
    let mut out = Vec::with_capacity(size);
    while out.len() < size {
        let (&control, rest) = bytes.split_first().ok_or_else(cut)?;
        bytes = rest;
        match control as i8 {
            -128 => {}
            run @ -127..=-1 => {
                let (&value, rest) = bytes.split_first().ok_or_else(cut)?;
                bytes = rest;
                out.resize(out.len() + (1 - isize::from(run)) as usize, value);
            }
            literal => {
                let count = literal as usize + 1;
                // A last literal may be cut where the segment's padding was left out.
                let count = count.min(bytes.len().max(count.min(size - out.len())));
                out.extend_from_slice(bytes.get(..count).ok_or_else(cut)?);
                bytes = &bytes[count..];
            }
        }
    }
    out.truncate(size);
    Ok(out)
}

fn cut() -> MediaError {
    truncated("DICOM: the RLE frame is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packbits_is_read_as_annex_g_writes_it() {
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x80, 0x03, 0x80, 0x00, 0x2a, 0x22,
            0xf7, 0xaa,
        ];
        let plain = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(
            unpack(&packed, plain.len()).as_deref(),
            Ok(plain.as_slice())
        );
        assert!(unpack(&packed, plain.len() + 1).is_err());
    }
}
