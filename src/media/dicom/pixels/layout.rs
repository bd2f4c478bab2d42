//! The shape and meaning of an object's pixels: the Image Pixel module (PS3.3 C.7.6.3).

use std::ops::Range;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dicom::attributes;
use crate::dicom::checked::{self, CheckedNumber};
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::notes::{PixelData, PixelElement};
use crate::error::{ErrorKind, MediaError, malformed, unsupported};
use crate::{Warnings, clean, code, limits};

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
    /// YBR_PARTIAL_422: the same in the range of video (retired).
    YbrPartial422,
    /// YBR_RCT, YBR_ICT and XYB: the coding of a JPEG 2000 or JPEG XL stream, which its decoder undoes.
    YbrCoded,
    /// PALETTE COLOR: values look up their colour.
    Palette,
    /// ARGB: colour behind an alpha plane, which looks up its own (retired).
    Argb,
    /// CMYK: inks and black (retired).
    Cmyk,
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
pub(crate) struct PixelLayout {
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

impl PixelLayout {
    /// Reads the module; the frame's size is held to the limits.
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
        let (number, allocated) = number(set, pixels.tag)?;
        let mut or_assumed = |tag, possible: Range<u16>, assumed: u16| {
            let stated = set.short(tag).filter(|bits| possible.contains(bits));
            stated.unwrap_or_else(|| {
                // Floats do not have these attributes.
                if number != Number::Integer {
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
        let frames = frames(set, warnings)?;
        let per_sample = u64::from(rows) * u64::from(columns) * u64::from(frames);
        let room = room(&pixels.data, per_sample * u64::from(allocated));
        let (photometric_name, photometric, samples) = colors(set, room, warnings)?;
        Ok(Self {
            rows,
            columns,
            frames,
            samples,
            photometric,
            photometric_name,
            allocated,
            stored,
            high_bit,
            signed: set.short(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: samples > 1 && set.short(tags::PLANAR_CONFIGURATION) == Some(1),
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
        tags::FLOAT_PIXEL_DATA => return Ok((Number::Float, 32)),
        tags::DOUBLE_FLOAT_PIXEL_DATA => return Ok((Number::Double, 64)),
        _ => {}
    }
    match set.short(tags::BITS_ALLOCATED) {
        None => Err(malformed("DICOM: Bits Allocated (0028,0100) is missing")),
        Some(allocated @ 1..=32) => Ok((Number::Integer, allocated)),
        Some(other) => Err(unsupported(format!(
            "DICOM with {other} bits allocated a sample is not supported"
        ))),
    }
}

/// Number of Frames (0028,0008), 1 where it is absent or nonsense.
fn frames(set: &DataSet, warnings: &mut Warnings) -> Result<u32, MediaError> {
    let frames = match checked::one(set, tags::NUMBER_OF_FRAMES, warnings) {
        CheckedNumber::Value(frames) if frames >= 1.0 => frames as u64,
        CheckedNumber::Missing => 1,
        CheckedNumber::Value(_) | CheckedNumber::Unreadable => {
            let name = attributes::named(tags::NUMBER_OF_FRAMES);
            warnings.add(format!("{name} is no number of frames; 1 is assumed."));
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
    Ok(frames as u32)
}

/// How many samples a pixel there are bytes for, but for one that makes their number even, where the pixels are not
/// compressed; `bits` is what one sample takes in all frames.
fn room(pixels: &PixelData, bits: u64) -> Option<u64> {
    match pixels {
        PixelData::Native(range) => {
            let there = (range.end - range.start) * 8;
            let rest = there.checked_rem(bits)?;
            (rest < 16).then(|| there / bits)
        }
        PixelData::Fragments(_) => None,
    }
}

/// Photometric Interpretation as written or assumed, what it means, and Samples per Pixel. Where the two contradict
/// each other, the length of the pixels tells which is right (`room`); else the number of samples, without which
/// nothing can be read.
fn colors(
    set: &DataSet,
    room: Option<u64>,
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
    if room == Some(u64::from(expected)) {
        warnings.add(format!(
            "{contradiction}: the pixels have {expected}, by their length."
        ));
        return Ok((name, photometric, expected));
    }
    let (shown, called) = match (photometric, stated) {
        (_, 1) => (Photometric::Mono { inverted: false }, "MONOCHROME2"),
        (_, 3) => (Photometric::Rgb, "RGB"),
        (Photometric::Rgb, 4) => (Photometric::Rgb, "RGB, the fourth left out"),
        _ => return Err(malformed(format!("DICOM: {contradiction}"))),
    };
    warnings.add(format!("{contradiction} is shown as {called}."));
    Ok((name, shown, stated))
}

impl Photometric {
    /// Samples per Pixel that go with it.
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
