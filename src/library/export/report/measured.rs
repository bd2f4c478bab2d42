//! Measurements in reports: their values (TID 300), and the coordinates of their figures (PS3.3 C.18.6).

use super::codes;
use super::content::{ContentItem, Relation};
use super::{Concept, Observation, Observer, ReportedNumber};
use crate::library::StoredMeasurement;
use crate::media::measure::{Extent, Figure, FigureKind, LengthUnit};

/// Maximum length of a unit that is written as an annotation of UCUM, without its braces.
const MAX_ANNOTATION: usize = 14;

/// Whether a figure encloses something.
pub(super) fn is_region(figure: &Figure) -> bool {
    matches!(figure.kind, FigureKind::Ellipse | FigureKind::Polygon)
}

/// The coordinates of a figure (C.18.6.1.2): an ellipse by the ends of its axes, the longer one first; a polygon as a polyline that
/// ends where it begins.
pub(super) fn coordinates(
    relation: Relation,
    name: impl Into<Concept>,
    figure: &Figure,
) -> ContentItem {
    let mut points = figure.points.clone();
    let graphic_type = match (figure.kind, figure.points.as_slice()) {
        (FigureKind::Ellipse, [from, to]) => {
            let middle = [f64::midpoint(from[0], to[0]), f64::midpoint(from[1], to[1])];
            let across = [[from[0], middle[1]], [to[0], middle[1]]];
            let down = [[middle[0], from[1]], [middle[0], to[1]]];
            let is_wide = (to[0] - from[0]).abs() >= (to[1] - from[1]).abs();
            let (major, minor) = if is_wide {
                (across, down)
            } else {
                (down, across)
            };
            points = [major, minor].concat();
            "ELLIPSE"
        }
        (FigureKind::Polygon, [first, ..]) => {
            points.push(*first);
            "POLYLINE"
        }
        _ => "POLYLINE",
    };
    ContentItem::coordinates(relation, name, graphic_type, &points)
}

impl Observation {
    /// What a person measured on an image, as the `number`-th, from 1. `frames`: how many frames the image has.
    pub fn of_measurement(measurement: &StoredMeasurement, number: usize, frames: u32) -> Self {
        let StoredMeasurement {
            figure,
            measured,
            author,
            ..
        } = measurement;
        let kind = match figure.kind {
            FigureKind::Length => "length",
            FigureKind::Angle => "angle",
            FigureKind::Ellipse => "ellipse",
            FigureKind::Polygon => "polygon",
        };
        let mut numbers = Vec::new();
        numbers.extend(measured.length.map(|length| {
            let units = [codes::MILLIMETRE, codes::PIXEL];
            extent(codes::LENGTH.into(), length, units.map(Concept::from))
        }));
        numbers.extend(measured.degrees.map(|degrees| ReportedNumber {
            name: codes::ANGLE.into(),
            modifiers: Vec::new(),
            value: degrees,
            unit: codes::DEGREE.into(),
        }));
        numbers.extend(measured.area.map(|area| {
            let units = [codes::SQUARE_MILLIMETRE, codes::SQUARE_PIXEL];
            extent(codes::AREA.into(), area, units.map(Concept::from))
        }));
        let (name, unit) = quantity(measurement.unit.as_deref());
        let values = measured.statistics.iter().flat_map(|values| {
            [
                (codes::MEAN, values.mean),
                (codes::DEVIATION, values.deviation),
                (codes::MINIMUM, values.min),
                (codes::MAXIMUM, values.max),
            ]
        });
        numbers.extend(values.map(|(derivation, value)| ReportedNumber {
            name: name.clone(),
            modifiers: vec![(codes::DERIVATION.into(), derivation.into())],
            value,
            unit: unit.clone(),
        }));
        Self {
            observer: Observer::Person(author.clone()),
            frame: Some(measurement.frame).filter(|_| frames > 1),
            at: measurement.at.clone(),
            tracking: format!("{kind} {number} by {author}"),
            key: format!("measurement {}", measurement.key),
            findings: Vec::new(),
            evaluations: Vec::new(),
            numbers,
            figure: Some(figure.clone()),
        }
    }
}

/// A length or an area; `units`: millimetres and pixels, or their squares.
fn extent(name: Concept, extent: Extent, [millimetres, pixels]: [Concept; 2]) -> ReportedNumber {
    let at_detector = extent.unit == LengthUnit::AtDetector;
    let method = at_detector.then(|| {
        let words = "at the detector, where what lies before it is magnified";
        (codes::METHOD.into(), Concept::private("at-detector", words))
    });
    ReportedNumber {
        name,
        modifiers: method.into_iter().collect(),
        value: extent.value,
        unit: match extent.unit {
            LengthUnit::Millimetres | LengthUnit::AtDetector => millimetres,
            LengthUnit::Pixels => pixels,
        },
    }
}

/// What pixels with values in a unit measure, and the unit: Hounsfield units are known to UCUM; others are written as its
/// annotations.
fn quantity(unit: Option<&str>) -> (Concept, Concept) {
    let values = || Concept::private("pixel-value", "Pixel value");
    let is_annotation = |unit: &&str| {
        let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '\\');
        (1..=MAX_ANNOTATION).contains(&unit.len()) && unit.chars().all(is_allowed)
    };
    match unit {
        Some("HU") => (codes::ATTENUATION.into(), codes::HOUNSFIELD.into()),
        unit => {
            let unit = unit.filter(is_annotation);
            let written = unit.map(|unit| Concept::of((&format!("{{{unit}}}"), "UCUM", unit)));
            (values(), written.unwrap_or(codes::NO_UNIT.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_code_of_ucum_whatever_the_file_says() {
        let unit = |text| quantity(text).1;
        assert_eq!(unit(Some("HU")), codes::HOUNSFIELD.into());
        assert_eq!(unit(Some("BQML")), Concept::of(("{BQML}", "UCUM", "BQML")));
        for strange in ["", "a b", "{}", "\\", "größe", "a name that is too long"] {
            assert_eq!(unit(Some(strange)), codes::NO_UNIT.into(), "{strange}");
        }
        assert_eq!(unit(None), codes::NO_UNIT.into());
    }
}
