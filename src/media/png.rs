//! PNG: every depth, palette, transparency and interlace, as Pillow's `convert("RGB")` shows them.
//!
//! Alpha is dropped, not composited: the colour that the file stores under a transparent pixel is the one that models
//! were trained on. Sixteen bits become eight by their high byte, in grey too, where Pillow would cut off all but the
//! darkest values.

use std::io::Cursor;

use ::png::{ColorType, Decoder, DecodingError, Limits, Reader, Transformations};

use crate::error::{ErrorKind, MediaError, malformed, truncated};
use crate::{Info, Kind, Picture, Pixels, Warnings, limits, orient};

/// Memory that the decoder may take beside the pixels: rows, text and colour profiles.
const SIDE_BYTES: usize = 256 << 20;

/// The picture of a file, upright.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, MediaError> {
    let mut reader = open(bytes)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| malformed("PNG: the picture has no size"))?;
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(|e| judge(&e, bytes))?;
    data.truncate(frame.buffer_size());
    let channels = frame.color_type.samples();
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
    let picture = Picture {
        width: frame.width,
        height: frame.height,
        pixels,
    };
    Ok(orient::upright(picture, orientation(bytes)))
}

/// What the file is, without its pixels.
pub(super) fn probe(bytes: &[u8]) -> Result<Info, MediaError> {
    let reader = open(bytes)?;
    let (width, height) = reader.info().size();
    let turned = orientation(bytes) >= 5;
    Ok(Info {
        kind: Kind::Png,
        width: if turned { height } else { width },
        height: if turned { width } else { height },
        frames: 1,
        synthetic: chunks(bytes).any(|(kind, body)| is_marked(kind, body)),
        warnings: Warnings::default(),
        dicom: None,
    })
}

/// The EXIF orientation, which may follow the pixels.
fn orientation(bytes: &[u8]) -> u8 {
    let exif = chunks(bytes).find(|(kind, _)| kind == b"eXIf");
    exif.map_or(1, |(_, body)| orient::orientation(body))
}

/// Whether a chunk is text whose keyword or content begins with the SYNTHETIC mark.
fn is_marked(kind: [u8; 4], body: &[u8]) -> bool {
    const MARK: &[u8] = b"SYNTHETIC";
    if &kind != b"tEXt" && &kind != b"iTXt" {
        return false;
    }
    let mut parts = body.splitn(2, |&b| b == 0);
    let (keyword, rest) = (parts.next(), parts.next().unwrap_or_default());
    let text = if &kind == b"tEXt" {
        Some(rest)
    } else {
        // Compression flag and method, language and translated keyword stand before the text (11.3.3.4).
        match rest {
            [0, _, rest @ ..] => rest.splitn(3, |&b| b == 0).nth(2),
            _ => None,
        }
    };
    keyword.is_some_and(|k| k.starts_with(MARK)) || text.is_some_and(|t| t.starts_with(MARK))
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
    chunks(bytes).any(|(kind, _)| &kind == b"IEND")
}

/// The chunks of a file: their kinds and what is in them, of the last one as much as there is.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut at = 8_usize;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let (header, body) = rest.split_first_chunk::<8>()?;
        let [l3, l2, l1, l0, kind @ ..] = *header;
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        at = at.saturating_add(length).saturating_add(12);
        Some((kind, &body[..length.min(body.len())]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 2 × 1 grey pixels with one more chunk before its end.
    fn with(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(ColorType::Grayscale);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&[1, 200]).expect("pixels");
        writer
            .write_chunk(::png::chunk::ChunkType(kind), body)
            .expect("a chunk");
        writer.finish().expect("an end");
        bytes
    }

    #[test]
    fn a_mark_in_text_is_found_behind_the_pixels_too() {
        for (kind, body, marked) in [
            (b"tEXt", b"Comment\0SYNTHETIC phantom".as_slice(), true),
            (b"tEXt", b"SYNTHETIC\0yes", true),
            (b"iTXt", b"Comment\0\0\0\0\0SYNTHETIC", true),
            (b"tEXt", b"Comment\0not SYNTHETIC", false),
        ] {
            let bytes = with(*kind, body);
            let info = probe(&bytes).expect("a picture");
            assert_eq!(info.synthetic, marked, "{}", String::from_utf8_lossy(body));
            assert_eq!((info.width, info.height), (2, 1));
        }
    }

    #[test]
    fn a_turned_picture_is_probed_as_it_is_shown() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
        let bytes = with(*b"eXIf", exif);
        let info = probe(&bytes).expect("a picture");
        let picture = decode(&bytes).expect("a picture");
        assert_eq!((info.width, info.height), (1, 2));
        assert_eq!((picture.width, picture.height), (1, 2));
    }
}
