//! Objects that refer to a small study, against what `tests/oracle/related.py` computed with numpy.

use std::path::PathBuf;

use super::index;
use crate::contain::is_panic;
use crate::related::{
    Annotation, AnnotationShape, Layers, Legend, Related, RelatedKind, Shutter, TargetFrame,
    related,
};
use crate::{ErrorKind, Frame, Grey, ImageSource, MediaError, Picture, Pixels, Voi, contain, open};

const OBJECTS: [&str; 8] = [
    "gsps",
    "turned",
    "pseudo",
    "color",
    "seg_binary",
    "seg_fractional",
    "seg_labels",
    "rtstruct",
];

fn file(name: &str) -> PathBuf {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/related"
    );
    PathBuf::from(folder).join(name)
}

fn source(name: &str) -> ImageSource {
    open(&file(&format!("{name}.dcm"))).expect("an image")
}

fn target(image: &str) -> TargetFrame {
    source(image).target(0).expect("a DICOM object")
}

fn object(name: &str) -> Related {
    Related::open(&file(&format!("{name}.dcm"))).expect("an object")
}

fn layers(name: &str, image: &str) -> Layers {
    object(name).layers(&target(image)).expect("layers")
}

fn grey(image: &str) -> Grey {
    match source(image).frame(0).expect("a frame") {
        Frame::Grey(grey) => grey,
        Frame::Color(_) => panic!("{image} is grey"),
    }
}

fn expected(name: &str) -> image::DynamicImage {
    image::open(file(&format!("{name}.png"))).expect("a picture")
}

/// An image as a presentation state shows it: grey or colour, then the shutter.
fn presented(name: &str, image: &str) -> Picture {
    let (object, target) = (object(name), target(image));
    let own = grey(image);
    let shown = object.present(&own, &target).expect("presented");
    let (picture, _) = shown.unwrap_or(own).render(Voi::default(), false);
    let mut rgb = picture.to_rgb();
    if let Some(palette) = object.color_map(&target).expect("a palette, or none") {
        for pixel in rgb.chunks_exact_mut(3) {
            pixel.copy_from_slice(&palette[usize::from(pixel[0])]);
        }
    }
    if let Some(shutter) = object.layers(&target).expect("layers").shutter {
        apply_shutter(&shutter, &mut rgb, picture.width);
    }
    Picture {
        pixels: Pixels::Rgb(rgb),
        ..picture
    }
}

fn apply_shutter(shutter: &Shutter, rgb: &mut [u8], width: u32) {
    let rows = rgb.chunks_exact_mut(width as usize * 3);
    for (y, row) in (0..).zip(rows) {
        for x in shutter.hidden(y, 0..width) {
            row[x as usize * 3..][..3].copy_from_slice(&shutter.color);
        }
    }
}

/// Number of bytes that differ by more than one.
fn differing(a: &[u8], b: &[u8]) -> usize {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 1).count()
}

#[test]
fn presentation_states_are_applied_as_the_standard_says() {
    for (name, image) in [
        ("gsps", "ct2"),
        ("turned", "ct1"),
        ("pseudo", "ct1"),
        ("color", "ct3"),
    ] {
        let picture = presented(name, image);
        let wanted = expected(name).to_rgb8();
        assert_eq!(
            differing(picture.pixels.bytes(), wanted.as_raw()),
            0,
            "{name}"
        );
        let own = grey(image).render(Voi::default(), false).0.to_rgb();
        assert!(
            differing(&own, wanted.as_raw()) > 50,
            "{name} changes the picture"
        );
    }
}

#[test]
fn segments_lie_where_they_belong() {
    for (name, image, numbers) in [
        ("seg_binary", "ct1", &[1, 2][..]),
        ("seg_binary", "ct2", &[1, 2]),
        ("seg_binary", "ct3", &[1, 2]),
        ("seg_fractional", "ct2", &[1]),
        ("seg_labels", "ct3", &[1, 2]),
    ] {
        let layers = layers(name, image);
        let tint = layers.tint.expect("something is drawn");
        let wanted = expected(&format!("{name}.{image}")).to_rgba8();
        let mut rgba = wanted.into_raw();
        // Colours mean nothing where nothing is drawn.
        for pixel in rgba.chunks_exact_mut(4).filter(|pixel| pixel[3] == 0) {
            pixel.fill(0);
        }
        assert_eq!(differing(&tint.rgba, &rgba), 0, "{name} on {image}");
        let described: Vec<u32> = layers.legend.iter().map(|entry| entry.number).collect();
        assert_eq!(
            (described.as_slice(), layers.remarks),
            (numbers, vec![]),
            "{name}"
        );
    }
}

