//! Softcopy presentation states (PS3.3 A.33): how an image is to be displayed.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::annotation;
use super::shutter;
use super::values::{ImageReferences, floats, integers};
use crate::dicom::attributes::overlay;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::{lut, modality, palette, voi};
use crate::error::MediaError;
use crate::grey::lut::Lut;
use crate::grey::window::{Curve, FileVoi};
use crate::grey::{Grey, GreyTransform, stored_range};
use crate::related::{Arrangement, ColorMap, Layers, TargetFrame};
use crate::{OverlayKind, OverlayPlane, Warnings, WindowSource};

/// Modules of a presentation state that are not supported, and the remark about each.
const UNSUPPORTED: [(Tag, &str); 2] = [
    (
        tags::MASK_SUBTRACTION_SEQUENCE,
        "its mask is not subtracted",
    ),
    (
        tags::COMPOUND_GRAPHIC_SEQUENCE,
        "its compound graphics are not drawn",
    ),
];

/// Rotation and displayed areas of a presentation state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arrangements {
    quarters: u8,
    mirrored: bool,
    areas: Vec<(ImageReferences, [f64; 4], Option<f64>)>,
}

impl Arrangements {
    /// Reads Spatial Transformation (C.10.6) and Displayed Area (C.10.4).
    pub(super) fn read(set: &DataSet) -> Self {
        let degrees = set.short(tags::IMAGE_ROTATION).unwrap_or(0);
        let items = set.items(tags::DISPLAYED_AREA_SELECTION_SEQUENCE);
        Self {
            quarters: (degrees / 90 % 4) as u8,
            mirrored: set.first(tags::IMAGE_HORIZONTAL_FLIP).as_deref() == Some("Y"),
            areas: items.iter().filter_map(area).collect(),
        }
    }

    pub(super) fn for_frame(&self, target: &TargetFrame) -> Arrangement {
        let area = self
            .areas
            .iter()
            .find(|(images, ..)| images.include_or_empty(target));
        let (width, height) = (f64::from(target.width), f64::from(target.height));
        let is_part = |[left, top, right, bottom]: &[f64; 4]| {
            *left > 0.0 || *top > 0.0 || *right < width || *bottom < height
        };
        Arrangement {
            quarters: self.quarters,
            mirrored: self.mirrored,
            area: area.map(|(_, area, _)| *area).filter(is_part),
            magnification: area.and_then(|(.., ratio)| *ratio),
        }
    }
}

/// Reads an item of the Displayed Area Selection Sequence. Its corners are named as they are seen: after a rotation,
/// the upper left one may have the larger column.
fn area(item: &DataSet) -> Option<(ImageReferences, [f64; 4], Option<f64>)> {
    let corner = |tag| match integers(item, tag)[..] {
        [x, y] => Some([f64::from(x), f64::from(y)]),
        _ => None,
    };
    let (first, last) = (
        corner(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER)?,
        corner(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER)?,
    );
    let images = ImageReferences::read(item, tags::REFERENCED_IMAGE_SEQUENCE);
    let magnify = item.first(tags::PRESENTATION_SIZE_MODE).as_deref() == Some("MAGNIFY");
    let ratio = floats(item, tags::PRESENTATION_PIXEL_MAGNIFICATION_RATIO)
        .first()
        .copied();
    let area = [
        first[0].min(last[0]) - 1.0,
        first[1].min(last[1]) - 1.0,
        first[0].max(last[0]),
        first[1].max(last[1]),
    ];
    Some((images, area, ratio.filter(|ratio| magnify && *ratio > 0.0)))
}

/// Shutters and annotations on a frame.
pub(super) fn layers(set: &DataSet, target: &TargetFrame) -> Layers {
    let mut layers = Layers::default();
    match shutter::read(set, target) {
        Ok(shutter) => layers.shutter = shutter,
        Err(remark) => layers.remarks.push(remark),
    }
    for (sequence, remark) in UNSUPPORTED {
        if !set.items(sequence).is_empty() {
            layers.remarks.push(remark.to_owned());
        }
    }
    if has_overlays(set) {
        layers
            .remarks
            .push("its overlay planes are not drawn".to_owned());
    }
    let warnings = warnings(set, target);
    layers.remarks.extend(warnings.iter().cloned());
    layers.annotations = annotation::read(set, target, &Arrangements::read(set).for_frame(target));
    layers
}

/// Whether the state itself has overlay planes, and a layer to display them in (C.11.7). The plane of a bitmap shutter
/// has none.
fn has_overlays(set: &DataSet) -> bool {
    (0..16).map(|n| 0x6000 + 2 * n).any(|group| {
        set.get(Tag(group, overlay::DATA)).is_some()
            && set.first(Tag(group, overlay::ACTIVATION_LAYER)).is_some()
    })
}

