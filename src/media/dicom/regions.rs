//! The regions of an ultrasound image (PS3.3 C.8.5.5): the screen of an ultrasound machine may show several at once,
//! each with a scale of its own; what surrounds them has none.

use dicom_dictionary_std::tags;

use crate::PixelRect;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::geometry::Spacing;

/// The value of Physical Units X and Y Direction (0018,6024; 0018,6026) for centimetres.
const CENTIMETRES: u16 = 3;
/// Values of Region Spatial Format (0018,6012) for none and 2D; others measure time or velocity.
const SPATIAL_FORMATS: [u16; 2] = [0, 1];
/// Relative difference up to which two regions have the same pixel size.
const SCALE_TOLERANCE: f64 = 0.01;

/// A region in which both axes are lengths in the patient.
struct UltrasoundRegion {
    area: PixelRect,
    rows_mm: f64,
    columns_mm: f64,
}

/// The pixel spacing of the region around the centre of an image of `size` (columns, rows), else of the largest
/// region; `None` if that is not in centimetres on both axes. If other regions lie beside it, [`Spacing::within`] says
/// where the spacing holds.
pub(super) fn spacing(set: &DataSet, size: (u32, u32)) -> Option<Spacing> {
    let items = set.items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS);
    let regions: Vec<UltrasoundRegion> = items.iter().filter_map(|item| read(item, size)).collect();
    choose(&regions, items.len(), size)
}

/// Chooses among the `regions` in centimetres, of `count` regions of all kinds.
fn choose(regions: &[UltrasoundRegion], count: usize, size: (u32, u32)) -> Option<Spacing> {
    let middle = (size.0 / 2, size.1 / 2);
    let pixels =
        |region: &&UltrasoundRegion| u64::from(region.area.width) * u64::from(region.area.height);
    let in_middle = regions.iter().filter(|region| region.area.contains(middle));
    let chosen = in_middle
        .max_by_key(pixels)
        .or_else(|| regions.iter().max_by_key(pixels))?;
    let same = regions.iter().filter(|region| region.is_scaled_as(chosen));
    let areas: Vec<PixelRect> = same.map(|region| region.area).collect();
    let alone = areas.len() == count;
    Some(Spacing {
        rows_mm: chosen.rows_mm,
        columns_mm: chosen.columns_mm,
        at_detector: false,
        within: (!alone).then(|| bounding_rect(chosen.area, &areas)),
    })
}

impl UltrasoundRegion {
    fn is_scaled_as(&self, other: &UltrasoundRegion) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= SCALE_TOLERANCE * b;
        near(self.rows_mm, other.rows_mm) && near(self.columns_mm, other.columns_mm)
    }
}

/// Reads a region; `None` if one of its axes is not a length.
fn read(item: &DataSet, size: (u32, u32)) -> Option<UltrasoundRegion> {
    let unit = |tag| item.short(tag) == Some(CENTIMETRES);
    let is_spatial = item
        .short(tags::REGION_SPATIAL_FORMAT)
        .is_none_or(|format| SPATIAL_FORMATS.contains(&format));
    if !is_spatial
        || !unit(tags::PHYSICAL_UNITS_X_DIRECTION)
        || !unit(tags::PHYSICAL_UNITS_Y_DIRECTION)
    {
        return None;
    }
    let millimetres = |tag| {
        let delta = item.real(tag)?.abs() * 10.0;
        (delta > 0.0 && delta.is_finite()).then_some(delta)
    };
    Some(UltrasoundRegion {
        area: area(item, size),
        rows_mm: millimetres(tags::PHYSICAL_DELTA_Y)?,
        columns_mm: millimetres(tags::PHYSICAL_DELTA_X)?,
    })
}

/// The rectangle of a region, whose last column and row are included; the whole image if it is not given.
fn area(item: &DataSet, (columns, rows): (u32, u32)) -> PixelRect {
    let edge = |tag| item.short(tag).map(u32::from);
    let side = |first, last, count: u32| {
        let from = edge(first).unwrap_or(0).min(count);
        let end = edge(last).map_or(count, |last| last.saturating_add(1).min(count));
        (from, end.saturating_sub(from))
    };
    let (x, width) = side(
        tags::REGION_LOCATION_MIN_X0,
        tags::REGION_LOCATION_MAX_X1,
        columns,
    );
    let (y, height) = side(
        tags::REGION_LOCATION_MIN_Y0,
        tags::REGION_LOCATION_MAX_Y1,
        rows,
    );
    PixelRect {
        x,
        y,
        width,
        height,
    }
}

/// The smallest rectangle that contains `first` and `others`.
fn bounding_rect(first: PixelRect, others: &[PixelRect]) -> PixelRect {
    others.iter().fold(first, |all, area| {
        let (x, y) = (all.x.min(area.x), all.y.min(area.y));
        PixelRect {
            x,
            y,
            width: (all.x + all.width).max(area.x + area.width) - x,
            height: (all.y + all.height).max(area.y + area.height) - y,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2d_region_keeps_its_scale_beside_a_curve() {
        let fixture = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media/objects/ultrasound_doppler.dcm"
        );
        let source = crate::open(fixture.as_ref()).expect("a source");
        let geometry = source.geometry(0);
        let spacing = geometry.spacing.expect("a spacing");
        assert!((spacing.rows_mm - 0.5).abs() < 1e-9 && (spacing.columns_mm - 0.5).abs() < 1e-9);
        let area = PixelRect {
            x: 4,
            y: 0,
            width: 32,
            height: 12,
        };
        assert_eq!(spacing.within, Some(area));
    }

    /// The spacing chosen among `count` regions, of which `regions` are in centimetres: millimetres per pixel, first
    /// and last column.
    fn of(regions: &[(f64, u32, u32)], count: usize) -> Option<(f64, Option<(u32, u32)>)> {
        let region = |&(millimetres, first, last): &(f64, u32, u32)| UltrasoundRegion {
            area: PixelRect {
                x: first,
                y: 0,
                width: last - first + 1,
                height: 50,
            },
            rows_mm: millimetres,
            columns_mm: millimetres,
        };
        let regions: Vec<UltrasoundRegion> = regions.iter().map(region).collect();
        let spacing = choose(&regions, count, (100, 50))?;
        let within = spacing.within.map(|area| (area.x, area.x + area.width - 1));
        Some((spacing.columns_mm, within))
    }

    #[test]
    fn the_region_around_the_centre_decides_else_the_largest() {
        assert_eq!(of(&[(0.5, 10, 90)], 1), Some((0.5, None)));
        let twins = [(0.5, 0, 49), (0.2, 50, 99)];
        assert_eq!(of(&twins, 2), Some((0.2, Some((50, 99)))));
        let alike = [(0.5, 0, 30), (0.5, 70, 99)];
        assert_eq!(of(&alike, 2), Some((0.5, None)), "one scale holds in both");
        assert_eq!(of(&alike, 3), Some((0.5, Some((0, 99)))));
        let beside_a_curve = [(0.5, 0, 30), (0.4, 0, 9)];
        assert_eq!(of(&beside_a_curve, 3), Some((0.5, Some((0, 30)))));
        assert_eq!(of(&[], 1), None);
    }
}
