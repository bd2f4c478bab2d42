//! Reads image files: from bytes on disk to a [`Picture`] of 8 bits a channel, with DICOM tags, studies and related
//! objects beside it.
//!
//! [`open`] reads and checks a file once and returns an [`ImageSource`], which decodes one [`Frame`] at a time. A grey
//! frame is rendered to a picture through a window. [`load`] does all of this in one call. Limits are checked before
//! anything is decoded, and a panic in a decoder becomes an error.
//!
//! JPEG, PNG and DICOM are recognised by their content, never by their name. The name only decides how a file with
//! unknown content is reported (see [`MediaError::not_picture`]).

#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod budget;
mod codecs;
mod colorless;
mod contain;
mod dicom;
mod error;
mod files;
mod frame;
mod geometry;
mod grey;
mod large_pages;
pub mod limits;
mod mosaic;
mod orient;
mod overlay;
mod png;
mod read;
mod related;
mod sniff;
mod source;
mod text;
pub mod walk;
mod warnings;

use serde::Serialize;

pub use contain::{contain, is_contained};
pub use dicom::studies::frame_order::FrameOrder;
pub use dicom::studies::series::{DicomHeader, Member, Series, Study, directory, group, header};
pub use dicom::tags::{TagRow, TagTree, tags};
pub use error::{ErrorKind, MediaError};
pub use files::{open_file, read_file, read_text};
pub use frame::Frame;
pub use geometry::{Geometry, Letters, Spacing};
pub use grey::{Grey, Histogram, NamedWindow, PixelRect, Voi};
pub use large_pages::{LargePages, keep_freed_buffers};
pub use mosaic::{Assembled, Mosaic, MosaicProgress};
pub use overlay::{Overlay, OverlayKind};
pub use related::{
    Annotation, AnnotationShape, Arrangement, ColorMap, Layers, Legend, Related, RelatedKind,
    RelatedObject, Shutter, TargetFrame, Tint, Wording, related,
};
pub use sniff::{Sniffed, sniff};
pub use source::{ImageSource, RenderedFrame, load, open};
pub use text::{clean, is_unprintable, padded, printable};
pub(crate) use text::{code, uid};
pub use warnings::Warnings;

/// Decoded pixels, ready to be shown: 8 bits a channel, rows from the top, no padding between rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Grey or RGB.
    pub pixels: Pixels,
}

/// The samples of a [`Picture`], row-major.
#[derive(Clone, PartialEq, Eq)]
pub enum Pixels {
    /// One byte a pixel: `height × width`.
    Luma(Vec<u8>),
    /// Three bytes a pixel, interleaved: `height × width × 3`.
    Rgb(Vec<u8>),
}

impl Pixels {
    /// The bytes of either variant.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Pixels::Luma(data) | Pixels::Rgb(data) => data,
        }
    }
}

/// Smallest, largest and mean 8-bit value of a picture; colour counts as its Rec. 601 luma.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Smallest value, 0–255.
    pub min: u8,
    /// Largest value, 0–255.
    pub max: u8,
    /// Mean of all pixels.
    pub mean: f64,
}

impl Picture {
    /// Computes the smallest, largest and mean value; colour counts as its Rec. 601 luma `0.299 R + 0.587 G + 0.114
    /// B`.
    pub fn stats(&self) -> Stats {
        let mut histogram = [0_u64; 256];
        match &self.pixels {
            Pixels::Luma(data) => {
                for &value in data {
                    histogram[usize::from(value)] += 1;
                }
            }
            Pixels::Rgb(data) => {
                for pixel in data.chunks_exact(3) {
                    histogram[usize::from(luma(pixel))] += 1;
                }
            }
        }
        let count: u64 = histogram.iter().sum();
        let sum: u64 = (0_u64..).zip(&histogram).map(|(value, n)| value * n).sum();
        Stats {
            min: histogram.iter().position(|&n| n > 0).unwrap_or(0) as u8,
            max: histogram.iter().rposition(|&n| n > 0).unwrap_or(0) as u8,
            mean: sum as f64 / count.max(1) as f64,
        }
    }

    /// Returns the negative: each sample becomes 255 minus itself.
    #[must_use]
    pub fn negative(&self) -> Picture {
        let inverted = |data: &[u8]| data.iter().map(|v| 255 - v).collect();
        Picture {
            pixels: match &self.pixels {
                Pixels::Luma(data) => Pixels::Luma(inverted(data)),
                Pixels::Rgb(data) => Pixels::Rgb(inverted(data)),
            },
            ..*self
        }
    }

