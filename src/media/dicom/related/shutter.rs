//! Display shutters (PS3.3 C.7.6.11) and bitmap display shutters (C.7.6.15).

use super::presentation;
use super::values::lab;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::related::{Opening, Shutter, TargetFrame};
use dicom_dictionary_std::tags;

/// Largest number of vertices of a polygonal shutter: each row of the image is tested against all of them.
const MAX_VERTICES: usize = 4096;

/// Reads the shutters of a presentation state; the error says why they cannot be applied.
pub(super) fn read(set: &DataSet, target: &TargetFrame) -> Result<Option<Shutter>, String> {
    let Some(shapes) = set.text(tags::SHUTTER_SHAPE) else {
        return Ok(None);
    };
    let mut openings = Vec::new();
    for shape in shapes.split('\\').map(str::trim) {
        let opening = match shape {
            "RECTANGULAR" => rectangle(set),
            "CIRCULAR" => circle(set, target.geometry.aspect),
            "POLYGONAL" => polygon(set),
            "BITMAP" => bitmap(set),
            _ => None,
        };
        // Applying only some of the shapes would reveal what is to be hidden, or hide everything.
        openings.push(opening.ok_or("its shutter is damaged, and not applied")?);
    }
    Ok(Some(Shutter {
        color: color(set),
        openings,
    }))
}

fn rectangle(set: &DataSet) -> Option<Opening> {
    let edges = |first, last| Some([set.decimal(first)?, set.decimal(last)?]);
    Some(Opening::Rectangle {
        columns: edges(
            tags::SHUTTER_LEFT_VERTICAL_EDGE,
            tags::SHUTTER_RIGHT_VERTICAL_EDGE,
        )?,
        rows: edges(
            tags::SHUTTER_UPPER_HORIZONTAL_EDGE,
            tags::SHUTTER_LOWER_HORIZONTAL_EDGE,
        )?,
    })
}

fn circle(set: &DataSet, aspect: f64) -> Option<Opening> {
    let [row, column] = set
        .decimals(tags::CENTER_OF_CIRCULAR_SHUTTER)
        .try_into()
        .ok()?;
    Some(Opening::Circle {
        center: [column, row],
        radius: set.decimal(tags::RADIUS_OF_CIRCULAR_SHUTTER)?,
        aspect,
    })
}

fn polygon(set: &DataSet) -> Option<Opening> {
    let numbers = set.decimals(tags::VERTICES_OF_THE_POLYGONAL_SHUTTER);
    let corners: Vec<[f64; 2]> = numbers
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[row, column]| [*column, *row])
        .collect();
    (3..=MAX_VERTICES)
        .contains(&corners.len())
        .then_some(Opening::Polygon(corners))
}

/// The overlay plane named by Shutter Overlay Group, whose ones are hidden.
fn bitmap(set: &DataSet) -> Option<Opening> {
    let group = set.short(tags::SHUTTER_OVERLAY_GROUP)?;
    presentation::overlay_plane(set, group).map(Opening::Bitmap)
}

/// Shutter Presentation Color, else Shutter Presentation Value, a P-Value: 0 is black, FFFF white.
fn color(set: &DataSet) -> [u8; 3] {
    lab(set, tags::SHUTTER_PRESENTATION_COLOR_CIE_LAB_VALUE).unwrap_or_else(|| {
        let value = set.short(tags::SHUTTER_PRESENTATION_VALUE).unwrap_or(0);
        [(value >> 8) as u8; 3]
    })
}
