//! Decodes PNG row by row: memory holds little more than the decoded image, and faults around the pixels do not
//! matter.

use ::png::{
    ColorType, DecodeOptions, Decoder, DecodingError, InterlaceInfo, Limits, Reader,
    Transformations, expand_interlaced_row,
};

use super::chunks::Chunks;
use super::{PngPixels, ROW_BUFFERS, SIDE_BYTES, truncated_file};
use crate::Pixels;
use crate::error::{ErrorKind, MediaError, malformed};
use crate::read::{Stored, Stream};

/// Part of the decoder's message about pixels that end early, for which it has no error kind.
pub(super) const NOT_ENOUGH: &str = "not have enough data";

/// First column and row, and column and row steps, of the seven passes of Adam7 (8.2).
const PASSES: [[u32; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

/// Decodes all pixels, without alpha, in the stored orientation: in 8 bits, or grey of 16.
pub(super) fn decode(stored: &Stored, chunks: &Chunks) -> Result<PngPixels, MediaError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(true);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(stored.stream(), options);
    let row = ROW_BUFFERS * u64::from(chunks.width) * chunks.decoded_bytes();
    decoder.set_limits(Limits {
        bytes: (SIDE_BYTES + row) as usize,
    });
    let is_deep = chunks.is_deep_grey();
    decoder.set_transformations(if is_deep {
        Transformations::EXPAND
    } else {
        Transformations::EXPAND | Transformations::STRIP_16
    });
    let reader = decoder.read_info();
    let mut reader = reader.map_err(|error| decode_error(&error, chunks))?;
    let samples = match reader.output_color_type().0 {
        ColorType::Indexed => return Err(malformed("PNG: the palette is missing")),
        color => color.samples(),
    };
    let channels = if samples < 3 { 1 } else { 3 };
    let data = read_rows(&mut reader, chunks, samples, channels)?;
    Ok(match channels {
        _ if is_deep => {
            let words = data.as_chunks::<2>().0.iter();
            PngPixels::Deep(words.map(|word| u16::from_be_bytes(*word)).collect())
        }
        1 => PngPixels::Shallow(Pixels::Luma(data)),
        _ => PngPixels::Shallow(Pixels::Rgb(data)),
    })
}

/// Reads all rows of pixels of `samples`, of which `channels` are kept, each of one byte, or of two in deep grey.
fn read_rows(
    reader: &mut Reader<Box<dyn Stream + '_>>,
    chunks: &Chunks,
    samples: usize,
    channels: usize,
) -> Result<Vec<u8>, MediaError> {
    let pixel_bytes = chunks.kept_bytes() as usize;
    let stride = chunks.width as usize * pixel_bytes;
    let mut data = vec![0; stride * chunks.height as usize];
    for line in 0..row_count(chunks) {
        let row = reader.next_interlaced_row();
        let Some(row) = row.map_err(|error| decode_error(&error, chunks))? else {
            return Err(truncated_file());
        };
        let kept;
        let pixels = if samples == channels {
            row.data()
        } else if chunks.is_deep_grey() {
            let pairs = row.data().as_chunks::<4>().0.iter();
            kept = pairs.flat_map(|&[high, low, ..]| [high, low]).collect();
            &kept
        } else {
            kept = without_alpha(row.data(), samples);
            &kept
        };
        match row.interlace() {
            InterlaceInfo::Adam7(pass) => {
                expand_interlaced_row(&mut data, stride, pixels, pass, 8 * pixel_bytes as u8);
            }
            InterlaceInfo::Null(_) => {
                if let Some(target) = data.chunks_exact_mut(stride).nth(line as usize) {
                    target.copy_from_slice(pixels);
                }
            }
        }
    }
    Ok(data)
}

/// Number of rows of all passes. A pass without columns has no rows either.
fn row_count(chunks: &Chunks) -> u32 {
    if !chunks.interlaced {
        return chunks.height;
    }
    let pass = |[x, y, _, down]: [u32; 4]| {
        if chunks.width > x {
            chunks.height.saturating_sub(y).div_ceil(down)
        } else {
            0
        }
    };
    PASSES.map(pass).iter().sum()
}

/// Drops the last of `samples` samples of each pixel, which is alpha.
pub(super) fn without_alpha(data: &[u8], samples: usize) -> Vec<u8> {
    if samples == 2 {
        return data.as_chunks::<2>().0.iter().map(|p| p[0]).collect();
    }
    let pixels = data.as_chunks::<4>().0.iter();
    pixels.flat_map(|&[r, g, b, _]| [r, g, b]).collect()
}

/// The error for pixels that cannot be decoded.
fn decode_error(error: &DecodingError, chunks: &Chunks) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => {
            MediaError::new(ErrorKind::TooLarge, "PNG: needs more memory than the limit")
        }
        DecodingError::IoError(_) => truncated_file(),
        // The decoder calls many files malformed that are only cut off.
        _ if !chunks.ended => truncated_file(),
        other if other.to_string().contains(NOT_ENOUGH) => truncated_file(),
        other => malformed(format!("PNG: {}", reason(&other.to_string()))),
    }
}

/// The reason for a decoder error in words: its own messages show how Rust writes types (`ChunkType { type: IHDR, …
/// }`).
pub(super) fn reason(said: &str) -> &'static str {
    let reasons = [
        ("IDAT or", "there are no pixels"),
        ("deflate", "the compressed pixels are damaged"),
        ("PLTE", "the palette is missing or misplaced"),
        ("palette", "the palette is missing or has the wrong size"),
        ("olor type", "the colour type is invalid"),
        ("bit depth", "the bit depth is invalid"),
        ("dimensions", "the size is not possible"),
        ("filter", "a row has an invalid filter type"),
        ("compression method", "the compression method is invalid"),
        ("interlace", "the interlace method is invalid"),
        (
            "Unrecognized critical chunk",
            "a required chunk is not supported",
        ),
    ];
    let found = reasons.iter().find(|(word, _)| said.contains(word));
    found.map_or("the chunks contradict each other", |(_, reason)| reason)
}

/// The texts of a file with their keywords, as far as they can be read.
pub(super) fn texts(stored: &Stored) -> Result<Vec<(String, String)>, DecodingError> {
    let limits = Limits {
        bytes: SIDE_BYTES as usize,
    };
    let mut decoder = Decoder::new_with_limits(stored.stream(), limits);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader: Reader<Box<dyn Stream + '_>> = decoder.read_info()?;
    // Text may follow the pixels.
    let _ = reader.finish();
    let info = reader.info();
    let plain = info.uncompressed_latin1_text.iter();
    let plain = plain.map(|t| (t.keyword.clone(), t.text.clone()));
    let packed = info.compressed_latin1_text.iter();
    let packed = packed.map(|t| (t.keyword.clone(), t.get_text().unwrap_or_default()));
    let unicode = info.utf8_text.iter();
    let unicode = unicode.map(|t| (t.keyword.clone(), t.get_text().unwrap_or_default()));
    Ok(plain.chain(packed).chain(unicode).collect())
}
