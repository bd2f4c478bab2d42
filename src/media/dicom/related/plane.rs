//! The plane of an image in the patient, and the projection of points onto it (PS3.3 C.7.6.2.1.1).

use crate::Geometry;

/// Smallest cosine between the normals of parallel planes: a quarter of a degree.
pub(crate) const MIN_PARALLEL_COSINE: f64 = 0.999_99;

/// The plane of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ImagePlane {
    /// Centre of the first pixel, in millimetres.
    origin: [f64; 3],
    /// Unit vectors along a row and along a column.
    across: [f64; 3],
    down: [f64; 3],
    /// Millimetres between columns and between rows.
    steps: [f64; 2],
}

impl ImagePlane {
    /// The plane of a frame; `None` if its geometry is incomplete, or known only at the detector.
    pub(crate) fn from_geometry(geometry: &Geometry) -> Option<Self> {
        let spacing = geometry.spacing.filter(|spacing| !spacing.at_detector)?;
        Self::new(
            geometry.position?,
            geometry.orientation?,
            [spacing.columns_mm, spacing.rows_mm],
        )
    }

    pub(crate) fn new(origin: [f64; 3], o: [f64; 6], steps: [f64; 2]) -> Option<Self> {
        let across = unit([o[0], o[1], o[2]])?;
        let down = unit([o[3], o[4], o[5]])?;
        let square = dot(across, down).abs() < 0.01;
        let is_finite = origin.iter().all(|v| v.is_finite());
        let is_valid = is_finite && steps.iter().all(|v| v.is_finite() && *v > 0.0);
        (square && is_valid).then_some(Self {
            origin,
            across,
            down,
            steps,
        })
    }

    fn normal(&self) -> [f64; 3] {
        let (a, d) = (self.across, self.down);
        [
            a[1] * d[2] - a[2] * d[1],
            a[2] * d[0] - a[0] * d[2],
            a[0] * d[1] - a[1] * d[0],
        ]
    }

    /// Whether another plane is parallel to this one, whatever the directions of its rows.
    pub(crate) fn is_parallel(&self, other: &Self) -> bool {
        dot(self.normal(), other.normal()).abs() >= MIN_PARALLEL_COSINE
    }

    /// Signed distance of a point from the plane, in millimetres.
    pub(crate) fn distance(&self, point: [f64; 3]) -> f64 {
        dot(self.normal(), minus(point, self.origin))
    }

    /// Signed distance of another plane's first pixel from this plane, in millimetres.
    pub(crate) fn distance_of(&self, other: &Self) -> f64 {
        self.distance(other.origin)
    }

    /// Projects a point along the normal to pixel coordinates, counted from the outer corner of the first pixel, whose
    /// centre is (0.5, 0.5).
    pub(crate) fn pixel(&self, point: [f64; 3]) -> [f64; 2] {
        let from = minus(point, self.origin);
        [
            dot(self.across, from) / self.steps[0] + 0.5,
            dot(self.down, from) / self.steps[1] + 0.5,
        ]
    }

    /// The point in the patient at pixel coordinates, counted from the outer corner of the first pixel (equation
    /// C.7.6.2.1-1).
    pub(crate) fn point(&self, [x, y]: [f64; 2]) -> [f64; 3] {
        let (x, y) = ((x - 0.5) * self.steps[0], (y - 0.5) * self.steps[1]);
        [0, 1, 2].map(|i| self.origin[i] + self.across[i] * x + self.down[i] * y)
    }
}

fn unit(v: [f64; 3]) -> Option<[f64; 3]> {
    let length = dot(v, v).sqrt();
    (length.is_finite() && length > 1e-6).then(|| v.map(|part| part / length))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|i| a[i] - b[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    #[test]
    fn projecting_a_point_and_back_returns_it() {
        // Oblique: rows lean to the back, columns run to the feet; pixels are not square.
        let plane = ImagePlane::new(
            [-30.0, 12.0, 7.5],
            [0.8, 0.6, 0.0, 0.0, 0.0, -1.0],
            [0.5, 2.0],
        )
        .expect("a plane");
        assert!(near(&plane.pixel([-30.0, 12.0, 7.5]), &[0.5, 0.5]));
        let point = plane.point([10.5, 3.5]);
        assert!(near(
            &point,
            &[-30.0 + 0.8 * 5.0, 12.0 + 0.6 * 5.0, 7.5 - 6.0]
        ));
        assert!(near(&plane.pixel(point), &[10.5, 3.5]));
        assert!(plane.distance(point).abs() < 1e-9);
        let off = [point[0] + 0.6 * 2.0, point[1] - 0.8 * 2.0, point[2]];
        assert!((plane.distance(off).abs() - 2.0).abs() < 1e-9);
        assert!(
            near(&plane.pixel(off), &[10.5, 3.5]),
            "seen along the normal"
        );
    }

    #[test]
    fn degenerate_planes_are_refused() {
        let (origin, steps) = ([0.0; 3], [1.0, 1.0]);
        assert_eq!(ImagePlane::new(origin, [0.0; 6], steps), None);
        assert_eq!(
            ImagePlane::new(origin, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0], steps),
            None
        );
        let axial = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        assert_eq!(ImagePlane::new(origin, axial, [0.0, 1.0]), None);
        assert_eq!(ImagePlane::new([f64::NAN, 0.0, 0.0], axial, steps), None);
    }
}
