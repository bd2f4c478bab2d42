//! From the cells of a frame to what is shown: the steps that a pixel goes through (PS3.4 N.2.1).
//!
//! | step | where |
//! |---|---|
//! | bytes of the frame → cells | `FrameReader::decode` ([`frames`](super::frames)) |
//! | cell → stored value | [`from_cells`] |
//! | stored → modality value | [`modality::read`], applied by `GreyTransform::modality` |
//! | **window or VOI LUT** → 0–1 | [`voi::read`], **applied by [`Grey::render`]**, formulas in `grey::window::Curve` |
//! | without either: full range | [`nominal_range`], else counted by `grey::levels`, without [`padding`] |
//! | inversion | [`is_inverted`] |
//! | colour → RGB | [`color::rgb`], [`palette::rgb`], [`supplemental_palette`] |
//! | RGB of which R = G = B everywhere → grey | [`Frame::from`] |

use std::sync::Arc;

use dicom_dictionary_std::tags;

use crate::dicom::attributes;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::layout::{Photometric, PixelLayout, SampleType};
use crate::dicom::pixels::palette::{self, Palette};
use crate::dicom::pixels::samples::{Cells, from_cells};
use crate::dicom::pixels::{color, groups, modality, voi};
use crate::error::MediaError;
use crate::grey::samples::Samples;
use crate::grey::{Grey, GreyTransform};
use crate::{Frame, Picture, Pixels, Voi, Warnings};

/// Makes a frame of grey values or colours. `layout` is what the attributes say, `shape` what the decoded cells are.
pub(crate) fn frame(
    set: &DataSet,
    layout: &PixelLayout,
    shape: &PixelLayout,
    cells: Cells,
    frame: u32,
    warnings: &mut Warnings,
) -> Result<Frame, MediaError> {
    let (width, height) = (layout.columns, layout.rows);
    let rgb = match shape.photometric {
        Photometric::Mono { inverted } => {
            let inverted = is_inverted(set, inverted, warnings);
            let transform = transform(set, layout, frame, inverted, warnings);
            let samples = from_cells(cells, shape);
            return Ok(match supplemental_palette(set, layout, frame, warnings) {
                Some(palette) => colored(&palette, width, height, samples, transform),
                None => Frame::Grey(Grey::new(width, height, samples, transform)),
            });
        }
        Photometric::Palette => palette::rgb(set, &from_cells(cells, shape), layout, warnings)?,
        _ => color::rgb(set, cells, shape, warnings)?,
    };
    Ok(Frame::from(Picture {
        width,
        height,
        pixels: Pixels::Rgb(rgb),
    }))
}

