//! Decodes JPEG 2000 and High-Throughput JPEG 2000 with OpenJPEG, as used in DICOM.
//!
//! OpenJPEG runs in strict mode, because it fills in missing data otherwise. In strict mode it also rejects streams
//! that are complete but untidy (segments behind the last tile-part, no end marker), so these are cut behind their
//! last tile-part first.

mod codestream;
mod packets;

use std::borrow::Cow;

use jpeg2k::{DecodeParameters, Image, ImageComponent};

use crate::codecs::shape::FrameShape;
use crate::codecs::stream::{StreamCodec, StreamHeader};
use crate::error::{ErrorKind, MediaError, malformed, truncated, unsupported};
use codestream::{Codestream, Completeness, END_MARKER, TILE_PART_HEADER};
use packets::PacketFault;

/// Largest number of components.
const MAX_COMPONENTS: usize = 4;

/// Reads the main header of a codestream or JP2 file. The size is that of the first component.
pub(crate) fn header(bytes: &[u8]) -> Option<StreamHeader> {
    let stream = Codestream::find(bytes)?;
    let first = *stream.components.first()?;
    Some(StreamHeader {
        coding: StreamCodec::Jpeg2000,
        size: stream.size(first),
        samples: u16::try_from(stream.components.len()).ok()?,
        precision: first.precision,
    })
}

/// Memory that OpenJPEG takes for the tiles of a stream, their precincts and layers, beside the samples, in bytes.
/// `head` is the beginning of the stream and `length` its number of bytes; if it is too short for what it claims, it is
/// not decoded.
pub(crate) fn tile_bytes(head: &[u8], length: u64) -> u64 {
    /// Measured with 1 and 3 components: 10 and 12 KB.
    const TILE_BYTES: u64 = 12 << 10;
    let Some(stream) = Codestream::find(head) else {
        return 0;
    };
    let tiles = stream.tiles as u64;
    if tiles > length / TILE_PART_HEADER as u64 || stream.components.len() > MAX_COMPONENTS {
        return 0;
    }
    (tiles * TILE_BYTES).saturating_add(stream.packet_bytes(length))
}

/// Decodes a codestream or JP2 file. Signed samples are two's complement in their precision. Returns whether the
/// components were transformed for coding (RCT or ICT); the output is RGB then.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<bool, MediaError> {
    let stream = Codestream::find(bytes);
    let stream = stream.ok_or_else(|| malformed("JPEG 2000: no codestream header"))?;
    check_components(&stream, shape)?;
    let cut = || truncated("JPEG 2000: the stream is cut off or lacks tiles");
    let completeness = stream.completeness();
    let tidy = match completeness {
        Completeness::Cut => return Err(cut()),
        Completeness::Whole(end) if stream.bytes[end..].starts_with(END_MARKER) => {
            Cow::Borrowed(&stream.bytes[..end + END_MARKER.len()])
        }
        Completeness::Whole(end) => Cow::Owned([&stream.bytes[..end], END_MARKER].concat()),
        Completeness::Unknown => Cow::Borrowed(stream.bytes),
    };
    stream.check_packets().map_err(packet_error)?;
    let parameters = DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let image = Image::from_bytes_with(&tidy, parameters).map_err(|error| {
        let ends = tidy.windows(2).rev().take(16).any(|w| w == END_MARKER);
        if ends {
            malformed(format!("JPEG 2000: {error}"))
        } else {
            cut()
        }
    })?;
    interleave(&image, &stream, shape, out)?;
    Ok(stream.transformed)
}

/// Checks the components of a stream against the object.
fn check_components(stream: &Codestream, shape: &FrameShape) -> Result<(), MediaError> {
    let count = stream.components.len();
    let Some(&first) = stream
        .components
        .first()
        .filter(|_| count <= MAX_COMPONENTS)
    else {
        return Err(unsupported(format!("JPEG 2000 with {count} components")));
    };
    if first.precision > 32
        || stream
            .components
            .iter()
            .any(|c| c.precision != first.precision)
    {
        return Err(unsupported(
            "JPEG 2000 of this depth, or with components of different depths",
        ));
    }
    shape.check("JPEG 2000", stream.size(first), count, first.precision)
}

fn packet_error(fault: PacketFault) -> MediaError {
    match fault {
        PacketFault::Missing => {
            truncated("JPEG 2000: the stream is too short for the packets that it announces")
        }
        PacketFault::TooMany => MediaError::new(
            ErrorKind::TooLarge,
            "JPEG 2000: there are more precincts than the beginning of the stream says",
        ),
    }
}

/// Appends the components pixel by pixel; samples of a coarser component are repeated.
fn interleave(
    image: &Image,
    stream: &Codestream,
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    let components = image.components();
    let sizes = components.iter().map(|c| (c.width(), c.height()));
    if !sizes.eq(stream.components.iter().map(|c| stream.size(*c))) {
        return Err(malformed("JPEG 2000: the image contradicts its header"));
    }
    let mask = u32::MAX >> (32 - stream.components[0].precision);
    let planes: Vec<&[i32]> = components.iter().map(ImageComponent::data).collect();
    out.reserve(shape.bytes());
    let mut row = vec![0_u32; shape.columns as usize * planes.len()];
    let is_coarse = stream
        .components
        .iter()
        .any(|c| c.step != stream.components[0].step);
    let positions: Vec<_> = stream
        .components
        .iter()
        .map(|c| stream.sample_positions(*c))
        .collect();
    for y in 0..shape.rows as usize {
        for (channel, plane) in planes.iter().enumerate() {
            let written = row.iter_mut().skip(channel).step_by(planes.len());
            let (columns, rows) = &positions[channel];
            let line = &plane[rows[y] * components[channel].width() as usize..];
            if is_coarse {
                let samples = columns.iter().map(|&x| line[x]);
                written
                    .zip(samples)
                    .for_each(|(sample, value)| *sample = value as u32 & mask);
            } else {
                written
                    .zip(line)
                    .for_each(|(sample, &value)| *sample = value as u32 & mask);
            }
        }
        shape.append(&row, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
