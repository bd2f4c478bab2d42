//! The layout and meaning of an object's pixels: the Image Pixel module (PS3.3 C.7.6.3).

use std::ops::Range;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dicom::attributes;
use crate::dicom::checked::{self, CheckedNumber};
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::notes::{PixelData, PixelElement};
use crate::error::{ErrorKind, MediaError, malformed, unsupported};
use crate::grey::stored_range;
use crate::{Warnings, clean, code, limits};

/// Photometric interpretation: what samples mean (PS3.3 C.7.6.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Photometric {
    /// MONOCHROME1 (inverted: the smallest value is white) and MONOCHROME2.
    Mono {
        /// Whether it is MONOCHROME1.
        inverted: bool,
    },
    /// RGB.
    Rgb,
    /// YBR_FULL.
    YbrFull,
    /// YBR_FULL_422: in uncompressed pixels, two share their chroma.
    YbrFull422,
    /// YBR_PARTIAL_422: like YBR_FULL_422, in the range of video (retired).
    YbrPartial422,
    /// YBR_RCT, YBR_ICT and XYB: the coding of a JPEG 2000 or JPEG XL stream, which its decoder undoes.
    YbrCoded,
    /// PALETTE COLOR: values are indices of colours.
    Palette,
    /// ARGB: an alpha plane, which indexes colours of its own, and RGB (retired).
    Argb,
    /// CMYK (retired).
    Cmyk,
}

/// The type of stored samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleType {
    /// Integers in Pixel Data (7FE0,0010).
    Integer,
    /// Floats in Float Pixel Data (7FE0,0008).
    Float,
    /// Floats in Double Float Pixel Data (7FE0,0009).
    Double,
}

/// The Image Pixel module, with defaults for missing attributes that can only have one value.
#[derive(Clone, Debug)]
pub(crate) struct PixelLayout {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Number of frames.
    pub frames: u32,
    /// Whether Number of Frames is invalid, so that there may be more than one.
    pub frames_assumed: bool,
    /// Samples per pixel.
    pub samples: u16,
    /// The photometric interpretation.
    pub photometric: Photometric,
    /// The photometric interpretation as written.
    pub photometric_name: String,
    /// Bits that a sample takes (Bits Allocated).
    pub allocated: u16,
    /// Bits of the value (Bits Stored).
    pub stored: u16,
    /// Position of the value's highest bit (High Bit).
    pub high_bit: u16,
    /// Whether values are two's complement.
    pub signed: bool,
    /// Whether each frame stores one plane per sample instead of whole pixels.
    pub planar: bool,
    /// Integers or floats.
    pub sample_type: SampleType,
}

