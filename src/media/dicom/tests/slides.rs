//! Tiled objects.

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