/// The transform from a frame's stored values to 8 bits.
fn transform(
    set: &DataSet,
    layout: &PixelLayout,
    frame: u32,
    inverted: bool,
    warnings: &mut Warnings,
) -> GreyTransform {
    let rescale = modality::read(set, layout, frame, warnings);
    let real = layout.sample_type != SampleType::Integer;
    let range = if real {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else {
        rescale.modality.range(layout.stored_range())
    };
    let values = voi::ValueKind { range, real };
    let own = if rescale.is_known {
        voi::read(set, frame, values, warnings)
    } else {
        Vec::new()
    };
    GreyTransform {
        modality: rescale.modality,
        unit: rescale.unit,
        own,
        nominal: nominal_range(set, layout, warnings),
        padding: padding(set, layout),
        inverted,
        real,
    }
}

/// Whether the smallest value is white: MONOCHROME1, or an object with Presentation LUT Shape INVERSE that says
/// MONOCHROME2 in violation of C.8.11.3.1.2, by which INVERSE goes with MONOCHROME1 and denotes that same inversion.
fn is_inverted(set: &DataSet, monochrome1: bool, warnings: &mut Warnings) -> bool {
    let shape = set.first(tags::PRESENTATION_LUT_SHAPE);
    match (monochrome1, shape.as_deref()) {
        (false, Some("INVERSE")) => {
            warnings.add(
                "MONOCHROME2 with Presentation LUT Shape (2050,0020) INVERSE is shown inverted.",
            );
            true
        }
        (true, Some("IDENTITY")) => {
            warnings.add("MONOCHROME1 with Presentation LUT Shape (2050,0020) IDENTITY is shown as MONOCHROME1.");
            true
        }
        (monochrome1, _) => monochrome1,
    }
}

/// The range of values that a segmentation can have, whatever occurs in a frame: 0–1 for a binary one, 0 to Maximum
/// Fractional Value for a fractional one, 0 to the largest Segment Number for a label map (C.8.20.2), whose background
/// may be its padding.
fn nominal_range(
    set: &DataSet,
    layout: &PixelLayout,
    warnings: &mut Warnings,
) -> Option<(f64, f64)> {
    match set.first(tags::SEGMENTATION_TYPE)?.as_str() {
        "BINARY" => Some((0.0, 1.0)),
        "FRACTIONAL" => {
            let stated = set
                .short(tags::MAXIMUM_FRACTIONAL_VALUE)
                .filter(|max| *max > 0);
            let largest =
                stated.map_or_else(|| f64::from(layout.stored.min(32)).exp2() - 1.0, f64::from);
            if stated.is_none() {
                let name = attributes::named(tags::MAXIMUM_FRACTIONAL_VALUE);
                warnings.add(format!("{name} is missing; {largest} is assumed."));
            }
            Some((0.0, largest))
        }
        "LABELMAP" => {
            let segments = set.items(tags::SEGMENT_SEQUENCE).iter();
            let numbers = segments.filter_map(|segment| segment.short(tags::SEGMENT_NUMBER));
            let largest = numbers.max().filter(|number| *number > 0)?;
            Some((0.0, f64::from(largest)))
        }
        _ => None,
    }
}

/// Pixel Padding Value and Pixel Padding Range Limit (C.7.5.1.1.2), in either order.
fn padding(set: &DataSet, layout: &PixelLayout) -> Option<(f64, f64)> {
    let stored = |tag| match (layout.sample_type, set.short(tag)) {
        (SampleType::Float | SampleType::Double, _) => set.real(tag),
        (SampleType::Integer, Some(value)) if layout.signed => {
            Some(f64::from(sign_extended(value, layout)))
        }
        (SampleType::Integer, value) => value.map(f64::from),
    };
    let (value, limit) = match layout.sample_type {
        SampleType::Integer => (tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT),
        SampleType::Float => (
            tags::FLOAT_PIXEL_PADDING_VALUE,
            tags::FLOAT_PIXEL_PADDING_RANGE_LIMIT,
        ),
        SampleType::Double => (
            tags::DOUBLE_FLOAT_PIXEL_PADDING_VALUE,
            tags::DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT,
        ),
    };
    let value = stored(value)?;
    let limit = stored(limit).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}

/// Sign-extends a padding value. Some writers store it as in the cell, with the sign in the highest stored bit.
fn sign_extended(value: u16, layout: &PixelLayout) -> i16 {
    match 16_u16.checked_sub(layout.stored) {
        Some(free) if value.leading_zeros() >= u32::from(free) => ((value << free) as i16) >> free,
        _ => value as i16,
    }
}

/// The supplemental palette of a grey frame in which some values are colours: Pixel Presentation (0008,9205) COLOR or
/// MIXED, of the object or of the frame (C.8.16.2.1.1.1, C.7.6.23).
fn supplemental_palette(
    set: &DataSet,
    layout: &PixelLayout,
    frame: u32,
    warnings: &mut Warnings,
) -> Option<Palette> {
    set.get(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR)?;
    let presentation = |set: &DataSet| set.first(tags::PIXEL_PRESENTATION);
    let in_frame = attributes::FRAME_TYPES
        .into_iter()
        .find_map(|group| groups::find(set, frame, group, presentation));
    let stated = in_frame.or_else(|| presentation(set))?;
    if stated != "COLOR" && stated != "MIXED" {
        return None;
    }
    let palette = Palette::read(set, layout.signed, warnings);
    if palette.is_err() {
        warnings.add("The supplemental palette is damaged; the frame is shown in grey.");
    }
    palette.ok()
}

/// Colours the values from the palette's first on (PS3.4 N.2.6) and renders the others by the file's first window. A
/// frame without coloured values stays grey.
fn colored(
    palette: &Palette,
    width: u32,
    height: u32,
    samples: Samples,
    transform: GreyTransform,
) -> Frame {
    let grey = Grey::new(width, height, samples, transform);
    let (picture, _) = grey.render(Voi::Own(0), false);
    let mut is_colored = false;
    let shades = picture.pixels.bytes().iter().enumerate();
    let pixels = shades.flat_map(|(at, &shade)| {
        let color = grey.stored(at).and_then(|stored| palette.mapped(stored));
        is_colored |= color.is_some();
        color.unwrap_or([shade; 3])
    });
    let pixels = Pixels::Rgb(pixels.collect());
    if !is_colored {
        return Frame::Grey(grey);
    }
    Frame::Color(Arc::new(Picture {
        width,
        height,
        pixels,
    }))
}
