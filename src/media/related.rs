//! What other objects say about an image: presentation states, segmentations, structure sets. Plain data in columns and rows
//! of the image, to be drawn over it.
//!
//! [`related`] reads of a file what it is about, without its content; [`Related`] holds the content, and tells what of it
//! belongs on a [`TargetFrame`]. Neither changes what the image itself is shown as unless a caller applies it.

use std::ops::Range;
use std::path::Path;

use crate::dicom::related::{References, RelatedContent};
use crate::{Geometry, Grey, MediaError, contain, dicom, read};

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RelatedKind {
    /// A presentation state: window, shutters, turn, displayed area, texts and drawings.
    Presentation,
    /// A segmentation: a colour over the pixels of each segment.
    Segmentation,
    /// A radiotherapy structure set: contours of regions of interest.
    Structures,
}

/// The frame of an image that other objects may be about. Its UIDs are not to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFrame {
    /// SOP Instance UID (0008,0018).
    pub instance: String,
    /// Series Instance UID (0020,000E).
    pub series: String,
    /// Frame of Reference UID (0020,0052); empty where there is none.
    pub frame_of_reference: String,
    /// The frame as stored, from 0.
    pub frame: u32,
    /// Frames of the image.
    pub frames: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where its pixels are.
    pub geometry: Geometry,
    /// Slice Thickness (0018,0050), else Spacing Between Slices (0018,0088), in millimetres.
    pub thickness: Option<f64>,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// Stored values are two's complement.
    pub signed: bool,
}

/// A text, and whether it may tell who the patient is (PS3.15 table E.1-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// Free of control characters; empty where there is none.
    pub text: String,
    /// It is listed as identifying.
    pub identifying: bool,
}

/// What an object is and which images it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct RelatedObject {
    /// What kind of object it is.
    pub kind: RelatedKind,
    /// Content or Structure Set Label.
    pub label: Wording,
    /// Content Description or Structure Set Name, else the series' description.
    pub description: Wording,
    /// When it was made, as written (`YYYYMMDD`); it identifies.
    pub date: String,
    /// Segments or regions of interest; `None` where they are not counted.
    pub parts: Option<u32>,
    pub(crate) references: References,
}

impl RelatedObject {
    /// Whether it may have something to say about a frame: it names the frame, its series, or shares its frame of reference.
    pub fn concerns(&self, target: &TargetFrame) -> bool {
        self.references.concern(target)
    }

    /// How it wants a frame to be laid out; `None` unless it is a presentation state.
    pub fn arrangement(&self, target: &TargetFrame) -> Option<Arrangement> {
        (self.kind == RelatedKind::Presentation).then(|| self.references.arrangement(target))
    }
}

/// The turn and the part of an image that a presentation state asks for (PS3.3 C.10.4 and C.10.6).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrangement {
    /// Clockwise quarter turns, before it is mirrored.
    pub quarters: u8,
    /// Mirrored left to right, behind the turns.
    pub mirrored: bool,
    /// The displayed area in columns and rows from the outer corner of the first pixel: left, top, right, bottom. `None`:
    /// the whole.
    pub area: Option<[f64; 4]>,
    /// Pixels of the screen for one of the image, where that is asked for (MAGNIFY).
    pub magnification: Option<f64>,
}

/// Reads what an object is about, if it is one of these; `None` of any other file, and of one that cannot be read.
pub fn related(path: &Path) -> Option<RelatedObject> {
    contain("DICOM", || dicom::related::index(path))
        .ok()
        .flatten()
}

/// What is drawn over a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// A colour for each pixel of the frame.
    pub tint: Option<Tint>,
    /// What is hidden.
    pub shutter: Option<Shutter>,
    /// Lines, points and texts, upon all else.
    pub annotations: Vec<Annotation>,
    /// What the colours stand for, where something of them is on the frame.
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
    /// Red, green, blue, and how much of the pixel is covered (255: all of it): `height × width × 4`.
    pub rgba: Vec<u8>,
}

impl std::fmt::Debug for Tint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tint({} × {})", self.width, self.height)
    }
}

