//! Estimates the memory that decoding a frame takes, from the attributes and the header of its stream.

use crate::codecs::stream::{MAX_HEADER, MAX_SIGNATURE, StreamCodec};
use crate::codecs::{jpeg2000, jpegxl};
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::index::FrameIndex;
use crate::dicom::pixels::layout::{Photometric, PixelLayout, SampleType};
use crate::dicom::pixels::native;
use crate::error::MediaError;

impl DicomObject {
    /// Upper bound of the memory that decoding and rendering a frame takes, in bytes.
    pub(crate) fn cost(&self, frame: u32) -> Result<u64, MediaError> {
        let layout = self.layout();
        Ok(self.coded_bytes(frame)?
            + self.claimed_bytes(frame)?
            + decoded_bytes(layout, self.meta().syntax.codec)
            + rendered_bytes(layout))
    }

    /// Bytes for what a small stream can claim beside its samples: tiles, precincts and layers of JPEG 2000, extra
    /// channels of JPEG XL.
    fn claimed_bytes(&self, frame: u32) -> Result<u64, MediaError> {
        let fragments = self.index()?.fragments(frame)?;
        let Some(first) = fragments.first() else {
            return Ok(0);
        };
        let read = |length: u64| {
            let range = first.start..first.end.min(first.start + length);
            self.body().read(range)
        };
        // Other streams are recognised by few bytes: tiles of a slide are many.
        let coding = match self.meta().syntax.codec {
            Codec::Jpeg2000 => Some(StreamCodec::Jpeg2000),
            Codec::JpegXl => Some(StreamCodec::JpegXl),
            _ => StreamCodec::recognise(&read(MAX_SIGNATURE as u64)?),
        };
        let length = fragments.iter().map(|part| part.end - part.start).sum();
        Ok(match coding {
            Some(StreamCodec::Jpeg2000) => jpeg2000::tile_bytes(&read(MAX_HEADER)?, length),
            Some(StreamCodec::JpegXl) => jpegxl::extra_bytes(&read(MAX_HEADER)?),
            _ => 0,
        })
    }

    /// Bytes of a frame's fragments, or of its native pixels.
    pub(crate) fn coded_bytes(&self, frame: u32) -> Result<u64, MediaError> {
        let (layout, index) = (self.layout(), self.index()?);
        if let FrameIndex::Native(range) = index {
            let total = range.end - range.start;
            // What the file does not have costs nothing, and is not too large.
            if frame >= native::whole_frames(layout, total) {
                return Err(native::cut_off(layout, frame, total));
            }
            return Ok((layout.cells() as u64 * u64::from(layout.allocated)).div_ceil(8));
        }
        let parts = index.fragments(frame)?.iter();
        let coded: u64 = parts.map(|part| part.end - part.start).sum();
        // One copy as read, and one handed to the codec.
        Ok(2 * coded)
    }
}

/// Bytes of the samples and of the decoder's intermediate buffers.
fn decoded_bytes(layout: &PixelLayout, codec: Codec) -> u64 {
    let cells = layout.cells() as u64;
    let cell = match (layout.sample_type, layout.allocated) {
        (SampleType::Float | SampleType::Double, _) => 8,
        (_, ..=8) => 1,
        (_, ..=16) => 2,
        _ => 4,
    };
    // Planes are interleaved, and bytes from a codec become words.
    let interleaved = if layout.planar { cell } else { 0 };
    let words = if cell > 1 { cell } else { 0 };
    let before = match codec {
        Codec::Native | Codec::Encapsulated | Codec::Unsupported | Codec::Unknown => interleaved,
        Codec::Deflated => u64::from(layout.allocated.div_ceil(8)) + interleaved,
        Codec::Rle | Codec::JpegLs => words,
        // Planes of the components.
        Codec::Jpeg => cell + words,
        // 32-bit integers or floats, of the tile and of the image.
        Codec::Jpeg2000 | Codec::JpegXl => 8 + words,
    };
    cells * (cell + before)
}

/// Bytes of what is made from the samples to show them.
fn rendered_bytes(layout: &PixelLayout) -> u64 {
    let pixels = layout.pixels() as u64;
    match layout.photometric {
        Photometric::Mono { .. } if layout.signed && layout.allocated <= 8 => 3 * pixels,
        Photometric::Mono { .. } => pixels,
        Photometric::Palette => 3 * pixels,
        _ if layout.allocated > 8 => 3 * pixels,
        _ => 0,
    }
}
