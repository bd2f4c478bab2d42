//! Windows and VOI LUTs: from modality values to black–white (PS3.3 C.11.2).

use crate::grey::lut::Lut;
use crate::{Window, WindowSource};

/// The VOI LUT Function (PS3.3 C.11.2.1.2 and C.11.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoiFunction {
    /// LINEAR, the default for integers.
    Linear,
    /// LINEAR_EXACT, the default for real numbers.
    LinearExact,
    /// SIGMOID, a logistic curve.
    Sigmoid,
}

impl VoiFunction {
    /// The function used if none is given. LINEAR counts in integers and would make a step of the common window 0–1 of
    /// real numbers.
    pub(crate) fn default_of(real: bool) -> Self {
        if real {
            VoiFunction::LinearExact
        } else {
            VoiFunction::Linear
        }
    }
}

/// Maps modality values to 0–1. Monotone, unless it is a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    /// A straight line, 0 below its lower end and 1 above its upper end.
    Line {
        /// Value at which it is 0.5.
        center: f64,
        /// Half the distance between its ends, which itself may be too large for a number.
        half: f64,
    },
    /// A logistic curve.
    Sigmoid {
        /// Value at which it is 0.5.
        center: f64,
        /// Width of the window that it resembles.
        width: f64,
    },
    /// A VOI LUT.
    Table(Lut),
    /// Constant mid-grey, for a frame whose values are all equal.
    Middle,
    /// A Presentation LUT after another curve, spread over that curve's range (C.11.4).
    Behind(Box<Curve>, Lut),
}

impl Curve {
    /// Evaluates the curve by the formulas of PS3.3 C.11.2.1.2.1 to C.11.2.1.3.2, with 0–1 as the output range.
    pub(super) fn at(&self, x: f64) -> f64 {
        match self {
            Curve::Line { center, half } if x <= center - half => 0.0,
            Curve::Line { center, half } if x > center + half => 1.0,
            Curve::Line { center, half } => (x - center) / half / 2.0 + 0.5,
            Curve::Sigmoid { center, width } => 1.0 / (1.0 + (-4.0 * (x - center) / width).exp()),
            Curve::Table(lut) => lut.at(x) / lut.white(),
            Curve::Middle => 0.5,
            Curve::Behind(curve, lut) => {
                let (first, count) = lut.domain();
                lut.at(first + (curve.at(x) * (count - 1.0)).round()) / lut.white()
            }
        }
    }

    /// The shade of a value, 0–255, rounded.
    pub(super) fn shade(&self, x: f64) -> u8 {
        (self.at(x) * 255.0 + 0.5) as u8
    }
}

/// A window or VOI LUT with its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileVoi {
    /// Its explanation in the file.
    pub name: Option<String>,
    /// The curve.
    pub curve: Curve,
    /// The range of values that it maps.
    pub window: Window,
}

impl FileVoi {
    /// Creates a window; `None` if its width is invalid. LINEAR requires at least 1 (C.11.2.1.2.1); a narrower
    /// positive width was meant for real numbers.
    pub(crate) fn window(
        center: f64,
        width: f64,
        function: VoiFunction,
        source: WindowSource,
    ) -> Option<Self> {
        if !center.is_finite() || !width.is_finite() || width <= 0.0 {
            return None;
        }
        let curve = match function {
            VoiFunction::Linear if width >= 1.0 => Curve::Line {
                center: center - 0.5,
                half: (width - 1.0) / 2.0,
            },
            VoiFunction::Linear | VoiFunction::LinearExact => Curve::Line {
                center,
                half: width / 2.0,
            },
            VoiFunction::Sigmoid => Curve::Sigmoid { center, width },
        };
        Some(Self {
            name: None,
            curve,
            window: Window {
                center,
                width,
                source,
            },
        })
    }

    /// Creates a VOI LUT; its window is the domain of the table.
    pub(crate) fn table(lut: Lut) -> Self {
        let (first, count) = lut.domain();
        Self {
            name: None,
            curve: Curve::Table(lut),
            window: Window {
                center: first + count / 2.0,
                width: count,
                source: WindowSource::Lut,
            },
        }
    }

    /// Creates a window over the values from `low` to `high`, both included; mid-grey if they are equal.
    pub(crate) fn between(low: f64, high: f64, source: WindowSource) -> Self {
        let (center, half) = (f64::midpoint(low, high), high / 2.0 - low / 2.0);
        let width = (high - low).min(f64::MAX);
        Self {
            name: None,
            curve: if half > 0.0 {
                Curve::Line { center, half }
            } else {
                Curve::Middle
            },
            window: Window {
                center,
                width,
                source,
            },
        }
    }

    /// Sets the name.
    #[must_use]
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }
}
