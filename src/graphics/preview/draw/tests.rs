use super::*;
use crate::view::placement::{self, Aim, ImageShape};

fn part(x: f64, y: f64, width: f64, height: f64) -> VisiblePart {
    VisiblePart {
        x,
        y,
        width,
        height,
    }
}

#[test]
fn the_pixels_that_a_part_touches_lie_within_the_image() {
    let whole = whole_pixels(&part(0.0, 0.0, 10.0, 8.0), (10, 8));
    assert_eq!((whole.x, whole.y, whole.width, whole.height), (0, 0, 10, 8));
    let inner = whole_pixels(&part(2.5, 3.0, 3.0, 0.5), (10, 8));
    assert_eq!((inner.x, inner.y, inner.width, inner.height), (2, 3, 4, 1));
    for step in 0..200 {
        let canvas = ImageShape {
            columns: 7,
            rows: 3,
            aspect: 1.3,
        };
        let aim = Aim {
            zoom: 1.0 + f64::from(step) / 10.0,
            center: (f64::from(step % 11) / 10.0, f64::from(step % 7) / 6.0),
            ..Aim::default()
        };
        let place = placement::place(canvas, &aim, (90, 70));
        let area = whole_pixels(&place.part, (7, 3));
        assert!(area.width > 0 && area.height > 0);
        assert!(area.x + area.width <= 7 && area.y + area.height <= 3);
    }
}

#[test]
fn padding_is_black_and_fills_whole_cells() {
    let ground = on_black(&[9, 8, 7, 6], (2, 1), (4, 3), (1, 1));
    assert_eq!(ground, [0, 0, 0, 0, 0, 9, 8, 0, 0, 7, 6, 0]);
    let colour = on_black(&[1, 2, 3], (1, 3), (2, 1), (0, 0));
    assert_eq!(colour, [1, 2, 3, 0, 0, 0]);
}

#[test]
fn a_part_of_a_colour_image_is_cropped_and_inverted() {
    let picture = Picture {
        width: 2,
        height: 2,
        pixels: Pixels::Rgb((0..12).collect()),
    };
    let area = PixelRect {
        x: 1,
        y: 0,
        width: 1,
        height: 2,
    };
    assert_eq!(
        crop(&picture, area, false).pixels.bytes(),
        [3, 4, 5, 9, 10, 11]
    );
    assert_eq!(crop(&picture, area, true).pixels.bytes()[0], 252);
}
