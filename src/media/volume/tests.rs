use std::path::Path;

use serde_json::Value;

use super::*;
use crate::budget::WaitPolicy;
use crate::{DecodeOptions, open};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/media");

/// Three sections, not in the order in which they lie; pixels are not square.
fn sections() -> (Vec<SlicePlace>, Vec<Reserved<Frame>>) {
    let read = |name: &str| {
        let file = format!("{FIXTURES}/related/{name}.dcm");
        let source = open(Path::new(&file)).expect("a section");
        let place = SlicePlace {
            name: name.to_owned(),
            size: (source.info().width, source.info().height),
            geometry: source.geometry(0),
        };
        let frame = source.frame_reserved(&DecodeOptions::default(), WaitPolicy::default());
        (place, frame.expect("decoded"))
    };
    ["ct2", "ct3", "ct1"].map(read).into_iter().unzip()
}

fn volume() -> Volume {
    let (places, frames) = sections();
    let lattice = Lattice::new(&places).expect("a volume");
    let mut frames: Vec<Option<Reserved<Frame>>> = frames.into_iter().map(Some).collect();
    let order = lattice.order().to_vec();
    let frames = order.iter().filter_map(|at| frames[*at].take()).collect();
    Volume::new(lattice, frames).expect("a volume")
}

#[test]
fn reformats_are_those_of_an_independent_program() {
    let golden = std::fs::read_to_string(format!("{FIXTURES}/reformatted/planes.json"));
    let golden: Value = serde_json::from_str(&golden.expect("a fixture")).expect("JSON");
    let volume = volume();
    for case in golden.as_array().expect("planes") {
        let plane = match case["plane"].as_str() {
            Some("axial") => ReformatPlane::Axial,
            Some("sagittal") => ReformatPlane::Sagittal,
            _ => ReformatPlane::Coronal,
        };
        let slab = case["slab"].as_array().map(|slab| Slab {
            projection: match slab[0].as_str() {
                Some("maximum") => Projection::Maximum,
                _ => Projection::Minimum,
            },
            thickness_mm: slab[1].as_f64().expect("a thickness"),
        });
        let at = case["at"].as_u64().expect("an index") as u32;
        let (grey, geometry) = volume.reformat(plane, at, slab).expect("a plane");
        let rows = case["rows"].as_array().expect("rows");
        assert_eq!(grey.height as usize, rows.len());
        for (y, row) in (0..).zip(rows) {
            let row = row.as_array().expect("a row");
            assert_eq!(grey.width as usize, row.len());
            for (x, value) in (0..).zip(row) {
                assert_eq!(
                    grey.value(x, y),
                    value.as_f64(),
                    "{plane:?} {at} {slab:?} at {x}, {y}"
                );
            }
        }
        let near = |found: &[f64], name: &str| {
            let expected = case[name].as_array().expect("numbers").iter();
            let expected: Vec<f64> = expected.filter_map(Value::as_f64).collect();
            let same = found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(same, "{name}: {found:?}, {expected:?}");
        };
        let spacing = geometry.spacing.expect("a spacing");
        near(&[spacing.rows_mm, spacing.columns_mm], "spacing");
        near(&geometry.position.expect("a position"), "position");
        near(
            &geometry.orientation.expect("an orientation"),
            "orientation",
        );
        assert_eq!(grey.unit(), Some("HU"));
    }
}

#[test]
fn a_reformat_lies_as_radiologists_hang_it() {
    let volume = volume();
    let letters = |plane| {
        let (_, geometry) = volume.reformat(plane, 0, None).expect("a plane");
        let letters = geometry.letters().expect("letters");
        [letters.left, letters.top, letters.right, letters.bottom].concat()
    };
    assert_eq!(letters(ReformatPlane::Sagittal), "AHPF");
    assert_eq!(letters(ReformatPlane::Coronal), "RHLF");
    assert_eq!(letters(ReformatPlane::Axial), "RALP");
}

/// What makes good slices bad.
type Change<'a> = &'a dyn Fn(&mut Vec<SlicePlace>);

#[test]
fn slices_that_make_no_volume_are_refused_with_what_differs() {
    let (good, _) = sections();
    let error = |change: Change| {
        let mut places = good.clone();
        change(&mut places);
        Lattice::new(&places).expect_err("refused").to_string()
    };
    let cases: [(Change, &str); 8] = [
        (&|places| places.truncate(2), "2 slices are too few"),
        (&|places| places.clear(), "0 slices are too few"),
        (
            &|places| places[1].size.0 = 31,
            "ct3 has 31 × 32 pixels, the others have 32 × 32",
        ),
        (
            &|places| places[2].geometry.position = None,
            "ct1 does not say where",
        ),
        (
            &|places| {
                let spacing = places[1].geometry.spacing.as_mut().expect("a spacing");
                spacing.columns_mm = 0.6;
            },
            "ct3 has pixels 0.6000 × 0.7500 mm apart, the others 0.5000 × 0.7500 mm",
        ),
        (
            &|places| places[1].geometry.orientation = Some([1.0, 0.0, 0.0, 0.0, 0.8, 0.6]),
            "ct3 is oriented differently",
        ),
        (
            &|places| {
                let position = places[1].geometry.position.as_mut().expect("a position");
                position[1] += 4.0;
            },
            "shifted sideways by 4.00 mm",
        ),
        (
            &|places| places[1].geometry.position = places[0].geometry.position,
            "lie at the same place",
        ),
    ];
    for (change, words) in cases {
        let error = error(change);
        assert!(error.contains(words), "{error}");
    }
    let uneven = error(&|places| {
        let position = places[1].geometry.position.as_mut().expect("a position");
        position[2] += 1.0;
    });
    assert!(uneven.starts_with("the gap before ct3 is "), "{uneven}");
}
