//! Spacing, aspect ratio and position of pixels, from the data set or the functional groups.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dicom::attributes;
use crate::dicom::checked;
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::groups;
use crate::dicom::regions;
use crate::geometry::{Geometry, Spacing};
use crate::{Warnings, code};

/// Largest plausible aspect ratio of a pixel, in either direction; a larger one is damage.
const MAX_ASPECT: f64 = 100.0;
/// Largest part by which an aspect ratio may differ from that of the spacing without a warning: rounding.
const MAX_ASPECT_ERROR: f64 = 0.01;

impl DicomObject {
    /// How the pixels of a frame lie in the patient.
    pub(crate) fn geometry(&self, frame: u32) -> Geometry {
        let set = self.set();
        let size = (self.layout().columns, self.layout().rows);
        let spacing = spacing(set, frame).or_else(|| regions::spacing(set, size));
        let words = set.text(tags::PATIENT_ORIENTATION).unwrap_or_default();
        let mut words = words
            .split('\\')
            .map(|word| code(word.trim()).unwrap_or_default().to_owned());
        let patient_orientation = [
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        ];
        let orientation = |set: &DataSet| numbers(set, tags::IMAGE_ORIENTATION_PATIENT);
        let position = |set: &DataSet| numbers(set, tags::IMAGE_POSITION_PATIENT);
        Geometry {
            spacing,
            // The ratio is for images without a physical spacing (C.7.6.3.1.7).
            aspect: spacing.and_then(ratio).or(aspect(set)).unwrap_or(1.0),
            orientation: groups::find(set, frame, tags::PLANE_ORIENTATION_SEQUENCE, orientation)
                .or_else(|| orientation(set))
                .or_else(|| in_item(set, tags::DETECTOR_INFORMATION_SEQUENCE, orientation)),
            position: groups::find(set, frame, tags::PLANE_POSITION_SEQUENCE, position)
                .or_else(|| position(set))
                .or_else(|| in_item(set, tags::DETECTOR_INFORMATION_SEQUENCE, position)),
            patient_orientation: patient_orientation
                .iter()
                .any(|t| !t.is_empty())
                .then_some(patient_orientation),
        }
    }
}

/// Warns of spacings and positions that are faulty, and therefore ignored.
pub(crate) fn check(set: &DataSet, warnings: &mut Warnings) {
    check_lengths(set, warnings);
    let measures = |group: &DataSet| {
        check_lengths(group, warnings);
        Some(())
    };
    groups::find(set, 0, tags::PIXEL_MEASURES_SEQUENCE, measures);
    if let (Some(by_spacing), Some(stated)) = (spacing(set, 0).and_then(ratio), aspect(set))
        && (stated / by_spacing - 1.0).abs() > MAX_ASPECT_ERROR
    {
        warnings.add(format!(
            "{} contradicts the spacing of the pixels, which is used.",
            attributes::named(tags::PIXEL_ASPECT_RATIO)
        ));
    }
}

fn check_lengths(set: &DataSet, warnings: &mut Warnings) {
    for (tag, count) in [
        (tags::PIXEL_SPACING, 2),
        (tags::IMAGER_PIXEL_SPACING, 2),
        (tags::NOMINAL_SCANNED_PIXEL_SPACING, 2),
        (tags::IMAGE_PLANE_PIXEL_SPACING, 2),
        (tags::PIXEL_ASPECT_RATIO, 2),
        (tags::IMAGE_POSITION_PATIENT, 3),
        (tags::IMAGE_ORIENTATION_PATIENT, 6),
    ] {
        let values = checked::numbers(set, tag, warnings);
        let is_position = matches!(
            tag,
            tags::IMAGE_POSITION_PATIENT | tags::IMAGE_ORIENTATION_PATIENT
        );
        let is_right = |value: &Option<f64>| value.is_some_and(|v| is_position || v > 0.0);
        let is_whole = values.len() == count && values.iter().all(is_right);
        // Unreadable values have been warned of already.
        if !values.is_empty() && !values.contains(&None) && !is_whole {
            warnings.add(format!(
                "{} is invalid and ignored.",
                attributes::named(tag)
            ));
        }
    }
}

/// The aspect ratio of the pixels, if one spacing holds for all of them.
fn ratio(spacing: Spacing) -> Option<f64> {
    let aspect = spacing.rows_mm / spacing.columns_mm;
    let sane = spacing.within.is_none() && (1.0 / MAX_ASPECT..=MAX_ASPECT).contains(&aspect);
    sane.then_some(aspect)
}

/// Pixel Aspect Ratio (0028,0034): height and width of a pixel (C.7.6.3.1.7).
fn aspect(set: &DataSet) -> Option<f64> {
    let [height, width] = numbers(set, tags::PIXEL_ASPECT_RATIO)?;
    let aspect = height / width;
    (1.0 / MAX_ASPECT..=MAX_ASPECT)
        .contains(&aspect)
        .then_some(aspect)
}

/// The spacing by the frame's Pixel Measures, Pixel Spacing, the spacing at the detector, or that of a film scanner,
/// whichever comes first.
fn spacing(set: &DataSet, frame: u32) -> Option<Spacing> {
    let of = |set: &DataSet, tag, at_detector| {
        let [rows_mm, columns_mm] = numbers(set, tag)?;
        let sane = rows_mm > 0.0 && columns_mm > 0.0;
        sane.then_some(Spacing {
            rows_mm,
            columns_mm,
            at_detector,
            within: None,
        })
    };
    let detector = of(set, tags::IMAGER_PIXEL_SPACING, true);
    let measures = |set: &DataSet| of(set, tags::PIXEL_SPACING, false);
    groups::find(set, frame, tags::PIXEL_MEASURES_SEQUENCE, measures)
        .or_else(|| {
            let patient = measures(set)?;
            // Equal values under both names mean that nothing was calibrated (PS3.3 10.7.1.3).
            let same = detector.is_some_and(|d| {
                (d.rows_mm, d.columns_mm) == (patient.rows_mm, patient.columns_mm)
            });
            Some(Spacing {
                at_detector: same && set.first(tags::PIXEL_SPACING_CALIBRATION_TYPE).is_none(),
                ..patient
            })
        })
        .or(detector)
        .or_else(|| of(set, tags::NOMINAL_SCANNED_PIXEL_SPACING, true))
        .or_else(|| of(set, tags::IMAGE_PLANE_PIXEL_SPACING, true))
}

/// Thickness of a frame's slice in millimetres: Slice Thickness, else Spacing Between Slices.
pub(crate) fn thickness(set: &DataSet, frame: u32) -> Option<f64> {
    let read = |set: &DataSet| {
        let number = |tag| set.decimal(tag).filter(|v| *v > 0.0);
        number(tags::SLICE_THICKNESS).or_else(|| number(tags::SPACING_BETWEEN_SLICES))
    };
    groups::find(set, frame, tags::PIXEL_MEASURES_SEQUENCE, read).or_else(|| read(set))
}

fn in_item<T>(set: &DataSet, tag: Tag, read: impl Fn(&DataSet) -> Option<T>) -> Option<T> {
    set.items(tag).first().and_then(read)
}

/// The values of a decimal string, if there are exactly `N`.
fn numbers<const N: usize>(set: &DataSet, tag: Tag) -> Option<[f64; N]> {
    set.decimals(tag).try_into().ok()
}
