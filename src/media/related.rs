//! Objects that refer to images: presentation states, segmentations and structure sets, as plain data in pixel
//! coordinates of the image, to be drawn over it.
//!
//! [`related`] reads only which images an object refers to, without its content. [`Related`] holds the content and
//! computes what of it belongs on a [`TargetFrame`]. Neither changes how the image itself is shown unless a caller
//! applies it.

mod shutter;

use std::path::Path;

use crate::dicom::related::{References, RelatedObjectContent};
use crate::{Geometry, Grey, MediaError, contain, dicom, read};

pub(crate) use shutter::Opening;
pub use shutter::Shutter;

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

/// A colour for each grey level from black (0) to white (255).
pub type ColorMap = Box<[[u8; 3]; 256]>;

/// A related object with its content. It draws and changes nothing on a frame that it does not concern.
pub struct Related {
    object: RelatedObject,
    content: RelatedObjectContent,
}

impl Related {
    /// Opens a file that [`related`] recognises.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let (file, length) = read::open(path)?;
        let read = || RelatedObjectContent::open(file, length);
        contain("DICOM", read).map(|(object, content)| Self { object, content })
    }

    /// Opens a file that is in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        let read = || RelatedObjectContent::read(dicom::Body::whole(bytes));
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
        self.if_concerned(target, RelatedObjectContent::color_map)
    }

    /// Applies `make` to the content if it concerns the frame.
    fn if_concerned<T>(
        &self,
        target: &TargetFrame,
        make: impl FnOnce(&RelatedObjectContent) -> Result<Option<T>, MediaError>,
    ) -> Result<Option<T>, MediaError> {
        if !self.object.concerns(target) {
            return Ok(None);
        }
        contain("DICOM", || make(&self.content))
    }
}
