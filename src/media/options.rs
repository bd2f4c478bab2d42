//! What to decode, and at which resolution.

use crate::PixelRect;

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
