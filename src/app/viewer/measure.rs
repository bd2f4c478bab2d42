//! The pointer: a cursor on the image that reads values, draws figures to measure, or moves their points.

use crate::app::measurement::MeasurementId;
use crate::media::measure::{Figure, FigureKind, MAX_POINTS};

/// The use of the pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// Reads the value under it.
    Probe,
    /// Sets the points of a figure.
    Measure(Draft),
    /// Moves a point of a figure.
    Edit {
        /// The figure's measurement.
        id: MeasurementId,
        /// Index of the point.
        point: usize,
    },
}

/// A figure whose points are being set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it will measure.
    pub kind: FigureKind,
    /// The pixels set so far.
    points: Vec<(u32, u32)>,
}

impl Draft {
    /// A figure without points.
    pub fn new(kind: FigureKind) -> Self {
        let points = Vec::new();
        Self { kind, points }
    }

    /// Sets a point. Returns the figure if that completes it; the next one then begins. A polygon is completed by setting its
    /// first or its last point again.
    fn set(&mut self, at: (u32, u32)) -> Option<Figure> {
        let ends = self.points.first() == Some(&at) || self.points.last() == Some(&at);
        let complete = match self.kind.points() {
            // A figure without extent measures nothing.
            Some(_) if self.points.last() == Some(&at) => false,
            Some(count) => {
                self.points.push(at);
                self.points.len() == count
            }
            None if ends && !self.points.is_empty() => self.points.len() >= 3,
            None => {
                self.points.push(at);
                self.points.len() == MAX_POINTS
            }
        };
        complete.then(|| Figure {
            kind: self.kind,
            points: std::mem::take(&mut self.points)
                .into_iter()
                .map(middle)
                .collect(),
        })
    }

    /// The figure as if the pointer was its next point; `None` before the first.
    fn figure(&self, pointer: (u32, u32)) -> Option<Figure> {
        let last = self.points.last()?;
        let next = (*last != pointer || self.points.len() == 1).then_some(pointer);
        Some(Figure {
            kind: self.kind,
            points: self
                .points
                .iter()
                .copied()
                .chain(next)
                .map(middle)
                .collect(),
        })
    }
}

/// The middle of a pixel.
pub fn middle((x, y): (u32, u32)) -> [f64; 2] {
    [f64::from(x) + 0.5, f64::from(y) + 0.5]
}

/// The figure that follows another in the order in which a key offers them.
pub fn next_kind(kind: FigureKind) -> FigureKind {
    match kind {
        FigureKind::Length => FigureKind::Angle,
        FigureKind::Angle => FigureKind::Ellipse,
        FigureKind::Ellipse => FigureKind::Polygon,
        FigureKind::Polygon => FigureKind::Length,
    }
}

/// A cursor on the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    /// Its column and row in the file, from 0.
    pub at: (u32, u32),
    /// Its use.
    pub tool: Tool,
}

impl Pointer {
    /// Whether it sets the points of a figure.
    pub fn is_measuring(&self) -> bool {
        matches!(self.tool, Tool::Measure(_))
    }

    /// Whether it moves the points of a figure.
    pub fn is_editing(&self) -> bool {
        matches!(self.tool, Tool::Edit { .. })
    }

    /// Whether it has set points of a figure that is not complete.
    pub fn has_begun(&self) -> bool {
        matches!(&self.tool, Tool::Measure(draft) if !draft.points.is_empty())
    }

    /// The figure being drawn, which ends at the pointer.
    pub fn figure(&self) -> Option<Figure> {
        match &self.tool {
            Tool::Measure(draft) => draft.figure(self.at),
            Tool::Probe | Tool::Edit { .. } => None,
        }
    }

    /// Sets a point of the figure where the pointer is. Returns the figure if that completes it.
    pub fn set(&mut self) -> Option<Figure> {
        match &mut self.tool {
            Tool::Measure(draft) => draft.set(self.at),
            Tool::Probe | Tool::Edit { .. } => None,
        }
    }

    /// Sets a point where the pointer was dragged to, if that is not where the last one is.
    pub fn set_after_drag(&mut self) -> Option<Figure> {
        match &mut self.tool {
            Tool::Measure(draft) if draft.points.last() != Some(&self.at) => draft.set(self.at),
            _ => None,
        }
    }

    /// Takes the last point back; false if there is none.
    pub fn unset(&mut self) -> bool {
        match &mut self.tool {
            Tool::Measure(draft) => draft.points.pop().is_some(),
            Tool::Probe | Tool::Edit { .. } => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(kind: FigureKind) -> Pointer {
        Pointer {
            at: (5, 5),
            tool: Tool::Measure(Draft::new(kind)),
        }
    }

    fn points(figure: Option<Figure>) -> Vec<[f64; 2]> {
        figure.map_or_else(Vec::new, |figure| figure.points)
    }

    #[test]
    fn a_length_goes_from_point_to_point_and_the_next_begins() {
        let mut pointer = pointer(FigureKind::Length);
        assert_eq!(pointer.figure(), None);
        assert_eq!(pointer.set(), None);
        assert_eq!(pointer.set(), None, "no length from a point to itself");
        pointer.go((10, -20), (100, 100));
        let line = vec![[5.5, 5.5], [15.5, 0.5]];
        assert_eq!(points(pointer.figure()), line, "it ends at the edge");
        assert_eq!(points(pointer.set()), line);
        assert_eq!(pointer.figure(), None, "complete");
        assert!(!pointer.has_begun());
    }

    #[test]
    fn a_polygon_ends_where_a_point_is_set_again() {
        let mut pointer = pointer(FigureKind::Polygon);
        pointer.set();
        pointer.set();
        assert!(pointer.has_begun(), "two points are no polygon");
        for by in [(9, 0), (0, 9)] {
            pointer.go(by, (100, 100));
            assert_eq!(pointer.set(), None);
        }
        let corners = vec![[5.5, 5.5], [14.5, 5.5], [14.5, 14.5]];
        assert_eq!(points(pointer.clone().set()), corners, "the last again");
        pointer.at = (5, 5);
        assert_eq!(points(pointer.set()), corners, "the first again");
    }

    #[test]
    fn points_are_taken_back_one_by_one() {
        let mut pointer = pointer(FigureKind::Angle);
        pointer.set();
        pointer.go((3, 3), (100, 100));
        pointer.set();
        assert!(pointer.unset() && pointer.unset() && !pointer.unset());
    }
}
