//! From stored values to modality values, and what else decides how they are shown.

use super::lut::Lut;
use super::window::FileVoi;

/// The transform from stored to modality values (PS3.3 C.11.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Modality {
    /// Rescale Slope and Intercept.
    Linear {
        /// Rescale Slope.
        slope: f64,
        /// Rescale Intercept.
        intercept: f64,
    },
    /// The Modality LUT Sequence.
    Table(Lut),
}

/// The range of stored values of `bits` bits.
pub(crate) fn stored_range(bits: u16, signed: bool) -> (f64, f64) {
    let count = f64::from(bits.min(32)).exp2();
    if signed {
        (-count / 2.0, count / 2.0 - 1.0)
    } else {
        (0.0, count - 1.0)
    }
}

impl Modality {
    fn at(&self, stored: f64) -> f64 {
        match self {
            Modality::Linear { slope, intercept } => stored * slope + intercept,
            Modality::Table(lut) => lut.at(stored),
        }
    }

    /// The range of modality values for a range of stored values.
    pub(crate) fn range(&self, (low, high): (f64, f64)) -> (f64, f64) {
        match self {
            Modality::Table(lut) => (0.0, lut.largest()),
            Modality::Linear { .. } => {
                let (a, b) = (self.at(low), self.at(high));
                (a.min(b), a.max(b))
            }
        }
    }
}

/// The transform from a frame's stored values to 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct GreyTransform {
    /// From stored to modality values.
    pub modality: Modality,
    /// Unit of the modality values, if known.
    pub unit: Option<String>,
    /// The file's own VOI LUTs, then its windows.
    pub own: Vec<FileVoi>,
    /// The range of stored values that mean "no value" (C.7.5.1.1.2).
    pub padding: Option<(f64, f64)>,
    /// The range shown without a window, for objects whose values have a known range whatever occurs in a frame.
    pub nominal: Option<(f64, f64)>,
    /// Whether the smallest value is white (MONOCHROME1).
    pub inverted: bool,
    /// Whether stored values are real numbers, to which windows apply by LINEAR_EXACT (C.11.2.1.3.2).
    pub real: bool,
}

impl GreyTransform {
    pub(super) fn modality(&self, stored: f64) -> f64 {
        self.modality.at(stored)
    }

    pub(super) fn is_padding(&self, stored: f64) -> bool {
        self.padding
            .is_some_and(|(from, to)| (from..=to).contains(&stored))
    }
}
