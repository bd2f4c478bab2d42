//! Objects that refer to images: presentation states, segmentations and structure sets, as plain data in pixel
//! coordinates of the image, to be drawn over it.
//!
//! [`related`] reads only which images an object refers to, without its content. [`Related`] holds the content and
//! computes what of it belongs on a [`TargetFrame`]. Neither changes how the image itself is shown unless a caller
//! applies it.

use std::ops::Range;
use std::path::Path;

use crate::dicom::related::{References, RelatedContent};
use crate::{Geometry, Grey, MediaError, contain, dicom, read};

/// The kind of a related object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RelatedKind {
    /// A presentation state: window, shutters, rotation, displayed area, text and graphics.
    Presentation,
    /// A segmentation: each segment is a colour over its pixels.
    Segmentation,
    /// A radiotherapy structure set: contours of regions of interest.
    Structures,
}

/// A frame of an image that other objects may refer to. Its UIDs are not to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFrame {
    /// SOP Instance UID (0008,0018).
    pub instance: String,
    /// Series Instance UID (0020,000E).
    pub series: String,
    /// Frame of Reference UID (0020,0052); empty if absent.
    pub frame_of_reference: String,
    /// Index of the frame in the order of storage, from 0.
    pub frame: u32,
    /// Number of frames of the image.
    pub frames: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Position of its pixels in the patient.
    pub geometry: Geometry,
    /// Slice Thickness (0018,0050), else Spacing Between Slices (0018,0088), in millimetres.
    pub thickness: Option<f64>,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// Whether stored values are two's complement.
    pub signed: bool,
}

/// A text, and whether it may identify the patient (PS3.15 table E.1-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The text, free of control characters; empty if absent.
    pub text: String,
    /// Whether the attribute is listed as identifying.
    pub identifying: bool,
}

/// Describes a related object and which images it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct RelatedObject {
    /// The kind of object.
    pub kind: RelatedKind,
    /// Content Label or Structure Set Label.
    pub label: Wording,
    /// Content Description or Structure Set Name, else the series' description.
    pub description: Wording,
    /// Date of creation as written (`YYYYMMDD`). Identifying.
    pub date: String,
    /// Number of segments or regions of interest; `None` for a presentation state.
    pub parts: Option<u32>,
    pub(crate) references: References,
}

impl RelatedObject {
    /// Whether the object may concern a frame: it names the frame or its series, or shares its Frame of Reference.
    pub fn concerns(&self, target: &TargetFrame) -> bool {
        self.references.concern(target)
    }

    /// How a frame is to be rotated and cropped; `None` unless the object is a presentation state.
    pub fn arrangement(&self, target: &TargetFrame) -> Option<Arrangement> {
        (self.kind == RelatedKind::Presentation).then(|| self.references.arrangement(target))
    }
}

/// Rotation and displayed area that a presentation state asks for (PS3.3 C.10.4 and C.10.6).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrangement {
    /// Clockwise quarter turns, applied before mirroring.
    pub quarters: u8,
    /// Whether the image is mirrored left to right, after the rotation.
    pub mirrored: bool,
    /// The displayed area in pixels from the outer corner of the first pixel: left, top, right, bottom; `None` means
    /// the whole image.
    pub area: Option<[f64; 4]>,
    /// Screen pixels per image pixel, if requested (MAGNIFY).
    pub magnification: Option<f64>,
}

/// Reads which images a related object refers to. `None` for any other file, and for one that cannot be read.
pub fn related(path: &Path) -> Option<RelatedObject> {
    contain("DICOM", || dicom::related::index(path))
        .ok()
        .flatten()
}

/// What a related object draws over a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// Colours over the pixels.
    pub tint: Option<Tint>,
    /// The part that is hidden.
    pub shutter: Option<Shutter>,
    /// Lines, points and texts, drawn on top.
    pub annotations: Vec<Annotation>,
    /// Names of the colours that occur on this frame.
    pub legend: Vec<Legend>,
    /// Why something that belongs on the frame is not drawn.
    pub remarks: Vec<String>,
}

/// Colours over the pixels of a frame.
#[derive(Clone, PartialEq)]
pub struct Tint {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue and coverage of each pixel (255: all of it): `height × width × 4`.
    pub rgba: Vec<u8>,
}