/// What a colour stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Legend {
    /// The colour.
    pub color: [u8; 3],
    /// Number of the segment or region.
    pub number: u32,
    /// Its name.
    pub name: Wording,
}

/// Something drawn over a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// What.
    pub shape: AnnotationShape,
    /// Its colour; `None`: one that stands out.
    pub color: Option<[u8; 3]>,
}

/// Places are columns and rows of the image from the outer corner of its first pixel, whose middle is at 0.5, 0.5.
#[derive(Clone, Debug, PartialEq)]
pub enum AnnotationShape {
    /// Straight lines from point to point; a closed one ends where it begins.
    Line(Vec<[f64; 2]>),
    /// A mark at a place.
    Point([f64; 2]),
    /// A text that begins right of and below a place. It may identify.
    Text {
        /// Free of control characters but line feeds.
        text: String,
        /// Its upper left corner.
        at: [f64; 2],
    },
}

/// What a presentation state hides of a frame (PS3.3 C.7.6.11 and C.7.6.15).
#[derive(Clone, Debug, PartialEq)]
pub struct Shutter {
    /// What is seen in place of it.
    pub color: [u8; 3],
    pub(crate) openings: Vec<Opening>,
}

/// A shape outside of which nothing is seen; its numbers count columns and rows from 1, as PS3.3 has them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Opening {
    /// Columns and rows from, to, all of them seen.
    Rectangle { columns: [f64; 2], rows: [f64; 2] },
    /// Column and row of the middle, radius in columns, and the height of a pixel by its width.
    Circle {
        center: [f64; 2],
        radius: f64,
        aspect: f64,
    },
    /// Corners, column and row.
    Polygon(Vec<[f64; 2]>),
    /// An overlay plane that draws what is hidden.
    Bitmap(crate::Overlay),
}

impl Shutter {
    /// The columns among `columns` of a row that are hidden: they lie outside of one of the openings.
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
    /// Which of the columns of a row are seen through it.
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

    /// Columns of a row that are seen, from and to, both included; rows and columns count from 1.
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

/// Where a row runs inside of a polygon or along its edge: between pairs of the edges that it crosses.
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

/// A colour for each shade from black (0) to white (255).
pub type ColorMap = Box<[[u8; 3]; 256]>;

/// An object with its content. On a frame that it does not concern it draws and changes nothing.
pub struct Related {
    about: RelatedObject,
    content: RelatedContent,
}

impl Related {
    /// Opens a file that [`related`] knows.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let (file, length) = read::open(path)?;
        let read = || RelatedContent::open(file, length);
        contain("DICOM", read).map(|(about, content)| Self { about, content })
    }

    /// The same of a file that is in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        let read = || RelatedContent::read(dicom::Body::whole(bytes));
        contain("DICOM", read).map(|(about, content)| Self { about, content })
    }

    /// What is drawn on a frame.
    pub fn layers(&self, target: &TargetFrame) -> Result<Layers, MediaError> {
        let layers = self.on(target, |content| Ok(Some(content.layers(target))))?;
        Ok(layers.unwrap_or_default())
    }

    /// The frame with the grey transformations of a presentation state in place of its own (PS3.4 N.2.1); `None` where this
    /// is none, or has nothing to say of grey.
    pub fn present(&self, grey: &Grey, target: &TargetFrame) -> Result<Option<Grey>, MediaError> {
        self.on(target, |content| Ok(content.present(grey, target)))
    }

    /// The colours that a pseudo-colour presentation state gives to a frame.
    pub fn palette(&self, target: &TargetFrame) -> Result<Option<ColorMap>, MediaError> {
        self.on(target, RelatedContent::palette)
    }

    /// What the content makes of a frame; `None` of one that it does not concern.
    fn on<T>(
        &self,
        target: &TargetFrame,
        make: impl FnOnce(&RelatedContent) -> Result<Option<T>, MediaError>,
    ) -> Result<Option<T>, MediaError> {
        if !self.about.concerns(target) {
            return Ok(None);
        }
        contain("DICOM", || make(&self.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutter_hides_what_is_outside_of_any_of_its_openings() {
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
