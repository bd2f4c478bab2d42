//! What is kept of the functional groups of single frames if there are too many of them: a slide of 100,000 tiles has
//! more than a million attributes, of which their positions are needed.

use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::walk::DataSetWalk;
use crate::dicom::attributes::FRAME_TYPES;
use crate::dicom::parsing::elements::Encoding;
use crate::dicom::parsing::notes::TilePlace;
use crate::dicom::parsing::numbers::Numbers;
use crate::limits::MAX_FRAMES;

/// The functional groups that values, geometry and order of frames, and what they are a segment of, are read from.
const NEEDED: [Tag; 10] = [
    tags::DERIVATION_IMAGE_SEQUENCE,
    tags::FRAME_CONTENT_SEQUENCE,
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::FRAME_VOILUT_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::FRAME_PIXEL_DATA_PROPERTIES_SEQUENCE,
    tags::SEGMENT_IDENTIFICATION_SEQUENCE,
    tags::FRAME_ANATOMY_SEQUENCE,
];

/// Largest number of elements that are read of a tiled object: 18,000 tiles have as many, which take 100 MB. Only lists
/// of tags show more than the positions.
const MAX_TILE_ELEMENTS: usize = 250_000;

/// How much of the functional groups of single frames is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FrameGroups {
    /// All of them.
    #[default]
    Whole,
    /// Those of [`NEEDED`].
    Needed,
    /// The positions of tiles, as [`TilePlace`]s.
    Tiles,
}

impl FrameGroups {
    /// What to say about what is left out.
    pub(super) fn warning(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Needed => Some(
                "The frames have too many attributes: only those on values, position and segments are read.",
            ),
            Self::Tiles => {
                Some("The tiles have too many attributes: only those on their positions are read.")
            }
        }
    }
}

impl DataSetWalk<'_> {
    /// Whether an element of a set at `depth` is left out because the frames have too many.
    pub(super) fn is_needless(&mut self, tag: Tag, depth: u32) -> bool {
        match (depth, self.groups) {
            (0, FrameGroups::Whole) if tag == tags::TOTAL_PIXEL_MATRIX_COLUMNS => {
                self.limit_elements(MAX_TILE_ELEMENTS);
                false
            }
            (0, FrameGroups::Needed) => {
                // A tiled object (PS3.3 C.7.6.17.3) says its size before the groups.
                if tag == tags::TOTAL_PIXEL_MATRIX_COLUMNS {
                    self.groups = FrameGroups::Tiles;
                }
                self.in_frames = tag == tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE;
                false
            }
            (0, FrameGroups::Tiles) => {
                self.in_frames = tag == tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE;
                self.in_frames
            }
            (1, FrameGroups::Needed) => {
                self.in_frames && !NEEDED.contains(&tag) && !FRAME_TYPES.contains(&tag)
            }
            _ => false,
        }
    }

    /// Begins the item of a tile.
    pub(super) fn begin_tile(&mut self, depth: u32) {
        let is_tile = self.groups == FrameGroups::Tiles && self.in_frames && depth == 1;
        if is_tile && self.notes.tiles.len() < MAX_FRAMES as usize {
            self.notes.tiles.push(TilePlace::default());
        }
    }

    /// Notes the value of an element of a tile, directly in one of its functional groups.
    pub(super) fn note_tile(&mut self, tag: Tag, value: &[u8], encoding: Encoding, depth: u32) {
        if self.groups != FrameGroups::Tiles || !self.in_frames || depth != 2 {
            return;
        }
        let tiles = &mut self.notes.tiles;
        let before = tiles
            .len()
            .checked_sub(2)
            .and_then(|at| tiles[at].path.clone());
        let Some(tile) = tiles.last_mut() else {
            return;
        };
        let position = || {
            let number = value.first_chunk().map(|bytes| encoding.u32(*bytes));
            number.and_then(|number| number.checked_sub(1))
        };
        let text = || String::from_utf8_lossy(value);
        match tag {
            tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX => tile.column = position(),
            tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX => tile.row = position(),
            tags::Z_OFFSET_IN_SLIDE_COORDINATE_SYSTEM => {
                let depth = Numbers::parse(&text()).values.first().copied();
                tile.depth = depth.flatten().unwrap_or_default();
            }
            tags::REFERENCED_SEGMENT_NUMBER => {
                tile.segment = value.first_chunk().map(|bytes| encoding.u16(*bytes));
            }
            tags::OPTICAL_PATH_IDENTIFIER => {
                let text = text();
                let path = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
                let path = (!path.is_empty()).then_some(path);
                tile.path = before
                    .filter(|before| Some(&**before) == path)
                    .or_else(|| path.map(Arc::from));
            }
            _ => {}
        }
    }
}
