//! The shape and meaning of an object's pixels: the Image Pixel module (PS3.3 C.7.6.3).

use dicom_core::Tag;

use crate::dicom::attributes;
use crate::dicom::parsing::dataset::{DataSet, Values};
use crate::error::{ErrorKind, MediaError, malformed, unsupported};
use crate::{code, limits};

/// What samples mean (PS3.3 C.7.6.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Photometric {
    /// MONOCHROME1 (inverted: the smallest value is white) and MONOCHROME2.
    Mono {
        /// MONOCHROME1.
        inverted: bool,
    },
    /// RGB.
    Rgb,
    /// YBR_FULL.
    YbrFull,
    /// YBR_FULL_422: two pixels share their chroma where the pixels are not compressed.
    YbrFull422,
    /// YBR_RCT, YBR_ICT and XYB: the coding of a JPEG 2000 or JPEG XL stream, which its decoder undoes.
    YbrCoded,
    /// PALETTE COLOR: values look up their colour.
    Palette,
}

/// How samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Integers in Pixel Data (7FE0,0010).
    Integer,
    /// Floats in Float Pixel Data (7FE0,0008).
    Float,
    /// Floats in Double Float Pixel Data (7FE0,0009).
    Double,
}

/// The Image Pixel module, with defaults where an object leaves out what can only be one thing.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Number of frames.
    pub frames: u32,
    /// Samples per pixel.
    pub samples: u16,
    /// What the samples mean.
    pub photometric: Photometric,
    /// The same as written.
    pub photometric_name: String,
    /// Bits a sample takes.
    pub allocated: u16,
    /// Bits of it that are the value.
    pub stored: u16,
    /// Position of the value's highest bit.
    pub high_bit: u16,
    /// Values are two's complement.
    pub signed: bool,
    /// Each frame stores one plane per sample, not pixel by pixel.
    pub planar: bool,
    /// Integers or floats.
    pub number: Number,
}

impl Layout {
    /// Reads the module; the frame's size is held to the limits.
    pub(crate) fn read(set: &DataSet, pixels: Tag) -> Result<Self, MediaError> {
        let side = |tag, name: &str| {
            set.short(tag)
                .map(u32::from)
                .ok_or_else(|| malformed(format!("DICOM: {name} is missing")))
        };
        let (rows, columns) = (
            side(attributes::ROWS, "Rows (0028,0010)")?,
            side(attributes::COLUMNS, "Columns (0028,0011)")?,
        );
        limits::check_size(columns, rows)?;
        let (number, allocated) = number(set, pixels)?;
        let stored = set
            .short(attributes::BITS_STORED)
            .filter(|s| (1..=allocated).contains(s))
            .unwrap_or(allocated);
        let high_bit = set
            .short(attributes::HIGH_BIT)
            .filter(|h| (stored - 1..allocated).contains(h))
            .unwrap_or(stored - 1);
        let written = set.first(attributes::PHOTOMETRIC);
        let samples = set.short(attributes::SAMPLES).unwrap_or_else(|| {
            if written.as_deref().is_some_and(is_color) {
                3
            } else {
                1
            }
        });
        let photometric_name =
            written.unwrap_or_else(|| if samples == 1 { "MONOCHROME2" } else { "RGB" }.to_owned());
        let photometric = interpret(&photometric_name, samples)?;
        Ok(Self {
            rows,
            columns,
            frames: frames(set)?,
            samples,
            photometric,
            photometric_name,
            allocated,
            stored,
            high_bit,
            signed: set.short(attributes::SIGNED) == Some(1),
            planar: samples > 1 && set.short(attributes::PLANAR) == Some(1),
            number,
        })
    }

    /// Whether each sample takes whole bytes of a common width; others follow each other without a gap.
    pub(crate) fn in_bytes(&self) -> bool {
        matches!(self.allocated, 8 | 16 | 32 | 64)
    }

    /// Pixels of a frame.
    pub(crate) fn pixels(&self) -> usize {
        self.rows as usize * self.columns as usize
    }

    /// Samples of a frame.
    pub(crate) fn cells(&self) -> usize {
        self.pixels() * usize::from(self.samples)
    }
}

/// The kind of pixels and the bits that each sample takes.
fn number(set: &DataSet, pixels: Tag) -> Result<(Number, u16), MediaError> {
    match pixels {
        attributes::FLOAT_PIXELS => return Ok((Number::Float, 32)),
        attributes::DOUBLE_PIXELS => return Ok((Number::Double, 64)),
        _ => {}
    }
    match set.short(attributes::BITS_ALLOCATED) {
        None => Err(malformed("DICOM: Bits Allocated (0028,0100) is missing")),
        Some(allocated @ 1..=32) => Ok((Number::Integer, allocated)),
        Some(other) => Err(unsupported(format!(
            "DICOM with {other} bits allocated a sample is not supported"
        ))),
    }
}

/// Number of Frames (0028,0008), 1 where it is absent or nonsense.
fn frames(set: &DataSet) -> Result<u32, MediaError> {
    let frames = set
        .decimal(attributes::FRAMES)
        .filter(|f| *f >= 1.0)
        .map_or(1, |f| f as u64);
    if frames > u64::from(limits::MAX_FRAMES) {
        return Err(MediaError::new(
            ErrorKind::TooLarge,
            format!(
                "{frames} frames is over the limit of {}",
                limits::MAX_FRAMES
            ),
        ));
    }
    Ok(frames as u32)
}

fn is_color(photometric: &str) -> bool {
    photometric == "RGB" || photometric.starts_with("YBR_")
}

fn interpret(name: &str, samples: u16) -> Result<Photometric, MediaError> {
    let photometric = match name.to_ascii_uppercase().as_str() {
        "MONOCHROME1" => Photometric::Mono { inverted: true },
        "MONOCHROME2" => Photometric::Mono { inverted: false },
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::YbrFull,
        "YBR_FULL_422" => Photometric::YbrFull422,
        "YBR_RCT" | "YBR_ICT" | "XYB" => Photometric::YbrCoded,
        "PALETTE COLOR" => Photometric::Palette,
        _ => {
            return Err(match code(name) {
                Some(name) => unsupported(format!(
                    "DICOM photometric interpretation {name} is not supported"
                )),
                None => malformed("DICOM: the photometric interpretation is damaged"),
            });
        }
    };
    let expected = if matches!(photometric, Photometric::Mono { .. } | Photometric::Palette) {
        1
    } else {
        3
    };
    if samples != expected {
        return Err(malformed(format!(
            "DICOM: {name} with {samples} samples a pixel"
        )));
    }
    Ok(photometric)
}
