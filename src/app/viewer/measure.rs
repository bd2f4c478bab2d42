//! The pointer: a cursor on the image that reads values or measures distances.

use crate::media::{PixelRect, Spacing};

/// The use of the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Reads the value under it.
    Probe,
    /// Measures from point to point.
    Ruler(Ruler),
}

/// The state of a measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ruler {
    /// No point is set.
    #[default]
    Open,
    /// From a point to the pointer.
    From((u32, u32)),
    /// Between two points.
    Between((u32, u32), (u32, u32)),
}

/// A cursor on the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Its column and row in the file, from 0.
    pub at: (u32, u32),
    /// Its use.
    pub tool: Tool,
}

impl Pointer {
    /// Whether it measures distances.
    pub fn is_ruler(&self) -> bool {
        matches!(self.tool, Tool::Ruler(_))
    }

    /// The two ends of the ruler, if it has them.
    pub fn line(&self) -> Option<[(u32, u32); 2]> {
        match self.tool {
            Tool::Ruler(Ruler::From(from)) => Some([from, self.at]),
            Tool::Ruler(Ruler::Between(from, to)) => Some([from, to]),
            Tool::Probe | Tool::Ruler(Ruler::Open) => None,
        }
    }

    /// Sets a point of the ruler where the pointer is: the first, the second, then the first of the next.
    pub fn set(&mut self) {
        if let Tool::Ruler(ruler) = &mut self.tool {
            *ruler = match *ruler {
                Ruler::From(from) => Ruler::Between(from, self.at),
                Ruler::Open | Ruler::Between(..) => Ruler::From(self.at),
            };
        }
    }

    /// Moves by columns and rows, within `size`.
    pub fn go(&mut self, by: (i64, i64), size: (u32, u32)) {
        let side = |at: u32, by: i64, size: u32| {
            (i64::from(at) + by).clamp(0, i64::from(size.max(1)) - 1) as u32
        };
        self.at = (side(self.at.0, by.0, size.0), side(self.at.1, by.1, size.1));
    }
}

/// A distance between two pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// Millimetres in the patient.
    Millimetres(f64),
    /// Millimetres at the detector, where what lies before it appears magnified.
    AtDetector(f64),
    /// Widths of a pixel, as no spacing is known.
    Pixels(f64),
}

/// The distance between the centres of two pixels.
pub fn distance(
    from: (u32, u32),
    to: (u32, u32),
    spacing: Option<Spacing>,
    aspect: f64,
) -> Distance {
    let dx = f64::from(from.0) - f64::from(to.0);
    let dy = f64::from(from.1) - f64::from(to.1);
    let holds = |spacing: &Spacing| {
        let inside = |area: PixelRect| area.contains(from) && area.contains(to);
        spacing.within.is_none_or(inside)
    };
    match spacing.filter(holds) {
        Some(spacing) => {
            let length = (dx * spacing.columns_mm).hypot(dy * spacing.rows_mm);
            if spacing.at_detector {
                Distance::AtDetector(length)
            } else {
                Distance::Millimetres(length)
            }
        }
        None => Distance::Pixels(dx.hypot(dy * aspect)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_in_the_best_unit_there_is() {
        let spacing = |at_detector| {
            Some(Spacing {
                rows_mm: 0.5,
                columns_mm: 0.25,
                at_detector,
                within: None,
            })
        };
        let between = |spacing, aspect| distance((10, 20), (26, 26), spacing, aspect);
        assert_eq!(between(spacing(false), 2.0), Distance::Millimetres(5.0));
        assert_eq!(between(spacing(true), 2.0), Distance::AtDetector(5.0));
        assert_eq!(between(None, 2.0), Distance::Pixels(20.0));
        let region = |width| Spacing {
            within: Some(PixelRect {
                x: 0,
                y: 0,
                width,
                height: 100,
            }),
            rows_mm: 0.5,
            columns_mm: 0.25,
            at_detector: false,
        };
        let inside = between(Some(region(27)), 2.0);
        assert_eq!(inside, Distance::Millimetres(5.0));
        let across_its_edge = between(Some(region(26)), 2.0);
        assert_eq!(across_its_edge, Distance::Pixels(20.0));
    }

    #[test]
    fn a_ruler_goes_from_point_to_point_to_the_next() {
        let mut pointer = Pointer {
            at: (5, 5),
            tool: Tool::Ruler(Ruler::Open),
        };
        assert_eq!(pointer.line(), None);
        pointer.set();
        pointer.go((10, -20), (100, 100));
        assert_eq!(
            pointer.line(),
            Some([(5, 5), (15, 0)]),
            "it ends at the edge"
        );
        pointer.set();
        pointer.go((1, 1), (100, 100));
        assert_eq!(pointer.line(), Some([(5, 5), (15, 0)]), "it stays");
        pointer.set();
        assert_eq!(pointer.line(), Some([(16, 1), (16, 1)]), "and begins anew");
    }
}
