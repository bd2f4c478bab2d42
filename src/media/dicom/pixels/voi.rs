//! The windows and VOI LUTs that a file brings (PS3.3 C.11.2), read but not applied: that does
//! [`Grey::render`](crate::Grey::render), by the formulas of [`Curve`](crate::grey::window::Curve).

use crate::dicom::checked;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::{groups, lut};
use crate::grey::window::{Function, Own};
use crate::{Warnings, WindowSource, clean};
use dicom_dictionary_std::tags;

/// What decides how windows and LUTs are read.
#[derive(Clone, Copy)]
pub(crate) struct ValueKind {
    /// Modality values can be negative.
    pub signed: bool,
    /// Stored values are real numbers.
    pub real: bool,
}

/// The VOI LUTs of a frame, then its windows: those of its functional group, its own or the shared one, where it has
/// any (C.7.6.16.2.10 and C.7.6.16.2.10b), else those of the data set.
///
/// Where there are both, either may be used (C.11.2.1); the table is what its maker took more care of.
pub(crate) fn read(
    set: &DataSet,
    frame: u32,
    values: ValueKind,
    warnings: &mut Warnings,
) -> Vec<Own> {
    let in_group = |group: &DataSet| {
        let own = all(group, WindowSource::FunctionalGroup, values, warnings);
        (!own.is_empty()).then_some(own)
    };
    groups::find(set, frame, tags::FRAME_VOILUT_SEQUENCE, in_group)
        .unwrap_or_else(|| all(set, WindowSource::File, values, warnings))
}

fn all(
    set: &DataSet,
    source: WindowSource,
    values: ValueKind,
    warnings: &mut Warnings,
) -> Vec<Own> {
    let mut own = luts(set, values.signed, warnings);
    own.extend(windows(set, source, values.real, warnings));
    own
}

/// The windows of a data set or functional group that can be used.
pub(crate) fn windows(
    set: &DataSet,
    source: WindowSource,
    real: bool,
    warnings: &mut Warnings,
) -> Vec<Own> {
    let (centers, widths) = (
        checked::several(set, tags::WINDOW_CENTER, warnings),
        checked::several(set, tags::WINDOW_WIDTH, warnings),
    );
    if centers.len() != widths.len() {
        warnings.add(
            "Window Center (0028,1050) and Window Width (0028,1051) differ in number; what has no partner is left out.",
        );
    }
    if centers.is_empty() || widths.is_empty() {
        return Vec::new();
    }
    let function = function(set, real, warnings);
    let names = set
        .text(tags::WINDOW_CENTER_WIDTH_EXPLANATION)
        .unwrap_or_default();
    let mut names = names.split('\\').map(named);
    let mut own = Vec::new();
    for (center, width) in centers.into_iter().zip(widths) {
        let name = names.next().flatten();
        let (Some(center), Some(width)) = (center, width) else {
            continue;
        };
        if width <= 0.0 {
            warnings.add("A Window Width (0028,1051) is not above 0; its window is left out.");
        } else if width < 1.0 && function == Function::Linear {
            warnings.add("A Window Width (0028,1051) is below 1, which LINEAR does not allow; it is applied as LINEAR_EXACT.");
        }
        own.extend(Own::window(center, width, function, source).map(|own| own.named(name)));
    }
    own
}

/// The VOI LUT Function (C.11.2.1.3).
fn function(set: &DataSet, real: bool, warnings: &mut Warnings) -> Function {
    match set.first(tags::VOILUT_FUNCTION).as_deref() {
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        stated => {
            if stated.is_some_and(|stated| stated != "LINEAR") {
                warnings.add("VOI LUT Function (0028,1056) is none that the standard has; windows are applied as LINEAR.");
            }
            Function::default_of(real)
        }
    }
}

/// The items of the VOI LUT Sequence that can be used.
pub(crate) fn luts(set: &DataSet, signed: bool, warnings: &mut Warnings) -> Vec<Own> {
    let mut own = Vec::new();
    for item in set.items(tags::VOILUT_SEQUENCE) {
        let Some(lut) = lut::read(item, signed, "VOI LUT", warnings) else {
            continue;
        };
        if let Some((declared, used)) = lut.corrected_bits() {
            warnings.add(format!(
                "The VOI LUT says that its entries have {declared} bits; they are taken for {used}, which they reach."
            ));
        }
        let name = item.text(tags::LUT_EXPLANATION).as_deref().and_then(named);
        own.push(Own::table(lut).named(name));
    }
    own
}

fn named(text: &str) -> Option<String> {
    let name = clean(text.trim());
    (!name.is_empty()).then_some(name)
}