impl PixelLayout {
    /// Reads the module and checks the frame's size against the limits.
    pub(crate) fn read(
        set: &DataSet,
        pixels: &PixelElement,
        warnings: &mut Warnings,
    ) -> Result<Self, MediaError> {
        let side = |tag, name: &str| {
            set.short(tag)
                .map(u32::from)
                .ok_or_else(|| malformed(format!("DICOM: {name} is missing")))
        };
        let (rows, columns) = (
            side(tags::ROWS, "Rows (0028,0010)")?,
            side(tags::COLUMNS, "Columns (0028,0011)")?,
        );
        limits::check_size(columns, rows)?;
        let (sample_type, allocated) = sample_type(set, pixels.tag)?;
        let mut or_assumed = |tag, possible: Range<u16>, assumed: u16| {
            let stated = set.short(tag).filter(|bits| possible.contains(bits));
            stated.unwrap_or_else(|| {
                // Float pixels do not have these attributes.
                if sample_type != SampleType::Integer {
                    return assumed;
                }
                let name = attributes::named(tag);
                warnings.add(format!(
                    "{name} is missing or impossible; {assumed} is assumed."
                ));
                assumed
            })
        };
        let stored = or_assumed(tags::BITS_STORED, 1..allocated + 1, allocated);
        let high_bit = or_assumed(tags::HIGH_BIT, stored - 1..allocated, stored - 1);
        let (frames, frames_assumed) = frames(set, warnings)?;
        let per_sample = u64::from(rows) * u64::from(columns) * u64::from(frames);
        let by_length = samples_by_length(&pixels.data, per_sample * u64::from(allocated));
        let (photometric_name, photometric, samples) = colors(set, by_length, warnings)?;
        Ok(Self {
            rows,
            columns,
            frames,
            frames_assumed,
            samples,
            photometric,
            photometric_name,
            allocated,
            stored,
            high_bit,
            signed: set.short(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: samples > 1 && set.short(tags::PLANAR_CONFIGURATION) == Some(1),
            sample_type,
        })
    }

    /// Whether each sample takes 1, 2, 4 or 8 whole bytes; others follow each other without a gap.
    pub(crate) fn in_bytes(&self) -> bool {
        matches!(self.allocated, 8 | 16 | 32 | 64)
    }

    /// The range that stored integers can have.
    pub(crate) fn stored_range(&self) -> (f64, f64) {
        stored_range(self.stored, self.signed)
    }

    /// Number of pixels of a frame.
    pub(crate) fn pixels(&self) -> usize {
        self.rows as usize * self.columns as usize
    }

    /// Number of samples of a frame.
    pub(crate) fn cells(&self) -> usize {
        self.pixels() * usize::from(self.samples)
    }
}

/// The sample type, and the bits that each sample takes.
fn sample_type(set: &DataSet, pixels: Tag) -> Result<(SampleType, u16), MediaError> {
    match pixels {
        tags::FLOAT_PIXEL_DATA => return Ok((SampleType::Float, 32)),
        tags::DOUBLE_FLOAT_PIXEL_DATA => return Ok((SampleType::Double, 64)),
        _ => {}
    }
    match set.short(tags::BITS_ALLOCATED) {
        None => Err(malformed("DICOM: Bits Allocated (0028,0100) is missing")),
        Some(allocated @ 1..=32) => Ok((SampleType::Integer, allocated)),
        Some(other) => Err(unsupported(format!(
            "DICOM with {other} bits allocated a sample is not supported"
        ))),
    }
}

/// Number of Frames (0028,0008); 1 if it is absent or invalid, and whether it is invalid.
fn frames(set: &DataSet, warnings: &mut Warnings) -> Result<(u32, bool), MediaError> {
    let mut is_assumed = false;
    let frames = match checked::number(set, tags::NUMBER_OF_FRAMES, warnings) {
        CheckedNumber::Value(frames) if frames >= 1.0 => frames as u64,
        CheckedNumber::Missing => 1,
        CheckedNumber::Value(_) | CheckedNumber::Unreadable => {
            let name = attributes::named(tags::NUMBER_OF_FRAMES);
            warnings.add(format!(
                "{name} is not a valid number of frames; 1 is assumed."
            ));
            is_assumed = true;
            1
        }
    };
    if frames > u64::from(limits::MAX_FRAMES) {
        return Err(MediaError::new(
            ErrorKind::TooLarge,
            format!(
                "{frames} frames is over the limit of {}",
                limits::MAX_FRAMES
            ),
        ));
    }
    Ok((frames as u32, is_assumed))
}

/// Samples per pixel that the length of uncompressed pixels has room for, up to a padding byte; `None` if they are
/// encapsulated or the length does not match. `bits` is what one sample takes in all frames.
fn samples_by_length(pixels: &PixelData, bits: u64) -> Option<u64> {
    match pixels {
        PixelData::Native(range) => {
            let available = (range.end - range.start) * 8;
            let rest = available.checked_rem(bits)?;
            (rest < 16).then(|| available / bits)
        }
        PixelData::Fragments(_) => None,
    }
}

/// Photometric Interpretation as written or assumed, its meaning, and Samples per Pixel. If the two contradict each
/// other, the length of the pixels decides (`by_length`); else the number of samples does, without which nothing can
/// be read.
fn colors(
    set: &DataSet,
    by_length: Option<u64>,
    warnings: &mut Warnings,
) -> Result<(String, Photometric, u16), MediaError> {
    let stated = set.short(tags::SAMPLES_PER_PIXEL);
    let name = set
        .first(tags::PHOTOMETRIC_INTERPRETATION)
        .unwrap_or_else(|| {
            let name = if stated.is_none_or(|samples| samples == 1) {
                "MONOCHROME2"
            } else {
                "RGB"
            };
            let attribute = attributes::named(tags::PHOTOMETRIC_INTERPRETATION);
            warnings.add(format!("{attribute} is missing; {name} is assumed."));
            name.to_owned()
        });
    let photometric = interpret(&name)?;
    let expected = photometric.samples();
    let Some(stated) = stated.filter(|stated| *stated != expected) else {
        return Ok((name, photometric, expected));
    };
    let contradiction = format!("{} with {stated} samples a pixel", clean(&name));
    if by_length == Some(u64::from(expected)) {
        warnings.add(format!(
            "{contradiction}: by their length, the pixels have {expected}."
        ));
        return Ok((name, photometric, expected));
    }
    let (shown, called) = match (photometric, stated) {
        (_, 1) => (Photometric::Mono { inverted: false }, "MONOCHROME2"),
        (_, 3) => (Photometric::Rgb, "RGB"),
        (Photometric::Rgb, 4) => (Photometric::Rgb, "RGB without the fourth sample"),
        _ => return Err(malformed(format!("DICOM: {contradiction}"))),
    };
    warnings.add(format!("{contradiction} is shown as {called}."));
    Ok((name, shown, stated))
}

impl Photometric {
    /// Samples per Pixel of this interpretation.
    fn samples(self) -> u16 {
        match self {
            Photometric::Mono { .. } | Photometric::Palette => 1,
            Photometric::Rgb
            | Photometric::YbrFull
            | Photometric::YbrFull422
            | Photometric::YbrPartial422
            | Photometric::YbrCoded => 3,
            Photometric::Argb | Photometric::Cmyk => 4,
        }
    }
}

fn interpret(name: &str) -> Result<Photometric, MediaError> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "MONOCHROME1" => Photometric::Mono { inverted: true },
        "MONOCHROME2" => Photometric::Mono { inverted: false },
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::YbrFull,
        "YBR_FULL_422" => Photometric::YbrFull422,
        "YBR_PARTIAL_422" => Photometric::YbrPartial422,
        "YBR_RCT" | "YBR_ICT" | "XYB" => Photometric::YbrCoded,
        "PALETTE COLOR" => Photometric::Palette,
        "ARGB" => Photometric::Argb,
        "CMYK" => Photometric::Cmyk,
        _ => {
            return Err(match code(name) {
                Some(name) => unsupported(format!(
                    "DICOM photometric interpretation {name} is not supported"
                )),
                None => malformed("DICOM: the photometric interpretation is damaged"),
            });
        }
    })
}
