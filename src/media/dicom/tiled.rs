//! Locates the tiles of whole slides, and of segmentations and maps made from them (PS3.3 C.7.6.17.3, C.8.12.4,
//! C.8.12.6).

use std::collections::HashMap;
use std::sync::Arc;

use dicom_dictionary_std::tags;

use crate::dicom::object::DicomObject;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::notes::TilePlace;
use crate::dicom::pixels::layout::Photometric;
use crate::dicom::related::{integers, lab};
use crate::mosaic::{Mosaic, Tile};

/// What distinguishes tiles at one position: optical path, depth in nanometres, segment.
type PlaneKey = (Arc<str>, i64, u16);

/// Default background: slides are seen on white.
const DEFAULT_BACKGROUND: [u8; 3] = [255; 3];

impl DicomObject {
    /// The mosaic that the frames are tiles of; `None` if they are not tiles.
    pub(crate) fn mosaic(&self) -> Option<Mosaic> {
        let (set, layout) = (self.set(), self.layout());
        let side = |tag| {
            let side = u32::try_from(*integers(set, tag).first()?).ok()?;
            (side > 0).then_some(side)
        };
        let (width, height) = (
            side(tags::TOTAL_PIXEL_MATRIX_COLUMNS)?,
            side(tags::TOTAL_PIXEL_MATRIX_ROWS)?,
        );
        let tile = (layout.columns, layout.rows);
        let is_full = set.first(tags::DIMENSION_ORGANIZATION_TYPE).as_deref() == Some("TILED_FULL");
        let positioned = if is_full {
            None
        } else {
            let places = match self.tile_places() {
                [] => places(set),
                places => places.to_vec(),
            };
            tiles_by_position(set, places, layout.frames)
        };
        let tiles = positioned.or_else(|| tiles_in_rows((width, height), tile, layout.frames))?;
        let planes = tiles.iter().map(|tile| tile.plane + 1).max()?;
        let flavor = set.text(tags::IMAGE_TYPE).unwrap_or_default();
        let flavor = flavor.split('\\').nth(2).unwrap_or_default().trim();
        Some(Mosaic {
            width,
            height,
            planes,
            // A supplemental palette colours some tiles of a grey object; the first of those tells.
            is_color: layout.samples > 1 || layout.photometric == Photometric::Palette,
            is_level: !matches!(flavor, "LABEL" | "OVERVIEW" | "LOCALIZER"),
            background: lab(set, tags::RECOMMENDED_ABSENT_PIXEL_CIE_LAB_VALUE)
                .unwrap_or(DEFAULT_BACKGROUND),
            tiles,
        })
    }
}

/// TILED_FULL: row by row from the left, then the next focal plane or optical path. `None` if there are not enough
/// frames for one plane.
fn tiles_in_rows(whole: (u32, u32), tile: (u32, u32), frames: u32) -> Option<Vec<Tile>> {
    let columns = whole.0.div_ceil(tile.0.max(1));
    let rows = whole.1.div_ceil(tile.1.max(1));
    let plane = columns.checked_mul(rows)?;
    if plane == 0 || frames < plane {
        return None;
    }
    let tiles = (0..frames).map(|frame| Tile {
        frame,
        plane: frame / plane,
        x: frame % plane % columns * tile.0,
        y: frame % plane / columns * tile.1,
    });
    Some(tiles.collect())
}

/// TILED_SPARSE: at the positions of the Plane Position (Slide) Sequence of each frame; `None` if one has no position.
fn tiles_by_position(set: &DataSet, places: Vec<TilePlace>, frames: u32) -> Option<Vec<Tile>> {
    if places.len() < frames as usize {
        return None;
    }
    let shared = set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let common: Option<Arc<str>> = shared.first().and_then(optical_path).map(Arc::from);
    let mut planes: HashMap<PlaneKey, u32> = HashMap::new();
    (0..frames)
        .zip(places)
        .map(|(frame, place)| {
            let path = place.path.or_else(|| common.clone());
            let key = (
                path.unwrap_or_default(),
                (place.depth * 1000.0).round() as i64,
                place.segment.unwrap_or_default(),
            );
            let known = planes.len() as u32;
            Some(Tile {
                frame,
                plane: *planes.entry(key).or_insert(known),
                x: place.column?,
                y: place.row?,
            })
        })
        .collect()
}

/// The places of all frames by their functional groups.
fn places(set: &DataSet) -> Vec<TilePlace> {
    let groups = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    groups.iter().map(place).collect()
}

