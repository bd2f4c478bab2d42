//! The DCT processes of 8 bits, through zune-jpeg (grey and three components) and jpeg-decoder (four).

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::super::Pixels;
use super::super::error::{MediaError, malformed, unsupported};
use super::headers::{Colors, Headers};
use super::{Components, Data, cmyk_to_rgb, same_size};

/// The stream as shown: grey or RGB.
pub(super) fn shown(bytes: &[u8], headers: &Headers) -> Result<Pixels, MediaError> {
    eight(headers)?;
    match headers.colors() {
        Colors::Grey => raw(bytes, headers, ColorSpace::Luma).map(Pixels::Luma),
        Colors::Rgb => raw(bytes, headers, ColorSpace::RGB).map(Pixels::Rgb),
        Colors::YCbCr => {
            let mut data = raw(bytes, headers, ColorSpace::YCbCr)?;
            super::ycbcr_to_rgb(&mut data);
            Ok(Pixels::Rgb(data))
        }
        Colors::Cmyk | Colors::Ycck => {
            four(bytes, headers).map(|inks| Pixels::Rgb(cmyk_to_rgb(&inks)))
        }
        Colors::Unknown => Err(unsupported(format!(
            "JPEG with {} components",
            headers.components.len()
        ))),
    }
}

/// The components as coded.
pub(super) fn components(bytes: &[u8], headers: &Headers) -> Result<Components, MediaError> {
    eight(headers)?;
    let channels = headers.components.len();
    let space = match channels {
        1 => ColorSpace::Luma,
        3 => ColorSpace::YCbCr,
        n => return Err(unsupported(format!("JPEG with {n} components"))),
    };
    let data = Data::U8(raw(bytes, headers, space)?);
    Ok(Components {
        channels,
        precision: 8,
        data,
    })
}

fn eight(headers: &Headers) -> Result<(), MediaError> {
    if headers.precision == 8 {
        return Ok(());
    }
    Err(unsupported(format!(
        "JPEG of {} bits a sample",
        headers.precision
    )))
}

/// Interleaved samples of one or three components, untouched: the decoder is told that what comes out is what goes in.
fn raw(bytes: &[u8], headers: &Headers, space: ColorSpace) -> Result<Vec<u8>, MediaError> {
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let fail = |error: &dyn std::fmt::Debug| malformed(format!("JPEG: {error:?}"));
    decoder.decode_headers().map_err(|e| fail(&e))?;
    let input = decoder.input_colorspace().unwrap_or(space);
    decoder.set_options(options.jpeg_set_out_colorspace(input));
    let (width, height) = decoder.info().map_or((0, 0), |info| {
        (usize::from(info.width), usize::from(info.height))
    });
    same_size(headers, width, height)?;
    let data = decoder.decode().map_err(|e| fail(&e))?;
    if data.len() != width * height * headers.components.len() {
        return Err(malformed("JPEG: the components change within the file"));
    }
    Ok(data)
}

/// Four inks, 255 being full ink: Adobe stores them inverted, and Pillow takes every such file to be Adobe's.
fn four(bytes: &[u8], headers: &Headers) -> Result<Vec<u8>, MediaError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let data = decoder
        .decode()
        .map_err(|e| malformed(format!("JPEG: {e}")))?;
    let info = decoder
        .info()
        .ok_or_else(|| malformed("JPEG: no picture"))?;
    same_size(headers, usize::from(info.width), usize::from(info.height))?;
    if data.len() != usize::from(info.width) * usize::from(info.height) * 4 {
        return Err(malformed("JPEG: the components change within the file"));
    }
    Ok(data)
}
