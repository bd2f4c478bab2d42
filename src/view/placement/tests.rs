use proptest::prelude::*;

use super::*;

fn shape(columns: u32, rows: u32) -> ImageShape {
    ImageShape {
        columns,
        rows,
        aspect: 1.0,
    }
}

#[test]
fn an_image_fills_its_room_and_keeps_its_proportions() {
    let place = place(shape(400, 100), &Aim::default(), (300, 600));
    assert_eq!((place.width, place.height), (300, 75));
    let VisiblePart {
        x,
        y,
        width,
        height,
    } = place.part;
    assert_eq!((x, y, width, height), (0.0, 0.0, 400.0, 100.0));
}

#[test]
fn pixels_that_are_not_square_keep_their_shape() {
    let tall = ImageShape {
        aspect: 2.0,
        ..shape(100, 100)
    };
    let seen = place(tall, &Aim::default(), (300, 300));
    assert_eq!((seen.width, seen.height), (150, 300));
    let turned = Aim {
        turn: Turn::default().right(),
        ..Aim::default()
    };
    let seen = place(tall, &turned, (300, 300));
    assert_eq!((seen.width, seen.height), (300, 150));
}

#[test]
fn actual_size_is_one_screen_pixel_per_image_pixel() {
    let aim = Aim::default().actual_size(shape(2048, 1024), (300, 200));
    let seen = place(shape(2048, 1024), &aim, (300, 200));
    assert!((seen.scale - 1.0).abs() < 1e-12);
    assert!((seen.part.width - 300.0).abs() < 1e-9 && (seen.part.height - 200.0).abs() < 1e-9);
    let small = Aim::default().actual_size(shape(40, 30), (300, 200));
    let seen = place(shape(40, 30), &small, (300, 200));
    assert_eq!((seen.width, seen.height), (40, 30));
}

#[test]
fn two_zoom_steps_double_and_two_back_undo_that() {
    let (shape, room) = (shape(1000, 1000), (500, 500));
    let near = Aim::default()
        .zoom_step(true, shape, room)
        .zoom_step(true, shape, room);
    assert!((near.zoom - 2.0).abs() < 1e-12);
    let back = near
        .zoom_step(false, shape, room)
        .zoom_step(false, shape, room);
    assert_eq!(back, Aim::default());
    assert_eq!(
        back.zoom_step(false, shape, room),
        back,
        "the whole image is the limit"
    );
}

#[test]
fn panning_follows_the_arrow_in_every_orientation() {
    let (shape, room) = (shape(1000, 800), (100, 100));
    for turn in Turn::ALL {
        let aim = Aim {
            zoom: 4.0,
            turn,
            ..Aim::default()
        };
        let at = |aim: &Aim| place(shape, aim, room).screen((500, 400));
        let before = at(&aim);
        let after = at(&aim.pan(1, 0, shape, room));
        assert!(
            after.0 < before.0 && (after.1 - before.1).abs() < 1e-6,
            "{turn:?}: the part to the right comes into view"
        );
    }
}

#[test]
fn a_click_beside_the_image_hits_no_pixel() {
    let area = Area {
        x: 10,
        y: 3,
        width: 20,
        height: 10,
    };
    // 100 × 100 pixels of the screen, on 10 × 5 cells in the middle of 20 × 10.
    let seen = place(shape(50, 50), &Aim::default(), (200, 100));
    let at = |cell| seen.pixel_in_cell(cell, area, (10, 20));
    assert_eq!(at((15, 5)), Some((2, 5)));
    assert_eq!(at((24, 9)), Some((47, 45)));
    for beside in [(14, 5), (25, 5), (15, 4), (15, 10)] {
        assert_eq!(at(beside), None, "{beside:?}");
    }
}

#[test]
fn a_scale_bar_has_a_round_length_to_scale() {
    assert_eq!(scale_bar(0.5, 600), Some((100.0, 200)));
    assert_eq!(scale_bar(0.143, 1000), Some((20.0, 140)));
    assert_eq!(scale_bar(0.0, 600), None);
    assert_eq!(scale_bar(0.1, 6), None, "too short to read");
}

