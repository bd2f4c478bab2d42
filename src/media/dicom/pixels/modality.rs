//! Reads the transform from stored to modality values (PS3.3 C.11.1): rescale slope and intercept, the modality LUT,
//! or the scaling of a dose.

use crate::dicom::attributes;
use crate::dicom::checked::{self, CheckedNumber};
use crate::dicom::modality::modality;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::{groups, lut};
use crate::grey::Modality;
use crate::{Warnings, clean};
use dicom_dictionary_std::tags;

/// The modality transform of a frame.
pub(crate) struct Rescale {
    /// From stored to modality values.
    pub modality: Modality,
    /// Unit of the modality values, if known.
    pub unit: Option<String>,
    /// Whether windows apply. They are in modality units, which are unknown if a slope, intercept or LUT is
    /// unreadable.
    pub is_known: bool,
}

/// What an object says about its modality values.
enum Stated {
    Readable(Modality),
    Unreadable,
}

/// The identity: modality values equal stored values.
pub(crate) const IDENTITY: Modality = Modality::Linear {
    slope: 1.0,
    intercept: 0.0,
};

/// Reads the modality transform of a frame: that of its functional group, else the modality LUT, else slope and
/// intercept, else dose scaling.
pub(crate) fn read(
    set: &DataSet,
    layout: &PixelLayout,
    frame: u32,
    warnings: &mut Warnings,
) -> Rescale {
    if is_back_to_beam(set, frame) {
        return Rescale {
            modality: IDENTITY,
            unit: None,
            is_known: true,
        };
    }
    let stated = groups::find(
        set,
        frame,
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        |group| linear(group, warnings),
    )
    .or_else(|| table_or_linear(set, layout.stored_range(), warnings))
    .or_else(|| dose(set, warnings));
    let overflows = |stated: &Stated| match stated {
        Stated::Readable(modality) => !is_finite(modality, layout.stored_range()),
        Stated::Unreadable => false,
    };
    let stated = if stated.as_ref().is_some_and(overflows) {
        warnings.add("The scale of the values makes some of them too large for a number.");
        Some(Stated::Unreadable)
    } else {
        stated
    };
    match stated {
        Some(Stated::Unreadable) => {
            warnings.add(
                "The scale of the values is unknown; the full range of stored values is shown.",
            );
            Rescale {
                modality: IDENTITY,
                unit: None,
                is_known: false,
            }
        }
        stated => Rescale {
            modality: match stated {
                Some(Stated::Readable(modality)) => modality,
                _ => IDENTITY,
            },
            unit: unit(set, frame),
            is_known: true,
        },
    }
}

/// Reads the modality LUT of a data set, else its slope and intercept. `stored` is the range of stored values.
pub(crate) fn stated(
    set: &DataSet,
    stored: (f64, f64),
    warnings: &mut Warnings,
) -> Option<Modality> {
    match table_or_linear(set, stored, warnings)? {
        Stated::Readable(modality) => Some(modality).filter(|modality| is_finite(modality, stored)),
        Stated::Unreadable => None,
    }
}

/// Whether the modality values of a range of stored values are finite.
fn is_finite(modality: &Modality, stored: (f64, f64)) -> bool {
    let (low, high) = modality.range(stored);
    low.is_finite() && high.is_finite()
}

/// Whether the modality transform of an X-ray angiographic or fluoroscopic object converts logarithmic or otherwise
/// processed values *back* to beam intensity. That serves measurements; windows apply to stored values (PS3.3
/// C.8.7.1.1.2, PS3.4 N.2.1.2; for enhanced objects PS3.17 FFF.2.3.1.3.4).
fn is_back_to_beam(set: &DataSet, frame: u32) -> bool {
    const CLASSES: [&str; 5] = [
        "1.2.840.10008.5.1.4.1.1.12.1",
        "1.2.840.10008.5.1.4.1.1.12.1.1",
        "1.2.840.10008.5.1.4.1.1.12.2",
        "1.2.840.10008.5.1.4.1.1.12.2.1",
        "1.2.840.10008.5.1.4.1.1.12.3",
    ];
    let class = set.first(tags::SOP_CLASS_UID);
    if !class.is_some_and(|class| CLASSES.contains(&class.as_str())) {
        return false;
    }
    let relationship = |set: &DataSet| set.first(tags::PIXEL_INTENSITY_RELATIONSHIP);
    groups::find(
        set,
        frame,
        tags::FRAME_PIXEL_DATA_PROPERTIES_SEQUENCE,
        relationship,
    )
    .or_else(|| relationship(set))
    .is_some_and(|relationship| matches!(&*relationship.to_ascii_uppercase(), "LOG" | "DISP"))
}

