//! The lossless process (ITU-T T.81 annex H), 2 to 16 bits.

use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::super::error::{MediaError, malformed, unsupported};
use super::headers::Headers;
use super::{Components, Data, same_size};

/// The components as coded.
pub(super) fn decode(bytes: &[u8], headers: &Headers) -> Result<Components, MediaError> {
    let mut decoder = Decoder::new(bytes);
    if headers.components.len() == 3 {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let data = decoder
        .decode()
        .map_err(|e| malformed(format!("JPEG lossless: {e}")))?;
    let info = decoder
        .info()
        .ok_or_else(|| malformed("JPEG lossless: no picture"))?;
    same_size(headers, usize::from(info.width), usize::from(info.height))?;
    let (channels, data) = match info.pixel_format {
        PixelFormat::L8 => (1, Data::U8(data)),
        PixelFormat::L16 => (
            1,
            Data::U16(
                data.chunks_exact(2)
                    .map(|b| u16::from_ne_bytes([b[0], b[1]]))
                    .collect(),
            ),
        ),
        PixelFormat::RGB24 => (3, Data::U8(data)),
        PixelFormat::CMYK32 => return Err(unsupported("JPEG lossless with 4 components")),
    };
    Ok(Components {
        channels,
        precision: headers.precision,
        data,
    })
}
