//! PNG: every depth, palette, transparency and interlace, as Pillow's `convert("RGB")` shows them.
//!
//! Alpha is dropped, not composited: the colour that the file stores under a transparent pixel is the one that models
//! were trained on. Sixteen bits become eight by their high byte, in grey too, where Pillow would cut off all but the
//! darkest values.

use std::io::Cursor;

use ::png::{ColorType, Decoder, DecodingError, Limits, Reader, Transformations};

use super::error::{ErrorKind, MediaError, malformed, truncated};
use super::{Info, Kind, Options, Picture, Pixels, limits, only_frame, orient};

/// Memory that the decoder may take beside the pixels: rows, text and colour profiles.
const SIDE_BYTES: usize = 256 << 20;

pub(super) fn decode(bytes: &[u8], options: &Options) -> Result<(Info, Picture), MediaError> {
    only_frame(options)?;
    let mut reader = open(bytes)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| malformed("PNG: the picture has no size"))?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(|e| judge(&e, bytes))?;
    data.truncate(frame.buffer_size());
    // Text may follow the pixels. What is broken behind the picture does not matter to it.
    let _ = reader.finish();
    let (channels, _) = (frame.color_type.samples(), frame.bit_depth);
    let pixels = match frame.color_type {
        ColorType::Grayscale => Pixels::Luma(data),
        ColorType::Rgb => Pixels::Rgb(data),
        ColorType::GrayscaleAlpha => {
            Pixels::Luma(data.chunks_exact(channels).map(|p| p[0]).collect())
        }
        ColorType::Rgba => Pixels::Rgb(
            data.chunks_exact(channels)
                .flat_map(|p| [p[0], p[1], p[2]])
                .collect(),
        ),
        ColorType::Indexed => return Err(malformed("PNG: a palette picture without a palette")),
    };
    let orientation = reader
        .info()
        .exif_metadata
        .as_ref()
        .map_or(1, |exif| orient::orientation(exif));
    let picture = orient::upright(
        Picture {
            width: frame.width,
            height: frame.height,
            pixels,
        },
        orientation,
    );
    Ok((
        Info {
            width: picture.width,
            height: picture.height,
            ..info(&reader)
        },
        picture,
    ))
}

pub(super) fn probe(bytes: &[u8]) -> Result<Info, MediaError> {
    open(bytes).map(|reader| info(&reader))
}

/// The texts of a file by their keywords; none of a file that cannot be read.
pub(super) fn texts(bytes: &[u8]) -> Vec<(String, String)> {
    let Ok(mut reader) = open(bytes) else {
        return Vec::new();
    };
    // Text may follow the pixels.
    let _ = reader.finish();
    let info = reader.info();
    let plain = info.uncompressed_latin1_text.iter();
    let plain = plain.map(|t| (t.keyword.clone(), t.text.clone()));
    let packed = info.compressed_latin1_text.iter();
    let packed = packed.map(|t| (t.keyword.clone(), t.get_text().unwrap_or_default()));
    let unicode = info.utf8_text.iter();
    let unicode = unicode.map(|t| (t.keyword.clone(), t.get_text().unwrap_or_default()));
    plain.chain(packed).chain(unicode).collect()
}

fn open(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, MediaError> {
    // The size stands at a fixed place, so that it is judged before anything is read or allocated.
    if let (Some(b"IHDR"), Some(size)) = (bytes.get(12..16), bytes.get(16..24)) {
        let side =
            |at: usize| u32::from_be_bytes([size[at], size[at + 1], size[at + 2], size[at + 3]]);
        limits::check_size(side(0), side(4))?;
    }
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: SIDE_BYTES });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(|e| judge(&e, bytes))
}

fn info(reader: &Reader<Cursor<&[u8]>>) -> Info {
    let info = reader.info();
    let marks = |text: &str| text.starts_with("SYNTHETIC");
    let synthetic = info
        .uncompressed_latin1_text
        .iter()
        .any(|t| marks(&t.text) || marks(&t.keyword))
        || info
            .utf8_text
            .iter()
            .any(|t| marks(&t.keyword) || t.get_text().is_ok_and(|text| marks(&text)));
    Info {
        kind: Kind::Png,
        width: info.width,
        height: info.height,
        frames: 1,
        synthetic,
        dicom: None,
    }
}

/// The decoder calls many things malformed that are only cut off: a file without its end chunk is a truncated one.
fn judge(error: &DecodingError, bytes: &[u8]) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => {
            MediaError::new(ErrorKind::TooLarge, "PNG: needs more memory than the limit")
        }
        DecodingError::IoError(_) => truncated("PNG: the file ends before its picture does"),
        _ if !has_end(bytes) => truncated("PNG: the file ends before its picture does"),
        other => malformed(format!("PNG: {other}")),
    }
}

/// Whether the chain of chunks reaches IEND.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 8_usize;
    while let Some(header) = bytes.get(at..).and_then(|rest| rest.get(..8)) {
        if &header[4..] == b"IEND" {
            return true;
        }
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        at = at.saturating_add(length).saturating_add(12);
    }
    // A last chunk that ends exactly with the file, or a length that leads beyond it.
    false
}
