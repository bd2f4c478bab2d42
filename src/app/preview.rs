//! Requests for previews, and the answers.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::entry::{FoundFile, Stamp};
pub use crate::config::Graphics;
use crate::media::measure::{Figure, Measured};
use crate::media::volume::{PlaneAxes, PlanePanel, ReformatPlane, Slab};
use crate::media::{
    Caption, FrameOrder, Geometry, Histogram, ImageInfo, Legend, Letters, MediaError, NamedWindow,
    TargetFrame, Voi, Window,
};
use crate::scoring::heat_map::PlacedMap;
use crate::view::placement::Aim;

/// The quality of an encoded image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Half blocks, whatever else the terminal can draw: a few kilobytes, for a cursor on the move.
    Fast,
    /// The terminal's own protocol, with pixels twice as wide and high: for an image that changes while it is viewed, on
    /// a terminal that takes long to receive one.
    Half,
    /// The terminal's own protocol, for a cursor at rest.
    Full,
}

/// How the user chose to see an image. It does not affect the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageView {
    /// Which values become black and white.
    pub voi: Voi,
    /// Whether black and white are swapped.
    pub invert: bool,
    /// Zoom, position and rotation.
    pub aim: Aim,
}

/// Annotations drawn over an image and written around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decorations {
    /// The scale bar and the file's overlay planes are drawn, facts and letters are written.
    pub overlays: bool,
    /// The histogram is shown below the image.
    pub histogram: bool,
    /// The pointer, as column and row of the file; its pixel value is wanted.
    pub cursor: Option<(u32, u32)>,
    /// Lines in which other images cut it, in columns and rows as of a [`Figure`].
    pub lines: Arc<[[[f64; 2]; 2]]>,
    /// Figures drawn over it, whose measures are wanted.
    pub figures: Arc<[MarkedFigure]>,
    /// The heat map blended over it.
    pub heat_map: Option<Arc<PlacedMap>>,
}

/// A plane across the images of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Reformat {
    /// The files of the series, or the file with frames.
    pub stack: Arc<[FoundFile]>,
    /// The plane; the one in focus if all are shown.
    pub plane: ReformatPlane,
    /// Whether all three planes are shown side by side.
    pub all_planes: bool,
    /// The voxel that the plane goes through: column and row of the images, and their number; `None` for the middle.
    pub at: Option<[u32; 3]>,
    /// Several planes shown as one.
    pub slab: Option<Slab>,
}

/// How a reformat lies in its volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolumeView {
    /// Columns and rows of the images, and their number.
    pub size: [u32; 3],
    /// The axes of the volume that the plane shows.
    pub axes: PlaneAxes,
    /// The voxel of the cross.
    pub at: [u32; 3],
    /// Thickness of what is shown in millimetres.
    pub thickness: f64,
    /// The planes side by side, if all are shown.
    pub panels: Option<[PlanePanel; 3]>,
}

/// How much of a volume that takes long has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeProgress {
    /// What is being read: first the headers of all images, which say where they lie, then the images.
    pub part: VolumePart,
    /// Images of which that was read.
    pub done: usize,
    /// All images.
    pub all: usize,
}

/// What is read of the images of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumePart {
    /// Their headers.
    Headers,
    /// Their pixels.
    Slices,
}

impl VolumePart {
    /// The plural of what is read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Slices => "slices",
        }
    }
}

/// A figure drawn over an image.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedFigure {
    /// The figure, complete or being drawn.
    pub figure: Figure,
    /// Whether its points are marked.
    pub is_selected: bool,
}

/// Related objects drawn over an image, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverlaidObjects {
    /// Their files. Those that are not about the image change nothing.
    pub objects: Vec<(PathBuf, Stamp)>,
    /// Opacity of the colours of segmentations, in percent.
    pub opacity: u8,
    /// Whether texts that may identify the patient are drawn.
    pub show_phi: bool,
}

/// A series whose files share one automatic window on screen.
#[derive(Clone, Debug)]
pub struct SeriesStack {
    /// The path of its row.
    pub path: PathBuf,
    /// Some of its files, evenly spread, from which the window is computed.
    pub sample: Arc<[(PathBuf, Stamp)]>,
}

impl PartialEq for SeriesStack {
    /// Compares paths only: the window stays the same while files are added to a series.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

/// The request for a preview. It holds everything that changes the cells on screen, so it also serves as the key of caches.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewKey {
    /// The file, absolute.
    pub path: PathBuf,
    /// The content of the file.
    pub stamp: Stamp,
    /// The frame, from 0 in the order of positions ([`Scene::order`]).
    pub frame: u32,
    /// How it is seen.
    pub view: ImageView,
    /// The series that the view was chosen for, while it is unknown whether the file belongs to it: if it does not, the file is
    /// shown by its own window. `None`: the view is for this file.
    pub for_series: Option<String>,
    /// The series whose automatic window applies.
    pub stack: Option<SeriesStack>,
    /// The plane across its stack that is shown instead of the file; `None`: the file.
    pub reformat: Option<Arc<Reformat>>,
    /// Annotations drawn over it and written around it.
    pub marks: Decorations,
    /// Related objects drawn over it.
    pub related: OverlaidObjects,
    /// Columns for the image and what is written around it.
    pub cols: u16,
    /// Rows for the image and what is written around it.
    pub rows: u16,
    /// How images are drawn on the terminal (with [`Quality::Fast`] as half blocks regardless).
    pub graphics: Graphics,
    /// The quality.
    pub quality: Quality,
    /// How often the terminal has lost its images: what was encoded in an earlier epoch must not be drawn again,
    /// because a kitty image is transmitted only once.
    pub epoch: u32,
}

