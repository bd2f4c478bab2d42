//! What the walk over a data set notices: where the pixels are, and what was put right.

use std::ops::Range;

use dicom_core::{Tag, VR};

use crate::Warnings;

/// Where the pixels of an object are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PixelElement {
    /// Pixel Data, Float Pixel Data or Double Float Pixel Data.
    pub tag: Tag,
    /// The value representation that is written, if one is.
    pub vr: Option<VR>,
    /// Their bytes.
    pub data: PixelData,
}

/// The bytes of pixels, as ranges of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PixelData {
    /// A value of defined length, as far as the file goes.
    Native(Range<u64>),
    /// Encapsulated (PS3.5 A.4): the offset table, then the fragments.
    Fragments(Vec<Range<u64>>),
}

impl PixelData {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, PixelData::Native(range) if range.is_empty())
    }
}

/// What was noticed on the way through a data set.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Where the pixels are.
    pub pixels: Option<PixelElement>,
    /// The pixels, or the element to read to, were reached.
    pub complete: bool,
    /// The last value, or the sequence around it, ended with the file.
    pub cut: bool,
    /// Where the items of a Directory Record Sequence begin, from the start of the data set.
    pub record_offsets: Vec<u64>,
    /// What was put right, a sentence each.
    pub repairs: Warnings,
}