impl std::fmt::Debug for Tint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tint({} × {})", self.width, self.height)
    }
}

/// A segment or region of interest and its colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Legend {
    /// The colour.
    pub color: [u8; 3],
    /// Number of the segment or region.
    pub number: u32,
    /// Its name.
    pub name: Wording,
}

/// A shape drawn over a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The shape.
    pub shape: AnnotationShape,
    /// Its colour; `None` leaves the choice to the renderer.
    pub color: Option<[u8; 3]>,
}

/// The shape of an annotation. Points are (column, row) from the outer corner of the first pixel, whose centre is
/// (0.5, 0.5).
#[derive(Clone, Debug, PartialEq)]
pub enum AnnotationShape {
    /// A polyline. A closed one ends where it begins.
    Line(Vec<[f64; 2]>),
    /// A marked point.
    Point([f64; 2]),
    /// A text that begins right of and below a point. It may be identifying.
    Text {
        /// The text, free of control characters except line feeds.
        text: String,
        /// Its upper left corner.
        at: [f64; 2],
    },
}

/// The display shutter of a presentation state, which hides part of a frame (PS3.3 C.7.6.11 and C.7.6.15).
#[derive(Clone, Debug, PartialEq)]
pub struct Shutter {
    /// Colour of the hidden part.
    pub color: [u8; 3],
    pub(crate) openings: Vec<Opening>,
}

/// A shape outside which the frame is hidden. Columns and rows count from 1, as in PS3.3.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Opening {
    /// First and last visible column and row.
    Rectangle { columns: [f64; 2], rows: [f64; 2] },
    /// Column and row of the centre, radius in columns, and the height of a pixel divided by its width.
    Circle {
        center: [f64; 2],
        radius: f64,
        aspect: f64,
    },
    /// Vertices, column and row.
    Polygon(Vec<[f64; 2]>),
    /// An overlay plane whose ones are hidden.
    Bitmap(crate::Overlay),
}

impl Shutter {
    /// Iterates over those of `columns` that are hidden in row `y`: they lie outside at least one opening.
    pub fn hidden(&self, y: u32, columns: Range<u32>) -> impl Iterator<Item = u32> + use<> {
        let mut hidden = vec![false; columns.len()];
        for opening in &self.openings {
            let seen = opening.seen(y, columns.clone());
            for (hidden, seen) in hidden.iter_mut().zip(seen) {
                *hidden |= !seen;
            }
        }
        let all = columns.zip(hidden);
        all.filter_map(|(x, hidden)| hidden.then_some(x))
    }
}

impl Opening {
    /// Whether each of `columns` is visible through the opening in row `y`.
    fn seen(&self, y: u32, columns: Range<u32>) -> Vec<bool> {
        let first = f64::from(columns.start) + 1.0;
        if let Opening::Bitmap(plane) = self {
            return columns.map(|x| !plane.covers(x, y)).collect();
        }
        let mut seen = vec![false; columns.len()];
        for [from, to] in self.spans(f64::from(y) + 1.0) {
            let end = ((to - first).floor() + 1.0).clamp(0.0, seen.len() as f64) as usize;
            let start = ((from - first).ceil().max(0.0) as usize).min(end);
            seen[start..end].fill(true);
        }
        seen
    }

    /// The visible column ranges of a row, both ends included. Rows and columns count from 1.
    fn spans(&self, row: f64) -> Vec<[f64; 2]> {
        match self {
            Opening::Rectangle { columns, rows } => {
                let seen = (rows[0]..=rows[1]).contains(&row);
                seen.then_some(*columns).into_iter().collect()
            }
            Opening::Circle {
                center,
                radius,
                aspect,
            } => {
                let down = (row - center[1]) * aspect;
                let half = (radius * radius - down * down).sqrt();
                let span = [center[0] - half, center[0] + half];
                (!half.is_nan()).then_some(span).into_iter().collect()
            }
            Opening::Polygon(corners) => spans_inside(corners, row),
            Opening::Bitmap(_) => Vec::new(),
        }
    }
}

