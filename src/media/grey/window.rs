//! Windows and VOI LUTs: from modality values to black and white (PS3.3 C.11.2).

use crate::grey::lut::Lut;
use crate::{Window, WindowSource};

/// Window functions (PS3.3 C.11.2.1.2 and C.11.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// The default, of integers.
    Linear,
    /// Of real numbers.
    LinearExact,
    /// Logistic.
    Sigmoid,
}

impl Function {
    /// What is meant where nothing is said. LINEAR counts in whole numbers, which would make a step of the common
    /// window 0–1 of real ones.
    pub(crate) fn default_of(real: bool) -> Self {
        if real {
            Function::LinearExact
        } else {
            Function::Linear
        }
    }
}

/// Modality values to 0–1; never falls where the values rise, unless it is a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    /// A straight line between two ends: below the first 0, above the second 1.
    Line {
        /// Its middle.
        center: f64,
        /// The distance between its ends.
        width: f64,
    },
    /// Logistic.
    Sigmoid {
        /// Where it is half way up.
        center: f64,
        /// Width of a window that it resembles.
        width: f64,
    },
    /// The VOI LUT.
    Table(Lut),
    /// Half way up, of a frame in which nothing can be told from anything else.
    Middle,
    /// A Presentation LUT behind another curve, whose range it is spread over (C.11.4).
    Behind(Box<Curve>, Lut),
}

impl Curve {
    /// The formulas of PS3.3 C.11.2.1.2.1 to C.11.2.1.3.2, with 0–1 as the output range.
    pub(super) fn at(&self, x: f64) -> f64 {
        match self {
            Curve::Line { center, width } if x <= center - width / 2.0 => 0.0,
            Curve::Line { center, width } if x > center + width / 2.0 => 1.0,
            Curve::Line { center, width } => (x - center) / width + 0.5,
            Curve::Sigmoid { center, width } => 1.0 / (1.0 + (-4.0 * (x - center) / width).exp()),
            Curve::Table(lut) => lut.at(x) / lut.white(),
            Curve::Middle => 0.5,
            Curve::Behind(curve, lut) => {
                let (first, count) = lut.domain();
                lut.at(first + (curve.at(x) * (count - 1.0)).round()) / lut.white()
            }
        }
    }

    /// The value as shown, 0–255, rounded.
    pub(super) fn shade(&self, x: f64) -> u8 {
        (self.at(x) * 255.0 + 0.5) as u8
    }
}

/// A window or LUT of a file, and what the file calls it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Own {
    /// Its explanation.
    pub name: Option<String>,
    /// What it does.
    pub curve: Curve,
    /// The range of values that it concerns.
    pub window: Window,
}

impl Own {
    /// A window, where its width makes sense: LINEAR needs at least 1 (C.11.2.1.2.1); a narrower positive one was meant
    /// for real numbers.
    pub(crate) fn window(
        center: f64,
        width: f64,
        function: Function,
        source: WindowSource,
    ) -> Option<Self> {
        if !center.is_finite() || !width.is_finite() || width <= 0.0 {
            return None;
        }
        let curve = match function {
            Function::Linear if width >= 1.0 => Curve::Line {
                center: center - 0.5,
                width: width - 1.0,
            },
            Function::Linear | Function::LinearExact => Curve::Line { center, width },
            Function::Sigmoid => Curve::Sigmoid { center, width },
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

    /// A VOI LUT; its window is the range of values that it has entries for.
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

    /// All values between two, both included; where they are one, mid-grey.
    pub(crate) fn between(low: f64, high: f64, source: WindowSource) -> Self {
        let (center, width) = (f64::midpoint(low, high), high - low);
        Self {
            name: None,
            curve: if width > 0.0 {
                Curve::Line { center, width }
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

    /// The same with a name.
    #[must_use]
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }
}
