//! How the pixels of a frame lie in the patient.

use crate::PixelRect;
use crate::dicom::related::plane::{ImagePlane, MIN_PARALLEL_COSINE};

/// Distance between the centres of neighbouring pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// Between rows (down), in millimetres.
    pub rows_mm: f64,
    /// Between columns (across), in millimetres.
    pub columns_mm: f64,
    /// Whether the distances hold at the detector or on the film, not in the patient, who is magnified there (PS3.3
    /// 10.7.1.3).
    pub at_detector: bool,
    /// The part of the image in which the spacing holds, such as the one 2D region of an ultrasound image beside a
    /// curve; `None` means everywhere.
    pub within: Option<PixelRect>,
}

/// How the pixels of a frame lie in space (PS3.3 C.7.6.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Distance between pixels, if known.
    pub spacing: Option<Spacing>,
    /// Height of a pixel divided by its width; 1 unless the file says otherwise.
    pub aspect: f64,
    /// Direction cosines of the rows, then of the columns: x to the left, y to the back, z to the head (Image
    /// Orientation (Patient)).
    pub orientation: Option<[f64; 6]>,
    /// Centre of the first pixel in millimetres (Image Position (Patient)).
    pub position: Option<[f64; 3]>,
    /// Directions of rows and columns in letters (Patient Orientation (0020,0020)).
    pub patient_orientation: Option<[String; 2]>,
}

impl Default for Geometry {
    fn default() -> Self {
        Self {
            spacing: None,
            aspect: 1.0,
            orientation: None,
            position: None,
            patient_orientation: None,
        }
    }
}

/// Orientation letters at the four edges of an image: R, L (right, left), A, P (anterior, posterior), H, F (head,
/// feet), the dominant direction first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    /// At the left edge.
    pub left: String,
    /// At the right edge.
    pub right: String,
    /// At the upper edge.
    pub top: String,
    /// At the lower edge.
    pub bottom: String,
}

/// Smallest component of a direction cosine that gets a letter: about 12° of tilt.
const MIN_COMPONENT: f64 = 0.2;

impl Geometry {
    /// The letters at the edges (PS3.3 C.7.6.1.1.1), from the direction cosines, else from Patient Orientation.
    pub fn letters(&self) -> Option<Letters> {
        let [right, bottom] = match (&self.orientation, &self.patient_orientation) {
            (Some([a, b, c, d, e, f]), _) => [direction([*a, *b, *c]), direction([*d, *e, *f])],
            (None, Some(patient_orientation)) => patient_orientation.clone(),
            (None, None) => return None,
        };
        Some(Letters {
            left: opposite(&right),
            right,
            top: opposite(&bottom),
            bottom,
        })
    }

    /// Position of the frame along the normal of its plane, in millimetres, by which the slices of a volume are
    /// sorted.
    pub fn depth(&self) -> Option<f64> {
        let (normal, [x, y, z]) = (normal(self.orientation?), self.position?);
        Some(normal[0] * x + normal[1] * y + normal[2] * z)
    }

    /// Position of another frame along the normal of this one's plane, in millimetres; `None` unless their planes are
    /// parallel.
    pub fn depth_of(&self, other: &Self) -> Option<f64> {
        let (this, that) = (self.orientation?, other.orientation?);
        let (a, b) = (normal(this), normal(that));
        let cosine = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let [x, y, z] = other.position?;
        (cosine.abs() >= MIN_PARALLEL_COSINE).then_some(a[0] * x + a[1] * y + a[2] * z)
    }

    /// The segment in which the frame `other` cuts this one, both given with their columns and rows, as far as it lies within
    /// both: from end to end in columns and rows of this frame, counted from the outer corner of its first pixel. `None` if
    /// they do not meet, are parallel, or their place in the patient is not known.
    pub fn crossing(
        &self,
        size: (u32, u32),
        other: &Self,
        extent: (u32, u32),
    ) -> Option<[[f64; 2]; 2]> {
        let (this, that) = (
            ImagePlane::from_geometry(self)?,
            ImagePlane::from_geometry(other)?,
        );
        if this.is_parallel(&that) {
            return None;
        }
        // What is asked of a point of this frame changes evenly with its columns and rows.
        let even = |of: &dyn Fn([f64; 2]) -> f64| {
            let first = of([0.0, 0.0]);
            [of([1.0, 0.0]) - first, of([0.0, 1.0]) - first, first]
        };
        let [a, b, c] = even(&|at| that.distance(this.point(at)));
        let steepness = a * a + b * b;
        // The point of the line nearest to the first pixel, and its direction.
        let (from, along) = ([-c * a / steepness, -c * b / steepness], [-b, a]);
        let (width, height) = (f64::from(extent.0), f64::from(extent.1));
        let bounds = [
            [1.0, 0.0, 0.0],
            [-1.0, 0.0, f64::from(size.0)],
            [0.0, 1.0, 0.0],
            [0.0, -1.0, f64::from(size.1)],
            even(&|at| that.pixel(this.point(at))[0]),
            even(&|at| width - that.pixel(this.point(at))[0]),
            even(&|at| that.pixel(this.point(at))[1]),
            even(&|at| height - that.pixel(this.point(at))[1]),
        ];
        let (mut first, mut last) = (f64::NEG_INFINITY, f64::INFINITY);
        for [x, y, one] in bounds {
            let value = x * from[0] + y * from[1] + one;
            let slope = x * along[0] + y * along[1];
            let edge = -value / slope;
            if slope > 0.0 {
                first = first.max(edge);
            } else if slope < 0.0 {
                last = last.min(edge);
            } else if value < 0.0 {
                return None;
            }
        }
        let at = |t: f64| [from[0] + along[0] * t, from[1] + along[1] * t];
        (first < last).then(|| [at(first), at(last)])
    }

