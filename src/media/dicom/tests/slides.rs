//! Tiled objects, and others of many frames.

use super::*;
use crate::budget::WaitPolicy;

/// A row of four tiles of 2 × 2 pixels in colour.
fn slide(colors: [[u8; 3]; 4]) -> ObjectBuilder {
    let long = |value: u32| value.to_le_bytes();
    let pixels = colors.map(|color| color.repeat(4)).concat();
    ObjectBuilder::default()
        .text(tags::DIMENSION_ORGANIZATION_TYPE, *b"CS", "TILED_FULL")
        .text(tags::NUMBER_OF_FRAMES, *b"IS", "4 ")
        .element(tags::TOTAL_PIXEL_MATRIX_COLUMNS, *b"UL", &long(8))
        .element(tags::TOTAL_PIXEL_MATRIX_ROWS, *b"UL", &long(2))
        .appended(&ObjectBuilder::color8(2, 2, "RGB", 0).octets(&pixels))
}

#[test]
fn a_slide_that_begins_with_glass_is_shown_in_colour() {
    let colors = [[255; 3], [200, 30, 30], [60; 3], [30, 30, 200]];
    let bytes = slide(colors).file("1.2.840.10008.1.2.1");
    let source = ImageSource::from_bytes(bytes).expect("a source");
    let made = source.assemble(0, 2, WaitPolicy::default(), &mut |_| true);
    let made = made.expect("tiles").expect("a picture");
    let Frame::Color(picture) = &made.frame else {
        panic!("colour")
    };
    assert_eq!(
        (picture.pixels.bytes(), made.damaged),
        (&colors.concat()[..], 0)
    );
}

/// An item of a sequence.
fn item(content: &ObjectBuilder) -> Vec<u8> {
    let length = (content.bytes.len() as u32).to_le_bytes();
    [&[0xfe, 0xff, 0x00, 0xe0], &length, &content.bytes[..]].concat()
}

/// Functional groups of two frames, the second with `count` attributes more.
fn groups(frames: [ObjectBuilder; 2], count: usize) -> ObjectBuilder {
    let [first, second] = frames;
    let empty = item(&ObjectBuilder::default());
    let second = second.element(Tag(0x0099, 0x1001), *b"SQ", &empty.repeat(count));
    let groups = [item(&first), item(&second)].concat();
    ObjectBuilder::default().element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, *b"SQ", &groups)
}

#[test]
fn tiles_with_too_many_attributes_are_drawn_where_they_belong() {
    let tile = |column: i32, path: &str| {
        let position = ObjectBuilder::default()
            .text(tags::Z_OFFSET_IN_SLIDE_COORDINATE_SYSTEM, *b"DS", "0.5 ")
            .element(
                tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
                *b"SL",
                &column.to_le_bytes(),
            )
            .element(
                tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
                *b"SL",
                &1_i32.to_le_bytes(),
            );
        let path = ObjectBuilder::default().text(tags::OPTICAL_PATH_IDENTIFIER, *b"SH", path);
        ObjectBuilder::default()
            .item(tags::OPTICAL_PATH_IDENTIFICATION_SEQUENCE, &path)
            .item(tags::PLANE_POSITION_SLIDE_SEQUENCE, &position)
    };
    let assembled = |paths: [&str; 2]| {
        let object = ObjectBuilder::default()
            .text(tags::DIMENSION_ORGANIZATION_TYPE, *b"CS", "TILED_SPARSE")
            .text(tags::NUMBER_OF_FRAMES, *b"IS", "2 ")
            .appended(&ObjectBuilder::color8(1, 1, "RGB", 0))
            .element(
                tags::TOTAL_PIXEL_MATRIX_COLUMNS,
                *b"UL",
                &2_u32.to_le_bytes(),
            )
            .element(tags::TOTAL_PIXEL_MATRIX_ROWS, *b"UL", &1_u32.to_le_bytes())
            .appended(&groups([tile(2, paths[0]), tile(1, paths[1])], 250_000))
            .octets(&[1, 2, 3, 4, 5, 6]);
        let source = ImageSource::from_bytes(object.file("1.2.840.10008.1.2.1"));
        let source = source.expect("a source");
        let warning = source.info().warnings.first().cloned().unwrap_or_default();
        assert!(
            warning.contains("only those on their positions"),
            "{warning}"
        );
        let made = source.assemble(0, 1, WaitPolicy::default(), &mut |_| true);
        let made = made.expect("tiles").expect("a picture");
        let Frame::Color(picture) = &made.frame else {
            panic!("colour")
        };
        let planes = source.mosaic().map(|mosaic| mosaic.planes);
        (planes, picture.pixels.bytes().to_vec())
    };
    assert_eq!(assembled(["1 ", "1 "]), (Some(1), vec![4, 5, 6, 1, 2, 3]));
    assert_eq!(
        assembled(["1 ", "2 "]),
        (Some(2), vec![255, 255, 255, 1, 2, 3])
    );
}

#[test]
fn frames_with_too_many_attributes_keep_those_that_they_are_shown_by() {
    let voi = |center: &str| {
        let window = ObjectBuilder::default()
            .text(CENTER, *b"DS", center)
            .text(WIDTH, *b"DS", "100 ");
        ObjectBuilder::default().item(tags::FRAME_VOILUT_SEQUENCE, &window)
    };
    let file = |count| {
        ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
            .text(tags::NUMBER_OF_FRAMES, *b"IS", "2 ")
            .appended(&groups([voi("40"), voi("90")], count))
            .words(&[1, 2])
            .file("1.2.840.10008.1.2.1")
    };
    let whole = ImageSource::from_bytes(file(250_000)).expect("a source");
    assert!(whole.info().warnings.is_empty());
    let bytes = file(1_000_001);
    let source = ImageSource::from_bytes(bytes.clone()).expect("a source");
    let shown = source.load(&DecodeOptions {
        frame: 1,
        ..DecodeOptions::default()
    });
    assert_eq!(
        shown.expect("a picture").window.map(|window| window.center),
        Some(90.0)
    );
    assert!(source.info().warnings[0].contains("only those on values"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("many.dcm");
    std::fs::write(&path, bytes).expect("written");
    let rows = crate::tags(&path).expect("tags").rows;
    assert!(
        rows.last()
            .is_some_and(|row| row.value.contains("too many"))
    );
}

#[test]
fn an_object_with_too_many_attributes_elsewhere_is_too_large() {
    let empty = item(&ObjectBuilder::default());
    let object = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
        .element(Tag(0x0099, 0x1001), *b"SQ", &empty.repeat(1_000_001))
        .words(&[1]);
    let error = object.error();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{}", error.message);
    assert!(
        error.message.contains("1000000 attributes"),
        "{}",
        error.message
    );
}