/// The ranges in which a row lies inside a polygon or on its edge: between pairs of the edges it crosses.
fn spans_inside(corners: &[[f64; 2]], row: f64) -> Vec<[f64; 2]> {
    let (mut crossings, mut spans) = (Vec::new(), Vec::new());
    for ([ax, ay], [bx, by]) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        if (*ay > row) != (*by > row) {
            crossings.push((bx - ax) * (row - ay) / (by - ay) + ax);
        }
        let on_row = |y: f64| (y - row).abs() < 1e-9;
        match (on_row(*ay), on_row(*by)) {
            (true, true) => spans.push([ax.min(*bx), ax.max(*bx)]),
            (true, false) => spans.push([*ax, *ax]),
            (false, _) => {}
        }
    }
    crossings.sort_by(f64::total_cmp);
    spans.extend(crossings.as_chunks::<2>().0);
    spans
}

/// A colour for each grey level from black (0) to white (255).
pub type ColorMap = Box<[[u8; 3]; 256]>;

/// A related object with its content. It draws and changes nothing on a frame that it does not concern.
pub struct Related {
    object: RelatedObject,
    content: RelatedContent,
}

impl Related {
    /// Opens a file that [`related`] recognises.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let (file, length) = read::open(path)?;
        let read = || RelatedContent::open(file, length);
        contain("DICOM", read).map(|(object, content)| Self { object, content })
    }

    /// Opens a file that is in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        let read = || RelatedContent::read(dicom::Body::whole(bytes));
        contain("DICOM", read).map(|(object, content)| Self { object, content })
    }

    /// Returns what the object draws on a frame.
    pub fn layers(&self, target: &TargetFrame) -> Result<Layers, MediaError> {
        let layers = self.if_concerned(target, |content| Ok(Some(content.layers(target))))?;
        Ok(layers.unwrap_or_default())
    }

    /// Returns the frame with the grey-scale transformations of a presentation state in place of its own (PS3.4
    /// N.2.1); `None` if the object is not a presentation state for grey images.
    pub fn present(&self, grey: &Grey, target: &TargetFrame) -> Result<Option<Grey>, MediaError> {
        self.if_concerned(target, |content| Ok(content.present(grey, target)))
    }

    /// Returns the colours that a pseudo-colour presentation state gives to a frame.
    pub fn color_map(&self, target: &TargetFrame) -> Result<Option<ColorMap>, MediaError> {
        self.if_concerned(target, RelatedContent::color_map)
    }

    /// Applies `make` to the content if it concerns the frame.
    fn if_concerned<T>(
        &self,
        target: &TargetFrame,
        make: impl FnOnce(&RelatedContent) -> Result<Option<T>, MediaError>,
    ) -> Result<Option<T>, MediaError> {
        if !self.object.concerns(target) {
            return Ok(None);
        }
        contain("DICOM", || make(&self.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutter_hides_what_lies_outside_any_of_its_openings() {
        let rectangle = Opening::Rectangle {
            columns: [2.0, 4.0],
            rows: [1.0, 3.0],
        };
        let circle = Opening::Circle {
            center: [3.0, 2.0],
            radius: 1.0,
            aspect: 1.0,
        };
        let seen = |openings: &[Opening]| {
            let shutter = Shutter {
                color: [0; 3],
                openings: openings.to_vec(),
            };
            let row = |y| {
                let mut row = *b"#####";
                shutter.hidden(y, 0..5).for_each(|x| row[x as usize] = b'.');
                String::from_utf8_lossy(&row).into_owned()
            };
            (0..4).map(row).collect::<Vec<String>>().join(" ")
        };
        let [first, second] = [&rectangle, &circle].map(std::slice::from_ref);
        assert_eq!(seen(first), ".###. .###. .###. .....");
        assert_eq!(seen(second), "..#.. .###. ..#.. .....");
        assert_eq!(seen(&[rectangle, circle]), "..#.. .###. ..#.. .....");
        let triangle = Opening::Polygon(vec![[1.0, 1.0], [4.0, 1.0], [1.0, 4.0]]);
        assert_eq!(seen(&[triangle]), "####. ###.. ##... #....");
        assert_eq!(
            seen(&[Opening::Polygon(Vec::new())]),
            "..... ..... ..... ....."
        );
    }
}
