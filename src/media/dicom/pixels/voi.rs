//! Reads the windows and VOI LUTs of a file (PS3.3 C.11.2). [`Grey::render`](crate::Grey::render) applies them, by the
//! formulas of [`Curve`](crate::grey::window::Curve).

use crate::dicom::checked;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::{groups, lut};
use crate::grey::window::{FileVoi, VoiFunction};
use crate::{Warnings, WindowSource, clean};
use dicom_dictionary_std::tags;

/// The values that windows and LUTs apply to.
#[derive(Clone, Copy)]
pub(crate) struct ValueKind {
    /// The range that modality values can have.
    pub range: (f64, f64),
    /// Whether stored values are real numbers.
    pub real: bool,
}

/// Reads the VOI LUTs of a frame, then its windows: those of its own or the shared functional group, if there are any
/// (C.7.6.16.2.10 and C.7.6.16.2.10b), else those of the data set.
///
/// Either may be used if there are both (C.11.2.1); a LUT is what its author took more care of.
pub(crate) fn read(
    set: &DataSet,
    frame: u32,
    values: ValueKind,
    warnings: &mut Warnings,
) -> Vec<FileVoi> {
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
) -> Vec<FileVoi> {
    let mut own = luts(set, values.range, warnings);
    own.extend(windows(set, source, values.real, warnings));
    own
}

/// The usable windows of a data set or functional group.
pub(crate) fn windows(
    set: &DataSet,
    source: WindowSource,
    real: bool,
    warnings: &mut Warnings,
) -> Vec<FileVoi> {
    let (centers, widths) = (
        checked::numbers(set, tags::WINDOW_CENTER, warnings),
        checked::numbers(set, tags::WINDOW_WIDTH, warnings),
    );
    if centers.len() != widths.len() {
        warnings.add(
            "Window Center (0028,1050) and Window Width (0028,1051) differ in number; values without a partner are ignored.",
        );
    }
    if centers.is_empty() || widths.is_empty() {
        return Vec::new();
    }
    let function = function(set, real, warnings);
    let names = set
        .text(tags::WINDOW_CENTER_WIDTH_EXPLANATION)
        .unwrap_or_default();
    let mut names = names.split('\\').map(explanation);
    let mut own = Vec::new();
    for (center, width) in centers.into_iter().zip(widths) {
        let name = names.next().flatten();
        let (Some(center), Some(width)) = (center, width) else {
            continue;
        };
        // A range of 1 is common among real numbers, and would be a step by LINEAR.
        let function = match function {
            VoiFunction::Linear if real && width <= 1.0 => VoiFunction::LinearExact,
            function => function,
        };
        if width <= 0.0 {
            warnings.add("A Window Width (0028,1051) is not above 0; its window is ignored.");
        } else if width < 1.0 && function == VoiFunction::Linear {
            warnings.add("A Window Width (0028,1051) is below 1, which LINEAR does not allow; it is applied as LINEAR_EXACT.");
        }
        own.extend(FileVoi::window(center, width, function, source).map(|own| own.named(name)));
    }
    own
}

/// Reads VOI LUT Function (C.11.2.1.3).
fn function(set: &DataSet, real: bool, warnings: &mut Warnings) -> VoiFunction {
    match set.first(tags::VOILUT_FUNCTION).as_deref() {
        Some("LINEAR") => VoiFunction::Linear,
        Some("LINEAR_EXACT") => VoiFunction::LinearExact,
        Some("SIGMOID") => VoiFunction::Sigmoid,
        stated => {
            let assumed = VoiFunction::default_of(real);
            if stated.is_some() {
                let name = if real { "LINEAR_EXACT" } else { "LINEAR" };
                warnings.add(format!(
                    "VOI LUT Function (0028,1056) is not one of the standard; windows are applied as {name}."
                ));
            }
            assumed
        }
    }
}

/// The usable items of the VOI LUT Sequence, which apply to modality values of a range.
pub(crate) fn luts(set: &DataSet, values: (f64, f64), warnings: &mut Warnings) -> Vec<FileVoi> {
    let mut own = Vec::new();
    for item in set.items(tags::VOILUT_SEQUENCE) {
        let Some(lut) = lut::read(item, values, "VOI LUT", warnings) else {
            continue;
        };
        if let Some((declared, used)) = lut.corrected_bits() {
            warnings.add(format!(
                "The VOI LUT says that its entries have {declared} bits; judging by their values they have {used}."
            ));
        }
        let name = item
            .text(tags::LUT_EXPLANATION)
            .as_deref()
            .and_then(explanation);
        own.push(FileVoi::table(lut).named(name));
    }
    own
}

fn explanation(text: &str) -> Option<String> {
    let name = clean(text.trim());
    (!name.is_empty()).then_some(name)
}
