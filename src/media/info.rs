//! What is known about an image file.

use serde::{Deserialize, Serialize};

use crate::{Picture, Warnings};

/// The format of a file, found by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Body Part Examined (0018,0015); without it, the term for the code in Anatomic Region Sequence (0008,2218).
    pub body_part: Option<String>,
    /// The station, and the UIDs of the object, its series and its study.
    pub origin: DicomOrigin,
    /// The window that was applied; `None` for colour, and before a frame is rendered.
    pub window: Option<Window>,
}

/// Where a DICOM object comes from, and what it belongs to. A value that does not have the form the standard asks for counts as
/// missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DicomOrigin {
    /// SOP Instance UID (0008,0018).
    pub instance: Option<String>,
    /// Series Instance UID (0020,000E).
    pub series: Option<String>,
    /// Study Instance UID (0020,000D).
    pub study: Option<String>,
    /// Station Name (0008,1010).
    pub station: Option<String>,
    /// Tells patients apart without naming them: a hash of Patient ID (0010,0020).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
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
    /// The caller's [`DecodeOptions::window`](crate::DecodeOptions::window).
    Argument,
    /// The full range of the frame's modality values, padding excluded unless all others are equal; for a
    /// segmentation, the range that its values can have.
    Minmax,
    /// The full range without the darkest and brightest pixels ([`Voi::Robust`](crate::Voi::Robust)).
    Robust,
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
