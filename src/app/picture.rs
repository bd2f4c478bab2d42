//! What a preview is asked for with, and what comes back.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::entry::Stamp;
use crate::media::{
    FrameOrder, Geometry, Histogram, ImageInfo, Legend, Letters, MediaError, NamedWindow,
    TargetFrame, Voi, Window,
};
use crate::view::placement::Aim;

/// How pictures reach the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Graphics {
    /// Not at all.
    None,
    /// Two pixels a cell, as coloured half blocks: works everywhere.
    Halfblocks,
    /// The kitty graphics protocol.
    Kitty,
    /// Sixel.
    Sixel,
    /// The inline pictures of iTerm2.
    Iterm2,
}

impl Graphics {
    /// The name as in `--graphics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Halfblocks => "halfblocks",
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
        }
    }
}

/// How good the picture is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Half blocks whatever the terminal can: a few kilobytes, for a cursor on the move.
    Fast,
    /// By the terminal's own protocol, each pixel twice as wide and high: for a picture that changes while it is looked at, on
    /// a terminal that takes long to be sent one.
    Half,
    /// By the terminal's own protocol, for a cursor at rest.
    Full,
}

/// What the user chose to see of a picture. The model never sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Which values become black and white.
    pub voi: Voi,
    /// Black and white change places.
    pub invert: bool,
    /// Which part, how large, from which side.
    pub aim: Aim,
}

/// What is drawn upon a picture and written around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The scale bar and the file's overlay planes are drawn, facts and letters are written.
    pub overlays: bool,
    /// The histogram takes its part of the room.
    pub histogram: bool,
    /// A cursor at this column and row of the file, whose value is wanted.
    pub cursor: Option<(u32, u32)>,
    /// A line between two pixels of the file.
    pub line: Option<[(u32, u32); 2]>,
}

/// Objects that are drawn over a picture, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlaid {
    /// Their files; those that the picture does not concern change nothing.
    pub objects: Vec<(PathBuf, Stamp)>,
    /// How much of the picture the colours of segmentations hide, in percent.
    pub opacity: u8,
    /// Texts that may tell who the patient is are drawn.
    pub show_phi: bool,
}

/// A series whose files share one automatic window on screen.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The path that stands for it.
    pub path: PathBuf,
    /// Some of its files, evenly spread: those that the window is chosen by.
    pub sample: Arc<[(PathBuf, Stamp)]>,
}

impl PartialEq for Stack {
    /// The window stays while files come to a series.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

/// Names one preview: whatever changes the cells on screen is part of it, so it also serves as the key of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewKey {
    /// The file, absolute.
    pub path: PathBuf,
    /// What the file looked like: another content is another preview.
    pub stamp: Stamp,
    /// Which frame, from 0 in the order of their positions ([`Scene::order`]).
    pub frame: u32,
    /// What is seen of it.
    pub view: View,
    /// The series that the view was chosen for, while it is not known whether the file belongs to it: if it does not, it is
    /// seen as it asks to be. `None`: the view is for this file.
    pub for_series: Option<String>,
    /// The series as part of which it is looked at, if it is.
    pub stack: Option<Stack>,
    /// What is drawn upon it and written around it.
    pub marks: Marks,
    /// What other objects draw over it.
    pub related: Overlaid,
    /// Columns to fit into, with what is written around it.
    pub cols: u16,
    /// Rows to fit into, with what is written around it.
    pub rows: u16,
    /// How pictures reach the screen (for [`Quality::Fast`] half blocks are made all the same).
    pub graphics: Graphics,
    /// How good it is to be.
    pub quality: Quality,
    /// How often the terminal has lost its pictures: what was encoded in an earlier epoch must not be drawn again,
    /// because a kitty picture is transmitted only once.
    pub epoch: u32,
}

impl PreviewKey {
    /// It is made of plain cells, drawn anew with every frame: a terminal cannot lose it.
    pub fn is_cells(&self) -> bool {
        self.quality == Quality::Fast || self.graphics == Graphics::Halfblocks
    }

    /// Both name the same preview, one perhaps better than the other.
    pub fn same_but_quality(&self, other: &Self) -> bool {
        *self
            == Self {
                quality: self.quality,
                ..other.clone()
            }
    }

    /// Both are about the same file in the same room: one may stand for the other until that one comes.
    pub fn same_file(&self, other: &Self) -> bool {
        let room = |key: &Self| (key.cols, key.rows, key.graphics, key.epoch);
        self.path == other.path && self.stamp == other.stamp && room(self) == room(other)
    }
}

/// An answered preview.
#[derive(Clone, Debug, PartialEq)]
pub struct Previewed {
    /// As asked.
    pub key: PreviewKey,
    /// The picture, or why there is none.
    pub outcome: Result<Preview, MediaError>,
}

/// A picture ready for the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// What is drawn.
    pub image: EncodedImage,
    /// What the file is.
    pub info: ImageInfo,
    /// What is seen of it.
    pub scene: Arc<Scene>,
}

/// What the worker knows of a picture beside its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// As it was drawn.
    pub view: View,
    /// Series Instance UID, where there is one. Never shown.
    pub series: Option<String>,
    /// What the user should know of it: that it is a part, or stands for something larger.
    pub note: Option<String>,
    /// Which frame lies where.
    pub order: FrameOrder,
    /// The file's own rate as a film.
    pub frames_per_second: Option<f64>,
    /// Screen pixels of a cell, across and down; those of half blocks where the terminal draws them.
    pub cell: (u16, u16),
    /// Where the frame lies in the patient, and how large its pixels are.
    pub geometry: Geometry,
    /// The file's own windows.
    pub windows: Vec<NamedWindow>,
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// What values are counted in.
    pub unit: Option<String>,
    /// What lies under the cursor asked about.
    pub value: Option<Value>,
    /// Of the whole frame, if it was asked for.
    pub histogram: Option<Histogram>,
    /// What other objects say of it.
    pub about: About,
}

/// What other objects say of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// By what they refer to it; `None` of a file that is no DICOM object. Never shown.
    pub target: Option<TargetFrame>,
    /// What the colours drawn over it stand for.
    pub legend: Vec<Legend>,
    /// Texts drawn over it.
    pub labels: Vec<Label>,
    /// Files of objects that are on and not drawn, or not in full, and why.
    pub remarks: Vec<(PathBuf, String)>,
}

/// A text over a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Lines, safe to show.
    pub lines: Vec<String>,
    /// Its upper left corner, in shares of the picture's width and height on the screen.
    pub at: (f64, f64),
}

impl Scene {
    /// What lies to the left, right, top and bottom of the file's picture, where it is known.
    pub fn letters(&self) -> Option<Letters> {
        self.geometry.letters()
    }
}

/// What a pixel holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// In the modality's unit.
    Grey(f64),
    /// Red, green and blue, 0–255.
    Color([u8; 3]),
    /// Padding: no value was measured there.
    Padding,
}

/// An image encoded for the terminal. What it holds is the graphics' own affair; it is equal only to its own clones.
#[derive(Clone)]
pub struct EncodedImage {
    size: (u16, u16),
    content: Arc<dyn Any + Send + Sync>,
}

impl EncodedImage {
    /// An image that covers so many columns and rows.
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

    /// What it was made of, for those who made it; `None` for anyone else.
    pub fn content<T: Any>(&self) -> Option<&T> {
        self.content.downcast_ref()
    }

    /// Tells whether it can still be drawn, without keeping it.
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
