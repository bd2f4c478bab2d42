//! How the pixels of a frame lie in the patient.

use crate::grey::PixelRect;

/// Distance between the middles of neighbouring pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// Between rows (down), in millimetres.
    pub rows_mm: f64,
    /// Between columns (across), in millimetres.
    pub columns_mm: f64,
    /// Measured at the detector or on the film, not in the patient, who is magnified there (PS3.3 10.7.1.3).
    pub at_detector: bool,
    /// The part of the picture in which it holds, such as the one region of an ultrasound picture that is no curve;
    /// `None`: everywhere.
    pub within: Option<PixelRect>,
}

/// How the pixels of a frame lie in space (PS3.3 C.7.6.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Distance of pixels, where it is known.
    pub spacing: Option<Spacing>,
    /// Height of a pixel divided by its width; 1 where nothing says otherwise.
    pub aspect: f64,
    /// Directions of a row and of a column in the patient: x to the left, y to the back, z to the head (Image
    /// Orientation (Patient)).
    pub orientation: Option<[f64; 6]>,
    /// Where the middle of the first pixel is, in millimetres (Image Position (Patient)).
    pub position: Option<[f64; 3]>,
    /// Where rows and columns lead, as the object says it in words (Patient Orientation (0020,0020)).
    pub towards: Option<[String; 2]>,
}

impl Default for Geometry {
    fn default() -> Self {
        Self {
            spacing: None,
            aspect: 1.0,
            orientation: None,
            position: None,
            towards: None,
        }
    }
}

/// What is seen at the four edges of a picture: R, L (right, left), A, P (front, back), H, F (head, feet), the nearest
/// first.
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

/// Smallest part of a direction that gets a letter: about 12° of tilt.
const TILT: f64 = 0.2;

impl Geometry {
    /// The letters at the edges (PS3.3 C.7.6.1.1.1), from the directions, else from the words.
    pub fn letters(&self) -> Option<Letters> {
        let [right, bottom] = match (&self.orientation, &self.towards) {
            (Some([a, b, c, d, e, f]), _) => [direction([*a, *b, *c]), direction([*d, *e, *f])],
            (None, Some(towards)) => towards.clone(),
            (None, None) => return None,
        };
        Some(Letters {
            left: opposite(&right),
            right,
            top: opposite(&bottom),
            bottom,
        })
    }

    /// How far along the normal of its plane a frame lies, in millimetres: what slices of a volume are sorted by.
    pub fn depth(&self) -> Option<f64> {
        let ([a, b, c, d, e, f], [x, y, z]) = (self.orientation?, self.position?);
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        Some(normal[0] * x + normal[1] * y + normal[2] * z)
    }
}

/// The letters of a direction, its largest part first.
fn direction(parts: [f64; 3]) -> String {
    let letters = [('L', 'R'), ('P', 'A'), ('H', 'F')];
    let mut named: Vec<(f64, char)> = parts
        .iter()
        .zip(letters)
        .map(|(&part, (forth, back))| (part.abs(), if part > 0.0 { forth } else { back }))
        .filter(|(part, _)| *part >= TILT)
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
    fn edges_are_named_after_the_directions() {
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
    fn edges_are_named_by_words_where_there_are_no_directions() {
        let worded = Geometry {
            towards: Some(["A".into(), "FR".into()]),
            ..Geometry::default()
        };
        assert_eq!(edges(&worded).as_deref(), Some("P A HL FR"));
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
    }
}