/// The modality LUT; if it is damaged or absent, slope and intercept.
fn table_or_linear(set: &DataSet, stored: (f64, f64), warnings: &mut Warnings) -> Option<Stated> {
    let items = set.items(tags::MODALITY_LUT_SEQUENCE);
    let Some(item) = items.first() else {
        return linear(set, warnings);
    };
    match lut::read(item, stored, "modality LUT", warnings) {
        Some(lut) => Some(Stated::Readable(Modality::Table(lut))),
        None => linear(set, warnings).or(Some(Stated::Unreadable)),
    }
}

/// Slope and intercept.
fn linear(set: &DataSet, warnings: &mut Warnings) -> Option<Stated> {
    let (slope, intercept) = (
        checked::number(set, tags::RESCALE_SLOPE, warnings),
        checked::number(set, tags::RESCALE_INTERCEPT, warnings),
    );
    if (slope, intercept) == (CheckedNumber::Missing, CheckedNumber::Missing) {
        return None;
    }
    if slope == CheckedNumber::Unreadable || intercept == CheckedNumber::Unreadable {
        return Some(Stated::Unreadable);
    }
    let mut or_default = |reading: CheckedNumber, tag, default: f64| {
        reading.value().unwrap_or_else(|| {
            let name = attributes::named(tag);
            warnings.add(format!("{name} is missing; {default} is assumed."));
            default
        })
    };
    let mut slope = or_default(slope, tags::RESCALE_SLOPE, 1.0);
    let intercept = or_default(intercept, tags::RESCALE_INTERCEPT, 0.0);
    if slope == 0.0 {
        // Zero would erase the image; objects that mean "none" contain it.
        warnings.add(format!(
            "{} is 0; 1 is assumed.",
            attributes::named(tags::RESCALE_SLOPE)
        ));
        slope = 1.0;
    }
    Some(Stated::Readable(Modality::Linear { slope, intercept }))
}

/// Dose Grid Scaling of an RT Dose object (C.8.8.3).
fn dose(set: &DataSet, warnings: &mut Warnings) -> Option<Stated> {
    match checked::number(set, tags::DOSE_GRID_SCALING, warnings) {
        CheckedNumber::Missing => None,
        CheckedNumber::Unreadable => Some(Stated::Unreadable),
        CheckedNumber::Value(0.0) => {
            warnings.add(format!(
                "{} is 0; stored values are shown.",
                attributes::named(tags::DOSE_GRID_SCALING)
            ));
            None
        }
        CheckedNumber::Value(slope) => Some(Stated::Readable(Modality::Linear {
            slope,
            intercept: 0.0,
        })),
    }
}

/// The unit of modality values: Rescale Type or Modality LUT Type (C.11.1.1.2), Units for PET, Dose Units for RT Dose,
/// and Hounsfield units for CT, whose Rescale Type may only be omitted if it is HU (C.8.2.1.1.5).
fn unit(set: &DataSet, frame: u32) -> Option<String> {
    let rescale = |set: &DataSet| set.first(tags::RESCALE_TYPE);
    let lut = || {
        let items = set.items(tags::MODALITY_LUT_SEQUENCE);
        items
            .first()
            .and_then(|item| item.first(tags::MODALITY_LUT_TYPE))
    };
    let is_rescaled = || {
        let stated = |tag| set.decimal(tag).is_some();
        stated(tags::RESCALE_SLOPE) || stated(tags::RESCALE_INTERCEPT)
    };
    let by_modality = || match modality(set).as_deref() {
        Some("CT") if is_rescaled() => Some("HU".to_owned()),
        Some("PT") => set.first(tags::UNITS),
        Some("RTDOSE") => set.first(tags::DOSE_UNITS),
        _ => None,
    };
    let unit = groups::find(
        set,
        frame,
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        rescale,
    )
    .or_else(lut)
    .or_else(|| rescale(set))
    .filter(|unit| unit != "US")
    .or_else(by_modality)?;
    let unit = clean(unit.trim());
    (!unit.is_empty()).then_some(unit)
}
