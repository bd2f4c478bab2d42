//! One frame's samples: from native pixels, or from the fragments of coded ones.

use std::borrow::Cow;
use std::ops::Range;

use crate::Warnings;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::codec::{self, Coded};
use crate::dicom::pixels::index::FrameIndex;
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::native::{self, FrameSpan};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed};

/// What the frames of an object are decoded from.
pub(crate) struct FrameReader<'a> {
    /// The bytes of the object.
    pub body: &'a Body,
    /// Where in them the frames are.
    pub index: &'a FrameIndex,
    /// The shape and meaning of their pixels.
    pub layout: &'a PixelLayout,
    /// How they are coded, by the transfer syntax.
    pub codec: Codec,
    /// Native samples are written most significant byte first.
    pub big_endian: bool,
    /// Native pixels are 16-bit words (VR OW).
    pub words: bool,
}

impl FrameReader<'_> {
    /// One frame's cells, interleaved, and the layout that they have: a coded stream may know its depth and its colours
    /// better than the attributes do.
    pub(crate) fn decode(
        &self,
        frame: u32,
        warnings: &mut Warnings,
    ) -> Result<(Cells, PixelLayout), MediaError> {
        let coded = match self.index {
            FrameIndex::Native(range) => self.native(range, frame)?,
            FrameIndex::Coded { .. } => {
                let bytes = self.gather(self.index.fragments(frame)?)?;
                codec::decode(self.codec, &bytes, self.layout, warnings)?
            }
        };
        if coded.cells.len() != self.layout.cells() {
            return Err(malformed(
                "DICOM: the frame has another size than the attributes say",
            ));
        }
        Ok((coded.cells, coded.layout))
    }

    /// A frame of native pixels.
    fn native(&self, range: &Range<u64>, frame: u32) -> Result<Coded, MediaError> {
        let there = range.end - range.start;
        let big = self.big_endian;
        let place = FrameSpan::of(self.layout, frame, there, big && self.words)
            .ok_or_else(|| native::cut(frame, there))?;
        let range = range.start + place.range.start..range.start + place.range.end;
        let bytes = self.body.read(range)?;
        Ok(Coded {
            cells: native::decode(&bytes, &place, self.layout, big),
            layout: self.layout.clone(),
        })
    }

    /// The bytes of fragments, joined.
    fn gather(&self, fragments: &[Range<u64>]) -> Result<Cow<'_, [u8]>, MediaError> {
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
