//! Overlays over a CT section, from the fixtures of `tests/oracle/related.py`.

use std::path::{Path, PathBuf};

use image::RgbImage;
use ratatui_image::FontSize;

use super::*;
use crate::app::{Decorations, Graphics, ImageView, PreviewKey, Quality, Stamp};
use crate::graphics::drivers::PixelGrid;
use crate::graphics::preview::{draw, renderer};
use crate::media::{ImageSource, open};
use crate::view::placement::Aim;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/media/related")
        .join(name)
}

/// A request for 400 × 600 pixels: 12.5 screen pixels for a column of the section.
fn key(image: &str, objects: &[&str]) -> PreviewKey {
    let object = |name: &&str| (fixture(&format!("{name}.dcm")), Stamp::default());
    PreviewKey {
        path: fixture(&format!("{image}.dcm")),
        stamp: Stamp::default(),
        frame: 0,
        view: ImageView::default(),
        for_series: None,
        stack: None,
        reformat: None,
        marks: Decorations::default(),
        related: OverlaidObjects {
            objects: objects.iter().map(object).collect(),
            opacity: 50,
            show_phi: true,
        },
        cols: 40,
        rows: 30,
        graphics: Graphics::Kitty,
        quality: Quality::Full,
        epoch: 0,
    }
}

struct RenderedScene {
    image: RgbImage,
    place: Placement,
    labels: Vec<OverlayText>,
    composed: Arc<ComposedOverlays>,
}

fn seen(key: &PreviewKey) -> RenderedScene {
    let source: ImageSource = open(&key.path).unwrap();
    let (frame, target) = (source.frame(0).unwrap(), source.target(0));
    let mut objects = OverlayComposer::default();
    let (frame, composed) = objects.compose(&key.related, &frame, target.as_ref());
    let scene = renderer::scene(key, &source, &frame, (10, 20));
    let grid = PixelGrid {
        cell: FontSize::new(10, 20),
        reduction: 1,
    };
    let drawn = draw::draw(&frame, &[], &composed, key, &scene, grid).unwrap();
    RenderedScene {
        image: drawn.image.into_rgb8(),
        place: drawn.place,
        labels: drawn.labels,
        composed,
    }
}

impl RenderedScene {
    /// The screen pixel in the middle of a pixel of the section.
    fn at(&self, x: u32, y: u32) -> [u8; 3] {
        let (x, y) = self.place.screen((x, y));
        self.image.get_pixel(x as u32, y as u32).0
    }
}

fn near(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 1)
}

#[test]
fn segments_are_blended_with_the_image_by_their_opacity() {
    let tint = image::open(fixture("seg_binary.ct2.png"))
        .unwrap()
        .to_rgba8();
    let plain = seen(&key("ct2", &[]));
    for opacity in [0, 50, 100] {
        let mut key = key("ct2", &["seg_binary"]);
        key.related.opacity = opacity;
        let seen = seen(&key);
        for (x, y, pixel) in tint.enumerate_pixels() {
            let [r, g, b, cover] = pixel.0;
            let share = f64::from(opacity) / 100.0 * f64::from(cover) / 255.0;
            let mixed = |under: u8, over: u8| {
                (f64::from(under) * (1.0 - share) + f64::from(over) * share).round() as u8
            };
            let under = plain.at(x, y);
            let wanted = [mixed(under[0], r), mixed(under[1], g), mixed(under[2], b)];
            assert!(near(seen.at(x, y), wanted), "{opacity} % at {x} {y}");
        }
        let told: Vec<&str> = seen
            .composed
            .legend
            .iter()
            .map(|e| e.name.text.as_str())
            .collect();
        assert_eq!(told, ["disc", "stripe"]);
    }
}

#[test]
fn a_presentation_state_shows_the_image_of_the_oracle() {
    let wanted = image::open(fixture("gsps.png")).unwrap().to_rgb8();
    let seen = seen(&key("ct2", &["gsps"]));
    // Without the pixels under annotations.
    let free = |x: u32, y: u32| y > 21 && !(5..7).contains(&x) || x < 2;
    let mut count = 0;
    for (x, y, pixel) in wanted.enumerate_pixels().filter(|(x, y, _)| free(*x, *y)) {
        assert!(near(seen.at(x, y), pixel.0), "{x} {y}");
        count += 1;
    }
    assert!(count > 300);
    let other = self::seen(&key("ct1", &["gsps"]));
    let plain = self::seen(&key("ct1", &[]));
    assert_eq!(
        other.image, plain.image,
        "the state is about another section"
    );
}

