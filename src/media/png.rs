//! Decodes PNG: every depth, palette, transparency and interlace, as Pillow's `convert("RGB")` shows them.
//!
//! Alpha is dropped, not composited: models were trained on the colour that the file stores under a transparent pixel.
//! Sixteen bits become eight by their high byte, also for grey, where Pillow would clip all but the darkest values; but
//! grey keeps its values, so that a window can show what eight bits of the full range do not. Of an animated PNG, the
//! default image is decoded.
//!
//! The crate `image` decodes, within its limits. It verifies checksums and only returns whole images. A file with a
//! wrong checksum or without an end, and one whose samples take much more memory than the eight bits that are kept, is
//! therefore read row by row with the crate `png` below it.

mod chunks;
mod rows;

use image::codecs::png::PngDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use crate::error::{ErrorKind, MediaError, malformed, truncated};
use crate::read::Stored;
use crate::{FileFormat, Frame, Grey, ImageInfo, Picture, Pixels, Warnings, limits, orient};
use chunks::Chunks;

/// Memory that the decoder may take beside the pixels and a row, in bytes: for text and colour profiles.
const SIDE_BYTES: u64 = 64 << 20;
/// Largest decoded image that is reduced after decoding rather than row by row, in bytes.
const MAX_INTERMEDIATE: u64 = 64 << 20;
/// Row buffers to allow for: as read, as the one before it, and as shown.
const ROW_BUFFERS: u64 = 4;

/// The pixels of a PNG file in their stored orientation, without alpha.
#[derive(PartialEq, Eq)]
enum PngPixels {
    /// Eight bits a channel.
    Shallow(Pixels),
    /// Grey of sixteen bits.
    Deep(Vec<u16>),
}

/// A PNG file.
pub(super) struct Png {
    stored: Stored,
    chunks: Chunks,
}

impl Png {
    /// Checks a file by its chunks, without decoding its pixels.
    pub(super) fn open(stored: Stored) -> Result<Self, MediaError> {
        let chunks = Chunks::read(&mut *stored.stream())?;
        limits::check_size(chunks.width, chunks.height)?;
        Ok(Self { stored, chunks })
    }

