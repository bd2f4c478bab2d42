//! Numbers of a data set on which a picture hangs: read with a warning where they are not as they should be, so that
//! no default stands in for them in silence.

use dicom_core::Tag;

use crate::Warnings;
use crate::dicom::attributes::named;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};

/// A number where one is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CheckedNumber {
    /// The element is absent or empty.
    Missing,
    /// The number; of several the first.
    Value(f64),
    /// There is something, but no number.
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

/// The number of an element.
pub(crate) fn one(set: &DataSet, tag: Tag, warnings: &mut Warnings) -> CheckedNumber {
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
                "{} has several values where one is meant; the first is taken.",
                named(tag)
            ));
            CheckedNumber::Value(value)
        }
    }
}

/// The numbers of an element that may have several, each in its place.
pub(crate) fn several(set: &DataSet, tag: Tag, warnings: &mut Warnings) -> Vec<Option<f64>> {
    let numbers = set.numbers(tag);
    if numbers.has_comma {
        warnings.add(comma(tag));
    }
    if numbers.values.contains(&None) {
        warnings.add(format!("{} has a value that cannot be read.", named(tag)));
    }
    numbers.values
}

fn comma(tag: Tag) -> String {
    format!(
        "{} is written with a decimal comma, which is read as a point.",
        named(tag)
    )
}
