//! JPEG 2000 and High-Throughput JPEG 2000, through OpenJPEG, as DICOM holds them.

use jpeg2k::{DecodeParameters, Image, ImageComponent};

use crate::error::{MediaError, malformed, truncated, unsupported};

/// A decoded stream: `height × width × channels` samples, interleaved.
pub(crate) struct Decoded {
    /// Components per pixel.
    pub channels: usize,
    /// Bits per sample.
    pub precision: u8,
    /// The components were transformed for coding (RCT or ICT), and are red, green and blue again now.
    pub transformed: bool,
    /// The samples' low `precision` bits; signed ones in two's complement.
    pub data: Vec<u32>,
}

/// What must be known of a codestream before it is decoded (ITU-T T.800 A.5.1, A.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
    channels: u16,
    transformed: bool,
}

/// Decodes a codestream or JP2 file of the size `expected` (columns, rows), which is checked before anything is
/// allocated.
pub(crate) fn decode(bytes: &[u8], expected: (u32, u32)) -> Result<Decoded, MediaError> {
    let start = bytes.windows(4).position(|w| w == b"\xff\x4f\xff\x51");
    let size = start.and_then(|at| Size::read(&bytes[at..]));
    let size = size.ok_or_else(|| malformed("JPEG 2000: no codestream header"))?;
    if (size.width, size.height) != expected {
        return Err(malformed(format!(
            "JPEG 2000: the stream is {} × {}, the object says {} × {}",
            size.width, size.height, expected.0, expected.1
        )));
    }
    if !(1..=4).contains(&size.channels) {
        return Err(unsupported(format!(
            "JPEG 2000 with {} components",
            size.channels
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
    interleaved(&image, &size)
}

fn interleaved(image: &Image, size: &Size) -> Result<Decoded, MediaError> {
    let components = image.components();
    let (width, height) = (size.width as usize, size.height as usize);
    let precision = components.first().map_or(0, ImageComponent::precision);
    let alike = components.iter().all(|c| {
        (c.width(), c.height()) == (size.width, size.height) && c.precision() == precision
    });
    if components.len() != usize::from(size.channels) || !alike || !(1..=32).contains(&precision) {
        return Err(unsupported(
            "JPEG 2000 with components of several resolutions or depths",
        ));
    }
    let mask = u32::MAX >> (32 - precision);
    let mut data = vec![0; width * height * components.len()];
    for (channel, component) in components.iter().enumerate() {
        let pixels = data.chunks_exact_mut(components.len());
        for (pixel, &value) in pixels.zip(component.data()) {
            pixel[channel] = value as u32 & mask;
        }
    }
    Ok(Decoded {
        channels: components.len(),
        precision: precision as u8,
        transformed: size.transformed,
        data,
    })
}

impl Size {
    /// From the codestream's main header.
    fn read(stream: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u32::from_be_bytes(stream.get(at..at + 4)?.try_into().ok()?));
        let (right, bottom, left, top) = (long(8)?, long(12)?, long(16)?, long(20)?);
        let channels = u16::from_be_bytes(stream.get(40..42)?.try_into().ok()?);
        Some(Self {
            width: right.checked_sub(left)?,
            height: bottom.checked_sub(top)?,
            channels,
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
        let error = decode(&stream, (512, 512)).err().expect("another size");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("70000 × 60000"));
        assert!(decode(b"no stream at all", (1, 1)).is_err());
    }
}