/// The parts lie within the area and do not overlap, and the image keeps room.
#[test]
fn an_area_of_any_size_is_divided_without_overlap() {
    for (width, height) in (1..80).flat_map(|w| (1..40).map(move |h| (w, h))) {
        for bits in 0..32 {
            let around = InsetContent {
                facts: bits & 1 > 0,
                letters: bits & 2 > 0,
                histogram: bits & 4 > 0,
                legend: bits & 8 > 0,
                corners: bits & 16 > 0,
            };
            let area = Area {
                x: 3,
                y: 2,
                width,
                height,
            };
            let inset = inset(area, around);
            assert!(inset.picture.width > 0 && inset.picture.height > 0);
            let mut taken = std::collections::HashSet::new();
            let pieces = [
                Some(inset.picture),
                inset.above,
                inset.below,
                inset.left,
                inset.right,
                inset.facts,
                inset.legend,
                inset.histogram,
            ];
            for piece in pieces.into_iter().flatten() {
                for y in piece.y..piece.y + piece.height {
                    for x in piece.x..piece.x + piece.width {
                        assert!((3..3 + width).contains(&x) && (2..2 + height).contains(&y));
                        assert!(taken.insert((x, y)), "{width}×{height}, {around:?}");
                    }
                }
            }
        }
    }
}

proptest! {
    /// Whatever the keys, the visible part lies within the image and fills as much of the screen as it can.
    #[test]
    fn panning_stays_within_the_image(
        columns in 1..5000u32, rows in 1..5000u32, aspect in 0.2..5.0f64,
        room in (1..2000u32, 1..2000u32),
        keys in prop::collection::vec(0..8u8, 0..60),
    ) {
        let shape = ImageShape { columns, rows, aspect };
        let mut aim = Aim::default();
        for key in keys {
            aim = match key {
                0 => aim.pan(1, 0, shape, room),
                1 => aim.pan(-1, 0, shape, room),
                2 => aim.pan(0, 1, shape, room),
                3 => aim.pan(0, -1, shape, room),
                4 => aim.zoom_step(true, shape, room),
                5 => aim.zoom_step(false, shape, room),
                6 => Aim { turn: aim.turn.right(), ..aim }.clamped(shape, room),
                _ => Aim { turn: aim.turn.flip(), ..aim }.clamped(shape, room),
            };
            let seen = place(shape, &aim, room);
            let VisiblePart { x, y, width, height } = seen.part;
            prop_assert!(x >= 0.0 && y >= 0.0 && width > 0.0 && height > 0.0);
            prop_assert!(x + width <= f64::from(columns) + 1e-6 && y + height <= f64::from(rows) + 1e-6);
            prop_assert!(seen.width <= room.0 && seen.height <= room.1);
            let full = |length: u32, room: u32, share: f64, all: f64| length == room || share >= all - 1e-6;
            let (across, down) = seen.turn.size((width / f64::from(columns), height / f64::from(rows)));
            prop_assert!(full(seen.width, room.0, across, 1.0) && full(seen.height, room.1, down, 1.0));
        }
    }

    /// The position of a pixel on the screen leads back to that pixel.
    #[test]
    fn a_screen_position_leads_back_to_its_pixel(
        size in (1..400u32, 1..400u32), at in (0.0..1.0f64, 0.0..1.0f64), zoom in 1.0..40.0f64, turn in 0..8usize,
    ) {
        let shape = shape(size.0, size.1);
        let pixel = ((at.0 * f64::from(size.0)) as u32, (at.1 * f64::from(size.1)) as u32);
        let aim = Aim { zoom, turn: Turn::ALL[turn], ..Aim::default() }.showing(pixel, shape, (200, 150));
        let seen = place(shape, &aim, (200, 150));
        let place = seen.screen(pixel);
        // Half of a pixel at the edge may be cut off.
        prop_assume!((0.0..f64::from(seen.width)).contains(&place.0) && (0.0..f64::from(seen.height)).contains(&place.1));
        prop_assert_eq!(seen.pixel_at(place), Some(pixel));
    }

    /// Showing a pixel makes it visible.
    #[test]
    fn the_pixel_under_the_cursor_is_visible(
        size in (1..3000u32, 1..3000u32), at in (0.0..1.0f64, 0.0..1.0f64), zoom in 1.0..40.0f64, turn in 0..8usize,
    ) {
        let shape = shape(size.0, size.1);
        let room = (200, 150);
        let pixel = ((at.0 * f64::from(size.0)) as u32, (at.1 * f64::from(size.1)) as u32);
        let aim = Aim { zoom, turn: Turn::ALL[turn], ..Aim::default() }.showing(pixel, shape, room);
        let seen = place(shape, &aim, room);
        let (x, y) = seen.screen(pixel);
        prop_assert!(x >= -1e-6 && y >= -1e-6 && x <= f64::from(seen.width) + 1e-6 && y <= f64::from(seen.height) + 1e-6);
    }
}
