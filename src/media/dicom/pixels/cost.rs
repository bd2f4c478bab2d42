//! The memory that decoding a frame takes, told from the attributes before it is taken.

use crate::dicom::object::DicomObject;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::index::FrameIndex;
use crate::dicom::pixels::layout::{Number, Photometric, PixelLayout};
use crate::error::MediaError;

impl DicomObject {
    /// Bytes that decoding and rendering a frame takes, at most.
    pub(crate) fn cost(&self, frame: u32) -> Result<u64, MediaError> {
        let layout = self.layout();
        Ok(self.coded_bytes(frame)? + decoded(layout, self.meta().syntax.codec) + shown(layout))
    }

    /// Bytes of the fragments of a frame, or of its pixels as they are stored.
    fn coded_bytes(&self, frame: u32) -> Result<u64, MediaError> {
        let (layout, index) = (self.layout(), self.index()?);
        if let FrameIndex::Native(_) = index {
            return Ok((layout.cells() as u64 * u64::from(layout.allocated)).div_ceil(8));
        }
        let parts = index.fragments(frame)?.iter();
        let coded: u64 = parts.map(|part| part.end - part.start).sum();
        // As read, and as handed to the codec.
        Ok(2 * coded)
    }
}

/// Bytes of the samples, and of what their decoder makes before them.
fn decoded(layout: &PixelLayout, codec: Codec) -> u64 {
    let cells = layout.cells() as u64;
    let cell = match (layout.number, layout.allocated) {
        (Number::Float | Number::Double, _) => 8,
        (_, ..=8) => 1,
        (_, ..=16) => 2,
        _ => 4,
    };
    // Planes are woven into pixels, and bytes that a codec gives become words.
    let woven = if layout.planar { cell } else { 0 };
    let words = if cell > 1 { cell } else { 0 };
    let before = match codec {
        Codec::Native | Codec::Encapsulated | Codec::Unsupported | Codec::Unknown => woven,
        Codec::Deflated => u64::from(layout.allocated.div_ceil(8)) + woven,
        Codec::Rle | Codec::JpegLs => words,
        // The planes of the components.
        Codec::Jpeg => cell + words,
        // 32-bit integers or floats, of the tile and of the picture.
        Codec::Jpeg2000 | Codec::JpegXl => 8 + words,
    };
    cells * (cell + before)
}

/// Bytes of what is made of the samples to show them.
fn shown(layout: &PixelLayout) -> u64 {
    let pixels = layout.pixels() as u64;
    match layout.photometric {
        Photometric::Mono { .. } if layout.signed && layout.allocated <= 8 => 3 * pixels,
        Photometric::Mono { .. } => pixels,
        Photometric::Palette => 3 * pixels,
        _ if layout.allocated > 8 => 3 * pixels,
        _ => 0,
    }
}
