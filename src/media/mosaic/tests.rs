use std::sync::Arc;

use super::canvas::color;
use super::*;
use crate::{Picture, Pixels};
use proptest::prelude::*;

/// A mosaic of square tiles of side `tile`.
fn mosaic(size: (u32, u32), tile: u32) -> Mosaic {
    let columns = size.0.div_ceil(tile);
    let tiles = (0..columns * size.1.div_ceil(tile)).map(|frame| Tile {
        frame,
        plane: 0,
        x: frame % columns * tile,
        y: frame / columns * tile,
    });
    Mosaic {
        width: size.0,
        height: size.1,
        planes: 1,
        is_color: true,
        is_level: true,
        background: [255; 3],
        tiles: tiles.collect(),
    }
}

/// The colour of a pixel: red rises with the column, green with the row.
fn pixel(x: u32, y: u32) -> [u8; 3] {
    [x as u8, y as u8, 7]
}

fn tile(mosaic: &Mosaic, frame: u32, side: u32) -> Frame {
    let at = mosaic.tiles[frame as usize];
    let rows = (at.y..at.y + side).flat_map(|y| (at.x..at.x + side).flat_map(move |x| pixel(x, y)));
    color(side, side, rows.collect())
}

fn assembled(mosaic: &Mosaic, side: u32, divisor: u32) -> Arc<Picture> {
    let decode = |frame| Ok(tile(mosaic, frame, side));
    let result = mosaic.assemble(0, divisor, 2, decode, &mut |_| true);
    match result.expect("tiles").expect("a picture").frame {
        Frame::Color(picture) => picture,
        Frame::Grey(_) => panic!("colour"),
    }
}

#[test]
fn tiles_lie_side_by_side_and_are_cut_at_the_edge() {
    let picture = assembled(&mosaic((20, 13), 8), 8, 1);
    let expected: Vec<u8> = (0..13)
        .flat_map(|y| (0..20).flat_map(move |x| pixel(x, y)))
        .collect();
    assert_eq!((picture.width, picture.height), (20, 13));
    assert!(picture.pixels.bytes() == expected);
}

#[test]
fn a_pixel_of_a_reduced_mosaic_is_the_mean_of_its_block() {
    let picture = assembled(&mosaic((16, 8), 8), 8, 4);
    assert_eq!((picture.width, picture.height), (4, 2));
    // The mean of columns 0 to 3 is 1.5, and likewise of rows.
    let expected = [
        [2, 2, 7],
        [6, 2, 7],
        [10, 2, 7],
        [14, 2, 7],
        [2, 6, 7],
        [6, 6, 7],
        [10, 6, 7],
        [14, 6, 7],
    ];
    assert_eq!(picture.pixels.bytes(), expected.concat());
}

#[test]
fn damaged_tiles_are_counted_and_left_empty() {
    let whole = mosaic((16, 8), 8);
    let broken = |frame| match frame {
        0 => Err(MediaError::new(ErrorKind::Truncated, "cut")),
        _ => Ok(tile(&whole, frame, 8)),
    };
    let made = whole
        .assemble(0, 1, 2, broken, &mut |_| true)
        .expect("one is whole");
    let made = made.expect("a picture");
    let Frame::Color(picture) = made.frame else {
        panic!("colour")
    };
    assert_eq!(
        (made.damaged, &picture.pixels.bytes()[..3]),
        (1, &[255; 3][..])
    );
    let none = |_| Err(MediaError::new(ErrorKind::Truncated, "cut"));
    let error = whole
        .assemble(0, 1, 2, none, &mut |_| true)
        .expect_err("nothing is left");
    assert_eq!(error.kind, ErrorKind::Truncated);
}

#[test]
fn work_ends_once_it_is_cancelled() {
    let many = mosaic((800, 800), 8);
    let decode = |frame| Ok(tile(&many, frame, 8));
    let mut seen = 0;
    let made = many.assemble(0, 1, 2, decode, &mut |progress| {
        assert!(progress.picture().is_some());
        seen = progress.done;
        false
    });
    assert!(
        made.expect("no fault").is_none() && seen < 10_000,
        "{seen} tiles"
    );
}

/// A mosaic of three tiles in a row of four, of which two are colourless; the last has no tile.
fn colorless_tiles(is_color: bool) -> Frame {
    let mut row = mosaic((32, 8), 8);
    row.tiles.pop();
    row.is_color = is_color;
    row.background = [9, 8, 7];
    let colors = [[255; 3], [200, 30, 30], [60; 3]];
    let decode = |frame: u32| {
        let pixels = Pixels::Rgb(colors[frame as usize].repeat(64));
        Ok(Frame::from(Picture {
            width: 8,
            height: 8,
            pixels,
        }))
    };
    let made = row.assemble(0, 8, 1, decode, &mut |_| true);
    made.expect("tiles").expect("a picture").frame
}

#[test]
fn colourless_tiles_of_a_coloured_image_are_drawn() {
    for is_color in [true, false] {
        let Frame::Color(picture) = colorless_tiles(is_color) else {
            panic!("colour")
        };
        let expected = [[255; 3], [200, 30, 30], [60; 3], [9, 8, 7]].concat();
        assert_eq!(picture.pixels.bytes(), expected, "{is_color}");
    }
}

/// Glass without tissue, and grey stored as RGB, are grey like any other picture of the kind.
#[test]
fn a_coloured_image_without_any_colour_is_grey() {
    let whole = mosaic((8, 8), 8);
    let decode = |_| Ok(color(8, 8, vec![77; 192]));
    let made = whole.assemble(0, 1, 1, decode, &mut |_| true);
    let frame = made.expect("tiles").expect("a picture").frame;
    assert!(
        frame
            .grey()
            .is_some_and(|grey| grey.value(7, 7) == Some(77.0))
    );
}

proptest! {
    /// Every pixel is covered, whatever the sizes.
    #[test]
    fn every_pixel_gets_its_tile(width in 1_u32..60, height in 1_u32..60, side in 1_u32..20, divisor in 1_u32..9) {
        let mosaic = mosaic((width, height), side);
        let picture = assembled(&mosaic, side, divisor);
        let blue = picture.pixels.bytes().chunks_exact(3).all(|pixel| pixel[2] == 7);
        prop_assert!(blue);
    }
}
