use serde_json::Value;

use super::*;
use crate::{Picture, Pixels, open};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/media");

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

/// The section's pixels are not square, and its values are rescaled to Hounsfield units.
#[test]
fn figures_measure_what_an_independent_program_measures() {
    let golden = std::fs::read_to_string(format!("{FIXTURES}/measured/figures.json"));
    let golden: Value = serde_json::from_str(&golden.expect("a fixture")).expect("JSON");
    let section = open(format!("{FIXTURES}/related/ct1.dcm").as_ref()).expect("a section");
    let frame = section.frame(0).expect("decoded");
    let geometry = section.geometry(0);
    let cases = golden.as_array().expect("figures");
    assert!(cases.len() >= 10);
    for case in cases {
        let figure: Figure = serde_json::from_value(case.clone()).expect("a figure");
        assert!(figure.is_complete());
        let measured = figure.measure(&frame, &geometry);
        let number = |name: &str| case[name].as_f64();
        let extent = |extent: Option<Extent>| {
            let extent = extent?;
            assert_eq!(extent.unit, LengthUnit::Millimetres);
            Some(extent.value)
        };
        let statistics = measured.statistics;
        for (name, value) in [
            ("length_mm", extent(measured.length)),
            ("degrees", measured.degrees),
            ("area_mm2", extent(measured.area)),
            ("pixels", statistics.map(|s| s.pixels as f64)),
            ("mean", statistics.map(|s| s.mean)),
            ("deviation", statistics.map(|s| s.deviation)),
            ("min", statistics.map(|s| s.min)),
            ("max", statistics.map(|s| s.max)),
        ] {
            match (value, number(name)) {
                (Some(value), Some(expected)) => {
                    assert!(near(value, expected), "{name}: {value}, {case}");
                }
                (value, expected) => assert_eq!(value, expected, "{name}: {case}"),
            }
        }
    }
}

fn figure(kind: FigureKind, points: &[[f64; 2]]) -> Figure {
    Figure {
        kind,
        points: points.to_vec(),
    }
}

#[test]
fn without_a_spacing_lengths_are_in_widths_of_a_pixel() {
    let tall = Geometry {
        aspect: 2.0,
        ..Geometry::default()
    };
    let length = figure(FigureKind::Length, &[[10.5, 20.5], [26.5, 26.5]]);
    let extent = length.geometry(&tall).length.expect("a length");
    assert_eq!((extent.value, extent.unit), (20.0, LengthUnit::Pixels));
    let angle = figure(FigureKind::Angle, &[[4.0, 0.0], [0.0, 0.0], [4.0, 2.0]]);
    let degrees = angle.geometry(&tall).degrees.expect("an angle");
    assert!(near(degrees, 45.0), "{degrees}");
}

#[test]
fn a_spacing_holds_only_in_its_region_and_at_its_place() {
    let spacing = |at_detector, width| Geometry {
        spacing: Some(Spacing {
            rows_mm: 0.5,
            columns_mm: 0.25,
            at_detector,
            within: Some(crate::PixelRect {
                x: 0,
                y: 0,
                width,
                height: 100,
            }),
        }),
        ..Geometry::default()
    };
    let length = figure(FigureKind::Length, &[[10.5, 20.5], [26.5, 26.5]]);
    let unit = |geometry: &Geometry| length.geometry(geometry).length.map(|extent| extent.unit);
    assert_eq!(unit(&spacing(false, 27)), Some(LengthUnit::Millimetres));
    assert_eq!(unit(&spacing(true, 27)), Some(LengthUnit::AtDetector));
    assert_eq!(unit(&spacing(false, 26)), Some(LengthUnit::Pixels));
}

#[test]
fn an_unfinished_figure_measures_nothing_and_colour_has_no_values() {
    let started = figure(FigureKind::Polygon, &[[1.0, 1.0], [5.0, 5.0]]);
    let colour = Picture {
        width: 2,
        height: 1,
        pixels: Pixels::Rgb(vec![1, 2, 3, 4, 5, 6]),
    };
    let colour = Frame::from(colour);
    let geometry = Geometry::default();
    assert_eq!(started.measure(&colour, &geometry), Measured::default());
    let ellipse = figure(FigureKind::Ellipse, &[[0.0, 0.0], [2.0, 1.0]]);
    let measured = ellipse.measure(&colour, &geometry);
    assert!(measured.area.is_some() && measured.statistics.is_none());
}
