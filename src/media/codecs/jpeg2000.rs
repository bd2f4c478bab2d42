//! JPEG 2000 and High-Throughput JPEG 2000, through OpenJPEG, as DICOM holds them.

use jpeg2k::{DecodeParameters, Image, ImageComponent};

use crate::codecs::shape::Shape;
use crate::codecs::stream::{Coding, Header};
use crate::error::{MediaError, malformed, truncated, unsupported};

/// What must be known of a codestream before it is decoded (ITU-T T.800 A.5.1, A.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
    channels: u16,
    precision: u16,
    transformed: bool,
}

/// What the main header says, of a codestream or JP2 file.
pub(crate) fn header(bytes: &[u8]) -> Option<Header> {
    let size = Size::find(bytes)?;
    Some(Header {
        coding: Coding::Jpeg2000,
        size: (size.width, size.height),
        samples: size.channels,
        precision: size.precision,
    })
}

/// Decodes a codestream or JP2 file. Signed samples are two's complement in their precision. True where the components
/// were transformed for coding (RCT or ICT), and are red, green and blue again.
pub(crate) fn decode(bytes: &[u8], shape: &Shape, out: &mut Vec<u8>) -> Result<bool, MediaError> {
    let size = Size::find(bytes).ok_or_else(|| malformed("JPEG 2000: no codestream header"))?;
    shape.check(
        "JPEG 2000",
        (size.width, size.height),
        usize::from(size.channels),
        size.precision,
    )?;
    if size.channels > 4 || size.precision > 32 {
        return Err(unsupported(format!(
            "JPEG 2000 with {} components of {} bits",
            size.channels, size.precision
        )));
    }
    let parameters = DecodeParameters::new().strict(true).ignore_pclr_cmap_cdef();
    let image = Image::from_bytes_with(bytes, parameters).map_err(|error| {
        let ends = bytes.windows(2).rev().take(16).any(|w| w == b"\xff\xd9");
        if ends {
            malformed(format!("JPEG 2000: {error}"))
        } else {
            truncated("JPEG 2000: the stream is cut off")
        }
    })?;
    interleave(&image, &size, shape, out)?;
    Ok(size.transformed)
}

/// Appends the components pixel by pixel.
fn interleave(
    image: &Image,
    size: &Size,
    shape: &Shape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    let components = image.components();
    let alike = components.iter().all(|c| {
        (c.width(), c.height()) == (size.width, size.height)
            && c.precision() == u32::from(size.precision)
    });
    if components.len() != shape.samples || !alike {
        return Err(unsupported(
            "JPEG 2000 with components of several resolutions or depths",
        ));
    }
    let mask = u32::MAX >> (32 - size.precision);
    let planes: Vec<&[i32]> = components.iter().map(ImageComponent::data).collect();
    out.reserve(shape.bytes());
    let row = shape.columns as usize;
    let mut written = vec![0_u32; row * planes.len()];
    for y in 0..shape.rows as usize {
        for (channel, plane) in planes.iter().enumerate() {
            let places = written.iter_mut().skip(channel).step_by(planes.len());
            for (place, &value) in places.zip(&plane[y * row..]) {
                *place = value as u32 & mask;
            }
        }
        shape.append(&written, out);
    }
    Ok(())
}

impl Size {
    /// From the main header of the codestream among `bytes`.
    fn find(bytes: &[u8]) -> Option<Self> {
        let start = memchr::memmem::find(bytes, b"\xff\x4f\xff\x51")?;
        Self::read(&bytes[start..])
    }

    /// From the main header.
    fn read(stream: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u32::from_be_bytes(stream.get(at..at + 4)?.try_into().ok()?));
        let (right, bottom, left, top) = (long(8)?, long(12)?, long(16)?, long(20)?);
        let channels = u16::from_be_bytes(stream.get(40..42)?.try_into().ok()?);
        Some(Self {
            width: right.checked_sub(left)?,
            height: bottom.checked_sub(top)?,
            channels,
            precision: u16::from(stream.get(42)? & 0x7f) + 1,
            transformed: transformed(stream),
        })
    }
}

/// The multiple component transformation of the main header's coding style.
fn transformed(stream: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = stream.get(at..at + 4) {
        match marker {
            0x52 => return stream.get(at + 8) == Some(&1),
            0x90 => return false,
            _ => at += 2 + (usize::from(high) << 8 | usize::from(low)),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_size_is_judged_before_the_stream_is_decoded() {
        let mut stream = b"\xff\x4f\xff\x51\x00\x29\x00\x00".to_vec();
        for value in [70_000_u32, 60_000, 0, 0, 70_000, 60_000, 0, 0] {
            stream.extend(value.to_be_bytes());
        }
        stream.extend(b"\x00\x01\x07\x01\x01");
        let shape = Shape {
            columns: 512,
            rows: 512,
            samples: 1,
            allocated: 8,
        };
        let decode = |bytes: &[u8]| decode(bytes, &shape, &mut Vec::new());
        let error = decode(&stream).expect_err("another size");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("70000 × 60000"));
        assert!(decode(b"no stream at all").is_err());
    }
}