    /// Description of the file.
    pub(super) fn info(&self) -> ImageInfo {
        let chunks = &self.chunks;
        let is_transposed = chunks.orientation >= 5;
        let mut warnings = Warnings::default();
        if chunks.wrong_checksum {
            warnings.add("A checksum of the PNG file is wrong: the image may be damaged.");
        }
        if !chunks.ended {
            warnings.add("The PNG file ends without its end chunk.");
        }
        ImageInfo {
            kind: FileFormat::Png,
            width: if is_transposed {
                chunks.height
            } else {
                chunks.width
            },
            height: if is_transposed {
                chunks.width
            } else {
                chunks.height
            },
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

    /// Upper bound of the memory, in bytes, that decoding takes, or that keeping the decoded image beside one
    /// rendering of grey takes.
    pub(super) fn cost(&self) -> u64 {
        let chunks = &self.chunks;
        let pixels = u64::from(chunks.width) * u64::from(chunks.height);
        let kept = pixels * chunks.kept_bytes();
        let decoded = pixels * chunks.decoded_bytes();
        let intermediate = if decoded > kept && decoded <= MAX_INTERMEDIATE {
            decoded
        } else {
            0
        };
        // Deep grey is read in bytes.
        let is_copied = chunks.orientation > 1 || chunks.is_deep_grey();
        let turned = if is_copied { kept } else { 0 };
        let rendered = if chunks.kept_channels() == 1 {
            pixels
        } else {
            0
        };
        let row = u64::from(chunks.width) * chunks.decoded_bytes();
        kept + intermediate.max(turned).max(rendered) + row * ROW_BUFFERS
    }

    /// Decodes the image and turns it upright. Warns of 16-bit grey of which little is seen in eight bits.
    pub(super) fn decode(&self, warnings: &mut Warnings) -> Result<Frame, MediaError> {
        let Chunks {
            width,
            height,
            orientation,
            ..
        } = self.chunks;
        match self.decode_pixels()? {
            PngPixels::Shallow(pixels) => {
                let picture = Picture {
                    width,
                    height,
                    pixels,
                };
                Ok(Frame::from(orient::upright(picture, orientation)))
            }
            PngPixels::Deep(values) => {
                warn_of_few_shades(&values, warnings);
                let size = (width as usize, height as usize);
                let (values, (width, height)) = orient::turned(values, size, 1, orientation);
                let grey = Grey::from_words(width as u32, height as u32, values);
                Ok(Frame::Grey(grey))
            }
        }
    }

    /// Decodes the image in its stored orientation.
    fn decode_pixels(&self) -> Result<PngPixels, MediaError> {
        if self.chunks.is_intact() {
            self.decode_whole()
        } else {
            rows::decode(&self.stored, &self.chunks)
        }
    }

    /// Decodes all pixels at once.
    fn decode_whole(&self) -> Result<PngPixels, MediaError> {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.side_bytes());
        let decoder = match PngDecoder::with_limits(self.stored.stream(), limits) {
            // Text and colour profiles exceed the limit; decoding row by row skips them.
            Err(ImageError::Limits(_)) => return rows::decode(&self.stored, &self.chunks),
            decoder => decoder.map_err(|e| decode_error(&e))?,
        };
        let (color, size) = (decoder.color_type(), decoder.total_bytes());
        let is_kept = matches!(color, ColorType::L8 | ColorType::Rgb8);
        if !is_kept && size > MAX_INTERMEDIATE {
            return rows::decode(&self.stored, &self.chunks);
        }
        let mut data = vec![0; size as usize];
        decoder
            .read_image(&mut data)
            .map_err(|e| decode_error(&e))?;
        pixels(color, data)
    }

    fn side_bytes(&self) -> u64 {
        SIDE_BYTES + ROW_BUFFERS * u64::from(self.chunks.width) * self.chunks.decoded_bytes()
    }
}

/// Reduces samples in native byte order to eight bits without alpha; those of deep grey remain.
fn pixels(color: ColorType, data: Vec<u8>) -> Result<PngPixels, MediaError> {
    let words = |data: &[u8]| -> Vec<u16> {
        let words = data.as_chunks::<2>().0.iter();
        words.map(|word| u16::from_ne_bytes(*word)).collect()
    };
    let high = |data: &[u8]| -> Vec<u8> {
        let words = words(data).into_iter();
        words.map(|word| (word >> 8) as u8).collect()
    };
    Ok(PngPixels::Shallow(match color {
        ColorType::L8 => Pixels::Luma(data),
        ColorType::Rgb8 => Pixels::Rgb(data),
        ColorType::La8 => Pixels::Luma(rows::without_alpha(&data, 2)),
        ColorType::Rgba8 => Pixels::Rgb(rows::without_alpha(&data, 4)),
        ColorType::L16 => return Ok(PngPixels::Deep(words(&data))),
        ColorType::Rgb16 => Pixels::Rgb(high(&data)),
        ColorType::La16 => {
            let values = words(&data).into_iter().step_by(2).collect();
            return Ok(PngPixels::Deep(values));
        }
        ColorType::Rgba16 => Pixels::Rgb(rows::without_alpha(&high(&data), 4)),
        _ => return Err(malformed("PNG: unknown sample type")),
    }))
}

/// Warns of 16-bit grey that uses less than a quarter of the shades of eight bits: values of a CT, of 12 bits, or of
/// labels.
fn warn_of_few_shades(values: &[u16], warnings: &mut Warnings) {
    let (Some(darkest), Some(brightest)) = (values.iter().min(), values.iter().max()) else {
        return;
    };
    let shades = (brightest >> 8) - (darkest >> 8) + 1;
    if shades < 64 {
        warnings.add(format!(
            "The PNG file has 16 bits, and its values, from {darkest} to {brightest}, use {shades} of the 256 shades \
             that the full range is shown in: a window shows more of them."
        ));
    }
}

/// The error for a file whose chunks are complete.
fn decode_error(error: &ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => {
            MediaError::new(ErrorKind::TooLarge, "PNG: needs more memory than the limit")
        }
        ImageError::IoError(_) => truncated_file(),
        other if other.to_string().contains(rows::NOT_ENOUGH) => truncated_file(),
        other => malformed(format!("PNG: {}", rows::reason(&other.to_string()))),
    }
}

fn truncated_file() -> MediaError {
    truncated("PNG: the file ends before its image does")
}

/// The texts of a file with their keywords; empty if they cannot be read.
pub(super) fn texts(stored: &Stored) -> Vec<(String, String)> {
    rows::texts(stored).unwrap_or_default()
}

#[cfg(test)]
mod tests;