fn place(group: &DataSet) -> TilePlace {
    let position = group.items(tags::PLANE_POSITION_SLIDE_SEQUENCE).first();
    let at = |tag| {
        let number = integers(position?, tag).first()?.checked_sub(1)?;
        u32::try_from(number).ok()
    };
    let depth = position.and_then(|set| set.decimal(tags::Z_OFFSET_IN_SLIDE_COORDINATE_SYSTEM));
    let segment = group.items(tags::SEGMENT_IDENTIFICATION_SEQUENCE).first();
    TilePlace {
        column: at(tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX),
        row: at(tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX),
        depth: depth.unwrap_or_default(),
        segment: segment.and_then(|item| item.short(tags::REFERENCED_SEGMENT_NUMBER)),
        path: optical_path(group).map(Arc::from),
    }
}

fn optical_path(group: &DataSet) -> Option<String> {
    let path = group.items(tags::OPTICAL_PATH_IDENTIFICATION_SEQUENCE);
    path.first()?.first(tags::OPTICAL_PATH_IDENTIFIER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::WaitPolicy;
    use crate::{Frame, ImageSource};

    fn open(name: &str) -> ImageSource {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media/objects/"
        );
        crate::open(format!("{folder}{name}.dcm").as_ref()).expect("a source")
    }

    /// Checks a plane. Red and green of an assembled pixel give its column and row (× 8), blue its plane (× 50).
    fn check(name: &str, plane: u32, absent: Option<[u8; 3]>) {
        let source = open(name);
        let assembled = source
            .assemble(plane, 1, WaitPolicy::default(), &mut |_| true)
            .expect("tiles");
        let assembled = assembled.expect("a picture");
        let Frame::Color(picture) = &assembled.frame else {
            panic!("colour")
        };
        assert_eq!(
            (picture.width, picture.height, assembled.damaged),
            (20, 13, 0)
        );
        for (at, pixel) in (0_u32..).zip(picture.pixels.bytes().chunks_exact(3)) {
            let (x, y) = (at % 20, at / 20);
            let expected = match absent {
                Some(color) if x >= 16 && y >= 8 => color,
                _ => [(x * 8) as u8, (y * 8) as u8, (plane * 50) as u8],
            };
            assert_eq!(pixel, expected, "{name}: {x}, {y}");
        }
    }

    #[test]
    fn a_full_slide_is_assembled_row_by_row_and_plane_by_plane() {
        let mosaic = open("slide_full").mosaic().cloned().expect("tiles");
        assert_eq!((mosaic.width, mosaic.height, mosaic.planes), (20, 13, 2));
        assert!(mosaic.is_level);
        check("slide_full", 0, None);
        check("slide_full", 1, None);
    }

    #[test]
    fn a_sparse_slide_is_assembled_by_position_on_its_own_background() {
        let mosaic = open("slide_sparse").mosaic().cloned().expect("tiles");
        assert_eq!((mosaic.planes, mosaic.tiles(0)), (2, 5));
        check("slide_sparse", 0, Some([119, 119, 119]));
        check("slide_sparse", 1, Some([119, 119, 119]));
    }

    #[test]
    fn grey_tiles_keep_their_values() {
        let source = open("slide_grey");
        let made = source
            .assemble(0, 2, WaitPolicy::default(), &mut |_| true)
            .expect("tiles")
            .expect("a picture");
        let Frame::Grey(grey) = &made.frame else {
            panic!("grey")
        };
        assert_eq!((grey.width, grey.height), (4, 2));
        assert_eq!(grey.range(), (1000.0, 3000.0));
        let row: Vec<_> = (0..4).filter_map(|x| grey.value(x, 1)).collect();
        assert_eq!(row, [1000.0, 1000.0, 3000.0, 3000.0]);
    }

    #[test]
    fn other_objects_are_not_mosaics() {
        for name in ["enhanced_out_of_order", "ultrasound_doppler"] {
            assert!(open(name).mosaic().is_none(), "{name}");
        }
    }

    #[test]
    fn too_few_frames_for_a_plane_are_not_a_mosaic() {
        assert_eq!(tiles_in_rows((20, 13), (8, 8), 5), None);
        assert_eq!(tiles_in_rows((u32::MAX, u32::MAX), (1, 1), 5), None);
        assert_eq!(
            tiles_in_rows((20, 13), (8, 8), 12).map(|tiles| tiles[11].plane),
            Some(1)
        );
    }
}