/// Pixels of a contour's red in a row or column of the screen.
fn red(seen: &RenderedScene, row: Option<u32>, column: Option<u32>) -> usize {
    let is_red = |pixel: &[u8; 3]| near(*pixel, [255, 0, 0]);
    let pixels = seen.image.enumerate_pixels();
    let here = pixels.filter(|(x, y, _)| {
        row.is_none_or(|row| row == *y) && column.is_none_or(|column| column == *x)
    });
    here.filter(|(_, _, pixel)| is_red(&pixel.0)).count()
}

#[test]
fn contours_are_thin_lines_at_any_magnification() {
    let whole = seen(&key("ct2", &["rtstruct"]));
    // From column 8 to 22 and from row 9 to 20, through the middles of pixels.
    let (middle, row) = whole.place.screen((15, 14));
    assert_eq!(red(&whole, Some(row as u32), None), 2);
    assert_eq!(red(&whole, None, Some(middle as u32)), 2);
    let (left, _) = whole.place.screen((8, 14));
    assert!(near(
        whole.image.get_pixel(left as u32, row as u32).0,
        [255, 0, 0]
    ));
    let mut closer = key("ct2", &["rtstruct"]);
    closer.view.aim = Aim {
        zoom: 4.0,
        center: (8.5 / 32.0, 14.5 / 32.0),
        ..Aim::default()
    };
    let closer = seen(&closer);
    let (_, row) = closer.place.screen((8, 14));
    assert_eq!(red(&closer, Some(row as u32), None), 1);
}

#[test]
fn texts_are_drawn_into_the_image_unless_it_consists_of_cells() {
    let drawn = seen(&key("ct2", &["gsps"]));
    let [label] = &drawn.labels[..] else {
        panic!("{:?}", drawn.labels)
    };
    assert_eq!(label.lines, ["Nodule?", "5 mm"]);
    assert_eq!(label.at, (20.0 / 32.0, 4.0 / 32.0));
    let white = |seen: &RenderedScene| {
        seen.image
            .pixels()
            .filter(|pixel| pixel.0 == [255; 3])
            .count()
    };
    let mut cells = key("ct2", &["gsps"]);
    cells.graphics = Graphics::Halfblocks;
    let cells = seen(&cells);
    assert_eq!(cells.labels, drawn.labels);
    assert!(
        white(&drawn) > white(&cells) + 100,
        "{} {}",
        white(&drawn),
        white(&cells)
    );
}

#[test]
fn texts_that_may_identify_are_masked() {
    let mut key = key("ct2", &["gsps"]);
    key.related.show_phi = false;
    assert_eq!(seen(&key).labels[0].lines, ["•••"]);
}

#[test]
fn an_object_that_cannot_be_opened_is_reported_and_the_image_stays() {
    let plain = seen(&key("ct2", &[]));
    let missing = seen(&key("ct2", &["no_such", "ct1"]));
    assert_eq!(missing.image, plain.image);
    let told: Vec<_> = missing
        .composed
        .remarks
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(told, [fixture("no_such.dcm"), fixture("ct1.dcm")]);
}

#[test]
fn an_object_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("seg.dcm");
    std::fs::copy(fixture("seg_binary.dcm"), &copy).unwrap();
    let wanted = OverlaidObjects {
        objects: vec![(copy.clone(), Stamp::default())],
        opacity: 50,
        show_phi: false,
    };
    let mut objects = OverlayComposer::default();
    let mut compose = |image: &str| {
        let source = open(&fixture(image)).unwrap();
        let frame = source.frame(0).unwrap();
        objects
            .compose(&wanted, &frame, source.target(0).as_ref())
            .1
    };
    let first = compose("ct1.dcm");
    std::fs::remove_file(&copy).unwrap();
    assert!(
        Arc::ptr_eq(&first, &compose("ct1.dcm")),
        "nothing is composed again"
    );
    let second = compose("ct2.dcm");
    assert!(
        second.remarks.is_empty() && second.legend.len() == 2,
        "from memory"
    );
}

#[test]
fn a_pseudo_colour_state_colours_a_grey_image() {
    let wanted = image::open(fixture("pseudo.png")).unwrap().to_rgb8();
    let seen = seen(&key("ct1", &["pseudo"]));
    assert!(
        wanted
            .enumerate_pixels()
            .all(|(x, y, pixel)| near(seen.at(x, y), pixel.0))
    );
}

#[test]
fn nothing_is_drawn_over_an_image_of_another_size_than_the_frame() {
    let key = key("ct2", &["seg_binary", "gsps"]);
    let source: ImageSource = open(&key.path).unwrap();
    let (frame, target) = (source.frame(0).unwrap(), source.target(0));
    let assembled = target.map(|target| crate::media::TargetFrame {
        width: 16,
        ..target
    });
    let (_, composed) =
        OverlayComposer::default().compose(&key.related, &frame, assembled.as_ref());
    assert_eq!((composed.layers.len(), composed.remarks.len()), (0, 2));
}
