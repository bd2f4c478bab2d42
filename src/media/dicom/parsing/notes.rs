//! Findings of the walk over a data set: where the pixels are, and what was repaired.

use std::ops::Range;
use std::sync::Arc;

use dicom_core::{Tag, VR};

use crate::Warnings;

/// The element that holds the pixels of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PixelElement {
    /// Pixel Data, Float Pixel Data or Double Float Pixel Data.
    pub tag: Tag,
    /// The value representation, if written.
    pub vr: Option<VR>,
    /// Where the bytes are.
    pub data: PixelData,
}

/// The bytes of pixels, as ranges of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PixelData {
    /// A value of defined length, cut where the file ends.
    Native(Range<u64>),
    /// Encapsulated (PS3.5 A.4): the offset table, then the fragments.
    Fragments(Vec<Range<u64>>),
}

impl PixelData {
    /// Whether there are no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, PixelData::Native(range) if range.is_empty())
    }
}

/// Where a tile lies (PS3.3 C.8.12.6.1), and what distinguishes it from others there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TilePlace {
    /// Column of its first pixel, from 0.
    pub column: Option<u32>,
    /// Row of its first pixel, from 0.
    pub row: Option<u32>,
    /// Z Offset in Slide Coordinate System, in micrometres.
    pub depth: f64,
    /// Referenced Segment Number.
    pub segment: Option<u16>,
    /// Optical Path Identifier.
    pub path: Option<Arc<str>>,
}

/// Findings of the walk over a data set.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The pixels, if found.
    pub pixels: Option<PixelElement>,
    /// Whether the pixels, or the last requested element, were reached.
    pub complete: bool,
    /// Whether the file ends within the last value or the sequence around it.
    pub cut: bool,
    /// The tiles of a slide, if their functional groups are too many for the data set.
    pub tiles: Vec<TilePlace>,
    /// What is left out of the data set because of its size.
    pub left_out: Option<&'static str>,
    /// Offsets of the items of a Directory Record Sequence, from the start of the data set.
    pub record_offsets: Vec<u64>,
    /// The repairs, one sentence each.
    pub repairs: Warnings,
}