    /// Returns the picture as interleaved RGB bytes, grey repeated in the three channels: `height × width × 3`.
    pub fn to_rgb(&self) -> Vec<u8> {
        match &self.pixels {
            Pixels::Luma(data) => data.iter().flat_map(|&v| [v, v, v]).collect(),
            Pixels::Rgb(data) => data.clone(),
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.pixels {
            Pixels::Luma(_) => "grey",
            Pixels::Rgb(_) => "RGB",
        };
        write!(f, "Picture({} × {}, {mode})", self.width, self.height)
    }
}

/// Rec. 601 luma of an RGB pixel, rounded, in the fixed-point weights that libjpeg and Pillow use.
fn luma(pixel: &[u8]) -> u8 {
    let (r, g, b) = (
        u32::from(pixel[0]),
        u32::from(pixel[1]),
        u32::from(pixel[2]),
    );
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// The format of a file, found by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// JPEG, any process.
    Jpeg,
    /// PNG; of an animated one, the default image.
    Png,
    /// A DICOM object with pixels.
    Dicom,
}

/// What is known about an image file before its pixels are decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageInfo {
    /// The file's format.
    pub kind: FileFormat,
    /// Columns of the image as shown (after the EXIF orientation).
    pub width: u32,
    /// Rows of the image as shown.
    pub height: u32,
    /// Number of frames, 1 for JPEG and PNG.
    pub frames: u32,
    /// The file is marked as synthetic (a phantom, not a patient): a JPEG comment or PNG text that begins with
    /// `SYNTHETIC`, or DICOM Synthetic Data (0008,001C) = YES.
    pub synthetic: bool,
    /// Repairs and assumptions made while opening the file; in a [`Loaded`], also those made while decoding its frame.
    pub warnings: Warnings,
    /// What only DICOM files say; `None` for the other formats.
    pub dicom: Option<DicomInfo>,
}

/// What a DICOM object says about its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct DicomInfo {
    /// Transfer syntax UID; if the file names none, the one it was read with.
    pub transfer_syntax: String,
    /// Photometric Interpretation (0028,0004).
    pub photometric: String,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// Whether stored values are two's complement (Pixel Representation (0028,0103)).
    pub signed: bool,
    /// Samples per Pixel (0028,0002).
    pub samples: u16,
    /// Modality (0008,0060).
    pub modality: Option<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Option<String>,
    /// The window that was applied; `None` for colour, and before a frame is rendered.
    pub window: Option<Window>,
}

/// The range of modality values that is mapped to black–white (PS3.3 C.11.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Centre of the range, in modality units.
    pub center: f64,
    /// Width of the range, in modality units.
    pub width: f64,
    /// Where the window comes from.
    pub source: WindowSource,
}

/// Where a [`Window`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowSource {
    /// Window Center and Window Width of the data set.
    File,
    /// The first item of the VOI LUT Sequence of the data set or of the frame's functional group.
    Lut,
    /// The frame's own or the shared functional group of an enhanced object.
    FunctionalGroup,
    /// The caller's [`DecodeOptions::window`].
    Argument,
    /// The full range of the frame's modality values, padding excluded unless all others are equal; for a
    /// segmentation, the range that its values can have.
    Minmax,
    /// The full range without the darkest and brightest pixels ([`Voi::Robust`]).
    Robust,
}

/// What to decode, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodeOptions {
    /// Index of the frame, from 0.
    pub frame: u32,
    /// Window to use instead of the file's own: (center, width).
    pub window: Option<(f64, f64)>,
    /// Resolution at which a JPEG file is decoded.
    pub scale: Scale,
    /// The part of the image that will be looked at, in pixels of the image as shown at full resolution. What lies
    /// outside may stay black.
    pub used: Option<PixelRect>,
    /// Whether someone is waiting for this image, so that it may take more than one core.
    pub parallel: bool,
}

/// Resolution at which a JPEG file is decoded. Decoding at reduced resolution costs far less than decoding all of it
/// and resizing. Other formats are always decoded at full resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scale {
    /// Every pixel.
    #[default]
    Full,
    /// Half the columns and rows, rounded up.
    Half,
    /// A quarter, rounded up.
    Quarter,
    /// An eighth, rounded up.
    Eighth,
}

impl Scale {
    /// All scales, finest first.
    pub const ALL: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

    /// Number of pixels in a row that become one.
    pub fn divisor(self) -> u32 {
        1 << self as u32
    }
}

/// A decoded file: its description, and one frame as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Description of the file.
    pub info: ImageInfo,
    /// Index of the decoded frame, from 0.
    pub frame: u32,
    /// The frame as shown.
    pub picture: Picture,
    /// `blake3:<hex>` of the file's bytes.
    pub content: String,
}
