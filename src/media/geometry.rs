//! How the pixels of a frame lie in the patient.

use crate::PixelRect;

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
        let ([a, b, c, d, e, f], [x, y, z]) = (self.orientation?, self.position?);
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        Some(normal[0] * x + normal[1] * y + normal[2] * z)
    }

    /// The direction from the origin in which the frame lies along the normal of its plane, as a letter, and how far, in
    /// millimetres: (F, 123.5) is 123.5 mm below the origin.
    pub fn slice_position(&self) -> Option<(char, f64)> {
        let depth = self.depth()?;
        let [a, b, c, d, e, f] = self.orientation?;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let toward = normal.map(|part| if depth < 0.0 { -part } else { part });
        let letter = direction(toward).chars().next()?;
        Some((letter, depth.abs()))
    }
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
}
