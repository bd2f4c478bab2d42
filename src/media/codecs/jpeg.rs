//! Decodes JPEG files as Pillow shows them: `convert("RGB")` after the EXIF orientation.

mod bits;
mod claims;
mod color;
mod cost;
mod dct;
pub mod headers;
mod idct;
mod lossless;
mod pad;
mod planes;
mod progressive;
mod tables;

use crate::error::{MediaError, truncated, unsupported};
use crate::{DecodeOptions, FileFormat, ImageInfo, Picture, Pixels, Scale, Warnings, orient};
pub(crate) use color::ycbcr_to_rgb;
pub(crate) use cost::Cost;
use dct::DecodeRegion;
use headers::{Colors, JpegHeaders, Process};
pub(crate) use pad::{can_pad, padded};

/// Decoded components, interleaved, before any colour conversion.
pub(crate) struct Components {
    /// Number of components per pixel.
    pub channels: usize,
    /// Bits per sample.
    pub precision: u8,
    /// `height × width × channels` samples.
    pub data: ComponentSamples,
}

/// Samples in the narrowest type that fits.
pub(crate) enum ComponentSamples {
    /// Up to 8 bits.
    U8(Vec<u8>),
    /// Up to 16 bits.
    U16(Vec<u16>),
}

/// Decodes a file and turns the image upright.
///
/// A reduced image is what `scale_denom` of libjpeg gives: high frequencies are left out of the transform. Lossless
/// streams have no frequencies and are always decoded at full resolution.
pub(crate) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Picture, MediaError> {
    let headers = JpegHeaders::read(bytes)?;
    claims::check(&headers)?;
    let scale = match headers.process {
        Process::Lossless => Scale::Full,
        _ => options.scale,
    };
    let region = decode_region(&headers, scale, options);
    let pixels = match (headers.process, headers.precision, headers.colors()) {
        (Process::Lossless, ..) => to_pixels(&headers, lossless::decode(bytes, &headers)?)?,
        (_, 8, Colors::YCbCr) => Pixels::Rgb(dct::rgb(bytes, &headers, &region)?),
        _ => to_pixels(&headers, dct::decode(bytes, &headers, &region)?)?,
    };
    let picture = Picture {
        width: headers.width.div_ceil(scale.divisor()),
        height: headers.height.div_ceil(scale.divisor()),
        pixels,
    };
    Ok(orient::upright(picture, headers.orientation()))
}

/// The region to decode, in the stored orientation. An image that is stored in another orientation than it is shown in
/// is decoded whole, because it is rare.
fn decode_region(headers: &JpegHeaders, scale: Scale, options: &DecodeOptions) -> DecodeRegion {
    let mut region = DecodeRegion::whole(headers, scale);
    region.parallel = options.parallel;
    if let Some(used) = options.used
        && headers.orientation() == 1
    {
        let range = |first: u32, length: u32, whole: usize| {
            let (first, end) = (first / scale.divisor(), first.saturating_add(length));
            let end = (end.div_ceil(scale.divisor()) as usize).min(whole);
            (first as usize).min(end)..end
        };
        region.columns = range(used.x, used.width, region.columns.end);
        region.rows = range(used.y, used.height, region.rows.end);
    }
    region
}

/// Describes the file without decoding its pixels, and what decoding them will cost.
pub(crate) fn probe(bytes: &[u8]) -> Result<(ImageInfo, Cost), MediaError> {
    let headers = JpegHeaders::read(bytes)?;
    let info = describe(&headers);
    let info = if headers.orientation() >= 5 {
        ImageInfo {
            width: info.height,
            height: info.width,
            ..info
        }
    } else {
        info
    };
    // What the stream does not have costs nothing: it is refused before memory is taken, and is not too large.
    let cost = match claims::check(&headers) {
        Ok(()) => Cost::of_file(&headers),
        Err(_) => Cost::refused(&headers),
    };
    Ok((info, cost))
}

/// Decodes the components of a JPEG stream without any colour conversion, for DICOM, whose attributes say what the
/// components mean. Passes of a progressive stream may not be missing: toolkits write all of them.
pub(crate) fn components(bytes: &[u8], headers: &JpegHeaders) -> Result<Components, MediaError> {
    claims::check(headers)?;
    if !claims::is_finished(headers) {
        return Err(ends_early());
    }
    match headers.process {
        Process::Lossless => lossless::decode(bytes, headers),
        _ => dct::decode(bytes, headers, &DecodeRegion::whole(headers, Scale::Full)),
    }
}