/// Repairs and assumptions about the tables and windows of a state.
fn warnings(set: &DataSet, target: &TargetFrame) -> Warnings {
    let mut warnings = Warnings::default();
    let before = GreyTransform {
        modality: modality::IDENTITY,
        unit: None,
        own: Vec::new(),
        padding: None,
        nominal: None,
        inverted: false,
        real: false,
    };
    transform(set, &before, target, &mut warnings);
    if set
        .get(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR)
        .is_some()
    {
        // An unreadable palette is reported when it is requested.
        let _ = palette::Palette::read(set, false, &mut warnings);
    }
    warnings
}

/// Applies the grey-scale transformations of the state to a frame.
pub(super) fn grey(set: &DataSet, grey: &Grey, target: &TargetFrame) -> Grey {
    // Their faults are reported with the layers.
    let mut ignored = Warnings::default();
    grey.with_transform(transform(set, grey.transform(), target, &mut ignored))
}

/// The grey-scale transformations of a state, which replace the image's own, MONOCHROME1 included. Transformations
/// that the state omits are identities (PS3.4 N.2.1).
fn transform(
    set: &DataSet,
    before: &GreyTransform,
    target: &TargetFrame,
    warnings: &mut Warnings,
) -> GreyTransform {
    let stored = stored_range(target.bits_stored, target.signed);
    let modality = modality::stated(set, stored, warnings).unwrap_or(modality::IDENTITY);
    let transform = GreyTransform {
        unit: before.unit.clone().filter(|_| modality == before.modality),
        modality,
        own: Vec::new(),
        nominal: before.nominal,
        padding: before.padding,
        inverted: set.first(tags::PRESENTATION_LUT_SHAPE).as_deref() == Some("INVERSE"),
        real: before.real,
    };
    let range = transform.modality.range(stored);
    let items = set.items(tags::SOFTCOPY_VOILUT_SEQUENCE);
    let covers = |item: &&DataSet| {
        ImageReferences::read(item, tags::REFERENCED_IMAGE_SEQUENCE).include_or_empty(target)
    };
    let item = items.iter().find(covers);
    let own = item.and_then(|item| {
        let tables = voi::luts(item, range, warnings);
        let windows = voi::windows(item, WindowSource::File, before.real, warnings);
        tables.into_iter().chain(windows).next()
    });
    let own = own.unwrap_or_else(|| FileVoi::between(range.0, range.1, WindowSource::File));
    let own = match presentation_lut(set, warnings) {
        Some(lut) => FileVoi {
            curve: Curve::Behind(Box::new(own.curve), lut),
            ..own
        },
        None => own,
    };
    GreyTransform {
        own: vec![own],
        ..transform
    }
}

/// Reads the Presentation LUT (C.11.4), which is applied after the VOI LUT.
fn presentation_lut(set: &DataSet, warnings: &mut Warnings) -> Option<Lut> {
    const POSSIBLE_INPUT: (f64, f64) = (0.0, 65_535.0);
    let items = set.items(tags::PRESENTATION_LUT_SEQUENCE);
    lut::read(items.first()?, POSSIBLE_INPUT, "presentation LUT", warnings)
}

/// The palette of a pseudo-colour state (C.7.9), spread over the whole output range of its grey-scale transformations.
pub(super) fn color_map(set: &DataSet) -> Result<ColorMap, MediaError> {
    let palette = palette::Palette::read(set, false, &mut Warnings::default())?;
    Ok(palette.spread())
}

/// Reads an overlay plane that the state itself contains.
pub(super) fn overlay_plane(set: &DataSet, group: u16) -> Option<OverlayPlane> {
    let short = |element| set.short(Tag(group, element));
    let (height, width) = (short(overlay::ROWS)?, short(overlay::COLUMNS)?);
    let count = usize::from(height) * usize::from(width);
    let bits = set.bytes(Tag(group, overlay::DATA))?;
    let bits = bits.get(..count.div_ceil(8))?.to_vec();
    let origin = set.words(Tag(group, overlay::ORIGIN)).unwrap_or_default();
    let [top, left] = origin.try_into().unwrap_or([1, 1]);
    Some(OverlayPlane {
        group,
        kind: OverlayKind::Graphics,
        label: None,
        description: None,
        width: u32::from(width),
        height: u32::from(height),
        // Overlay Origin counts rows and columns from 1; positions before the first are zero or negative.
        left: i32::from(left as i16) - 1,
        top: i32::from(top as i16) - 1,
        bits,
    })
}
