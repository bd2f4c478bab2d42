//! A file becomes a [`Picture`]: format by content, limits before decoding, panics contained.

use serde::Serialize;

/// Decoded pixels as shown: 8 bits a channel, rows from the top, no padding between rows.
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

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind { Jpeg, Png, Dicom }

/// Why a file yields no picture. The names are a contract (`error.kind` in results).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind { NotFound, Permission, Unsupported, Malformed, Truncated, TooLarge, NoPixels, Internal }

/// A failure with a sentence for the user. The message is free of control characters and of patient values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct MediaError { pub kind: ErrorKind, pub message: String }

/// What is known of a file beside its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    /// Number of frames, 1 for JPEG and PNG.
    pub frames: u32,
    /// The file carries the SYNTHETIC mark (it is a phantom, not a patient).
    pub synthetic: bool,
    /// What only DICOM knows.
    pub dicom: Option<DicomInfo>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DicomInfo {
    pub transfer_syntax: String,
    pub photometric: String,
    pub bits_stored: u16,
    pub signed: bool,
    pub samples: u16,
    pub modality: Option<String>,
    pub body_part: Option<String>,
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
}

/// The range of modality values that is spread over black to white (PS3.3 C.11.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window { pub center: f64, pub width: f64, pub source: WindowSource }

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowSource { File, Lut, FunctionalGroup, Argument, Minmax }

/// What to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Frame, from 0.
    pub frame: u32,
    /// Window to use instead of the file's: (center, width).
    pub window: Option<(f64, f64)>,
}

/// A decoded file: what it is, and frame `frame` as shown.
#[derive(Clone, PartialEq)]
pub struct Loaded { pub info: Info, pub frame: u32, pub picture: Picture,
    /// `blake3:<hex>` of the file's bytes.
    pub content: String }

// pub fn load(path: &std::path::Path, options: &Options) -> Result<Loaded, MediaError>
// pub fn decode(bytes: &[u8], options: &Options) -> Result<(Info, Picture), MediaError>   // used by load, tests, fuzz
// pub fn sniff(head: &[u8]) -> Option<Sniffed>   // what the first bytes say
// pub mod walk: pub fn walk(roots) -> iterator of found files: see INTERFACE "Walking"
