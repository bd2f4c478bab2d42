//! Measures figures on an image: lengths, angles, and the values within ellipses and polygons.
//!
//! Lengths, angles and areas are computed in the patient, so pixels need not be square. Values are stored samples after the
//! modality's rescale, never what a window makes of them.

mod region;

use serde::{Deserialize, Serialize};

use crate::{Frame, Geometry, Grey, Spacing};
use region::Region;

/// The kind of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FigureKind {
    /// A distance between two points.
    Length,
    /// An angle at the second of three points.
    Angle,
    /// An ellipse in the rectangle between two opposite corners.
    Ellipse,
    /// A polygon, which is closed by a line from its last point to its first.
    Polygon,
}

impl FigureKind {
    /// Number of points that complete the figure; `None` for a polygon, which has three or more.
    pub fn points(self) -> Option<usize> {
        match self {
            Self::Length | Self::Ellipse => Some(2),
            Self::Angle => Some(3),
            Self::Polygon => None,
        }
    }
}

/// Maximum number of points of a polygon.
pub const MAX_POINTS: usize = 200;

/// A figure on a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it measures.
    pub kind: FigureKind,
    /// Columns and rows, counted from the outer corner of the first pixel, whose centre is (0.5, 0.5).
    pub points: Vec<[f64; 2]>,
}

/// The unit of a length, and squared of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Millimetres in the patient.
    Millimetres,
    /// Millimetres at the detector, where what lies before it appears magnified.
    AtDetector,
    /// Widths of a pixel, as no spacing is known.
    Pixels,
}

/// A length or an area in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// The number, not negative.
    pub value: f64,
    /// Its unit.
    pub unit: LengthUnit,
}

/// The values of the pixels whose centres lie within a figure, padding excluded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionStatistics {
    /// Number of pixels.
    pub pixels: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of these pixels (of the population: the squares are divided by their number).
    pub deviation: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// What a figure measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The distance between the points of a length.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub length: Option<Extent>,
    /// The angle in degrees, from 0 to 180.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub degrees: Option<f64>,
    /// The area of an ellipse or polygon. Of a polygon that crosses itself, parts count against each other.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub area: Option<Extent>,
    /// The values within; `None` if there are none, and in colour images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statistics: Option<RegionStatistics>,
}

/// Width and height of a pixel, and their unit.
struct PixelScale {
    across: f64,
    down: f64,
    unit: LengthUnit,
}

impl PixelScale {
    /// The scale that holds at all of the points.
    fn at(points: &[[f64; 2]], geometry: &Geometry) -> Self {
        let inside = |spacing: &Spacing| {
            let holds = |area: crate::PixelRect| {
                let pixel = |point: &[f64; 2]| (point[0].max(0.0) as u32, point[1].max(0.0) as u32);
                points.iter().all(|point| area.contains(pixel(point)))
            };
            spacing.within.is_none_or(holds)
        };
        match geometry.spacing.filter(inside) {
            Some(spacing) => Self {
                across: spacing.columns_mm,
                down: spacing.rows_mm,
                unit: if spacing.at_detector {
                    LengthUnit::AtDetector
                } else {
                    LengthUnit::Millimetres
                },
            },
            None => Self {
                across: 1.0,
                down: geometry.aspect,
                unit: LengthUnit::Pixels,
            },
        }
    }

    fn extent(&self, value: f64) -> Extent {
        Extent {
            value,
            unit: self.unit,
        }
    }

    /// The step from one point to another.
    fn step(&self, from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
        [
            (to[0] - from[0]) * self.across,
            (to[1] - from[1]) * self.down,
        ]
    }
}

impl Figure {
    /// Whether it has all of its points.
    pub fn is_complete(&self) -> bool {
        match self.kind.points() {
            Some(count) => self.points.len() == count,
            None => (3..=MAX_POINTS).contains(&self.points.len()),
        }
    }

    /// Length, angle or area, without the values within. Empty for a figure that is not complete.
    pub fn geometry(&self, geometry: &Geometry) -> Measured {
        let scale = PixelScale::at(&self.points, geometry);
        let mut measured = Measured::default();
        match (self.kind, self.points.as_slice()) {
            (FigureKind::Length, [from, to]) => {
                let [x, y] = scale.step(*from, *to);
                measured.length = Some(scale.extent(x.hypot(y)));
            }
            (FigureKind::Angle, [from, vertex, to]) => {
                let (a, b) = (scale.step(*vertex, *from), scale.step(*vertex, *to));
                let (cross, dot) = (a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]);
                measured.degrees = Some(cross.abs().atan2(dot).to_degrees());
            }
            (FigureKind::Ellipse, [from, to]) => {
                let [x, y] = scale.step(*from, *to);
                let area = std::f64::consts::PI * (x * y).abs() / 4.0;
                measured.area = Some(scale.extent(area));
            }
            (FigureKind::Polygon, [first, .., last]) if self.is_complete() => {
                let sides = self.points.iter().zip(&self.points[1..]);
                let sides = sides.chain([(last, first)]);
                // Relative to one of the points, so that little is cancelled.
                let doubled: f64 = sides
                    .map(|(from, to)| (scale.step(*first, *from), scale.step(*first, *to)))
                    .map(|(a, b)| a[0] * b[1] - a[1] * b[0])
                    .sum();
                measured.area = Some(scale.extent(doubled.abs() / 2.0));
            }
            _ => {}
        }
        measured
    }

    /// Everything that the figure measures on a frame. Looks at each pixel within it.
    pub fn measure(&self, frame: &Frame, geometry: &Geometry) -> Measured {
        let mut measured = self.geometry(geometry);
        if let (Frame::Grey(grey), Some(region)) = (frame, self.region()) {
            measured.statistics = statistics(grey, &region);
        }
        measured
    }

    /// What the figure encloses.
    fn region(&self) -> Option<Region> {
        match (self.kind, self.points.as_slice()) {
            (FigureKind::Ellipse, [from, to]) => Some(Region::ellipse(*from, *to)),
            (FigureKind::Polygon, points) if self.is_complete() => {
                Some(Region::polygon(points.to_vec()))
            }
            _ => None,
        }
    }
}

fn statistics(grey: &Grey, region: &Region) -> Option<RegionStatistics> {
    let each = |visit: &mut dyn FnMut(f64)| {
        region.pixels(grey.width, grey.height, &mut |x, y| {
            if !grey.is_padding(x, y)
                && let Some(value) = grey.value(x, y)
            {
                visit(value);
            }
        });
    };
    let (mut pixels, mut sum) = (0_u64, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    each(&mut |value| {
        pixels += 1;
        sum += value;
        (min, max) = (min.min(value), max.max(value));
    });
    if pixels == 0 {
        return None;
    }
    let mean = sum / pixels as f64;
    // A second pass, as the difference of large squares would lose digits.
    let mut squares = 0.0;
    each(&mut |value| squares += (value - mean).powi(2));
    Some(RegionStatistics {
        pixels,
        mean,
        deviation: (squares / pixels as f64).sqrt(),
        min,
        max,
    })
}

#[cfg(test)]
mod tests;