#[test]
fn a_segment_is_called_and_coloured_as_the_object_says() {
    let legend = layers("seg_binary", "ct1").legend;
    let described = |entry: &Legend| (entry.name.text.clone(), entry.name.identifying, entry.color);
    let described: Vec<_> = legend.iter().map(described).collect();
    let orange_of_the_palette = [230, 159, 0];
    assert_eq!(
        described[0],
        ("disc".to_owned(), false, orange_of_the_palette)
    );
    let (name, _, color) = &described[1];
    assert_eq!(name, "stripe");
    assert!(differing(color, &[0, 255, 0]) == 0, "{color:?}");
}

#[test]
fn segments_at_other_positions_are_not_drawn() {
    // It lies 0.8 mm above the second slice, and is 2.5 mm thick.
    for image in ["ct1", "ct3"] {
        let elsewhere = layers("seg_fractional", image);
        assert_eq!((elsewhere.tint, elsewhere.remarks), (None, vec![]));
    }
    let mut other = target("ct2");
    other.frame_of_reference = "1.2.3".to_owned();
    let object = object("seg_fractional");
    assert_eq!(
        object.layers(&other).expect("layers").tint,
        None,
        "another Frame of Reference"
    );
}

#[test]
fn what_cannot_be_drawn_faithfully_is_left_out_with_a_reason() {
    let remark = |change: fn(&mut TargetFrame)| {
        let mut target = target("ct2");
        change(&mut target);
        let layers = object("seg_binary").layers(&target).expect("layers");
        assert_eq!(layers.tint, None);
        layers.remarks.join("; ")
    };
    let across = remark(|t| t.geometry.orientation = Some([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]));
    assert!(across.contains("not parallel"), "{across}");
    let off = remark(|t| t.geometry.position = Some([-8.0, 12.0, 90.0]));
    assert!(off.contains("outside its plane"), "{off}");
    let grid = remark(|t| (t.geometry.position, t.width) = (None, 31));
    assert!(
        grid.contains("position on this image is not given"),
        "{grid}"
    );
    // All frames are named together, so the source of each is unknown.
    let frame = remark(|t| (t.geometry.position, t.frames) = (None, 3));
    assert!(
        frame.contains("position on this image is not given"),
        "{frame}"
    );
}

#[test]
fn a_tiled_segmentation_is_not_drawn_as_a_whole_image() {
    let mut bytes = std::fs::read(file("seg_binary.dcm")).expect("a file");
    let kind = bytes.windows(6).position(|at| at == b"\x62\0\x01\0CS");
    let kind = kind.expect("a segmentation type");
    // Total Pixel Matrix Columns (0048,0006).
    bytes.splice(kind..kind, *b"\x48\0\x06\0UL\x04\0\x40\0\0\0");
    let layers = Related::from_bytes(bytes)
        .and_then(|related| related.layers(&target("ct2")))
        .expect("layers");
    assert_eq!(layers.tint, None);
    assert!(
        layers.remarks[0].contains("whole-slide"),
        "{:?}",
        layers.remarks
    );
}

