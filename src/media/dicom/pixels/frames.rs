//! Reads the cells of one frame: native pixels, or the decoded fragments of encapsulated ones.

use std::borrow::Cow;
use std::ops::Range;

use crate::Warnings;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::codec::{self, DecodedCells};
use crate::dicom::pixels::index::FrameIndex;
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::native::{self, FrameSpan};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed};

/// Reads frames of an object.
pub(crate) struct FrameReader<'a> {
    /// The bytes of the object.
    pub body: &'a Body,
    /// Where in the body the frames are.
    pub index: &'a FrameIndex,
    /// The layout of the pixels by the attributes.
    pub layout: &'a PixelLayout,
    /// The codec by the transfer syntax.
    pub codec: Codec,
    /// Whether native samples are big-endian.
    pub big_endian: bool,
    /// Whether native pixels are 16-bit words (VR OW).
    pub words: bool,
}

impl FrameReader<'_> {
    /// Decodes one frame to interleaved cells and their layout, as a compressed stream may know its depth and colours
    /// better than the attributes do.
    pub(crate) fn decode(
        &self,
        frame: u32,
        warnings: &mut Warnings,
    ) -> Result<(Cells, PixelLayout), MediaError> {
        let decoded = match self.index {
            FrameIndex::Native(range) => self.native(range, frame)?,
            FrameIndex::Coded { .. } => {
                let bytes = self.join(self.index.fragments(frame)?)?;
                codec::decode(self.codec, &bytes, self.layout, warnings)?
            }
        };
        if decoded.cells.len() != self.layout.cells() {
            return Err(malformed(
                "DICOM: the size of the frame contradicts the attributes",
            ));
        }
        Ok((decoded.cells, decoded.layout))
    }

    /// Reads a frame of native pixels.
    fn native(&self, range: &Range<u64>, frame: u32) -> Result<DecodedCells, MediaError> {
        let total = range.end - range.start;
        let big = self.big_endian;
        let span = FrameSpan::of_frame(self.layout, frame, total, big && self.words)
            .ok_or_else(|| native::cut_off(self.layout, frame, total))?;
        let range = range.start + span.range.start..range.start + span.range.end;
        let bytes = self.body.read(range)?;
        Ok(DecodedCells {
            cells: native::decode(&bytes, &span, self.layout, big),
            layout: self.layout.clone(),
        })
    }

    /// The concatenated bytes of fragments.
    fn join(&self, fragments: &[Range<u64>]) -> Result<Cow<'_, [u8]>, MediaError> {
        if let [only] = fragments {
            return self.body.read(only.clone());
        }
        let mut joined = Vec::new();
        for fragment in fragments {
            joined.extend_from_slice(&self.body.read(fragment.clone())?);
        }
        Ok(Cow::Owned(joined))
    }
}