impl PreviewKey {
    /// The key of an image in its default view, without annotations.
    pub fn plain(
        file: FoundFile,
        (cols, rows): (u16, u16),
        graphics: Graphics,
        quality: Quality,
        epoch: u32,
    ) -> Self {
        Self {
            path: file.path,
            stamp: file.stamp,
            frame: 0,
            view: ImageView::default(),
            for_series: None,
            stack: None,
            reformat: None,
            marks: Decorations::default(),
            related: OverlaidObjects::default(),
            cols,
            rows,
            graphics,
            quality,
            epoch,
        }
    }

    /// Whether the image consists of plain cells, which are drawn with every frame and cannot be lost by the terminal.
    pub fn is_cells(&self) -> bool {
        self.quality == Quality::Fast || self.graphics == Graphics::Halfblocks
    }

    /// Whether both are the same preview, possibly at different qualities.
    pub fn same_but_quality(&self, other: &Self) -> bool {
        *self
            == Self {
                quality: self.quality,
                ..other.clone()
            }
    }

    /// Whether both show the same file at the same size: one may be shown until the other is there.
    pub fn same_file(&self, other: &Self) -> bool {
        let room = |key: &Self| (key.cols, key.rows, key.graphics, key.epoch);
        self.path == other.path && self.stamp == other.stamp && room(self) == room(other)
    }
}

/// The answer to a request for a preview.
#[derive(Clone, Debug, PartialEq)]
pub struct Previewed {
    /// The request.
    pub key: PreviewKey,
    /// The image, or why there is none.
    pub outcome: Result<Preview, MediaError>,
}

/// An image ready for the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The encoded image.
    pub image: EncodedImage,
    /// Facts about the file.
    pub info: ImageInfo,
    /// How it is seen.
    pub scene: Arc<Scene>,
}

/// Information about an image that comes with its preview.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The view it was drawn with.
    pub view: ImageView,
    /// Series Instance UID, where there is one. Never shown.
    pub series: Option<String>,
    /// A note for the user: that only a part is shown, or a reduced level.
    pub note: Option<String>,
    /// The order of frames by position.
    pub order: FrameOrder,
    /// The file's own frame rate.
    pub frames_per_second: Option<f64>,
    /// Screen pixels of a cell, across and down; those of half blocks where the terminal draws them.
    pub cell: (u16, u16),
    /// Where the frame lies in the patient, and how large its pixels are.
    pub geometry: Geometry,
    /// The file's own windows.
    pub windows: Vec<NamedWindow>,
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// The unit of pixel values.
    pub unit: Option<String>,
    /// The pixel value under the pointer.
    pub value: Option<PixelValue>,
    /// How the reformat lies in its volume, if it is one.
    pub volume: Option<VolumeView>,
    /// What each of the figures measures.
    pub measured: Vec<Measured>,
    /// Whether the image is assembled from tiles, at a scale that depends on the screen.
    pub is_assembled: bool,
    /// The histogram of the whole frame, if it was requested.
    pub histogram: Option<Histogram>,
    /// What related objects contribute.
    pub about: RelatedContent,
    /// What the corners say; `None` if the file is not a DICOM object. Parts of it identify the patient.
    pub caption: Option<Caption>,
}

/// What related objects contribute to an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelatedContent {
    /// The identifiers by which they refer to the image; `None` if the file is not a DICOM object. Never shown.
    pub target: Option<TargetFrame>,
    /// The meaning of the colours drawn over it.
    pub legend: Vec<Legend>,
    /// Texts drawn over it.
    pub labels: Vec<OverlayText>,
    /// Files of objects that are switched on but not drawn, or not completely, with the reason.
    pub remarks: Vec<(PathBuf, String)>,
}

/// A text over an image.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayText {
    /// Lines, safe to show.
    pub lines: Vec<String>,
    /// Its upper left corner, in shares of the image's width and height on the screen.
    pub at: (f64, f64),
}

impl Scene {
    /// The patient directions at the left, right, top and bottom of the file's image, where known.
    pub fn letters(&self) -> Option<Letters> {
        self.geometry.letters()
    }
}

/// The value of a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PixelValue {
    /// In the modality's unit.
    Grey(f64),
    /// Red, green and blue, 0–255.
    Color([u8; 3]),
    /// Padding: no value was measured there.
    Padding,
}

/// An image encoded for the terminal: an opaque handle, equal only to its own clones.
#[derive(Clone)]
pub struct EncodedImage {
    size: (u16, u16),
    content: Arc<dyn Any + Send + Sync>,
}

impl EncodedImage {
    /// Wraps an encoded image that covers `size` columns and rows.
    pub fn new(size: (u16, u16), content: impl Any + Send + Sync) -> Self {
        Self {
            size,
            content: Arc::new(content),
        }
    }

    /// Columns and rows it covers.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The encoded image, for whoever encoded it; `None` for any other type.
    pub fn content<T: Any>(&self) -> Option<&T> {
        self.content.downcast_ref()
    }

    /// A weak reference that tells whether the image is still in use.
    pub fn downgrade(&self) -> Weak<dyn Any + Send + Sync> {
        Arc::downgrade(&self.content)
    }
}

impl PartialEq for EncodedImage {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }
}

impl fmt::Debug for EncodedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cols, rows) = self.size;
        write!(f, "EncodedImage({cols}×{rows})")
    }
}