/// Whether the centre of a pixel is inside a closed line.
fn encloses(line: &[[f64; 2]], x: u32, y: u32) -> bool {
    let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
    let near = |a: f64, b: f64, v: f64| a.min(b) - 1e-3 <= v && v <= a.max(b) + 1e-3;
    let on_edge = line
        .windows(2)
        .any(|edge| near(edge[0][0], edge[1][0], x) && near(edge[0][1], edge[1][1], y));
    let crossings = line.windows(2).filter(|edge| {
        let ([ax, ay], [bx, by]) = (edge[0], edge[1]);
        (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax
    });
    on_edge || crossings.count() % 2 == 1
}

#[test]
fn contours_lie_where_they_belong() {
    let layers = layers("rtstruct", "ct2");
    let Some(Annotation {
        shape: AnnotationShape::Line(line),
        color: Some([255, 0, 0]),
    }) = layers.annotations.first()
    else {
        panic!("{:?}", layers.annotations)
    };
    assert_eq!(line.first(), line.last(), "closed");
    let wanted = expected("rtstruct.ct2").to_luma8();
    for (x, y, pixel) in wanted.enumerate_pixels() {
        assert_eq!(encloses(line, x, y), pixel.0[0] == 255, "{x} {y}");
    }
    let points: Vec<[f64; 2]> = layers.annotations[1..]
        .iter()
        .filter_map(|annotation| match annotation.shape {
            AnnotationShape::Point(place) => Some(place.map(|v| (v * 100.0).round() / 100.0)),
            _ => None,
        })
        .collect();
    assert_eq!(points, [[25.5, 25.5], [27.5, 28.5]]);
    let described = |entry: &Legend| {
        (
            entry.number,
            entry.name.text.clone(),
            entry.name.identifying,
        )
    };
    let described: Vec<_> = layers.legend.iter().map(described).collect();
    let named = [
        (1, "Bladder".to_owned(), true),
        (7, "Prostata Ärztin".to_owned(), true),
    ];
    assert_eq!(described, named);
}

#[test]
fn contours_that_name_no_image_are_found_by_their_position() {
    // A millimetre from the third slice, which is 2.5 mm thick.
    let here = layers("rtstruct", "ct3");
    assert_eq!((here.annotations.len(), here.legend.len()), (1, 1));
    assert_eq!(layers("rtstruct", "ct1"), Layers::default());
    let mut other = target("ct3");
    other.frame_of_reference = "1.2.3".to_owned();
    assert_eq!(
        object("rtstruct")
            .layers(&other)
            .expect("layers")
            .annotations,
        []
    );
    let mut nowhere = target("ct3");
    nowhere.geometry.position = None;
    let remarks = object("rtstruct").layers(&nowhere).expect("layers").remarks;
    assert!(remarks[0].contains("not known"), "{remarks:?}");
}

#[test]
fn graphics_and_texts_are_in_pixel_coordinates_of_the_image() {
    let all = layers("gsps", "ct2").annotations;
    let shapes: Vec<&AnnotationShape> = all.iter().map(|annotation| &annotation.shape).collect();
    let line = |points: &[[f64; 2]]| AnnotationShape::Line(points.to_vec());
    assert_eq!(*shapes[0], line(&[[2.0, 2.0], [10.0, 2.0], [10.0, 6.5]]));
    assert_eq!(
        *shapes[1],
        line(&[[8.0, 16.0], [24.0, 16.0]]),
        "fractions of the displayed area"
    );
    let extent = |shape: &AnnotationShape| {
        let AnnotationShape::Line(points) = shape else {
            panic!("{shape:?}")
        };
        let ends = |i: usize| {
            let low = points.iter().map(|p| p[i]).fold(f64::INFINITY, f64::min);
            let high = points
                .iter()
                .map(|p| p[i])
                .fold(f64::NEG_INFINITY, f64::max);
            [low, high].map(|v| (v * 100.0).round() / 100.0)
        };
        [ends(0), ends(1)]
    };
    // A circle on the screen: pixels are 1.5 times as high as wide.
    assert_eq!(extent(shapes[2]), [[12.0, 20.0], [13.33, 18.67]]);
    assert_eq!(extent(shapes[3]), [[8.0, 24.0], [12.0, 20.0]]);
    assert_eq!(*shapes[4], AnnotationShape::Point([5.5, 25.5]));
    assert_eq!(
        *shapes[5],
        line(&[[16.0, 16.0], [20.0, 8.0]]),
        "from the anchor to the box"
    );
    let text = AnnotationShape::Text {
        text: "Nodule?\n5 mm".to_owned(),
        at: [20.0, 4.0],
    };
    assert_eq!(*shapes[6], text);
    let red = |color: Option<[u8; 3]>| differing(&color.expect("a colour"), &[255, 0, 0]) == 0;
    assert!(all.iter().all(|annotation| red(annotation.color)));
    assert_eq!(layers("gsps", "ct1").annotations, [], "of another image");
    // In the area as it is seen: rotated, then mirrored.
    let turned = layers("turned", "ct3").annotations;
    assert_eq!(turned[0].shape, line(&[[4.0, 7.0], [16.0, 25.0]]));
    assert_eq!(turned[0].color, Some([128; 3]));
}

#[test]
fn the_images_an_object_refers_to_are_known_without_its_content() {
    let target_of = |image: &str| target(image);
    for (name, kind, about) in [
        ("gsps", RelatedKind::Presentation, [false, true, false]),
        ("turned", RelatedKind::Presentation, [true, true, true]),
        ("pseudo", RelatedKind::Presentation, [true, false, false]),
        ("color", RelatedKind::Presentation, [false, false, true]),
        ("seg_binary", RelatedKind::Segmentation, [true; 3]),
        ("seg_fractional", RelatedKind::Segmentation, [true; 3]),
        ("rtstruct", RelatedKind::Structures, [true; 3]),
    ] {
        let object = related(&file(&format!("{name}.dcm"))).expect("an object");
        let concerns = ["ct1", "ct2", "ct3"].map(|image| object.concerns(&target_of(image)));
        assert_eq!((object.kind, concerns), (kind, about), "{name}");
        assert_eq!(object.date, "20260131", "{name}");
    }
    for name in ["ct1.dcm", "gsps.png", "missing.dcm"] {
        assert_eq!(related(&file(name)), None, "{name}");
    }
    let plan = related(&file("rtstruct.dcm")).expect("a structure set");
    assert_eq!(
        (plan.label.text.as_str(), plan.label.identifying),
        ("PLAN A", true)
    );
    assert_eq!(plan.parts, Some(2));
    let organs = related(&file("seg_binary.dcm")).expect("a segmentation");
    assert_eq!(
        (organs.label.text.as_str(), organs.label.identifying),
        ("ORGANS", false)
    );
}

#[test]
fn the_rotation_and_area_of_a_state_are_known_without_its_content() {
    let state = related(&file("turned.dcm")).expect("a state");
    let arrangement = state.arrangement(&target("ct1")).expect("of a state");
    assert_eq!((arrangement.quarters, arrangement.mirrored), (1, true));
    assert_eq!(arrangement.area, Some([4.0, 7.0, 28.0, 25.0]));
    assert_eq!(arrangement.magnification, Some(2.0));
    let whole = related(&file("gsps.dcm")).expect("a state");
    let arrangement = whole.arrangement(&target("ct2")).expect("of a state");
    assert_eq!((arrangement.quarters, arrangement.area), (0, None));
}

/// Repairs to a state's window are reported with the layers.
#[test]
fn assumptions_about_the_window_of_a_state_are_reported() {
    let mut bytes = std::fs::read(file("gsps.dcm")).expect("a file");
    let place = bytes.windows(6).position(|part| part == b"1200.0");
    bytes[place.expect("the width") + 4] = b',';
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("comma.dcm");
    std::fs::write(&path, bytes).expect("written");
    let state = Related::open(&path).expect("an object");
    let remarks = state.layers(&target("ct2")).expect("layers").remarks;
    assert!(
        remarks
            .iter()
            .any(|remark| remark.contains("decimal comma")),
        "{remarks:?}"
    );
    let sound = layers("gsps", "ct2").remarks;
    assert!(
        !sound.iter().any(|remark| remark.contains("comma")),
        "{sound:?}"
    );
}

/// Objects cut anywhere, or with any byte changed: a result or an error, never a panic.
#[test]
fn damaged_objects_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.dcm");
    let targets = ["ct1", "ct2", "ct3"].map(target);
    let own = grey("ct2");
    let panicked = |error: Option<MediaError>| error.is_some_and(|error| is_panic(&error));
    let try_all = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).expect("written");
        let indexed = contain("DICOM", || index(&path));
        assert!(!panicked(indexed.err()), "{what}: index");
        let object = match Related::open(&path) {
            Ok(object) => object,
            Err(error) => return assert!(!panicked(Some(error)), "{what}: open"),
        };
        for target in &targets {
            assert!(!panicked(object.layers(target).err()), "{what}: layers");
            assert!(
                !panicked(object.present(&own, target).err()),
                "{what}: grey"
            );
            assert!(!panicked(object.color_map(target).err()), "{what}: palette");
        }
    };
    for name in OBJECTS {
        let whole = std::fs::read(file(&format!("{name}.dcm"))).expect("a file");
        for cut in (0..whole.len()).step_by(5) {
            try_all(&whole[..cut], &format!("{name} cut at {cut}"));
        }
        for at in (132..whole.len()).step_by(2) {
            let mut damaged = whole.clone();
            damaged[at] = damaged[at].wrapping_mul(31).wrapping_add(0xb5);
            try_all(&damaged, &format!("{name} damaged at {at}"));
        }
    }
}

#[test]
fn an_image_is_not_a_related_object() {
    let error = Related::open(&file("ct1.dcm")).err().expect("an image");
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[test]
fn overlays_of_a_state_are_reported_as_not_drawn() {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    let remarks = |layer: &str| {
        let data = PrimitiveValue::U8(vec![1, 0].into());
        let set = dicom_object::InMemDicomObject::from_element_iter([
            DataElement::new(dicom_core::Tag(0x6002, 0x3000), VR::OB, data),
            DataElement::new(
                dicom_core::Tag(0x6002, 0x1001),
                VR::CS,
                PrimitiveValue::from(layer),
            ),
        ]);
        super::presentation::layers(&set, &target("ct2")).remarks
    };
    let is_remark = |remark: &String| remark == "its overlay planes are not drawn";
    assert!(remarks("LAYER").iter().any(is_remark));
    // A plane without a layer is not to be displayed.
    assert!(!remarks("").iter().any(is_remark));
}