    /// The direction from the origin in which the frame lies along the normal of its plane, as a letter, and how far, in
    /// millimetres: (F, 123.5) is 123.5 mm below the origin.
    pub fn slice_position(&self) -> Option<(char, f64)> {
        let depth = self.depth()?;
        let toward = normal(self.orientation?).map(|part| if depth < 0.0 { -part } else { part });
        let letter = direction(toward).chars().next()?;
        Some((letter, depth.abs()))
    }
}

/// The normal of a plane, from the direction cosines of its rows and columns.
fn normal([a, b, c, d, e, f]: [f64; 6]) -> [f64; 3] {
    [b * f - c * e, c * d - a * f, a * e - b * d]
}

/// The letters of a direction, the largest component first.
fn direction(parts: [f64; 3]) -> String {
    let letters = [('L', 'R'), ('P', 'A'), ('H', 'F')];
    let mut named: Vec<(f64, char)> = parts
        .iter()
        .zip(letters)
        .map(|(&part, (forth, back))| (part.abs(), if part > 0.0 { forth } else { back }))
        .filter(|(part, _)| *part >= MIN_COMPONENT)
        .collect();
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    named.into_iter().map(|(_, letter)| letter).collect()
}

fn opposite(letters: &str) -> String {
    let other = |letter| match letter {
        'L' => 'R',
        'R' => 'L',
        'A' => 'P',
        'P' => 'A',
        'H' => 'F',
        'F' => 'H',
        other => other,
    };
    letters.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(geometry: &Geometry) -> Option<String> {
        geometry
            .letters()
            .map(|l| [l.left, l.right, l.top, l.bottom].join(" "))
    }

    fn oriented(orientation: [f64; 6]) -> Geometry {
        Geometry {
            orientation: Some(orientation),
            ..Geometry::default()
        }
    }

    /// PS3.3 C.7.6.2.1.1: x grows to the left hand side, y to the posterior side, z toward the head.
    #[test]
    fn direction_cosines_name_the_edges() {
        for (orientation, expected) in [
            ([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "R L A P"),
            ([1.0, 0.0, 0.0, 0.0, 0.0, -1.0], "R L H F"),
            ([0.0, 1.0, 0.0, 0.0, 0.0, -1.0], "A P H F"),
            ([-1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "L R A P"),
            ([0.8, 0.6, 0.0, 0.0, 0.0, -1.0], "RA LP H F"),
            ([0.99, 0.1, 0.0, -0.1, 0.99, 0.0], "R L A P"),
        ] {
            assert_eq!(edges(&oriented(orientation)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn without_direction_cosines_patient_orientation_names_the_edges() {
        let lettered = Geometry {
            patient_orientation: Some(["A".into(), "FR".into()]),
            ..Geometry::default()
        };
        assert_eq!(edges(&lettered).as_deref(), Some("P A HL FR"));
        assert_eq!(edges(&Geometry::default()), None);
    }

    #[test]
    fn slices_are_ordered_along_their_normal() {
        let slice = |z| Geometry {
            position: Some([-100.0, -80.0, z]),
            ..oriented([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        };
        assert_eq!(slice(12.5).depth(), Some(12.5));
        assert_eq!(slice(-3.0).depth(), Some(-3.0));
        assert_eq!(Geometry::default().depth(), None);
        assert_eq!(slice(12.5).slice_position(), Some(('H', 12.5)));
        assert_eq!(slice(-3.0).slice_position(), Some(('F', 3.0)));
        let sagittal = |x| Geometry {
            position: Some([x, 7.0, 9.0]),
            ..oriented([0.0, 1.0, 0.0, 0.0, 0.0, -1.0])
        };
        assert_eq!(sagittal(20.0).slice_position(), Some(('L', 20.0)));
        assert_eq!(sagittal(-4.0).slice_position(), Some(('R', 4.0)));
    }

    fn placed(orientation: [f64; 6], position: [f64; 3]) -> Geometry {
        Geometry {
            spacing: Some(Spacing {
                rows_mm: 2.0,
                columns_mm: 0.5,
                at_detector: false,
                within: None,
            }),
            position: Some(position),
            ..oriented(orientation)
        }
    }

    #[test]
    fn a_slice_cuts_another_in_a_segment_within_both() {
        // 20 columns of 0.5 mm and 10 rows of 2 mm; pixels begin half of their size before their centres.
        let axial = placed([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.25, 1.0, 4.0]);
        let sagittal = |x, y| placed([0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [x, y, 12.0]);
        let size = (20, 10);
        // At x = 3 mm, from y = -1 to 9 mm, which begins above the axial image.
        let [from, to] = axial
            .crossing(size, &sagittal(3.0, -0.75), size)
            .expect("they meet");
        let (low, high) = if from[1] < to[1] {
            (from, to)
        } else {
            (to, from)
        };
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-9;
        assert!(near(low, [6.0, 0.0]), "{low:?}");
        assert!(near(high, [6.0, 4.5]), "{high:?}");
        let beside = axial.crossing(size, &sagittal(30.0, 0.0), size);
        assert_eq!(beside, None, "beyond the image");
        let far = placed([0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [3.0, 0.0, 400.0]);
        assert_eq!(axial.crossing(size, &far, size), None, "above it");
        assert_eq!(axial.crossing(size, &axial, size), None, "parallel");
    }

    #[test]
    fn parallel_slices_are_compared_along_one_normal() {
        let axial = placed([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 4.0]);
        let upside_down = placed([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], [0.0, 99.0, 7.0]);
        assert_eq!(axial.depth_of(&upside_down), Some(7.0));
        let coronal = placed([1.0, 0.0, 0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 4.0]);
        assert_eq!(axial.depth_of(&coronal), None);
    }
}
