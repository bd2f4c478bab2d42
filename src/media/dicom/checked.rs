//! Reads numbers that an image depends on and warns of faulty ones, so that no default replaces them silently.

use dicom_core::Tag;

use crate::Warnings;
use crate::dicom::attributes::named;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};

/// The result of reading an attribute that should hold one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CheckedNumber {
    /// The element is absent or empty.
    Missing,
    /// The number; the first if there are several.
    Value(f64),
    /// The element has a value that is not a number.
    Unreadable,
}

impl CheckedNumber {
    /// The number, if there is one.
    pub(crate) fn value(self) -> Option<f64> {
        match self {
            CheckedNumber::Value(value) => Some(value),
            CheckedNumber::Missing | CheckedNumber::Unreadable => None,
        }
    }
}

/// Reads the number of an element.
pub(crate) fn number(set: &DataSet, tag: Tag, warnings: &mut Warnings) -> CheckedNumber {
    let numbers = set.numbers(tag);
    if numbers.has_comma {
        warnings.add(comma(tag));
    }
    match numbers.values[..] {
        [] => CheckedNumber::Missing,
        [None, ..] => {
            warnings.add(format!("{} cannot be read.", named(tag)));
            CheckedNumber::Unreadable
        }
        [Some(value)] => CheckedNumber::Value(value),
        [Some(value), ..] => {
            warnings.add(format!(
                "{} has several values instead of one; the first is used.",
                named(tag)
            ));
            CheckedNumber::Value(value)
        }
    }
}

/// Reads the numbers of an element that may have several; `None` in place of an unreadable one.
pub(crate) fn numbers(set: &DataSet, tag: Tag, warnings: &mut Warnings) -> Vec<Option<f64>> {
    let numbers = set.numbers(tag);
    if numbers.has_comma {
        warnings.add(comma(tag));
    }
    if numbers.values.contains(&None) {
        warnings.add(format!("{} has a value that cannot be read.", named(tag)));
    }
    numbers.values
}

/// The warning about a decimal comma.
fn comma(tag: Tag) -> String {
    format!(
        "{} is written with a decimal comma, which is read as a point.",
        named(tag)
    )
}
