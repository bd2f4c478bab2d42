//! PNG: every depth, palette, transparency and interlace, as Pillow's `convert("RGB")` shows them.
//!
//! Alpha is dropped, not composited: the colour that the file stores under a transparent pixel is the one that models
//! were trained on. Sixteen bits become eight by their high byte, in grey too, where Pillow would cut off all but the
//! darkest values. Of an animated PNG the default picture is decoded.
//!
//! The crate `image` decodes, with its limits. It verifies checksums and gives whole pictures only; so a file with a
//! wrong checksum or without end, and one whose samples take much more memory than the eight bits that are kept of them, is
//! read row by row by the crate `png` below it.

mod chunks;
mod rows;

use image::codecs::png::PngDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use crate::error::{ErrorKind, MediaError, malformed, truncated};
use crate::read::Stored;
use crate::{FileFormat, ImageInfo, Picture, Pixels, Warnings, limits, orient};
use chunks::Chunks;

/// Memory that the decoder may take beside the pixels and a row: text and colour profiles.
const SIDE_BYTES: u64 = 64 << 20;
/// Most bytes of a decoded picture of which less is kept.
const MAX_INTERMEDIATE: u64 = 64 << 20;
/// Rows in memory at a time: as read, as the one before it, and as shown.
const ROWS: u64 = 4;

/// A PNG file.
pub(super) struct Png {
    stored: Stored,
    chunks: Chunks,
}

impl Png {
    /// Judges a file by its chunks; its pixels are not decoded.
    pub(super) fn open(stored: Stored) -> Result<Self, MediaError> {
        let chunks = Chunks::read(&mut *stored.stream())?;
        limits::check_size(chunks.width, chunks.height)?;
        Ok(Self { stored, chunks })
    }

    /// What the file is.
    pub(super) fn info(&self) -> ImageInfo {
        let chunks = &self.chunks;
        let turned = chunks.orientation >= 5;
        let mut warnings = Warnings::default();
        if chunks.wrong_checksum {
            warnings.add("A checksum of the PNG file is wrong: the picture may be damaged.");
        }
        if !chunks.ended {
            warnings.add("The PNG file ends without its end chunk.");
        }
        ImageInfo {
            kind: FileFormat::Png,
            width: if turned { chunks.height } else { chunks.width },
            height: if turned { chunks.width } else { chunks.height },
            frames: 1,
            synthetic: chunks.synthetic,
            warnings,
            dicom: None,
        }
    }

    /// `blake3:<hex>` of the file.
    pub(super) fn content(&self) -> Result<String, MediaError> {
        self.stored.content()
    }

    /// Bytes of memory that decoding takes, or keeping what is decoded beside one rendering of grey, at most.
    pub(super) fn cost(&self) -> u64 {
        let chunks = &self.chunks;
        let pixels = u64::from(chunks.width) * u64::from(chunks.height);
        let kept = pixels * chunks.kept_channels();
        let decoded = pixels * chunks.decoded_bytes();
        let intermediate = if decoded > kept && decoded <= MAX_INTERMEDIATE {
            decoded
        } else {
            0
        };
        let turned = if chunks.orientation > 1 { kept } else { 0 };
        let rendered = if chunks.kept_channels() == 1 {
            pixels
        } else {
            0
        };
        let row = u64::from(chunks.width) * chunks.decoded_bytes();
        kept + intermediate.max(turned).max(rendered) + row * ROWS
    }

    /// The picture, upright.
    pub(super) fn decode(&self) -> Result<Picture, MediaError> {
        let chunks = &self.chunks;
        let pixels = if chunks.is_sound() {
            self.whole()?
        } else {
            rows::decode(&self.stored, chunks)?
        };
        let picture = Picture {
            width: chunks.width,
            height: chunks.height,
            pixels,
        };
        Ok(orient::upright(picture, chunks.orientation))
    }

    /// All pixels at once.
    fn whole(&self) -> Result<Pixels, MediaError> {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.side_bytes());
        let decoder = match PngDecoder::with_limits(self.stored.stream(), limits) {
            // Of text and colour profiles, which rows are read without.
            Err(ImageError::Limits(_)) => return rows::decode(&self.stored, &self.chunks),
            decoder => decoder.map_err(|e| judge(&e))?,
        };
        let (color, size) = (decoder.color_type(), decoder.total_bytes());
        let is_kept = matches!(color, ColorType::L8 | ColorType::Rgb8);
        if !is_kept && size > MAX_INTERMEDIATE {
            return rows::decode(&self.stored, &self.chunks);
        }
        let mut data = vec![0; size as usize];
        decoder.read_image(&mut data).map_err(|e| judge(&e))?;
        pixels(color, data)
    }

    fn side_bytes(&self) -> u64 {
        SIDE_BYTES + ROWS * u64::from(self.chunks.width) * self.chunks.decoded_bytes()
    }
}

/// Eight bits of each sample, in native byte order before, without alpha.
fn pixels(color: ColorType, data: Vec<u8>) -> Result<Pixels, MediaError> {
    let wide = |data: &[u8]| -> Vec<u8> {
        let words = data.as_chunks::<2>().0.iter();
        words
            .map(|word| (u16::from_ne_bytes(*word) >> 8) as u8)
            .collect()
    };
    Ok(match color {
        ColorType::L8 => Pixels::Luma(data),
        ColorType::Rgb8 => Pixels::Rgb(data),
        ColorType::La8 => Pixels::Luma(rows::without_alpha(&data, 2)),
        ColorType::Rgba8 => Pixels::Rgb(rows::without_alpha(&data, 4)),
        ColorType::L16 => Pixels::Luma(wide(&data)),
        ColorType::Rgb16 => Pixels::Rgb(wide(&data)),
        ColorType::La16 => Pixels::Luma(rows::without_alpha(&wide(&data), 2)),
        ColorType::Rgba16 => Pixels::Rgb(rows::without_alpha(&wide(&data), 4)),
        _ => return Err(malformed("PNG: samples of another kind than PNG has")),
    })
}

/// The error of a file whose chunks are whole.
fn judge(error: &ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => {
            MediaError::new(ErrorKind::TooLarge, "PNG: needs more memory than the limit")
        }
        ImageError::IoError(_) => cut(),
        other if other.to_string().contains(rows::NOT_ENOUGH) => cut(),
        other => malformed(format!("PNG: {}", rows::reason(&other.to_string()))),
    }
}

fn cut() -> MediaError {
    truncated("PNG: the file ends before its picture does")
}

/// The texts of a file by their keywords; none of a file that cannot be read.
pub(super) fn texts(stored: &Stored) -> Vec<(String, String)> {
    rows::texts(stored).unwrap_or_default()
}

#[cfg(test)]
mod tests;