/// The error for an incomplete stream, whether it has an end marker or not.
fn ends_early() -> MediaError {
    truncated("JPEG: the stream ends before its image does")
}

/// The comments of a file, each with a name; empty if the file cannot be read.
pub(crate) fn comments(bytes: &[u8]) -> Vec<(String, String)> {
    let Ok(headers) = JpegHeaders::read(bytes) else {
        return Vec::new();
    };
    let text = |comment: &&[u8]| String::from_utf8_lossy(comment).into_owned();
    headers
        .comments
        .iter()
        .map(|comment| ("Comment".to_owned(), text(comment)))
        .collect()
}

fn describe(headers: &JpegHeaders) -> ImageInfo {
    let synthetic = headers
        .comments
        .iter()
        .any(|comment| comment.starts_with(b"SYNTHETIC"));
    ImageInfo {
        kind: FileFormat::Jpeg,
        width: headers.width,
        height: headers.height,
        frames: 1,
        synthetic,
        warnings: warnings(headers),
        dicom: None,
    }
}

/// The faults of a stream that can be shown nevertheless, unless its decoding fails.
fn warnings(headers: &JpegHeaders) -> Warnings {
    let mut warnings = Warnings::default();
    if !headers.complete {
        warnings.add("The JPEG stream has no end marker.");
    } else if !claims::is_finished(headers) {
        warnings.add(
            "The progressive JPEG lacks some of its passes: it may be coarser than the original.",
        );
    }
    warnings
}

/// Converts components to shown pixels: their colours follow the rules of libjpeg, and of more than 8 bits the highest
/// are kept.
fn to_pixels(headers: &JpegHeaders, components: Components) -> Result<Pixels, MediaError> {
    let mut data: Vec<u8> = match components.data {
        ComponentSamples::U8(data) if components.precision == 8 => data,
        ComponentSamples::U8(data) => data
            .into_iter()
            .map(|v| scaled(u16::from(v), components.precision))
            .collect(),
        ComponentSamples::U16(data) => data
            .into_iter()
            .map(|v| scaled(v, components.precision))
            .collect(),
    };
    match headers.colors() {
        Colors::Grey => Ok(Pixels::Luma(data)),
        Colors::Rgb => Ok(Pixels::Rgb(data)),
        Colors::YCbCr if headers.process == Process::Lossless => Ok(Pixels::Rgb(data)),
        Colors::YCbCr => {
            ycbcr_to_rgb(&mut data);
            Ok(Pixels::Rgb(data))
        }
        Colors::Cmyk => {
            // Adobe stores inks inverted, and Pillow assumes every such file to be Adobe's.
            for ink in &mut data {
                *ink = 255 - *ink;
            }
            Ok(Pixels::Rgb(cmyk_to_rgb(&data)))
        }
        Colors::Ycck => Ok(Pixels::Rgb(cmyk_to_rgb(&ycck_to_cmyk(&data)))),
        Colors::Unknown => Err(unsupported(format!(
            "JPEG with {} components",
            components.channels
        ))),
    }
}

/// Converts inverted inks, the first three as luma and chroma, to inks of which 255 is full.
fn ycck_to_cmyk(data: &[u8]) -> Vec<u8> {
    let mut inks = Vec::with_capacity(data.len());
    for pixel in data.chunks_exact(4) {
        let mut rgb = [pixel[0], pixel[1], pixel[2]];
        ycbcr_to_rgb(&mut rgb);
        inks.extend(rgb);
        inks.push(255 - pixel[3]);
    }
    inks
}

/// Scales a value of `precision` bits to 8 bits.
fn scaled(value: u16, precision: u8) -> u8 {
    if precision >= 8 {
        (value >> (precision - 8)).min(255) as u8
    } else {
        let largest = (1_u32 << precision) - 1;
        ((u32::from(value).min(largest) * 255 + largest / 2) / largest) as u8
    }
}

/// Converts CMYK to RGB like Pillow; 255 is full ink.
fn cmyk_to_rgb(data: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(data.len() / 4 * 3);
    for ink in data.chunks_exact(4) {
        let light = 255 - i32::from(ink[3]);
        rgb.extend(ink[..3].iter().map(|&c| {
            let product = i32::from(c) * light + 128;
            (light - ((product + (product >> 8)) >> 8)).clamp(0, 255) as u8
        }));
    }
    rgb
}

#[cfg(test)]
mod tests;
